//! Which calls share a value.

use std::cell::Cell;

use beaker_cache::{Key, KeyBuilder, ToKey, cached};

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

fn run() -> u64 {
    RUNS.set(RUNS.get() + 1);
    RUNS.get()
}

#[cached]
fn two(_left: &str, _right: &str) -> u64 {
    run()
}

#[test]
fn d41_texts_that_look_alike_when_joined_are_different_calls() {
    assert_ne!(two("a b", "c"), two("a", "b c"));
    assert_eq!(two::key("a", "b"), Key::new(&("a", "b")));
}

#[derive(Debug)]
enum Id {
    Number(u64),
    Name(&'static str),
}

impl ToKey for Id {
    fn write(&self, to: &mut KeyBuilder) {
        match self {
            Self::Number(number) => number.write(to),
            Self::Name(name) => name.write(to),
        }
    }
}

#[cached]
fn either(_id: &Id) -> u64 {
    run()
}

#[test]
fn d41_a_number_and_its_text_are_different_calls() {
    assert_ne!(either(&Id::Number(1)), either(&Id::Name("1")));
    assert_eq!(RUNS.get(), 2);
}

#[cached]
fn none() -> u64 {
    run()
}

#[test]
fn a_function_without_arguments_has_one_value() {
    assert_eq!(none(), 1);
    assert_eq!(none(), 1);
    assert!(none::invalidate().unwrap());
    assert_eq!(none(), 2);
}

#[cached(skip(database))]
fn skipping(database: &mut Vec<u64>, id: u64) -> u64 {
    database.push(id);
    run()
}

#[test]
fn a_skipped_argument_is_no_part_of_the_call() {
    let mut databases = [vec![], vec![]];
    assert_eq!(skipping(&mut databases[0], 7), 1);
    assert_eq!(skipping(&mut databases[1], 7), 1);
    assert_eq!(databases, [vec![7], vec![]]);
    assert!(skipping::invalidate(7).unwrap());
    assert_eq!(skipping::refresh(&mut databases[1], 7), 2);
}

#[cached(key = (name.to_lowercase(), page / 10))]
fn keyed(name: &str, page: u32) -> u64 {
    let _ = (name, page);
    run()
}

#[test]
fn a_key_of_ones_own_takes_the_place_of_the_arguments() {
    assert_eq!(keyed("Ada", 11), 1);
    assert_eq!(keyed("ADA", 19), 1);
    assert_eq!(keyed("ADA", 20), 2);
    assert_eq!(keyed::key("Ada", 11), Key::new(&("ada", 1)));
}

#[expect(clippy::too_many_arguments, reason = "more than a tuple that is a key can have")]
#[cached]
fn nine(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8) -> u64 {
    let _ = (a, b, c, d, e, f, g, h, i);
    run()
}

#[test]
fn any_number_of_arguments_are_told_apart() {
    assert_eq!(nine(1, 2, 3, 4, 5, 6, 7, 8, 9), 1);
    assert_eq!(nine(1, 2, 3, 4, 5, 6, 7, 8, 0), 2);
    assert_eq!(nine(1, 2, 3, 4, 5, 6, 7, 8, 9), 1);
}

#[cached]
fn names(key: u8, value: u8, function: u8, cache: u8, made: u8) -> u64 {
    let _ = (key, value, function, cache, made);
    run()
}

#[test]
fn arguments_may_be_called_as_anything_is_called_inside() {
    assert_eq!(names(1, 2, 3, 4, 5), 1);
    names::set(1, 2, 3, 4, 5, 9).unwrap();
    assert_eq!(names(1, 2, 3, 4, 5), 9);
}
