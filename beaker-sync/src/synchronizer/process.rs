// Many readers or one writer among the threads of this process.
//
// 1. `holds` has one entry for each thread inside: all shared, or a single exclusive one. An entry
//    counts how often its thread has entered; only the first entry and the last exit of a thread
//    change who may pass.
// 2. A thread that waits to write is counted in `writers_waiting`; while the count is not zero, no
//    new reader passes. Threads that are inside still enter again, or they would wait for a writer
//    that waits for them.
// 3. Every wait is a loop around its condition: a wake-up is a hint, and may come without a reason.
// 4. Whoever changes the state wakes those whom the new state admits: one writer if nobody is
//    inside, otherwise (no writer waits, none is inside) all readers. A writer that gives up does
//    the same, because readers stand behind it, and because the wake-up may have been for it.

use crate::{
    Error, ErrorKind,
    primitive::{Condvar, Mutex, MutexGuard, ThreadId, thread_id},
    request::{Access, Wait},
};

/// What became of an attempt to enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// The thread is inside and was not before.
    First,
    /// The thread is inside once more.
    Nested,
    /// Time is up; nothing has changed.
    TimedOut,
}

/// A re-entrant reader/writer lock that prefers writers.
#[derive(Debug)]
pub(super) struct ProcessLock {
    state: Mutex<State>,
    may_read: Condvar,
    may_write: Condvar,
}

#[derive(Debug)]
struct State {
    holds: Vec<Hold>,
    writers_waiting: usize,
}

#[derive(Debug)]
struct Hold {
    thread: ThreadId,
    access: Access,
    depth: usize,
}

impl ProcessLock {
    pub(super) fn new() -> Self {
        let state = State { holds: Vec::new(), writers_waiting: 0 };
        Self { state: Mutex::new(state), may_read: Condvar::new(), may_write: Condvar::new() }
    }

    /// Lets this thread in, at once if it is inside already.
    pub(super) fn enter(&self, access: Access, wait: Wait) -> Result<Entry, Error> {
        let thread = thread_id();
        let mut state = self.state.lock();
        if let Some(hold) = state.hold_of(thread) {
            hold.nest(access)?;
            return Ok(Entry::Nested);
        }
        let (mut state, admitted) = self.await_admission(state, access, wait);
        if !admitted {
            return Ok(Entry::TimedOut);
        }
        state.holds.push(Hold { thread, access, depth: 1 });
        Ok(Entry::First)
    }

    /// Undoes one [`enter`](Self::enter) of this thread.
    pub(super) fn leave(&self) {
        let thread = thread_id();
        let mut state = self.state.lock();
        let Some(at) = state.holds.iter().position(|hold| hold.thread == thread) else { return };
        state.holds[at].depth -= 1;
        if state.holds[at].depth == 0 {
            state.holds.swap_remove(at);
            self.wake(&state);
        }
    }

    /// Whether the next [`leave`](Self::leave) of this thread is its last.
    pub(super) fn leaves_next(&self) -> bool {
        let thread = thread_id();
        self.state.lock().hold_of(thread).is_some_and(|hold| hold.depth == 1)
    }

    fn await_admission<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        access: Access,
        wait: Wait,
    ) -> (MutexGuard<'a, State>, bool) {
        if state.admits(access) {
            return (state, true);
        }
        if matches!(wait, Wait::Never) {
            return (state, false);
        }
        if access == Access::Shared {
            return wait_on(&self.may_read, state, access, wait);
        }
        state.writers_waiting += 1;
        let (mut state, admitted) = wait_on(&self.may_write, state, access, wait);
        state.writers_waiting -= 1;
        if !admitted {
            self.wake(&state);
        }
        (state, admitted)
    }

    fn wake(&self, state: &State) {
        if state.admits(Access::Exclusive) && state.writers_waiting > 0 {
            self.may_write.notify_one();
        } else if state.admits(Access::Shared) {
            self.may_read.notify_all();
        }
    }
}

impl State {
    fn hold_of(&mut self, thread: ThreadId) -> Option<&mut Hold> {
        self.holds.iter_mut().find(|hold| hold.thread == thread)
    }

    /// Whether a thread that is not inside may come in.
    fn admits(&self, access: Access) -> bool {
        match access {
            Access::Exclusive => self.holds.is_empty(),
            Access::Shared => {
                self.writers_waiting == 0
                    && self.holds.first().is_none_or(|hold| hold.access == Access::Shared)
            }
        }
    }
}

impl Hold {
    fn nest(&mut self, access: Access) -> Result<(), Error> {
        match (self.access, access) {
            (Access::Shared, Access::Exclusive) => {
                Err(Error::new(ErrorKind::Upgrade, "cannot write-lock a synchronizer"))
            }
            (Access::Exclusive, Access::Shared) => {
                Err(Error::new(ErrorKind::Downgrade, "cannot read-lock a synchronizer"))
            }
            _ => {
                self.depth += 1;
                Ok(())
            }
        }
    }
}

/// Waits in a loop until `state` admits `access`, or time is up.
fn wait_on<'a>(
    admission: &Condvar,
    mut state: MutexGuard<'a, State>,
    access: Access,
    wait: Wait,
) -> (MutexGuard<'a, State>, bool) {
    while !state.admits(access) {
        state = match wait {
            Wait::Never => return (state, false),
            Wait::Forever => admission.wait(state),
            Wait::Until(deadline) => match admission.wait_until(state, deadline) {
                (state, true) => {
                    let admitted = state.admits(access);
                    return (state, admitted);
                }
                (state, false) => state,
            },
        };
    }
    (state, true)
}

#[cfg(all(test, not(beaker_loom)))]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn d1_a_wake_up_without_a_reason_lets_no_writer_in_beside_a_reader() {
        let lock = ProcessLock::new();
        let entered = AtomicBool::new(false);
        assert_eq!(lock.enter(Access::Shared, Wait::Never).unwrap(), Entry::First);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                assert_eq!(lock.enter(Access::Exclusive, Wait::Forever).unwrap(), Entry::First);
                entered.store(true, Ordering::SeqCst);
                lock.leave();
            });
            while lock.state.lock().writers_waiting == 0 {
                thread::yield_now();
            }
            // Each of these wakes the writer, if it waits again already, with the reader inside.
            for _ in 0..10_000 {
                lock.may_write.notify_all();
                thread::yield_now();
                assert!(!entered.load(Ordering::SeqCst), "the writer came in beside a reader");
            }
            lock.leave();
            writer.join().unwrap();
        });
        assert!(entered.load(Ordering::SeqCst));
    }
}
