//! A task on a thread of the model checker: polled, parked, woken.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

#[cfg(beaker_loom)]
use loom as checker;
#[cfg(not(beaker_loom))]
use shuttle as checker;

use self::checker::sync::{Condvar, Mutex};

#[derive(Default)]
struct Parking {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Parking {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// Polls until the future is ready; between polls the thread sleeps until it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let parking = Arc::new(Parking::default());
    let waker = Waker::from(Arc::clone(&parking));
    // A checker that has found a deadlock unwinds, and takes no lock any more: the future, whose
    // drop takes some, is left then.
    let mut future = ManuallyDrop::new(Box::pin(future));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            drop(ManuallyDrop::into_inner(future));
            return output;
        }
        let mut woken = parking.woken.lock().unwrap();
        while !*woken {
            woken = parking.changed.wait(woken).unwrap();
        }
        *woken = false;
    }
}

/// Polls once and lets the future go; its output if it was ready.
pub(crate) fn poll_and_drop<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
