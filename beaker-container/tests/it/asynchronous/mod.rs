//! A store with an asynchronous face: a task calls it by nothing else, and may drop any call.

mod calls;
mod dropped;
mod kept;

use std::future::Future;
use std::sync::Arc;

use beaker_container::Cache;
use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{FileNamespace, Key, Namespace, Wait};
use tokio::runtime::Builder;

use crate::harness::{HANG, Lab};
use crate::tasks::runtimes::without_runtime;
use crate::tasks::{one_thread, two_threads};

/// Runs a test within runtimes of every kind and in none, each time with a store that panics at a
/// blocking call; a hang fails it.
fn on_every_runtime<F: Future<Output = ()>>(test: impl Fn(Arc<Lab>) -> F) {
    let in_time = |lab| {
        let test = test(lab);
        async { tokio::time::timeout(HANG, test).await.expect("the test hangs") }
    };
    one_thread().block_on(in_time(Arc::new(Lab::refusing())));
    two_threads().block_on(in_time(Arc::new(Lab::refusing())));
    // Neither has timers; the test is ended by whoever runs it if it hangs.
    let bare = Builder::new_current_thread().build().unwrap();
    bare.block_on(test(Arc::new(Lab::refusing())));
    without_runtime(test(Arc::new(Lab::refusing())));
}

/// A cache on a store of its own that panics at a blocking call, and what lies below it.
struct Remote {
    cache: Cache<u64, u64>,
    store: Arc<AsyncStore<FileNamespace>>,
    _lab: Lab,
}

impl Remote {
    fn new() -> Self {
        let lab = Lab::file();
        let store = Arc::new(AsyncStore::new(lab.file_named("remote")));
        store.refuse_blocking();
        Self { cache: Cache::new(store.clone()), store, _lab: lab }
    }

    /// Whether nobody has the claim on `key`.
    fn is_free(&self, key: u64) -> bool {
        self.store.inner().claim(&Key::new(&key), Wait::Never).unwrap().is_some()
    }
}
