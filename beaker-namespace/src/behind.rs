//! Work that no caller has to wait for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// Does `work` on a thread of its own; here, if the system gives none. A panic in it reaches nobody.
pub(crate) fn behind(work: impl FnOnce() + Send + 'static) {
    // The thread takes it from here, so that it is still there if there is no thread.
    let work = std::sync::Arc::new(parking_lot::Mutex::new(Some(work)));
    let on_thread = std::sync::Arc::clone(&work);
    let take = move || {
        let work = on_thread.lock().take();
        if let Some(work) = work {
            let _panicked = catch_unwind(AssertUnwindSafe(work));
        }
    };
    if thread::Builder::new().name("beaker-behind".to_owned()).spawn(take).is_err() {
        let work = work.lock().take();
        if let Some(work) = work {
            work();
        }
    }
}
