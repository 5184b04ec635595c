//! Refreshes behind callers who are served at once, and invalidations that win over them.

use beaker_container::{Policy, Source, Stale, Workers};

use super::{HOUR, Numbers, spawn_held, with_old};
use crate::harness::{HANG, Lab, secs};

#[test]
fn a_stale_value_is_served_at_once_and_the_new_one_appears_behind() {
    for lab in Lab::each() {
        for stale in [Stale::WhileRefreshing { max_age: HOUR }, Stale::Both { max_age: HOUR }] {
            let (cache, workers) = with_old(&lab, Policy::new().stale(stale));
            let (got, keeper) = spawn_held(&cache);
            let got = got.unwrap();
            assert_eq!((got.value, got.source, got.ttl), (1, Source::Stale, Some(secs(0))));
            keeper.wait_until_entered();
            let other = cache.fetch("k").spawn(|_| -> Result<u32, ()> { unreachable!("one does") });
            assert_eq!(other.unwrap().source, Source::Stale);
            keeper.let_go();
            assert_eq!(workers.drain(HANG), 0);
            assert_eq!(cache.get("k").unwrap(), Some(2));
            let stats = cache.creation_stats();
            assert_eq!((stats.created, stats.stale, stats.timed_out), (1, 2, 0));
        }
    }
}

#[test]
fn a_fresh_value_is_served_at_once_and_made_anew_behind() {
    for lab in Lab::each() {
        let workers = Workers::new(4);
        let cache =
            lab.numbers(Policy::new().ttl(secs(100)).refresh_at(0.8)).with_workers(workers.clone());
        cache.insert("k", 1).unwrap();
        lab.advance(80);
        let (got, keeper) = spawn_held(&cache);
        let got = got.unwrap();
        assert_eq!((got.value, got.source, got.ttl), (1, Source::Fresh, Some(secs(20))));
        keeper.wait_until_entered();
        let other = cache.fetch("k").spawn(|_| -> Result<u32, ()> { unreachable!("one does") });
        assert_eq!(other.unwrap().source, Source::Fresh);
        keeper.let_go();
        assert_eq!(workers.drain(HANG), 0);
        assert_eq!((cache.get("k").unwrap(), cache.creation_stats().early), (Some(2), 1));
    }
}

#[test]
fn an_invalidation_wins_over_a_creation_that_runs_behind() {
    for lab in Lab::each() {
        type Invalidate = fn(&Numbers);
        let ways: [(Invalidate, Option<u32>, u64); 4] = [
            (|_| (), Some(2), 0),
            (|cache| assert!(cache.remove("k").unwrap()), None, 1),
            (|cache| cache.clear().unwrap(), None, 1),
            (|cache| cache.insert("k", 9).unwrap(), Some(9), 1),
        ];
        for (invalidate, left, superseded) in ways {
            let stale = Stale::WhileRefreshing { max_age: HOUR };
            let (cache, workers) = with_old(&lab, Policy::new().stale(stale));
            let (got, keeper) = spawn_held(&cache);
            assert_eq!(got.unwrap().source, Source::Stale);
            keeper.wait_until_entered();
            invalidate(&cache);
            keeper.let_go();
            assert_eq!(workers.drain(HANG), 0);
            assert_eq!(cache.get("k").unwrap(), left);
            assert_eq!(cache.creation_stats().superseded, superseded);
        }
    }
}

#[test]
fn a_tag_s_invalidation_wins_over_a_creation_that_runs_behind() {
    for lab in Lab::each() {
        type Invalidate = fn(&Numbers);
        let ways: [(Invalidate, Option<u32>); 3] = [
            (|cache| cache.invalidate_tag("t").unwrap(), None),
            (|cache| cache.expire_tag("t").unwrap(), None),
            (|cache| cache.invalidate_tag("other").unwrap(), Some(2)),
        ];
        for (invalidate, left) in ways {
            let stale = Stale::WhileRefreshing { max_age: HOUR };
            let (cache, workers) = with_old(&lab, Policy::new().stale(stale));
            let (got, keeper) = spawn_held(&cache);
            assert_eq!(got.unwrap().source, Source::Stale);
            keeper.wait_until_entered();
            lab.advance(1);
            invalidate(&cache);
            lab.advance(1);
            keeper.let_go();
            assert_eq!(workers.drain(HANG), 0);
            assert_eq!(cache.get("k").unwrap(), left);
        }
    }
}
