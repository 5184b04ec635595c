//! Any policy at all.

use std::time::Duration;

use beaker_container::{CreateError, ErrorKind, Policy, Stale};
use proptest::prelude::*;

use super::HOUR;
use crate::harness::Lab;

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        Just(Duration::from_micros(i64::MAX as u64)),
        any::<u64>().prop_map(Duration::from_secs),
        (0..1_000_u64).prop_map(Duration::from_secs),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let times = prop::array::uniform6(duration());
    let options = prop::array::uniform3(prop::option::of(duration()));
    (times, options, any::<f64>(), any::<f64>(), 0..4_u8).prop_map(
        |([jitter, keep, error, back_off, max_age, wait], [ttl, idle, hard], at, beta, stale)| {
            let stale = match stale {
                0 => Stale::Never,
                1 => Stale::WhileRefreshing { max_age },
                2 => Stale::OnError { max_age },
                _ => Stale::Both { max_age },
            };
            let policy = Policy::new().ttl(ttl).idle(idle).jitter(jitter).keep_old(keep);
            let policy = policy.error_ttl(error).back_off(back_off).wait(wait).stale(stale);
            policy.refresh_at(at).early_refresh(beta).hard_timeout(hard.map(|hard| hard.max(HOUR)))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_time_in_a_policy_makes_a_call_panic(
        policy in policy(),
        steps in prop::collection::vec(duration(), 1..6),
    ) {
        for lab in Lab::each() {
            let cache = lab.numbers(policy);
            for step in &steps {
                let got = cache.fetch("k").spawn(|_| Ok::<_, &str>(1_u32));
                // A failure of before may be told, and a refresh may still run behind.
                match got {
                    Ok(got) => prop_assert_eq!(got.value, 1),
                    Err(CreateError::Create(error)) => prop_assert_eq!(error, "down"),
                    Err(CreateError::Cache(error)) => {
                        prop_assert_eq!(error.kind(), ErrorKind::Timeout);
                    }
                }
                let _maybe = cache.fetch("k").spawn(|_| Err::<u32, _>("down"));
                let _maybe = cache.fetch("f").spawn(|_| Err::<u32, _>("down"));
                prop_assert!(cache.get("k").is_ok());
                prop_assert!(cache.get_many(&["k".to_owned()]).is_ok());
                lab.clock.advance((*step).min(Duration::from_secs(1 << 40)));
            }
        }
    }
}
