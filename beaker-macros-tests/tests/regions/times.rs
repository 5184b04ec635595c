//! How long values live, on a clock that is moved by hand.

use std::cell::Cell;
use std::time::Duration;

use beaker_cache::container::Policy;
use beaker_cache::{ManualClock, OnCancel, Stale, cached};

use crate::harness::regions;

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

fn run() -> u64 {
    RUNS.set(RUNS.get() + 1);
    RUNS.get()
}

fn advance(clock: &ManualClock, seconds: u64) {
    clock.advance(Duration::from_secs(seconds));
}

#[cached(region = "short_term")]
fn by_region(_id: u64) -> u64 {
    run()
}

#[test]
fn a_value_lives_as_long_as_its_region_says() {
    let held = regions();
    held.region("short_term", |options| options.expire(Duration::from_secs(60)));
    assert_eq!(by_region(1), 1);
    advance(&held.clock, 59);
    assert_eq!(by_region(1), 1);
    advance(&held.clock, 1);
    assert_eq!(by_region(1), 2);
}

#[cached(region = "short_term", ttl = "5m")]
fn by_itself(_id: u64) -> u64 {
    run()
}

#[test]
fn its_own_time_to_live_wins_over_the_regions() {
    let held = regions();
    held.region("short_term", |options| options.expire(Duration::from_secs(60)));
    assert_eq!(by_itself(1), 1);
    advance(&held.clock, 299);
    assert_eq!(by_itself(1), 1);
    advance(&held.clock, 1);
    assert_eq!(by_itself(1), 2);
}

#[cached(ttl = "1h", negative_ttl = "10s")]
fn negative(id: u64) -> Option<u64> {
    run();
    (id != 0).then_some(id)
}

#[test]
fn none_lives_as_long_as_is_said_for_it() {
    let held = regions();
    assert_eq!((negative(0), negative(1)), (None, Some(1)));
    advance(&held.clock, 9);
    assert_eq!((negative(0), RUNS.get()), (None, 2));
    advance(&held.clock, 1);
    assert_eq!((negative(0), RUNS.get()), (None, 3));
    assert_eq!((negative(1), RUNS.get()), (Some(1), 3));
    negative::set(7, None).unwrap();
    assert_eq!((negative(7), RUNS.get()), (None, 3));
    advance(&held.clock, 10);
    assert_eq!((negative(7), RUNS.get()), (Some(7), 4));
}

#[cached(ttl = "never", negative_ttl = "10s", region = "short_term")]
fn negative_of_result(id: u64) -> Result<Option<u64>, String> {
    run();
    Ok((id != 0).then_some(id))
}

#[test]
fn none_in_a_result_too() {
    let held = regions();
    held.region("short_term", |options| options.expire(Duration::from_secs(60)));
    assert_eq!((negative_of_result(0), negative_of_result(1)), (Ok(None), Ok(Some(1))));
    advance(&held.clock, 1_000_000);
    assert_eq!((negative_of_result(1), RUNS.get()), (Ok(Some(1)), 2));
    assert_eq!((negative_of_result(0), RUNS.get()), (Ok(None), 3));
}

#[cached(ttl = "10s")]
fn refreshed(_id: u64) -> u64 {
    run()
}

#[test]
fn a_refresh_begins_a_new_life() {
    let held = regions();
    assert_eq!(refreshed(1), 1);
    advance(&held.clock, 9);
    assert_eq!(refreshed::refresh(1), 2);
    advance(&held.clock, 9);
    assert_eq!(refreshed(1), 2);
    advance(&held.clock, 1);
    assert_eq!(refreshed(1), 3);
}

#[cached(ttl = "10s", stale = "1m")]
fn stale(_id: u64) -> u64 {
    match run() {
        // Asked for while it is made, by a thread that finds the old value.
        2 => std::thread::spawn(|| stale(1)).join().unwrap() + 100,
        runs => runs,
    }
}

#[test]
fn an_expired_value_is_served_while_it_is_made_anew() {
    let held = regions();
    assert_eq!(stale(1), 1);
    advance(&held.clock, 10);
    assert_eq!(stale(1), 101);
    assert_eq!(stale(1), 101);
}

#[test]
fn a_refresh_never_takes_the_stale_value() {
    let held = regions();
    assert_eq!(stale::refresh(2), 1);
    RUNS.set(2);
    assert_eq!(stale::refresh(2), 3);
    // It may still be stale as long as was said.
    advance(&held.clock, 69);
    let entry = stale::cache().unwrap().namespace().get(&stale::key(2)).unwrap();
    assert!(entry.is_some());
}

#[cached(region = "short_term")]
fn with_policy(id: u64) -> Result<u64, String> {
    match run() {
        2 => Err("down".to_owned()),
        runs => Ok(id + runs),
    }
}

#[test]
fn the_policy_of_the_region_holds() {
    let held = regions();
    held.region("short_term", |mut options| {
        let stale = Stale::OnError { max_age: Duration::from_secs(60) };
        // What a function that ends with its call cannot give.
        let policy = Policy::new().stale(stale).hard_timeout(Duration::ZERO);
        options.policy = policy.on_cancel(OnCancel::Detach);
        options.expire(Duration::from_secs(10))
    });
    assert_eq!(with_policy(10), Ok(11));
    advance(&held.clock, 10);
    assert_eq!((with_policy(10), RUNS.get()), (Ok(11), 2), "the old value, since it failed");
    advance(&held.clock, 10);
    assert_eq!(with_policy(10), Ok(13));
}

#[cached(region = "short_term", skip_none)]
fn skipped_with_policy(id: u64) -> Option<u64> {
    (run() == 1).then_some(id)
}

#[test]
fn none_that_is_skipped_is_no_failure() {
    let held = regions();
    held.region("short_term", |mut options| {
        let stale = Stale::OnError { max_age: Duration::from_secs(60) };
        options.policy = Policy::new().stale(stale).error_ttl(Duration::from_secs(60));
        options.expire(Duration::from_secs(10))
    });
    assert_eq!(skipped_with_policy(10), Some(10));
    advance(&held.clock, 10);
    assert_eq!((skipped_with_policy(10), RUNS.get()), (None, 2));
    assert_eq!((skipped_with_policy(10), RUNS.get()), (None, 3));
}
