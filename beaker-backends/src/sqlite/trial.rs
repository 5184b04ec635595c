use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use beaker_namespace::Count;
use parking_lot::Mutex;

use super::index::Moment;

/// The most gets between two probes.
const LONGEST_WAIT: u32 = 4_096;

/// So many reads that could not be kept, and writes, take half as many hits to be worth while.
const IDLE: u64 = 1_024;

/// When reads are kept, and when that is not worth while: rules 5 to 7 of kept.rs. A probe asks whether
/// anybody else has committed since the one before it.
#[derive(Debug)]
pub(super) struct Trial {
    after: u32,
    begun: AtomicBool,
    /// Gets until the next probe.
    wait: AtomicU32,
    probes: Mutex<Probes>,
    /// Commits of this process, about.
    commits: AtomicU64,
    pub(super) hits: Count,
    /// Reads that could not be kept, and writes.
    idle: AtomicU64,
    /// The hits when `idle` was looked at last.
    hits_then: AtomicU64,
}

/// What the probes have found.
#[derive(Debug)]
struct Probes {
    /// The commits, of all and of this process, at the last one.
    seen: Option<(u32, u64)>,
    wait: u32,
    /// The hits when it began last.
    hits: u64,
}

/// Why no more is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// It is another moment, if it is known which.
    Changed(Option<Moment>),
    Idle,
}

