//! Sweeping in the background.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Sessions;
use crate::Error;

/// A thread that drops expired sessions now and then; dropping this ends it.
///
/// A sweep that fails, or whose store panics, is counted, and the next one comes in its turn.
#[derive(Debug)]
#[must_use = "dropping the collector ends it"]
pub struct Collector {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: Mutex<bool>,
    stop: Condvar,
    swept: AtomicU64,
    failures: AtomicU64,
}

impl Sessions {
    /// Sweeps once every `period`, the first time after one period.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the system gives no thread.
    pub fn collect_every(&self, period: Duration) -> Result<Collector, Error> {
        let shared = Arc::new(Shared::default());
        let (sessions, state) = (self.clone(), Arc::clone(&shared));
        let run = move || {
            while !state.waits(period) {
                // Nothing of ours is behind that a panic of the store could leave half done.
                match catch_unwind(AssertUnwindSafe(|| sessions.sweep())) {
                    Ok(Ok(swept)) => state.swept.fetch_add(swept, Ordering::Relaxed),
                    Ok(Err(_)) | Err(_) => state.failures.fetch_add(1, Ordering::Relaxed),
                };
            }
        };
        let thread = thread::Builder::new().name("beaker-sessions".to_owned()).spawn(run);
        let thread = Some(thread.map_err(no_thread)?);
        Ok(Collector { shared, thread })
    }
}

impl Collector {
    /// Records that were dropped so far.
    pub fn swept(&self) -> u64 {
        self.shared.swept.load(Ordering::Relaxed)
    }

    /// Sweeps that failed or panicked so far.
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Waits for `period`, or less if it is stopped, and says whether it is.
    fn waits(&self, period: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.stop.wait_for(&mut stopped, period);
        }
        *stopped
    }
}

impl Drop for Collector {
    /// Waits for a sweep that is under way.
    fn drop(&mut self) {
        *self.shared.stopped.lock() = true;
        self.shared.stop.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn no_thread(error: io::Error) -> Error {
    Error::new(crate::ErrorKind::Unavailable, "start a thread").with_source(error)
}
