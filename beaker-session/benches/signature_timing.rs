//! Whether the time of a refusal tells where a forged signature is wrong.
//!
//! After dudect (O. Reparaz, J. Balasch, I. Verbauwhede, "Dude, is my code constant time?", DATE
//! 2017): two kinds of forgeries, wrong in the first and in the last character, are refused in
//! random order, and the times of both are compared by Welch's t-test. A value beyond 4.5 says
//! that they differ, and fails. `cargo bench -p beaker-session --bench signature_timing`; a control compares
//! character by character and must be told apart, and one forgery must not be from itself.

use std::hint::black_box;
use std::time::Instant;

use beaker_namespace::Stores;
use beaker_session::{KeyRing, SecretKey, Sessions};

const SAMPLES: usize = 1_000_000;

/// From here on the t-test says that two times differ.
const DIFFERENT: f64 = 4.5;

/// Mean and variance, one value at a time (Welford).
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let from_mean = value - self.mean;
        self.mean += from_mean / self.count;
        self.squares += from_mean * (value - self.mean);
    }
}

fn t(one: &Moments, two: &Moments) -> f64 {
    let error = |moments: &Moments| moments.squares / (moments.count - 1.0) / moments.count;
    (one.mean - two.mean) / (error(one) + error(two)).sqrt()
}

/// The t-value of refusing `forged[0]` and `forged[1]`, without the slowest hundredth, which is
/// the system's.
fn compare(forged: &[Vec<u8>; 2], refuse: impl Fn(&[u8])) -> f64 {
    let mut order = 0x9e37_79b9_7f4a_7c15_u64;
    let mut times: Vec<(usize, f64)> = Vec::with_capacity(SAMPLES);
    let mut header = forged[0].clone();
    for _ in 0..SAMPLES {
        order ^= order << 13;
        order ^= order >> 7;
        order ^= order << 17;
        let kind = usize::from(order & 1 == 1);
        // From one place: where two texts lie in memory tells them apart too.
        header.copy_from_slice(&forged[kind]);
        let start = Instant::now();
        refuse(black_box(&header));
        times.push((kind, start.elapsed().as_nanos() as f64));
    }
    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_by(f64::total_cmp);
    let most = sorted[SAMPLES / 100 * 99];
    let mut moments = [Moments::default(), Moments::default()];
    times
        .iter()
        .filter(|(_, time)| *time <= most)
        .for_each(|(kind, time)| moments[*kind].add(*time));
    t(&moments[0], &moments[1])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Stores::new().open(&"memory:".parse()?, "timing")?;
    let keys = KeyRing::new(SecretKey::generate()?);
    let sessions = Sessions::builder().with_namespace(store).with_keys(keys).build()?;
    let request = sessions.begin([]);
    request.load()?.insert("a", 1)?;
    let cookie = request.commit()?.set_cookies().next().unwrap_or_default().to_owned();
    let good = cookie.split(';').next().unwrap_or_default().as_bytes().to_vec();

    // The last character carries two bits only, so the one before it is changed.
    let signature = good.len() - 43;
    let forged = [signature, good.len() - 2].map(|at| {
        let mut forged = good.clone();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        forged
    });
    let refuse = |header: &[u8]| {
        assert!(sessions.begin([header]).load().is_ok_and(|session| session.is_empty()));
    };
    let ours = compare(&forged, refuse);
    let same = compare(&[forged[0].clone(), forged[0].clone()], refuse);
    let control = compare(&forged, |header| {
        let first = header.iter().zip(&good).position(|(one, two)| {
            // As slow a comparison as a table look-up for each character.
            (0..8).for_each(|_| _ = black_box(one));
            one != two
        });
        assert!(black_box(first).is_some());
    });
    println!(
        "t of our refusals {ours:.2} ({DIFFERENT} would be a difference), of one forgery twice {same:.2}, of \
         the control {control:.2}"
    );
    match (ours.abs() < DIFFERENT, same.abs() < DIFFERENT && control.abs() > DIFFERENT) {
        (true, true) => Ok(()),
        (_, false) => Err(
            "this machine cannot tell: one forgery differs from itself, or the control does not"
                .into(),
        ),
        (false, true) => Err("the time of a refusal tells where a signature is wrong".into()),
    }
}