impl Trial {
    pub(super) fn new(after: u32) -> Self {
        Self {
            after,
            begun: AtomicBool::new(false),
            wait: AtomicU32::new(after),
            probes: Mutex::new(Probes { seen: None, wait: after, hits: 0 }),
            commits: AtomicU64::new(0),
            hits: Count::default(),
            idle: AtomicU64::new(0),
            hits_then: AtomicU64::new(0),
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether it has not begun, and this get need not probe whether to.
    pub(super) fn rests(&self) -> bool {
        if self.has_begun() {
            return false;
        }
        let left = self.wait.load(Ordering::Relaxed);
        if left > 0 {
            self.wait.store(left - 1, Ordering::Relaxed);
        }
        left > 0
    }

    /// Probes whether to begin, at the moment that `moment` says, and does `begin` if so; says when it
    /// has begun.
    ///
    /// `moment` says `None` if it will not be able to for long.
    #[cold]
    pub(super) fn probe(
        &self,
        moment: impl FnOnce() -> Option<Option<Moment>>,
        begin: impl FnOnce(Moment),
    ) -> Option<Moment> {
        // If another thread is about it, this one has nothing to do.
        let mut probes = self.probes.try_lock()?;
        // It has begun if another thread was quicker, and what is kept by now is of that moment.
        if self.has_begun() {
            return None;
        }
        let Some(moment) = moment() else {
            self.wait.store(LONGEST_WAIT, Ordering::Relaxed);
            return None;
        };
        let now = self.commits(moment);
        let calm = self.after == 0 || only_ours(probes.seen, now);
        let Some(moment) = moment.filter(|_| calm) else {
            if probes.seen.is_some() {
                probes.wait = self.longer(probes.wait);
            }
            probes.seen = now;
            self.wait.store(probes.wait, Ordering::Relaxed);
            return None;
        };
        probes.hits = self.hits.get();
        begin(moment);
        self.begun.store(true, Ordering::Relaxed);
        Some(moment)
    }

    /// Ends it; `empty` says how many entries were kept, and `None` if another thread was quicker.
    #[cold]
    pub(super) fn end(&self, why: End, empty: impl FnOnce() -> Option<usize>) {
        let mut probes = self.probes.lock();
        let Some(entries) = empty() else { return };
        self.begun.store(false, Ordering::Relaxed);
        let hits = self.hits.get().saturating_sub(probes.hits);
        (probes.wait, probes.seen) = match why {
            End::Idle => (self.longer(LONGEST_WAIT), None),
            End::Changed(moment) if hits >= entries as u64 => (self.after, self.commits(moment)),
            End::Changed(moment) => (self.longer(probes.wait), self.commits(moment)),
        };
        self.wait.store(probes.wait, Ordering::Relaxed);
    }

    /// The wait after `wait` was in vain.
    fn longer(&self, wait: u32) -> u32 {
        let doubled = wait.saturating_mul(2).min(LONGEST_WAIT.max(self.after));
        if self.after == 0 { 0 } else { doubled }
    }

    /// Counts a commit of this process.
    pub(super) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// The commits so far, of all and of this process.
    fn commits(&self, moment: Option<Moment>) -> Option<(u32, u64)> {
        Some((moment?.commits(), self.commits.load(Ordering::Relaxed)))
    }

    /// Counts a read that could not be kept, or a write; says whether there are too many of them.
    pub(super) fn count_idle(&self) -> bool {
        let idle = self.idle.fetch_add(1, Ordering::Relaxed) + 1;
        if !idle.is_multiple_of(IDLE) {
            return false;
        }
        let hits = self.hits.get();
        let before = self.hits_then.swap(hits, Ordering::Relaxed);
        hits.saturating_sub(before) < IDLE / 2
    }
}

/// Whether nobody but this process has committed, as far as the numbers tell.
fn only_ours(before: Option<(u32, u64)>, now: Option<(u32, u64)>) -> bool {
    let (Some((all_before, ours_before)), Some((all, ours))) = (before, now) else { return false };
    u64::from(all.wrapping_sub(all_before)) <= ours - ours_before
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks `gets` times, at a moment that `moment` says; says how many probes there were.
    fn probes(trial: &Trial, gets: u32, mut moment: impl FnMut(u32) -> Option<Moment>) -> u32 {
        let mut probes = 0;
        for get in 0..gets {
            if !trial.rests() {
                probes += 1;
                trial.probe(|| Some(moment(get)), |_| ());
            }
        }
        probes
    }

    #[test]
    fn who_never_finds_it_calm_probes_ever_more_seldom() {
        let trial = Trial::new(32);
        let probed = probes(&trial, 40_960, |get| Some(Moment::with_commits(get)));
        assert!(!trial.has_begun());
        assert!((10..=20).contains(&probed), "{probed}");
    }

    #[test]
    fn it_begins_when_as_many_gets_found_it_calm() {
        let trial = Trial::new(32);
        assert_eq!(probes(&trial, 65, |_| Some(Moment::with_commits(7))), 1);
        assert_eq!(probes(&trial, 1, |_| Some(Moment::with_commits(7))), 1);
        assert!(trial.has_begun());
    }

    #[test]
    fn who_comes_late_does_not_begin_again() {
        let trial = Trial::new(0);
        let begins = |commits| {
            let mut begins = 0;
            trial.probe(|| Some(Some(Moment::with_commits(commits))), |_| begins += 1);
            begins
        };
        // Both have seen that it had not begun; the other one comes when there was a commit.
        assert_eq!((begins(7), begins(8)), (1, 0));
        trial.end(End::Idle, || Some(0));
        assert_eq!(begins(8), 1);
    }

    #[test]
    fn commits_of_this_process_do_not_disturb_it() {
        let trial = Trial::new(2);
        let mut commits = 0;
        probes(&trial, 6, |_| {
            trial.count_commit();
            commits += 1;
            Some(Moment::with_commits(commits))
        });
        assert!(trial.has_begun());
    }

    #[test]
    fn without_hits_the_next_wait_is_longer_and_with_them_it_is_not() {
        let wait_after = |hits| {
            let trial = Trial::new(32);
            probes(&trial, 66, |_| Some(Moment::with_commits(7)));
            trial.hits.add(hits);
            trial.end(End::Changed(Some(Moment::with_commits(8))), || Some(10));
            assert!(!trial.has_begun());
            trial.wait.load(Ordering::Relaxed)
        };
        assert_eq!((wait_after(9), wait_after(10)), (64, 32));
    }

    #[test]
    fn reads_and_writes_without_hits_are_too_many_some_time() {
        let trial = Trial::new(0);
        assert_eq!((0..IDLE).filter(|_| trial.count_idle()).count(), 1);
        trial.hits.add(IDLE / 2);
        assert_eq!((0..IDLE).filter(|_| trial.count_idle()).count(), 0);
    }
}
