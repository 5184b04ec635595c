//! Models of the events, for `tests/loom.rs`, and faults that a model must find.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Arc as Shared;
use loom::sync::atomic::{self, AtomicBool, Ordering};
use loom::thread;

use super::{Events, Listener};

/// A fault that a model puts in on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None.
    None,
    /// Nothing orders what listeners and notifiers do.
    NoFence,
    /// A waiter looks whether it has happened, and listens only then.
    ListensLate,
    /// Who changes it notifies first.
    NotifiesEarly,
}

std::thread_local! {
    // Loom runs its threads on the one that calls it, so this is one value for a whole model.
    static FAULT: Cell<Fault> = const { Cell::new(Fault::None) };
}

fn has(fault: Fault) -> bool {
    FAULT.get() == fault
}

pub(super) fn fence() {
    if !has(Fault::NoFence) {
        atomic::fence(Ordering::SeqCst);
    }
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Woken(Count);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Something that can be removed, and those who wait for that.
struct World {
    is_removed: AtomicBool,
    removals: Events<&'static str>,
}

impl World {
    fn new() -> Shared<Self> {
        Shared::new(Self { is_removed: AtomicBool::new(false), removals: Events::new() })
    }

    // As weak as a store can be: it orders nothing.
    fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Relaxed)
    }

    fn remove(&self) {
        if has(Fault::NotifiesEarly) {
            self.removals.notify(&"it");
        }
        self.is_removed.store(true, Ordering::Relaxed);
        if !has(Fault::NotifiesEarly) {
            self.removals.notify(&"it");
        }
    }
}

/// What a wait came to that did not see the removal: its listener, and its waker.
type Waiting<'a> = (Listener<'a, &'static str>, Arc<Woken>);

/// One look of a wait; `None` if it saw the removal or was told of one.
fn look(world: &World) -> Option<Waiting<'_>> {
    let woken = Arc::new(Woken::default());
    let is_removed = has(Fault::ListensLate) && world.is_removed();
    let mut listener = world.removals.listen(["another", "it"]);
    if is_removed || !has(Fault::ListensLate) && world.is_removed() {
        return None;
    }
    let waker = Waker::from(Arc::clone(&woken));
    match listener.poll_notified(&mut Context::from_waker(&waker)) {
        Poll::Ready(()) => None,
        Poll::Pending => Some((listener, woken)),
    }
}

fn run(fault: Fault, model: fn()) {
    FAULT.set(fault);
    // Set back also when the model finds the fault, by a panic.
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            FAULT.set(Fault::None);
        }
    }
    let _reset = Reset;
    loom::model(model);
}

/// Who waits for a removal beside it sees it, is told of it at once, or is woken; and nothing of him stays.
pub fn who_waits_for_what_is_removed_meanwhile_hears_of_it(fault: Fault) {
    run(fault, || {
        let world = World::new();
        let remover = {
            let world = Shared::clone(&world);
            thread::spawn(move || world.remove())
        };
        let waiting = look(&world);
        remover.join().expect("no model thread panics");
        if let Some((_, woken)) = &waiting {
            assert_eq!(woken.0.load(SeqCst), 1, "a wait was not ended");
        }
        drop(waiting);
        assert_eq!(world.removals.listeners(), 0, "a listener stayed");
    });
}

/// Of two who wait, one that gives up takes nothing from the other.
pub fn who_gives_up_takes_nothing_from_another_who_waits(fault: Fault) {
    run(fault, || {
        let world = World::new();
        let (gives_up, removes) = (Shared::clone(&world), Shared::clone(&world));
        let waiting = look(&world);
        let threads =
            [thread::spawn(move || drop(look(&gives_up))), thread::spawn(move || removes.remove())];
        for thread in threads {
            thread.join().expect("no model thread panics");
        }
        if let Some((_, woken)) = &waiting {
            assert_eq!(woken.0.load(SeqCst), 1, "a wait was not ended");
        }
        drop(waiting);
        assert_eq!(world.removals.listeners(), 0, "a listener stayed");
    });
}
