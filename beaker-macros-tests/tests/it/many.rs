//! `load::many(…)`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_cache::{Created, cached};

/// The arguments with which a function ran.
type Log = Mutex<Vec<u64>>;

fn taken(log: &Log) -> Vec<u64> {
    std::mem::take(&mut *log.lock().unwrap())
}

#[derive(Debug, Clone, PartialEq)]
struct NotFound(u64);

#[cached(many, skip(log))]
fn load(log: &Log, id: u64, name: &str) -> Result<String, NotFound> {
    log.lock().unwrap().push(id);
    if id == 0 { Err(NotFound(id)) } else { Ok(format!("{name} {id}")) }
}

#[test]
fn what_is_missing_of_many_calls_is_made_once_and_what_is_there_is_not() {
    let log = Log::default();
    load::set(2, "Bob", "set".to_owned()).unwrap();
    let of_three = [(1, "Ada"), (2, "Bob"), (1, "Ada"), (3, "Eve")];
    let users = load::many(&log, of_three).unwrap();
    assert_eq!(users, ["Ada 1", "set", "Ada 1", "Eve 3"]);
    assert_eq!(taken(&log), [1, 3]);
    assert_eq!(load(&log, 1, "Ada").unwrap(), "Ada 1", "each is kept as that of one call");
    assert_eq!(load::many(&log, Vec::from(of_three)).unwrap(), users);
    assert!(load::many(&log, []).unwrap().is_empty());
    assert!(taken(&log).is_empty());
}

#[test]
fn the_error_of_one_call_is_that_of_all_and_the_others_run_again() {
    let log = Log::default();
    let calls = [(10, "a"), (0, "b"), (11, "c")];
    assert_eq!(load::many(&log, calls), Err(NotFound(0)));
    assert_eq!(taken(&log), [10, 0]);
    assert_eq!(load::many(&log, [(10, "a"), (11, "c")]).unwrap(), ["a 10", "c 11"]);
    assert_eq!(taken(&log), [10, 11]);
}

#[cached(many, tags("numbers", format!("number:{id}")))]
fn squares(id: u64) -> Created<u64> {
    let square = Created::new(id * id);
    if id.is_multiple_of(2) { square } else { square.unstored() }
}

#[test]
fn a_function_that_decides_is_asked_for_each_and_values_carry_its_tags() {
    assert_eq!(squares::many([2, 3, 4]), [4, 9, 16]);
    assert_eq!((squares::peek(2).unwrap(), squares::peek(3).unwrap()), (Some(4), None));
    squares::cache().unwrap().invalidate_tag("number:2").unwrap();
    assert_eq!((squares::peek(2).unwrap(), squares::peek(4).unwrap()), (None, Some(16)));
}

static LOADS: AtomicU64 = AtomicU64::new(0);

#[cached(many)]
async fn later<T>(id: u64, name: &str) -> Vec<T>
where
    T: From<u64> + Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    tokio::task::yield_now().await;
    LOADS.fetch_add(1, Ordering::Relaxed);
    vec![T::from(id + name.len() as u64)]
}

#[tokio::test]
async fn many_calls_of_an_async_generic_function_are_async_and_generic() {
    let many = || later::many::<u64>([(1, "ab"), (2, "a"), (1, "ab")]);
    assert_eq!(many().await, [[3], [3], [3]]);
    assert_eq!(many().await, [[3], [3], [3]]);
    assert_eq!(LOADS.load(Ordering::Relaxed), 2);
    fn sends(_: impl Send) {}
    sends(many());
}

#[derive(serde::Serialize)]
enum Odd {
    Good(u64),
    Bad(Refuses),
}

struct Refuses;

impl serde::Serialize for Refuses {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it refuses"))
    }
}

#[cached(many, by_serde, skip(log))]
fn odd(log: &Log, odd: Odd) -> u64 {
    let id = if let Odd::Good(id) = odd { id } else { 0 };
    log.lock().unwrap().push(id);
    id
}

#[test]
fn where_one_call_has_no_key_all_run_without_the_cache() {
    let log = Log::default();
    assert_eq!(odd::many(&log, [Odd::Good(1), Odd::Good(1)]), [1, 1]);
    assert_eq!(taken(&log), [1]);
    assert_eq!(odd::many(&log, [Odd::Good(1), Odd::Bad(Refuses)]), [1, 0]);
    assert_eq!(taken(&log), [1, 0]);
}

struct Users {
    tenant: u64,
}

impl Users {
    #[cached(many, key = (self.tenant, id))]
    fn user(&self, id: u64) -> u64 {
        self.tenant * 100 + id
    }
}

#[test]
fn many_calls_of_a_method_are_a_method() {
    let (one, two) = (Users { tenant: 1 }, Users { tenant: 2 });
    assert_eq!(one.user_many([7, 8]), [107, 108]);
    assert_eq!(two.user_many([7]), [207]);
    assert_eq!(one.user_peek(8).unwrap(), Some(108));
}

static RUNS: AtomicU64 = AtomicU64::new(0);

#[cached(many, spawn)]
async fn spawned(id: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    id
}

#[tokio::test]
async fn many_calls_of_a_function_that_can_outlive_its_call_end_with_theirs() {
    assert_eq!(spawned(1).await, 1);
    assert_eq!(spawned::many([1, 2]).await, [1, 2]);
    assert_eq!(RUNS.load(Ordering::Relaxed), 2);
}
