//! What is asked for: keys, values, and requests that are drawn before anything is timed.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use beaker_namespace::ToKey;

/// What every contestant keeps, and clones out on a hit.
pub(crate) type Value = Arc<[u8; 128]>;

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and the same numbers on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// A bijection that leaves no order in what it maps.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Ranks drawn by Zipf's law: rank `r`, counted from 0, with weight `(r + 1)^-exponent`.
pub(crate) struct Zipf {
    /// The probability of each rank and all before it.
    up_to: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ranks).map(|rank| (rank as f64).powf(-exponent));
        let mut up_to: Vec<f64> = weights
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        up_to.iter_mut().for_each(|part| *part /= sum);
        Self { up_to }
    }

    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        let point = rng.unit();
        self.up_to.partition_point(|part| *part <= point).min(self.up_to.len() - 1)
    }
}

/// A kind of key that the contestants are measured with.
pub(crate) trait BenchKey:
    Hash + Eq + Ord + Clone + fmt::Debug + ToKey + Send + Sync + 'static
{
    /// How a request holds its key: a number in the request, a text by reference. So a text costs
    /// a look into the caller's own memory, as it does in a program.
    type Ask: Borrow<Self> + Copy + Send + Sync + 'static;

    fn of_rank(rank: usize) -> Self;

    /// Requests for the keys of `ranks`, of `entries` keys.
    fn asks(entries: usize, ranks: &[usize]) -> Vec<Self::Ask>;
}

impl BenchKey for u64 {
    type Ask = u64;

    fn of_rank(rank: usize) -> Self {
        mix(rank as u64)
    }

    fn asks(_entries: usize, ranks: &[usize]) -> Vec<u64> {
        ranks.iter().map(|rank| Self::of_rank(*rank)).collect()
    }
}

impl BenchKey for String {
    type Ask = &'static String;

    /// 24 bytes.
    fn of_rank(rank: usize) -> Self {
        format!("user:{:016x}:kv", mix(rank as u64))
    }

    fn asks(entries: usize, ranks: &[usize]) -> Vec<&'static String> {
        let order = shuffled(entries, 0xa5c5);
        // Kept until the program ends, a few megabytes: requests borrow from it in all threads.
        let texts: Vec<String> = order.iter().map(|rank| Self::of_rank(*rank)).collect();
        let texts: &'static [String] = texts.leak();
        let mut places = vec![0; entries];
        order.iter().enumerate().for_each(|(place, rank)| places[*rank] = place);
        ranks.iter().map(|rank| &texts[places[*rank]]).collect()
    }
}

/// Entries to be filled in, and requests for them.
pub(crate) struct Load<K: BenchKey> {
    pub(crate) entries: usize,
    pub(crate) asks: Arc<[K::Ask]>,
}

impl<K: BenchKey> Load<K> {
    /// `requests` for `entries` keys, by Zipf's law with exponent 0.99.
    pub(crate) fn zipf(entries: usize, requests: usize) -> Self {
        let zipf = Zipf::new(entries, 0.99);
        let mut rng = Rng::new(0x5eed);
        let ranks: Vec<usize> = (0..requests).map(|_| zipf.draw(&mut rng)).collect();
        Self { entries, asks: K::asks(entries, &ranks).into() }
    }

    /// Keys and values, newly allocated in an order that says nothing of how often they are asked
    /// for: so no contestant finds the popular ones side by side in memory.
    pub(crate) fn entries(&self) -> Vec<(K, Value)> {
        let order = shuffled(self.entries, 0xf111);
        order.into_iter().map(|rank| (K::of_rank(rank), Arc::new([7; 128]))).collect()
    }
}

fn shuffled(end: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..end).collect();
    Rng::new(seed).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keys_have_24_bytes() {
        assert_eq!(String::of_rank(0).len(), 24);
        assert_eq!(String::of_rank(99_999).len(), 24);
    }

    #[test]
    fn requests_are_for_the_entries() {
        let load = Load::<String>::zipf(100, 1_000);
        let held: std::collections::HashMap<_, _> = load.entries().into_iter().collect();
        assert_eq!(held.len(), 100);
        assert!(load.asks.iter().all(|ask| held.contains_key(*ask)));
        assert!(load.asks.contains(&&String::of_rank(0)));
    }

    #[test]
    fn zipf_draws_each_rank_as_often_as_its_weight_says() {
        let zipf = Zipf::new(1_000, 0.99);
        let mut rng = Rng::new(1);
        let mut counts = vec![0_u32; 1_000];
        (0..200_000).for_each(|_| counts[zipf.draw(&mut rng)] += 1);
        // The harmonic sum of 1,000 ranks at 0.99 is 7.73.
        let first = f64::from(counts[0]) / 200_000.0;
        assert!((first - 1.0 / 7.73).abs() < 0.005, "{first}");
        let ratio = f64::from(counts[0]) / f64::from(counts[9]);
        assert!((8.5..11.0).contains(&ratio), "{ratio}");
    }
}
