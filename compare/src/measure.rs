//! Rounds, clocks and ratios.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::report::{Table, figure};

/// One contestant: its name, and what does the work once and says what an operation took, in
/// nanoseconds.
pub(crate) struct Contestant {
    pub(crate) name: String,
    run: Box<dyn FnMut(usize) -> f64>,
}

impl Contestant {
    /// `run` gets the number of threads.
    pub(crate) fn new(name: &str, run: impl FnMut(usize) -> f64 + 'static) -> Self {
        Self { name: name.to_owned(), run: Box::new(run) }
    }
}

/// What the contestants took, round by round.
#[derive(Debug)]
pub(crate) struct Rounds {
    names: Vec<String>,
    /// By contestant, then by round.
    samples: Vec<Vec<f64>>,
}

impl Rounds {
    /// Goes through all contestants and, the next time, back again, so that a machine that grows
    /// slower or quicker treats them alike.
    pub(crate) fn measure(contestants: &mut [Contestant], threads: usize, rounds: usize) -> Self {
        let mut samples = vec![Vec::with_capacity(rounds); contestants.len()];
        for round in 0..rounds {
            for position in 0..contestants.len() {
                let back = round % 2 == 1;
                let index = if back { contestants.len() - 1 - position } else { position };
                samples[index].push((contestants[index].run)(threads));
            }
        }
        let names = contestants.iter().map(|contestant| contestant.name.clone()).collect();
        Self { names, samples }
    }

    pub(crate) fn from_samples(named: Vec<(String, Vec<f64>)>) -> Self {
        let (names, samples) = named.into_iter().unzip();
        Self { names, samples }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    fn of(&self, name: &str) -> Option<&[f64]> {
        let index = self.names.iter().position(|other| other == name)?;
        Some(&self.samples[index])
    }

    /// The median over the rounds.
    pub(crate) fn median(&self, name: &str) -> f64 {
        self.of(name).map_or(f64::NAN, median)
    }

    pub(crate) fn min(&self, name: &str) -> f64 {
        self.of(name).map_or(f64::NAN, min)
    }

    /// `median (min)`.
    pub(crate) fn cell(&self, name: &str) -> String {
        match self.of(name) {
            Some(samples) => format!("{} ({})", figure(median(samples)), figure(min(samples))),
            None => "-".to_owned(),
        }
    }

    /// How many times the time of `peer` is the time of `ours`: the median of the rounds' ratios.
    pub(crate) fn ratio(&self, ours: &str, peer: &str) -> f64 {
        let (Some(ours), Some(peer)) = (self.of(ours), self.of(peer)) else { return f64::NAN };
        median_ratio(ours, peer)
    }

    /// How many times the time that `name` took in `other` it took here: the median of the rounds' ratios.
    pub(crate) fn ratio_to(&self, other: &Self, name: &str) -> f64 {
        let (Some(here), Some(there)) = (self.of(name), other.of(name)) else { return f64::NAN };
        median_ratio(here, there)
    }

    /// Of contestants that come in pairs the first ones and the second ones.
    pub(crate) fn into_halves(self) -> [Self; 2] {
        let every = |from: usize| {
            let named = self.names.iter().cloned().zip(self.samples.iter().cloned());
            Self::from_samples(named.skip(from).step_by(2).collect())
        };
        [every(0), every(1)]
    }

    /// As [`ratio`](Self::ratio), of the quickest round of each.
    pub(crate) fn ratio_of_mins(&self, ours: &str, peer: &str) -> f64 {
        self.min(ours) / self.min(peer)
    }

    /// How noisy it was: the median over the contestants of (max - min) / median.
    pub(crate) fn noise(&self) -> f64 {
        let spread = |samples: &Vec<f64>| {
            let max = samples.iter().copied().fold(f64::MIN, f64::max);
            (max - min(samples)) / median(samples)
        };
        median(&self.samples.iter().map(spread).collect::<Vec<_>>())
    }
}

/// A column of `median (min)` for each measurement of the same contestants.
pub(crate) fn table(first: &str, columns: &[(String, Rounds)]) -> Table {
    let mut names = vec![first.to_owned()];
    names.extend(columns.iter().map(|(name, _)| name.clone()));
    let mut table = Table::new(&names);
    if let Some((_, rounds)) = columns.first() {
        for name in rounds.names() {
            let cells = columns.iter().map(|(_, rounds)| rounds.cell(name));
            table.row(std::iter::once(name.clone()).chain(cells));
        }
    }
    table
}

fn median_ratio(over: &[f64], under: &[f64]) -> f64 {
    let ratios: Vec<f64> = over.iter().zip(under).map(|(over, under)| over / under).collect();
    median(&ratios)
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

pub(crate) fn min(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The sample below which `part` of the samples lie; between two, the middle.
pub(crate) fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = part * last as f64;
    (sorted[place.floor() as usize] + sorted[place.ceil() as usize]) / 2.0
}

/// The processor time of `work` in this thread, in nanoseconds: what others do meanwhile is not
/// counted, but for the caches that they empty.
pub(crate) fn cpu_nanos(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    let start = now();
    work();
    now().saturating_sub(start).as_nanos() as f64
}

/// The wall time, in nanoseconds, from the first start to the last end of `work` in `threads`
/// threads that start together. `work` gets the number of its thread.
pub(crate) fn wall_nanos(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let timed = |thread| {
        barrier.wait();
        let start = Instant::now();
        work(thread);
        (start, Instant::now())
    };
    let spans: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let running: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || timed(thread))).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    assert_eq!(spans.len(), threads, "a thread panicked");
    let start = spans.iter().map(|span| span.0).min();
    let end = spans.iter().map(|span| span.1).max();
    start.zip(end).map_or(f64::NAN, |(start, end)| (end - start).as_nanos() as f64)
}

/// Processor time of one thread, or wall time of several: by this one thread can be compared on a
/// machine that others use too.
pub(crate) fn nanos(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    if threads == 1 { cpu_nanos(|| work(0)) } else { wall_nanos(threads, work) }
}

/// What is known of the machine and of how busy it is.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!("machine: {cores} x {model}; load {}", load.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_go_forth_and_back() {
        let order = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
        let contestant = |name: &'static str| {
            let order = std::rc::Rc::clone(&order);
            Contestant::new(name, move |_| {
                order.borrow_mut().push_str(name);
                1.0
            })
        };
        let mut all = [contestant("A"), contestant("B"), contestant("C")];
        let _rounds = Rounds::measure(&mut all, 1, 3);
        assert_eq!(*order.borrow(), "ABCCBAABC");
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let rounds = Rounds::from_samples(vec![
            ("ours".to_owned(), vec![2.0, 20.0, 300.0]),
            ("peer".to_owned(), vec![1.0, 10.0, 100.0]),
        ]);
        assert_eq!(rounds.ratio("ours", "peer"), 2.0);
        assert_eq!(rounds.ratio_of_mins("ours", "peer"), 2.0);
        assert!(rounds.ratio("ours", "nobody").is_nan());
    }

    #[test]
    fn quantiles_are_samples_or_the_middle_of_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 1.0), 5.0);
    }

    #[test]
    fn wall_time_covers_every_thread() {
        let ran = std::sync::atomic::AtomicUsize::new(0);
        let nanos = wall_nanos(3, |thread| {
            ran.fetch_add(1 << (8 * thread), std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(ran.into_inner(), 0x01_01_01);
        assert!(nanos > 0.0);
    }
}
