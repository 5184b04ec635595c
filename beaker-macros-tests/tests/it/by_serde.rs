//! Keys of arguments that are no more than `Serialize`.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use beaker_cache::{Key, cached, regions};
use serde::{Serialize, Serializer};

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

fn run() -> u64 {
    RUNS.set(RUNS.get() + 1);
    RUNS.get()
}

#[derive(Clone, Serialize)]
struct Filter {
    text: String,
    tags: Vec<String>,
    least: Option<f64>,
}

fn filter(text: &str, tags: &[&str]) -> Filter {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    Filter { text: text.to_owned(), tags, least: Some(0.5) }
}

#[cached(by_serde)]
fn search(filter: Filter, page: u32) -> u64 {
    let _ = (filter, page);
    run()
}

#[test]
fn a_struct_is_an_argument_and_what_is_in_it_tells_the_calls_apart() {
    assert_eq!(search(filter("a", &["bc"]), 1), 1);
    assert_eq!(search(filter("ab", &["c"]), 1), 2);
    assert_eq!(search(filter("a", &["b", "c"]), 1), 3);
    assert_eq!(search(filter("a", &["bc"]), 2), 4);
    assert_eq!(search(filter("a", &["bc"]), 1), 1, "the control: the same call is kept");
}

#[test]
fn the_other_calls_have_the_same_key() {
    let asked = || filter("others", &[]);
    assert_eq!(search::peek(asked(), 1).unwrap(), None);
    search::set(asked(), 1, 77).unwrap();
    assert_eq!(search(asked(), 1), 77);
    let key = search::key(asked(), 1).unwrap();
    assert_eq!(search::cache().unwrap().get(&key).unwrap(), Some(77));
    assert!(search::invalidate(asked(), 1).unwrap());
    assert_ne!(search::refresh(asked(), 1), 77);
}

#[cached(by_serde)]
fn either(id: &Id) -> u64 {
    let _ = id;
    run()
}

#[derive(Serialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Name(String),
}

#[test]
fn d41_a_number_and_its_text_are_different_calls() {
    assert_ne!(either(&Id::Number(1)), either(&Id::Name("1".to_owned())));
    assert_eq!(either::key(&Id::Number(1)).unwrap(), Key::new(&1));
}

#[cached(by_serde, key = (&options, name.len()), skip_none)]
fn keyed(options: HashMap<String, u8>, name: &str) -> Option<u64> {
    let _ = (options, name);
    Some(run())
}

#[test]
fn a_map_is_the_same_in_another_order_and_a_key_of_ones_own_may_be_by_serde() {
    let options = |numbers: &mut dyn Iterator<Item = u8>| {
        numbers.map(|number| (number.to_string(), number)).collect::<HashMap<_, _>>()
    };
    let made = keyed(options(&mut (0..40)), "abc");
    assert_eq!(keyed(options(&mut (0..40).rev()), "xyz"), made);
    assert_ne!(keyed(options(&mut (0..40)), "four"), made);
    let sorted: BTreeMap<_, _> = options(&mut (0..40)).into_iter().collect();
    assert_eq!(
        keyed::key(options(&mut (0..40)), "abc").unwrap(),
        Key::by_serde(&(sorted, 3)).unwrap()
    );
}

struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it is what it is"))
    }
}

#[cached(by_serde)]
fn refusing(what: Refuses) -> Result<u64, String> {
    let _ = what;
    Ok(run())
}

#[test]
fn what_has_no_key_runs_each_time_and_is_told() {
    let (told, tells) = std::sync::mpsc::channel();
    regions::on_error(move |function, error| {
        if function.ends_with("refusing") {
            let _closed = told.send(error.to_string());
        }
    });
    assert_eq!((refusing(Refuses), refusing(Refuses)), (Ok(1), Ok(2)));
    assert!(tells.recv().unwrap().contains("make no key by serde"));
    assert!(refusing::peek(Refuses).is_err());
    assert!(refusing::key(Refuses).is_err());
    assert_eq!(refusing::refresh(Refuses), Ok(3));
}

#[cached(by_serde)]
async fn in_a_task(filter: Filter) -> u64 {
    let _ = filter;
    run()
}

#[cached(by_serde)]
async fn refusing_in_a_task(what: Refuses) -> Result<u64, String> {
    let _ = what;
    Ok(run())
}

#[tokio::test]
async fn tasks_have_keys_by_serde_too() {
    assert_eq!(in_a_task(filter("a", &[])).await, 1);
    assert_eq!(in_a_task(filter("b", &[])).await, 2);
    assert_eq!(in_a_task(filter("a", &[])).await, 1);
    assert_eq!(in_a_task::peek(filter("b", &[])).await.unwrap(), Some(2));
    assert_eq!(refusing_in_a_task(Refuses).await, Ok(3));
    assert_eq!(refusing_in_a_task(Refuses).await, Ok(4));
}
