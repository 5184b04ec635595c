//! Regions that are configured before and after the first use, and again.

use std::cell::Cell;
use std::sync::mpsc::channel;
use std::time::Duration;

use beaker_cache::config::{CacheOptions, Config};
use beaker_cache::{Scope, cached, regions as configured};

use crate::harness::{Held, regions};

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

fn run() -> u64 {
    RUNS.set(RUNS.get() + 1);
    RUNS.get()
}

#[cached(region = "pages")]
fn before(_id: u64) -> u64 {
    run()
}

#[test]
fn cache_12_a_region_is_looked_up_when_the_function_is_called() {
    let held = regions();
    let dir = tempfile::tempdir().unwrap();
    held.region("pages", |options| options.cache_type("file").data_dir(dir.path()));
    assert_eq!((before(1), before(1)), (1, 1));
    assert_eq!(before::cache().unwrap().namespace().scope(), Scope::Host);
}

#[cached]
fn moved(_id: u64) -> u64 {
    run()
}

#[test]
fn another_configuration_holds_from_the_next_call_on() {
    let held = regions();
    let dir = tempfile::tempdir().unwrap();
    assert_eq!((moved(1), moved(1)), (1, 1));
    held.configure(Config::new(CacheOptions::new().cache_type("file").data_dir(dir.path())));
    assert_eq!((moved(1), moved(1)), (2, 2));
    assert_eq!(moved::cache().unwrap().namespace().scope(), Scope::Host);
    held.configure(Config::default());
    assert_eq!(moved(1), 3, "the memory namespace was closed");
}

#[cached]
fn in_threads(_id: u64) -> u64 {
    7
}

#[test]
fn a_thread_that_never_calls_again_keeps_no_store_open() {
    let held = regions();
    let (called, has_called) = channel();
    let (end, ends) = channel::<()>();
    let thread = std::thread::spawn(move || {
        in_threads(1);
        called.send(()).unwrap();
        ends.recv().unwrap();
    });
    has_called.recv().unwrap();
    // Memory with another bound: an error as long as somebody holds the old one.
    held.configure(Config::new(CacheOptions::new().url("memory:?max_entries=7")));
    assert_eq!(in_threads::peek(1).unwrap(), None);
    end.send(()).unwrap();
    thread.join().unwrap();
}

#[cached(region = "pages")]
fn switched(_id: u64) -> u64 {
    run()
}

#[test]
fn cache_13_a_disabled_region_runs_the_function_every_time() {
    let held = regions();
    held.region("pages", CacheOptions::disabled);
    assert_eq!((switched(1), switched(1)), (1, 2));
    assert_eq!(switched::refresh(1), 3);
    switched::set(1, 100).unwrap();
    assert_eq!(switched::peek(1).unwrap(), None);
    held.region("pages", |options| options);
    assert_eq!((switched(1), switched(1)), (4, 4));
    held.region("pages", CacheOptions::disabled);
    assert_eq!(switched(1), 5);
}

#[cached(url = "memory:?max_entries=3", region = "pages")]
fn by_url(id: u64) -> u64 {
    id
}

#[test]
fn a_url_wins_over_the_regions_store_and_not_over_its_times() {
    let held = regions();
    held.region("pages", |options| options.url("file:///nowhere").expire(Duration::ZERO));
    let namespace = by_url::cache().unwrap().namespace().clone();
    assert_eq!(namespace.scope(), Scope::Process);
    by_url(1);
    assert_eq!(by_url::peek(1).unwrap(), None);
}

#[test]
fn what_cannot_be_configured_changes_nothing() {
    let held = regions();
    held.region("pages", |options| options.expire(Duration::from_secs(9)));
    let stray = Config::from_pairs([("cache.undeclared.expire", "60")]).unwrap();
    let error = configured::configure(stray).unwrap_err();
    assert!(error.to_string().contains("no region \"undeclared\" is declared"), "{error}");
    let manager = configured::manager();
    let pages = &manager.config().regions["pages"];
    assert_eq!(pages.expire, Some(Duration::from_secs(9)));
}

#[cached(region = "pages")]
fn of_region(_id: u64) -> u64 {
    run()
}

#[cached(region = "pages", url = "memory://elsewhere")]
fn elsewhere(_id: u64) -> u64 {
    run()
}

#[cached]
fn of_no_region(_id: u64) -> u64 {
    run()
}

#[test]
fn an_invalidated_region_is_made_anew_in_all_its_functions() {
    let held = regions();
    held.region("pages", |options| options);
    assert_eq!((of_region(1), elsewhere(1), of_no_region(1)), (1, 2, 3));
    held.clock.advance(Duration::from_secs(1));
    configured::manager().invalidate_region("pages").unwrap();
    held.clock.advance(Duration::from_secs(1));
    assert_eq!((of_region(1), elsewhere(1), of_no_region(1)), (4, 5, 3));
}

#[cached(skip(held))]
fn reconfigures(held: &Held, id: u64) -> u64 {
    if id == 0 {
        held.configure(Config::new(CacheOptions::new().disabled()));
        return reconfigures(held, 1) * 10 + reconfigures(held, 1);
    }
    run()
}

#[test]
fn a_call_that_still_runs_holds_no_other_to_the_old_configuration() {
    let held = regions();
    assert_eq!(reconfigures(&held, 0), 12);
}
