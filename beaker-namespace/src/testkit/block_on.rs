use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::forward_namespace;
use crate::{
    AsyncNamespace, Claim, Clock, Condition, ConditionalSet, Entry, Error, Fulfilled, Inspection,
    Key, Lookup, Mark, Namespace, Page, Scan, Swept, Wait,
};

use super::suite::{Report, conformance};

/// Holds the asynchronous face of a store to the suite: as [`conformance`], with every call made by
/// [`AsyncNamespace`] and waited for.
///
/// A store that has both faces runs both suites.
///
/// # Panics
///
/// As [`conformance`], and if the store has no asynchronous face.
pub fn conformance_asynchronous<N: Namespace>(
    store: &str,
    open: impl Fn(&str, Arc<dyn Clock>) -> Result<N, Error>,
) -> Report {
    conformance(store, |name, clock| open(name, clock).map(BlockOn::new))
}

/// A namespace whose calls go by the asynchronous face of another, and block until they are done: on the
/// calling thread, without a runtime.
///
/// # Panics
///
/// Its methods panic if the other has no asynchronous face.
#[derive(Debug)]
pub struct BlockOn<N> {
    inner: N,
}

impl<N> BlockOn<N> {
    /// A namespace over the asynchronous face of `inner`.
    pub const fn new(inner: N) -> Self {
        Self { inner }
    }

    /// The namespace inside.
    pub const fn inner(&self) -> &N {
        &self.inner
    }
}

impl<N: Namespace> BlockOn<N> {
    fn face(&self) -> &dyn AsyncNamespace {
        let Some(face) = self.inner.asynchronous() else {
            panic!("the store of `{}` has no asynchronous face", self.inner.id().name());
        };
        face
    }
}

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for `future` on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

impl<N: Namespace> Namespace for BlockOn<N> {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, stats, on_departure, asynchronous,
    );

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        block_on(self.face().get(key))
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        block_on(self.face().set(key, entry))
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        block_on(self.face().remove(key))
    }

    fn clear(&self) -> Result<(), Error> {
        block_on(self.face().clear())
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        block_on(self.face().claim(key, wait))
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        block_on(self.face().fulfil(key, entry, claim))
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        block_on(self.face().set_if(key, entry, condition))
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        block_on(self.face().scan(scan))
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        block_on(self.face().remove_tag(tag))
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        block_on(self.face().mark(name, mark))
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        let names: Vec<&str> = names.collect();
        block_on(self.face().marks(&names))
    }

    fn sweep(&self) -> Result<Swept, Error> {
        block_on(self.face().sweep())
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        block_on(self.face().inspect(key))
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        block_on(self.face().look_up(key))
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        block_on(self.face().get_many(keys))
    }

    fn inspect_many(&self, keys: &[Key]) -> Result<Vec<Inspection>, Error> {
        block_on(self.face().inspect_many(keys))
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        block_on(self.face().set_many(entries))
    }

    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        block_on(self.face().remove_many(keys))
    }
}
