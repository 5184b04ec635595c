use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proptest::prelude::*;
use serde::Serialize;

use super::*;

fn key<T: Serialize + ?Sized>(value: &T) -> Key {
    let key = Key::by_serde(value).unwrap();
    assert_eq!(Key::from_encoded(key.as_bytes()), Some(key.clone()), "it is a key: {key}");
    assert_eq!(Key::parse(&key.to_string()), Ok(key.clone()));
    key
}

#[test]
fn what_looks_alike_when_joined_has_different_keys() {
    assert_ne!(key(&("a", "bc")), key(&("ab", "c")));
    assert_ne!(key(&1_u8), key("1"));
    assert_ne!(key(&["a", "b"]), key(&["ab"]));
    assert_ne!(key(&vec![vec![1], vec![2]]), key(&vec![vec![1, 2]]));
    assert_ne!(key(&'a'), key("a"));
    assert_ne!(key(&Some(1)), key(&1));
    assert_ne!(key(&None::<u8>), key(&()));
    assert_ne!(key(&()), key(&Vec::<u8>::new()));
    assert_ne!(key(&1.0), key(&1));
    assert_ne!(key(&0.0), key(&-0.0));
    assert_ne!(key(&Some(None::<u8>)), key(&None::<Option<u8>>));
}

#[test]
fn text_and_numbers_are_the_keys_that_they_are_by_themselves() {
    assert_eq!(key("a"), Key::new("a"));
    assert_eq!(key(&7_u8), Key::new(&7));
    assert_eq!(key(&-7_i128), Key::new(&-7));
    assert_eq!(key(&u64::MAX), Key::new(&u64::MAX));
    assert_eq!(key(&i128::from(u64::MAX)), Key::new(&u64::MAX));
    assert_eq!(key(&u128::MAX), Key::new(&u128::MAX));
    assert_eq!(key(&i128::MIN), Key::new(&i128::MIN));
    assert_eq!((key(&true), key(&Some("a"))), (Key::new(&true), Key::new(&Some("a"))));
}

#[test]
fn a_map_has_one_key_in_whatever_order_it_comes() {
    let forth: HashMap<u32, u32> = (0..50).map(|number| (number, number)).collect();
    let back: HashMap<u32, u32> = (0..50).rev().map(|number| (number, number)).collect();
    let sorted: BTreeMap<u32, u32> = (0..50).map(|number| (number, number)).collect();
    assert_eq!((key(&forth), key(&back)), (key(&sorted), key(&sorted)));
    assert_ne!(key(&sorted), key(&BTreeMap::from([(0, 1)])));
    // A key and a value are not exchanged, nor are those of neighbours.
    let two = |pairs: [(&'static str, &'static str); 2]| key(&BTreeMap::from(pairs));
    assert_ne!(two([("a", "b"), ("c", "d")]), two([("a", "d"), ("c", "b")]));
    // The control: a sequence in another order is another.
    assert_ne!(key(&[1, 2]), key(&[2, 1]));
}

#[derive(Serialize)]
struct First {
    a: u8,
    b: &'static str,
}

#[derive(Serialize)]
struct Second {
    b: &'static str,
    a: u8,
}

#[derive(Serialize)]
struct Renamed {
    a: u8,
    c: &'static str,
}

#[derive(Serialize)]
struct Sparse {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<u8>,
}

#[test]
fn the_names_of_fields_count_and_their_order_does_not() {
    let first = key(&First { a: 1, b: "x" });
    assert_eq!(first, key(&Second { b: "x", a: 1 }));
    assert_ne!(first, key(&Renamed { a: 1, c: "x" }));
    assert_ne!(key(&Sparse { a: Some(1), b: None }), key(&Sparse { a: None, b: Some(1) }));
}

#[derive(Serialize)]
enum Shape {
    Unit,
    Empty(),
    One(u8),
    Other(u8),
    Two(u8, u8),
    Named { x: u8 },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Untagged {
    Text(String),
    Texts(Vec<String>),
    Shape(Shape),
    Map(BTreeMap<String, u8>),
    Unit,
}

#[test]
fn variants_are_told_apart_from_each_other_and_from_what_is_no_variant() {
    use Shape::{Empty, Named, One, Other, Two, Unit};
    let texts =
        |texts: &[&str]| Untagged::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    let keys = [
        key(&Untagged::Shape(Unit)),
        key(&Untagged::Shape(Empty())),
        key(&Untagged::Shape(One(1))),
        key(&Untagged::Shape(Other(1))),
        key(&Untagged::Shape(Two(1, 1))),
        key(&Untagged::Shape(Named { x: 1 })),
        key(&Untagged::Text("Unit".to_owned())),
        key(&texts(&["Unit"])),
        key(&texts(&[])),
        key(&Untagged::Map(BTreeMap::from([("One".to_owned(), 1)]))),
        key(&Untagged::Map(BTreeMap::from([("x".to_owned(), 1)]))),
        key(&Untagged::Unit),
    ];
    let different: HashSet<_> = keys.iter().map(Key::as_bytes).collect();
    assert_eq!(different.len(), keys.len());
}

#[derive(Serialize)]
struct Meters(f64);

#[test]
fn a_newtype_is_what_is_in_it() {
    assert_eq!(key(&Meters(1.5)), key(&1.5_f32));
}

struct Fails;

impl Serialize for Fails {
    fn serialize<S: ser::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("the secret is 42"))
    }
}

#[test]
fn a_value_that_cannot_be_serialized_has_no_key_and_is_not_shown() {
    let error = Key::by_serde(&("a", [Fails])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    let words = format!("{error} {error:?}");
    assert!(words.contains("refused") && !words.contains("42"), "{words}");
}

#[derive(Serialize)]
enum Nest {
    In(Option<Box<Nest>>),
}

#[test]
fn a_value_nested_too_deep_is_refused_and_one_less_deep_is_a_key() {
    let nest = |levels| (0..levels).fold(Nest::In(None), |inner, _| Nest::In(Some(inner.into())));
    assert!(key(&nest(20)).as_bytes().len() > 20);
    let deepest = (0..200).rev().find(|levels| Key::by_serde(&nest(*levels)).is_ok()).unwrap();
    key(&nest(deepest));
    let error = Key::by_serde(&nest(10_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
}

#[derive(Debug, Clone, Serialize, PartialEq, PartialOrd, Eq, Ord)]
enum Tree {
    Leaf(String),
    Number(i64),
    Maybe(Option<Box<Tree>>),
    Many(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
    Pair { left: Box<Tree>, right: Box<Tree> },
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof!["[ab]{0,2}".prop_map(Tree::Leaf), (-1_i64..2).prop_map(Tree::Number)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::option::of(inner.clone().prop_map(Box::new)).prop_map(Tree::Maybe),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Tree::Many),
            prop::collection::btree_map("[ab]{0,1}", inner.clone(), 0..3).prop_map(Tree::Map),
            (inner.clone(), inner)
                .prop_map(|(left, right)| Tree::Pair { left: left.into(), right: right.into() }),
        ]
    })
}

proptest! {
    #[test]
    fn keys_are_equal_as_values_are(trees in prop::collection::vec(tree(), 20)) {
        let keys: BTreeSet<_> = trees.iter().map(key).collect();
        let values: BTreeSet<_> = trees.iter().collect();
        prop_assert_eq!(keys.len(), values.len());
    }
}
