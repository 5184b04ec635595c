//! Changes of many threads, kept by one commit.
//
// Who has a change puts it into the queue, then waits for the turn. Who has the turn takes all that
// is in the queue and commits it at once; the others find their outcomes when their turn comes. So
// while one commit syncs, the next batch gathers, and nobody waits for more than two commits.
//
// Each has a time of his own. A store that waits for other processes before it can write takes the changes
// when that is over: who had the turn and gave up has given up his own, and the next one tries for as long
// as is left to him.

use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_namespace::Error;
use parking_lot::Mutex;

use crate::kv::{Change, Sync};

/// A change with the place for its outcome.
pub(crate) struct Job {
    pub(crate) change: Change,
    #[allow(dead_code, reason = "dbm, if it is alone, has no use for it")]
    pub(crate) sync: Sync,
    /// When it has waited for long enough; `None` if never.
    #[allow(dead_code, reason = "dbm, if it is alone, has no use for it")]
    pub(crate) deadline: Option<Instant>,
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
    /// give each job that it takes its outcome; its error is that of `change` alone if that was not taken.
    /// `None` if it could not be begun within `timeout`.
    pub(crate) fn submit(
        &self,
        change: Change,
        sync: Sync,
        timeout: Duration,
        commit: impl FnOnce(Turn<'_>) -> Result<(), Error>,
    ) -> Option<Result<(), Error>> {
        let outcome = Outcome::default();
        let deadline = Instant::now().checked_add(timeout);
        let job = Job { change, sync, deadline, outcome: Arc::clone(&outcome) };
        self.queue.lock().push(job);
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
        let committed = commit(Turn { queue: &self.queue });
        if committed.is_err() && self.withdraw(&outcome) {
            return Some(committed);
        }
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

/// The right to commit what waits.
pub(crate) struct Turn<'a> {
    queue: &'a Mutex<Vec<Job>>,
}

impl Turn<'_> {
    /// All that waits by now.
    pub(crate) fn take(self) -> Vec<Job> {
        std::mem::take(&mut *self.queue.lock())
    }
}

/// How many commits a store made. Only tests look.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Commits(std::sync::atomic::AtomicUsize);

#[cfg(test)]
impl Commits {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    fn made(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc;
    use std::thread;

    use beaker_namespace::ErrorKind;

    use super::*;
    use crate::kv::Engine;

    /// Eight changes that wait while a ninth is committed take one commit together, and what one of
    /// them finds wrong is its own. The control: one after another they take one each.
    pub(crate) fn check_sharing(engine: &dyn Engine, batches: &Batches, commits: &Commits) {
        const REFUSED: u8 = 3;
        let put = |number: u8| -> Change {
            Box::new(move |writer| match number {
                REFUSED => Err(Error::new(ErrorKind::TooLarge, "write to the store")),
                _ => writer.put(&[b'k', number], &[number]),
            })
        };
        let before = commits.made();
        let (begun, first_begun) = mpsc::channel();
        let (go, told) = mpsc::channel::<()>();
        let first: Change = Box::new(move |writer| {
            begun.send(()).unwrap();
            told.recv().unwrap();
            writer.put(b"first", b"v")
        });
        let kinds: Vec<_> = thread::scope(|scope| {
            let first = scope.spawn(|| engine.update(first, Sync::Configured));
            first_begun.recv().unwrap();
            let update = |number| engine.update(put(number), Sync::Configured);
            let others: Vec<_> = (0..8).map(|n| scope.spawn(move || update(n))).collect();
            wait_until(batches, 8);
            go.send(()).unwrap();
            first.join().unwrap().unwrap();
            let outcomes = others.into_iter().map(|other| other.join().unwrap());
            outcomes.map(|outcome| outcome.err().map(|error| error.kind())).collect()
        });
        assert_eq!(commits.made() - before, 2, "the first one's, and one for eight");
        for (number, kind) in (0_u8..).zip(kinds) {
            let refused = number == REFUSED;
            assert_eq!(kind, refused.then_some(ErrorKind::TooLarge), "change {number}");
            let mut found = None;
            let mut look = |reader: &dyn crate::kv::Reader| {
                found = reader.get(&[b'k', number])?;
                Ok(())
            };
            engine.view(&mut look).unwrap();
            assert_eq!(found.as_deref(), (!refused).then_some(&[number][..]), "change {number}");
        }

        let before = commits.made();
        (0..8)
            .filter(|n| *n != REFUSED)
            .for_each(|n| engine.update(put(n), Sync::Configured).unwrap());
        assert_eq!(commits.made() - before, 7, "who is alone shares with nobody");
        assert!(engine.update(put(REFUSED), Sync::Configured).is_err());
        assert_eq!(commits.made() - before, 7, "nothing was written");
    }

    const LONG: Duration = Duration::from_secs(20);

    fn nothing() -> Change {
        Box::new(|_| Ok(()))
    }

    fn keep(jobs: Vec<Job>) -> usize {
        jobs.iter().for_each(|job| *job.outcome.lock() = Some(Ok(())));
        jobs.len()
    }

    pub(crate) fn wait_until(batches: &Batches, waiting: usize) {
        let began = Instant::now();
        while batches.queue.lock().len() < waiting {
            assert!(began.elapsed() < LONG, "there are never {waiting} who wait");
            thread::yield_now();
        }
    }

    #[test]
    fn who_waits_during_a_commit_is_committed_together() {
        let batches = Batches::default();
        let (sizes, committed) = mpsc::channel();
        thread::scope(|scope| {
            let first = batches.submit(nothing(), Sync::Configured, LONG, |turn| {
                let jobs = turn.take();
                for _ in 0..8 {
                    let (batches, sizes) = (&batches, sizes.clone());
                    scope.spawn(move || {
                        let outcome = batches.submit(nothing(), Sync::Configured, LONG, |turn| {
                            sizes.send(keep(turn.take())).unwrap();
                            Ok(())
                        });
                        assert!(matches!(outcome, Some(Ok(()))));
                    });
                }
                wait_until(&batches, 8);
                keep(jobs);
                Ok(())
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

    #[test]
    fn who_cannot_begin_fails_alone_and_the_next_one_commits_the_others() {
        let batches = Batches::default();
        let submit = |commit: &(dyn Fn(Turn<'_>) -> Result<(), Error> + std::marker::Sync)| {
            batches.submit(nothing(), Sync::Configured, LONG, commit).unwrap()
        };
        let kind = thread::scope(|scope| {
            let first = submit(&|_gives_up| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let commit = |turn: Turn<'_>| {
                            keep(turn.take());
                            Ok(())
                        };
                        submit(&commit).unwrap();
                    });
                }
                wait_until(&batches, 3);
                Err(Error::new(ErrorKind::Timeout, "write to the store"))
            });
            first.unwrap_err().kind()
        });
        assert_eq!(kind, ErrorKind::Timeout);
        assert!(batches.queue.lock().is_empty());
    }
}
