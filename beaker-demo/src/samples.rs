//! How long the latest requests took, for the plot.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

/// How many requests are remembered.
const REMEMBERED: usize = 500;

/// One request for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Sample {
    /// Its number, from 1.
    pub(crate) seq: u64,
    pub(crate) micros: u64,
    /// Where the value was from.
    pub(crate) source: &'static str,
}

/// Where half and where nearly all of some requests lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) p50_micros: u64,
    pub(crate) p99_micros: u64,
    pub(crate) max_micros: u64,
}

/// The latest requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Samples(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    latest: VecDeque<Sample>,
    recorded: u64,
}

impl Samples {
    /// Remembers a request, and forgets the oldest if there are too many.
    pub(crate) fn record(&self, took: Duration, source: &'static str) {
        let mut ring = self.0.lock();
        ring.recorded += 1;
        let sample = Sample { seq: ring.recorded, micros: micros(took), source };
        if ring.latest.len() == REMEMBERED {
            ring.latest.pop_front();
        }
        ring.latest.push_back(sample);
    }

    /// Those after number `seq`; if that is ahead of us, another process counted it: all of them.
    pub(crate) fn after(&self, seq: u64) -> Vec<Sample> {
        let ring = self.0.lock();
        let seq = if seq > ring.recorded { 0 } else { seq };
        ring.latest.iter().filter(|sample| sample.seq > seq).copied().collect()
    }

    /// Of all that are remembered; `None` of none.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        let took = self.0.lock().latest.iter().map(|sample| sample.micros).collect();
        Quantiles::of(took)
    }
}

impl Quantiles {
    /// By nearest rank: a value that was measured, not one between two.
    pub(crate) fn of(mut micros: Vec<u64>) -> Option<Self> {
        micros.sort_unstable();
        let max_micros = *micros.last()?;
        let at = |percent: usize| {
            let rank = (micros.len() * percent).div_ceil(100).max(1);
            micros[rank - 1]
        };
        let (p50_micros, p99_micros) = (at(50), at(99));
        Some(Self { count: micros.len(), p50_micros, p99_micros, max_micros })
    }
}

/// In whole microseconds; what is longer than half a million years is that.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let quantiles = Quantiles::of((1..=200).rev().collect()).unwrap();
        let Quantiles { count, p50_micros, p99_micros, max_micros } = quantiles;
        assert_eq!((count, p50_micros, p99_micros, max_micros), (200, 100, 198, 200));
        assert_eq!(Quantiles::of(vec![7]).unwrap().p99_micros, 7);
        assert_eq!(Quantiles::of(Vec::new()), None);
    }

    #[test]
    fn only_the_latest_are_remembered_and_numbers_go_on() {
        let samples = Samples::default();
        for _ in 0..REMEMBERED + 2 {
            samples.record(Duration::from_micros(5), "hit");
        }
        let all = samples.after(0);
        assert_eq!((all.len(), all[0].seq), (REMEMBERED, 3));
        assert_eq!(samples.after(501), [Sample { seq: 502, micros: 5, source: "hit" }]);
    }

    #[test]
    fn a_number_from_before_a_restart_gives_everything() {
        let samples = Samples::default();
        samples.record(Duration::from_secs(2), "made");
        assert_eq!(samples.after(900).len(), 1);
    }
}
