//! A task on a thread of loom's: polled, parked, woken.

use std::{
    future::Future,
    mem::ManuallyDrop,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use loom::sync::{Condvar, Mutex};

#[derive(Default)]
struct Parking {
    is_woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Parking {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// Polls until the future is ready; between polls the thread sleeps until it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let parking = Arc::new(Parking::default());
    let waker = Waker::from(Arc::clone(&parking));
    // When loom has found a deadlock it unwinds, and takes no lock any more: the future, whose drop takes some, is left
    // then.
    let mut future = ManuallyDrop::new(Box::pin(future));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            drop(ManuallyDrop::into_inner(future));
            return output;
        }
        let mut is_woken = parking.is_woken.lock().unwrap();
        while !*is_woken {
            is_woken = parking.changed.wait(is_woken).unwrap();
        }
        *is_woken = false;
    }
}

/// Polls once and lets the future go; its output if it was ready.
pub(crate) fn poll_and_drop<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
