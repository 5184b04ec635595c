//! What can be done with a call.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_cache::cached;

thread_local! {
    /// Each test has a thread of its own.
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

fn run() -> u64 {
    RUNS.set(RUNS.get() + 1);
    RUNS.get()
}

#[derive(Debug, Clone, PartialEq)]
struct LoadError(u64);

#[cached]
fn kept(id: u64) -> Result<u64, LoadError> {
    Ok(id * 100 + run())
}

#[test]
fn a_value_is_kept_by_its_arguments() {
    assert_eq!(kept(1), Ok(101));
    assert_eq!(kept(1), Ok(101));
    assert_eq!(kept(2), Ok(202));
    assert_eq!(RUNS.get(), 2);
}

#[cached]
fn failing(id: u64) -> Result<u64, LoadError> {
    Err(LoadError(id + run()))
}

#[test]
fn an_error_is_not_kept() {
    assert_eq!(failing(10), Err(LoadError(11)));
    assert_eq!(failing(10), Err(LoadError(12)));
    assert_eq!(failing::peek(10).unwrap(), None);
}

#[cached]
fn invalidated(id: u64) -> Result<u64, LoadError> {
    Ok(id + run())
}

#[test]
fn cache_21_an_invalidated_call_is_made_again() {
    assert_eq!(invalidated(10), Ok(11));
    assert_eq!(invalidated(20), Ok(22));
    assert!(invalidated::invalidate(10).unwrap());
    assert!(!invalidated::invalidate(10).unwrap());
    assert_eq!(invalidated(10), Ok(13));
    assert_eq!(invalidated(20), Ok(22));
}

#[cached]
fn peeked(id: u64) -> Result<u64, LoadError> {
    Ok(id + run())
}

#[test]
fn a_look_never_runs_the_function() {
    assert_eq!(peeked::peek(10).unwrap(), None);
    assert_eq!(peeked(10), Ok(11));
    assert_eq!(peeked::peek(10).unwrap(), Some(11));
    assert_eq!(RUNS.get(), 1);
}

#[cached]
fn set_by_hand(id: u64) -> Result<u64, LoadError> {
    Ok(id + run())
}

#[test]
fn a_value_that_is_set_is_what_the_call_gives() {
    set_by_hand::set(10, 7).unwrap();
    assert_eq!(set_by_hand(10), Ok(7));
    assert_eq!(RUNS.get(), 0);
}

#[cached]
fn refreshed(id: u64) -> Result<u64, LoadError> {
    match run() {
        3 => Err(LoadError(3)),
        runs => Ok(id + runs),
    }
}

#[test]
fn a_refresh_replaces_the_value_and_a_failed_one_leaves_it() {
    assert_eq!(refreshed(10), Ok(11));
    assert_eq!(refreshed::refresh(10), Ok(12));
    assert_eq!(refreshed(10), Ok(12));
    assert_eq!(refreshed::refresh(10), Err(LoadError(3)));
    assert_eq!(refreshed(10), Ok(12));
}

#[cached]
fn original(id: u64) -> Result<u64, LoadError> {
    Ok(id + run())
}

#[test]
fn the_original_passes_the_cache_by() {
    assert_eq!(original::original(10), Ok(11));
    assert_eq!(original::peek(10).unwrap(), None);
    assert_eq!(original(10), Ok(12));
}

#[cached]
fn whole(id: u64) -> u64 {
    id + run()
}

#[test]
fn the_cache_of_a_function_has_all_its_values() {
    assert_eq!((whole(10), whole(20)), (11, 22));
    let cache = whole::cache().unwrap();
    assert_eq!(cache.get(&whole::key(20)).unwrap(), Some(22));
    assert!(cache.namespace().id().name().ends_with("calls::whole"));
    cache.clear().unwrap();
    assert_eq!(whole(10), 13);
}

#[cached]
fn nothing_is_a_value(_id: u64) -> Option<u64> {
    run();
    None
}

#[test]
fn con_20_none_is_kept_unless_it_is_skipped() {
    assert_eq!((nothing_is_a_value(1), nothing_is_a_value(1)), (None, None));
    assert_eq!(RUNS.get(), 1);
}

#[cached(skip_none)]
fn skips_none(id: u64) -> Option<u64> {
    Some(id + run()).filter(|sum| *sum != id + 1)
}

#[cached(skip_none)]
fn skips_ok_none(id: u64) -> Result<Option<u64>, LoadError> {
    match run() {
        1 => Ok(None),
        2 => Err(LoadError(2)),
        runs => Ok(Some(id + runs)),
    }
}

#[test]
fn none_is_made_again_when_it_is_skipped() {
    assert_eq!(skips_none(10), None);
    assert_eq!(skips_none(10), Some(12));
    assert_eq!(skips_none(10), Some(12));
    assert_eq!(skips_none::refresh(10), Some(13));

    RUNS.set(0);
    assert_eq!(skips_ok_none(10), Ok(None));
    assert_eq!(skips_ok_none(10), Err(LoadError(2)));
    assert_eq!(skips_ok_none(10), Ok(Some(13)));
    assert_eq!(skips_ok_none(10), Ok(Some(13)));
}

mod one {
    #[beaker_cache::cached(name = "calls: moved")]
    pub(super) fn before(id: u64) -> u64 {
        id + super::run()
    }
}

#[test]
fn a_given_name_is_where_the_values_are_wherever_the_function_stands() {
    let cache = one::before::cache().unwrap();
    assert_eq!(cache.namespace().id().name(), "calls: moved");
}

mod versions {
    #[beaker_cache::cached(name = "calls: versions", version = 1)]
    pub(super) fn first(id: u64) -> u64 {
        id + 1
    }

    #[beaker_cache::cached(name = "calls: versions", version = 2)]
    pub(super) fn second(id: u64) -> u64 {
        id + 2
    }
}

#[test]
fn versions_of_one_name_have_values_of_their_own() {
    assert_eq!((versions::first(10), versions::second(10)), (11, 12));
    let name = |cache: beaker_cache::Cache<_, u64>| cache.namespace().id().name().to_owned();
    assert_eq!(name(versions::first::cache().unwrap()), "calls: versions@1");
    assert_eq!(name(versions::second::cache().unwrap()), "calls: versions@2");
}

static SHARED: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct NotSerializable(u64);

#[cached(objects)]
fn object(id: u64) -> Arc<NotSerializable> {
    Arc::new(NotSerializable(id + SHARED.fetch_add(1, Ordering::Relaxed)))
}

#[test]
fn an_object_without_a_codec_is_kept_as_it_is() {
    let one = object(10);
    assert!(Arc::ptr_eq(&one, &object(10)));
    assert_eq!(one.0, 10);
}
