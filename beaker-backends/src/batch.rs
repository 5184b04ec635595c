//! Changes of many threads, kept by one commit.
//
// Who has a change puts it into the queue, then waits for the turn. Who has the turn takes all that
// is in the queue and commits it at once; the others find their outcomes when their turn comes. So
// while one commit syncs, the next batch gathers, and nobody waits for more than two commits.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::Error;
use parking_lot::Mutex;

use crate::kv::{Change, Sync};

/// A change with the place for its outcome.
pub(crate) struct Job {
    pub(crate) change: Change,
    pub(crate) sync: Sync,
    pub(crate) outcome: Outcome,
}

/// Empty until the change was kept, refused or given up.
pub(crate) type Outcome = Arc<Mutex<Option<Result<(), Error>>>>;

#[derive(Default)]
pub(crate) struct Batches {
    queue: Mutex<Vec<Job>>,
    turn: Mutex<()>,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("waiting", &self.queue.lock().len()).finish_non_exhaustive()
    }
}

impl Batches {
    /// Has `change` committed, by this thread or by another, and says what came of it. `commit` must
    /// give each job its outcome. `None` if it could not be begun within `timeout`.
    pub(crate) fn submit(
        &self,
        change: Change,
        sync: Sync,
        timeout: Duration,
        commit: impl FnOnce(Vec<Job>),
    ) -> Option<Result<(), Error>> {
        let outcome = Outcome::default();
        self.queue.lock().push(Job { change, sync, outcome: Arc::clone(&outcome) });
        let turn = match self.turn.try_lock_for(timeout) {
            Some(turn) => turn,
            None if self.withdraw(&outcome) => return None,
            // It is being committed. That cannot be called off, but its time is bounded: by the
            // wait for other processes, and by the disk.
            None => self.turn.lock(),
        };
        if let Some(known) = outcome.lock().take() {
            return Some(known);
        }
        let jobs = std::mem::take(&mut *self.queue.lock());
        commit(jobs);
        drop(turn);
        let mut known = outcome.lock();
        known.take()
    }

    /// Takes the job of `outcome` out of the queue; `false` if somebody has taken it.
    fn withdraw(&self, outcome: &Outcome) -> bool {
        let mut queue = self.queue.lock();
        let before = queue.len();
        queue.retain(|job| !Arc::ptr_eq(&job.outcome, outcome));
        queue.len() < before
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn nothing() -> Change {
        Box::new(|_| Ok(()))
    }

    fn keep(jobs: Vec<Job>) -> usize {
        jobs.iter().for_each(|job| *job.outcome.lock() = Some(Ok(())));
        jobs.len()
    }

    fn wait_until(batches: &Batches, waiting: usize) {
        while batches.queue.lock().len() < waiting {
            thread::yield_now();
        }
    }

    #[test]
    fn who_waits_during_a_commit_is_committed_together() {
        let batches = Batches::default();
        let (sizes, committed) = mpsc::channel();
        thread::scope(|scope| {
            let first = batches.submit(nothing(), Sync::Configured, LONG, |jobs| {
                for _ in 0..8 {
                    let (batches, sizes) = (&batches, sizes.clone());
                    scope.spawn(move || {
                        let outcome = batches.submit(nothing(), Sync::Configured, LONG, |jobs| {
                            sizes.send(keep(jobs)).unwrap();
                        });
                        assert!(matches!(outcome, Some(Ok(()))));
                    });
                }
                wait_until(&batches, 8);
                keep(jobs);
            });
            assert!(matches!(first, Some(Ok(()))));
        });
        drop(sizes);
        assert_eq!(committed.iter().collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn who_waits_too_long_takes_his_change_back() {
        let batches = Batches::default();
        let held = batches.turn.lock();
        let outcome = batches.submit(nothing(), Sync::Configured, Duration::ZERO, |_| {
            unreachable!("it is not its turn")
        });
        assert!(outcome.is_none());
        assert!(batches.queue.lock().is_empty());
        drop(held);
    }
}
