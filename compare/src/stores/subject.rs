//! What is done to a store, and how it is timed.

use std::error::Error;
use std::time::Instant;

use crate::load::{BenchKey, Rng};
use crate::measure::{Rounds, cpu_nanos, median, quantile};

pub(super) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The bytes of a value.
pub(super) const VALUE_BYTES: usize = 256;

/// The sets of a batch.
pub(super) const BATCH: usize = 1_000;

/// Hits that are timed together: one alone is too short for the clock.
const HITS_TOGETHER: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Hits,
    Sets,
    /// Of [`BATCH`] sets in one transaction.
    Batches,
}

pub(super) const OPERATIONS: [Operation; 3] =
    [Operation::Hits, Operation::Sets, Operation::Batches];

/// A store as it is used. Keys and values are in its own form before anything is timed.
pub(super) trait Subject: 'static {
    type Key: Clone;
    type Value: Clone;

    fn key(&self, key: String) -> Self::Key;

    fn value(&self, value: Vec<u8>) -> Self::Value;

    /// The bytes of the value under `key`, read and, where the store does that, checked and decoded.
    fn get(&mut self, key: &Self::Key) -> Outcome<Option<usize>>;

    fn set(&mut self, key: &Self::Key, value: Self::Value) -> Outcome<()>;

    /// All in one transaction, if the store has such.
    fn set_many(&mut self, entries: Vec<(Self::Key, Self::Value)>) -> Outcome<()> {
        entries.into_iter().try_for_each(|(key, value)| self.set(&key, value))
    }
}

/// How often each of [`OPERATIONS`] is done in a round; zero leaves it out.
pub(super) type Counts = [usize; 3];

/// A loaded store.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    /// The contestant whose times are the measure of this one's.
    pub(super) base: &'static str,
    counts: Counts,
    run: Run,
}

type Run = Box<dyn FnMut(Operation, usize) -> Outcome<Took>>;

/// What one round of an operation took, in microseconds for each hit or set.
pub(super) struct Took {
    /// Wall time, one by one.
    pub(super) each: Vec<f64>,
    /// Processor time, on average; NaN if it is not known.
    pub(super) processor: f64,
}

impl Contestant {
    pub(super) fn new(
        name: &'static str,
        base: &'static str,
        counts: Counts,
        run: impl FnMut(Operation, usize) -> Outcome<Took> + 'static,
    ) -> Self {
        Self { name, base, counts, run: Box::new(run) }
    }

    /// `subject`, with `entries` entries put in.
    pub(super) fn loaded<S: Subject>(
        name: &'static str,
        base: &'static str,
        counts: Counts,
        entries: usize,
        mut subject: S,
    ) -> Outcome<Self> {
        let keys: Vec<S::Key> =
            (0..entries).map(|number| subject.key(String::of_rank(number))).collect();
        let value = subject.value(text());
        for some in keys.chunks(BATCH) {
            subject.set_many(some.iter().map(|key| (key.clone(), value.clone())).collect())?;
        }
        let mut rng = Rng::new(2);
        Ok(Self::new(name, base, counts, move |operation, count| match operation {
            Operation::Hits => hits(&mut subject, &keys, count, &mut rng),
            Operation::Sets => sets(&mut subject, &keys, count, &mut rng),
            Operation::Batches => batches(&mut subject, &keys, count, &mut rng),
        }))
    }
}

fn text() -> Vec<u8> {
    vec![b'v'; VALUE_BYTES]
}

fn hits<S: Subject>(
    subject: &mut S,
    keys: &[S::Key],
    count: usize,
    rng: &mut Rng,
) -> Outcome<Took> {
    let asks: Vec<&S::Key> = (0..count).map(|_| &keys[rng.below(keys.len())]).collect();
    let asks = asks.chunks_exact(HITS_TOGETHER);
    timed(asks, HITS_TOGETHER, |asks| {
        asks.iter().try_for_each(|key| match subject.get(key)? {
            Some(VALUE_BYTES) => Ok(()),
            Some(_) => Err("a value has another length".into()),
            None => Err("a present key was not found".into()),
        })
    })
}

fn sets<S: Subject>(
    subject: &mut S,
    keys: &[S::Key],
    count: usize,
    rng: &mut Rng,
) -> Outcome<Took> {
    let draw = |_| (&keys[rng.below(keys.len())], subject.value(text()));
    let entries: Vec<(&S::Key, S::Value)> = (0..count).map(draw).collect();
    timed(entries, 1, |(key, value)| subject.set(key, value))
}

fn batches<S: Subject>(
    subject: &mut S,
    keys: &[S::Key],
    count: usize,
    rng: &mut Rng,
) -> Outcome<Took> {
    let mut draw = |_| (keys[rng.below(keys.len())].clone(), subject.value(text()));
    let batches: Vec<Vec<(S::Key, S::Value)>> =
        (0..count).map(|_| (0..BATCH).map(&mut draw).collect()).collect();
    timed(batches, BATCH, |batch| subject.set_many(batch))
}

/// Times `work` on each of `items`, which stands for `parts` operations.
fn timed<T>(
    items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    parts: usize,
    mut work: impl FnMut(T) -> Outcome<()>,
) -> Outcome<Took> {
    let items = items.into_iter();
    let count = items.len();
    let mut each = Vec::with_capacity(count);
    let mut outcome = Ok(());
    let nanos = cpu_nanos(|| {
        outcome = items.into_iter().try_for_each(|item| {
            let start = Instant::now();
            work(item)?;
            each.push(start.elapsed().as_secs_f64() * 1e6 / parts as f64);
            Ok(())
        });
    });
    outcome.map(|()| Took { each, processor: nanos / 1e3 / (count * parts) as f64 })
}

/// The rounds of one operation.
pub(super) struct Figures {
    pub(super) p50: Rounds,
    pub(super) p99: Rounds,
    pub(super) processor: Rounds,
}

/// Goes through the contestants, forth and back, for each operation; the figures of
/// [`OPERATIONS`].
pub(super) fn measure(contestants: &mut [Contestant], rounds: usize) -> Outcome<[Figures; 3]> {
    let mut measured = Vec::new();
    for kind in 0..OPERATIONS.len() {
        let names = contestants.iter().filter(|contestant| contestant.counts[kind] > 0);
        let columns: Vec<_> =
            names.map(|contestant| (contestant.name.to_owned(), Vec::new())).collect();
        measured.push([columns.clone(), columns.clone(), columns]);
    }
    for round in 0..rounds {
        for (kind, operation) in OPERATIONS.into_iter().enumerate() {
            let mut there: Vec<&mut Contestant> =
                contestants.iter_mut().filter(|contestant| contestant.counts[kind] > 0).collect();
            for position in 0..there.len() {
                let back = round % 2 == 1;
                let index = if back { there.len() - 1 - position } else { position };
                let contestant = &mut there[index];
                let took = (contestant.run)(operation, contestant.counts[kind])?;
                let figures = [median(&took.each), quantile(&took.each, 0.99), took.processor];
                for (column, figure) in measured[kind].iter_mut().zip(figures) {
                    column[index].1.push(figure);
                }
            }
        }
    }
    let mut figures = measured.into_iter().map(|columns| {
        let [p50, p99, processor] = columns.map(Rounds::from_samples);
        Figures { p50, p99, processor }
    });
    let mut next = || figures.next().ok_or("an operation was left out");
    Ok([next()?, next()?, next()?])
}
