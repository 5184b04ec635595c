//! Records leave when they are over.

use std::time::Duration;

use super::cases;
use crate::store::Loaded;
use crate::testkit::{Bench, Case, value};

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) const CASES: &[Case] = cases![
    a_session_is_kept_as_long_as_it_lives,
    a_session_that_is_over_is_gone_or_says_that_it_is_over,
    a_touch_prolongs_the_life,
    a_sweep_leaves_what_lives,
];

fn a_session_is_kept_as_long_as_it_lives(bench: &Bench<'_>) {
    let (key, _) = bench.stored("a");
    bench.clock.advance(HOUR - Duration::from_secs(1));
    assert_eq!(value(&bench.present(&key)), "a");
}

fn a_session_that_is_over_is_gone_or_says_that_it_is_over(bench: &Bench<'_>) {
    let (key, _) = bench.stored("a");
    bench.clock.advance(HOUR + Duration::from_secs(1));
    match bench.store.load(&key).expect("load") {
        Loaded::Absent => {}
        Loaded::Present(stored) => {
            assert!(stored.record.is_expired(stored.accessed, bench.now()));
        }
        Loaded::Renewed => panic!("it was not renewed"),
    }
    // A store keeps it a while longer, for clocks that differ, and not for ever.
    bench.clock.advance(HOUR);
    assert!(bench.is_absent(&key));
}

fn a_touch_prolongs_the_life(bench: &Bench<'_>) {
    let (key, _) = bench.stored("a");
    bench.clock.advance(HOUR / 2);
    let _touched = bench.store.touch(&key, bench.now()).expect("touch");
    bench.clock.advance(HOUR - Duration::from_secs(1));
    let stored = bench.present(&key);
    assert!(!stored.record.is_expired(stored.accessed, bench.now()));
}

fn a_sweep_leaves_what_lives(bench: &Bench<'_>) {
    let (key, _) = bench.stored("a");
    bench.store.sweep().expect("sweep");
    assert_eq!(value(&bench.present(&key)), "a");
}
