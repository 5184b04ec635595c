//! Bounded waits of tasks.
//
// By a timer of our own: the caller's runtime may have been built without one, which tokio answers with a panic, and
// there may be none.
//
// 1. It is one thread, started by the first wait that needs it. Where the system gives none, that wait fails, and the
//    next one asks again.
// 2. A forked child has none of its parent's threads, and starts its own. With tokio's feature `parking_lot` a wait there
//    may hang all the same, seldom (docs/design.md, "After a fork").
// 3. The thread makes its runtime itself: a task that cannot start it must not drop one, which tokio answers with a panic.

use std::future::{Future, pending};
use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use beaker_sync::process_id;
use parking_lot::Mutex;
use tokio::runtime::{self, Handle};

use crate::{Error, ErrorKind};

static TIMER: Timer = Timer::new();

/// The thread on which timers run.
struct Timer(Mutex<Option<Running>>);

struct Running {
    process: u32,
    handle: Handle,
}

impl Timer {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The handle of the thread of `process`, this one, which is made of `thread` if there is none.
    fn handle(&self, process: u32, thread: thread::Builder) -> Result<Handle, Error> {
        let mut running = self.0.lock();
        match &*running {
            Some(known) if known.process == process => Ok(known.handle.clone()),
            _ => {
                let handle = start(thread)?;
                *running = Some(Running { process, handle: handle.clone() });
                Ok(handle)
            }
        }
    }
}

fn start(thread: thread::Builder) -> Result<Handle, Error> {
    let (started, handle) = sync_channel(1);
    let drive = move || -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        // Who started it waits for this.
        let _heard = started.send(runtime.handle().clone());
        runtime.block_on(pending())
    };
    let unavailable = || {
        Error::new(ErrorKind::Unavailable, "bound a wait")
            .with_detail("the system gave no thread for the timer; free resources")
    };
    thread.spawn(drive).map_err(|error| unavailable().with_source(error))?;
    handle.recv().map_err(|error| unavailable().with_source(error))
}

/// The output of `future`, or `None` if `wait` passes first. A wait of zero polls once.
pub(crate) async fn within<F: Future>(
    wait: Duration,
    future: F,
) -> Result<Option<F::Output>, Error> {
    let thread = thread::Builder::new().name("beaker-session-timer".to_owned());
    let timed = {
        let handle = TIMER.handle(process_id(), thread)?;
        let _entered = handle.enter();
        tokio::time::timeout(wait, future)
    };
    Ok(timed.await.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a thread for whose stack no system has the room.
    fn no_thread() -> thread::Builder {
        thread::Builder::new().stack_size(usize::MAX / 8)
    }

    #[test]
    fn a_task_that_gets_no_thread_is_told_so_and_the_next_one_asks_again() {
        let timer = Timer::new();
        let caller = runtime::Builder::new_current_thread().build().unwrap();
        caller.block_on(async {
            for _ in 0..2 {
                let error = timer.handle(1, no_thread()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable);
            }
            let handle = timer.handle(1, thread::Builder::new()).unwrap();
            assert_eq!(timer.handle(1, no_thread()).unwrap().id(), handle.id());
        });
    }

    #[test]
    fn another_process_starts_a_thread_of_its_own() {
        let timer = Timer::new();
        let parent = timer.handle(1, thread::Builder::new()).unwrap();
        let child = timer.handle(2, thread::Builder::new()).unwrap();
        assert_ne!(parent.id(), child.id());
        assert_eq!(timer.handle(2, no_thread()).unwrap().id(), child.id());
    }
}
