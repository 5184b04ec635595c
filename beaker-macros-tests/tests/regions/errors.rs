//! A cached function answers even if its cache cannot.

use std::cell::Cell;

use beaker_cache::config::{CacheOptions, Config};
use beaker_cache::{ErrorKind, cached, regions as configured};

use crate::harness::{listen, regions, taken};

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

fn run() -> u64 {
    RUNS.set(RUNS.get() + 1);
    RUNS.get()
}

#[cached(region = "misspelt")]
fn unknown(id: String) -> Result<String, String> {
    Ok(format!("{id} {}", run()))
}

#[test]
fn cache_11_an_unknown_region_is_told_once_and_the_function_runs() {
    let held = regions();
    let told = listen();
    held.configure(Config::default().region("short", |it| it).region("long", |it| it));
    let before = configured::errors();
    assert_eq!(unknown("a".to_owned()).unwrap(), "a 1");
    assert_eq!(unknown("a".to_owned()).unwrap(), "a 2");
    assert_eq!(unknown::refresh("a".to_owned()).unwrap(), "a 3");
    let message = "Cache region not configured: misspelt; there are long, short";
    assert_eq!(taken(&told), [format!("unknown: {message}")]);
    assert_eq!(configured::errors(), before + 1);

    let error = unknown::cache().unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, message.to_owned()));
    assert_eq!(unknown::invalidate("a".to_owned()).unwrap_err().to_string(), message);
    assert_eq!(unknown::peek("a".to_owned()).unwrap_err().to_string(), message);
    assert_eq!(unknown::set("a".to_owned(), "b".to_owned()).unwrap_err().to_string(), message);
    assert_eq!(taken(&told), [""; 0]);

    held.region("misspelt", |options| options);
    assert_eq!(unknown("a".to_owned()).unwrap(), "a 4");
    assert_eq!(unknown("a".to_owned()).unwrap(), "a 4");
    held.configure(Config::default());
    assert_eq!(unknown("a".to_owned()).unwrap(), "a 5");
    assert_eq!(
        taken(&told),
        ["unknown: Cache region not configured: misspelt; there are no regions"]
    );
}

#[cached(name = "errors: twice")]
fn first(id: u64) -> u64 {
    id
}

#[cached(name = "errors: twice")]
fn second(id: u64) -> u64 {
    id + 1
}

#[test]
fn two_functions_of_one_name_share_no_value() {
    let _held = regions();
    let told = listen();
    assert_eq!((first(1), second(1)), (1, 2));
    assert_eq!(
        taken(&told),
        ["errors: twice: two cached functions are called errors: twice; give one another `name`"]
    );
    assert_eq!(second::cache().unwrap_err().kind(), ErrorKind::Config);
}

#[cached]
fn failing_store(id: Vec<u8>) -> u64 {
    id.len() as u64 + run()
}

#[test]
fn a_store_that_fails_is_told_and_the_function_runs() {
    let held = regions();
    let told = listen();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    held.configure(Config::new(CacheOptions::new().cache_type("file").data_dir(&file)));
    assert_eq!(failing_store(vec![1]), 2);
    assert_eq!(failing_store(vec![1]), 3);
    assert_eq!(taken(&told), ["failing_store: the store failed"]);

    held.configure(Config::new(CacheOptions::new().cache_type("file").data_dir(dir.path())));
    // A key longer than a store takes.
    let long = vec![0; 70_000];
    assert_eq!(failing_store(long.clone()), 70_003);
    assert_eq!(failing_store(long), 70_004);
    assert_eq!(taken(&told), ["failing_store: the store failed"; 2]);
}

#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
struct NotEncodable(u64);

impl serde::Serialize for NotEncodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it has no form"))
    }
}

#[cached]
fn unstored(id: u64) -> NotEncodable {
    NotEncodable(id + run())
}

#[test]
fn a_value_that_cannot_be_stored_is_returned_and_told() {
    let held = regions();
    let told = listen();
    let dir = tempfile::tempdir().unwrap();
    held.configure(Config::new(CacheOptions::new().cache_type("file").data_dir(dir.path())));
    assert_eq!(unstored(10), NotEncodable(11));
    assert_eq!(taken(&told), ["unstored: the store failed"]);
}

#[cached]
fn of_itself(depth: u64) -> u64 {
    match run() {
        // It asks for its own value, which the cache refuses; so it runs itself.
        1 => of_itself(depth) + 100,
        runs => runs,
    }
}

#[test]
fn a_function_that_asks_for_its_own_value_runs_again() {
    let _held = regions();
    let told = listen();
    assert_eq!(of_itself(1), 102);
    assert_eq!(taken(&told), ["of_itself: the creator asked for the value it was making"]);
}
