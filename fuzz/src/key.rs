//! Keys: different values have different keys, and every form of a key reads back.

use arbitrary::{Arbitrary, Unstructured};
use beaker_namespace::{FromKey, Key, KeyBuilder, Scan, ToKey};

/// Values around each other, of which more are no key. A program has no use for half as many.
const MAX_DEPTH: usize = 30;

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
enum Case<'a> {
    /// Bytes as a store may hold them.
    Encoded(&'a [u8]),
    /// Text as a person may write it.
    Text(&'a str),
    /// Values of a program.
    Values(Box<Value>, Box<Value>),
    /// Values of types that can be read back.
    Typed(String, Vec<u8>, u64, i8, Option<bool>),
}

/// A value that names an entry.
#[derive(Debug, Clone, PartialEq, Arbitrary)]
enum Value {
    Text(String),
    Bytes(Vec<u8>),
    Small(i8),
    Signed(i128),
    Unsigned(u128),
    Bool(bool),
    Absent,
    Present(Box<Value>),
    Tuple(Few),
    /// A type of a user's own: it writes what it holds, and leaves the rest to the trait.
    Newtype(Box<Value>),
    /// Tuples of one, this many around each other.
    Deep(u8, Box<Value>),
}

/// One to eight values.
#[derive(Debug, Clone, PartialEq, Arbitrary)]
enum Few {
    One([Box<Value>; 1]),
    Two([Box<Value>; 2]),
    Three([Box<Value>; 3]),
    Eight([Box<Value>; 8]),
}

/// Makes keys, prints them, and reads them back.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    match case {
        Case::Encoded(bytes) => {
            if let Some(key) = Key::from_encoded(bytes) {
                assert_eq!(key.as_bytes(), bytes);
                reads_back(&key);
            }
        }
        Case::Text(text) => {
            if let Ok(key) = Key::parse(text) {
                reads_back(&key);
            }
        }
        Case::Values(a, b) if a.plain().depth().max(b.plain().depth()) > MAX_DEPTH => {}
        Case::Values(a, b) => {
            compare(&a, &b);
            for twin in [&a, &b].into_iter().flat_map(|value| twins(&Key::new(&**value))) {
                compare(&a, &twin);
                compare(&b, &twin);
            }
        }
        Case::Typed(text, bytes, number, small, option) => {
            typed(text.as_str(), text.clone());
            typed(&bytes, bytes.clone());
            typed(&number, number);
            typed(&small, small);
            typed(&(text.as_str(), small), (text.clone(), small));
            typed(&((&bytes, number), option), ((bytes.clone(), number), option));
        }
    }
}

/// Every form of the key is the same key.
fn reads_back(key: &Key) {
    assert!(Key::from_encoded(key.as_bytes()).as_ref() == Some(key), "encoded: {key}");
    let shown = key.to_string();
    assert!(Key::parse(&shown).as_ref() == Ok(key), "shown: {shown}");
    assert!(Key::new(key) == *key && Key::from_key(key).as_ref() == Some(key));
    assert_eq!(
        key.as_text().map(Key::new).is_some_and(|text| text == *key),
        key.as_text().is_some()
    );
    // As a segment of a tuple it is one segment, the same.
    let (pair, segment) = (Key::new(&(key, 7)), Key::new(&(key,)));
    assert!(Scan::new().prefix(&segment).matches(&pair));
}

fn compare(a: &Value, b: &Value) {
    let (key_a, key_b) = (Key::new(a), Key::new(b));
    let (plain_a, plain_b) = (a.plain(), b.plain());
    reads_back(&key_a);
    if plain_a == plain_b {
        assert!(key_a == key_b, "one value, two keys: {a:?} {b:?}");
    } else {
        assert!(key_a != key_b, "two values, one key: {a:?} {b:?}");
    }
    let begins = begins_with(&plain_a, &plain_b);
    assert_eq!(Scan::new().prefix(&key_b).matches(&key_a), begins, "{a:?} begins with {b:?}");
}

/// What a scan for `prefix` promises.
fn begins_with(value: &Value, prefix: &Value) -> bool {
    match (value, prefix) {
        (Value::Text(value), Value::Text(prefix)) => value.starts_with(prefix),
        (Value::Bytes(value), Value::Bytes(prefix)) => value.starts_with(prefix),
        (Value::Tuple(value), Value::Tuple(prefix)) => value.values().starts_with(prefix.values()),
        _ => value == prefix,
    }
}

/// Values that are made of a key's bytes: the likeliest to have the same key.
fn twins(key: &Key) -> Vec<Value> {
    let inner = key.as_bytes().get(1..).unwrap_or_default();
    let text = std::str::from_utf8(inner).ok().map(|text| Value::Text(text.to_owned()));
    text.into_iter().chain([Value::Bytes(inner.to_vec())]).collect()
}

fn typed<K: ToKey + ?Sized, V: FromKey + PartialEq + std::fmt::Debug>(written: &K, value: V) {
    let key = Key::new(written);
    assert_eq!(V::from_key(&key), Some(value));
    reads_back(&key);
}

impl Few {
    fn values(&self) -> &[Box<Value>] {
        match self {
            Self::One(values) => values,
            Self::Two(values) => values,
            Self::Three(values) => values,
            Self::Eight(values) => values,
        }
    }
}

impl Value {
    /// The value that is meant, whatever type it has in Rust.
    fn plain(&self) -> Self {
        let inner = |value: &Self| Box::new(value.plain());
        match self {
            Self::Small(number) => Self::Signed((*number).into()),
            Self::Unsigned(number) => match i128::try_from(*number) {
                Ok(number) => Self::Signed(number),
                Err(_) => self.clone(),
            },
            Self::Present(value) => Self::Present(inner(value)),
            Self::Newtype(value) => value.plain(),
            Self::Deep(depth, value) => (0..*depth % 40)
                .fold(value.plain(), |value, _| Self::Tuple(Few::One([Box::new(value)]))),
            Self::Tuple(values) => Self::Tuple(match values {
                Few::One(values) => Few::One(values.each_ref().map(|value| inner(value))),
                Few::Two(values) => Few::Two(values.each_ref().map(|value| inner(value))),
                Few::Three(values) => Few::Three(values.each_ref().map(|value| inner(value))),
                Few::Eight(values) => Few::Eight(values.each_ref().map(|value| inner(value))),
            }),
            Self::Text(_) | Self::Bytes(_) | Self::Signed(_) | Self::Bool(_) | Self::Absent => {
                self.clone()
            }
        }
    }

    fn depth(&self) -> usize {
        1 + match self {
            Self::Present(value) | Self::Newtype(value) | Self::Deep(_, value) => value.depth(),
            Self::Tuple(few) => few.values().iter().map(|value| value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Calls `with` with the value as its own Rust type.
    fn visit<T>(&self, with: impl FnOnce(&dyn ToKey) -> T) -> T {
        match self {
            Self::Text(text) => with(text),
            Self::Bytes(bytes) => with(bytes),
            Self::Small(number) => with(number),
            Self::Signed(number) => with(number),
            Self::Unsigned(number) => with(number),
            Self::Bool(value) => with(value),
            Self::Absent => with(&None::<bool>),
            Self::Present(value) => with(&Some(&**value)),
            Self::Newtype(value) => with(&Newtype(value)),
            Self::Deep(depth, value) => {
                let once = |key: Key| Key::new(&(key,));
                with(&(0..*depth % 40).fold(Key::new(&**value), |key, _| once(key)))
            }
            Self::Tuple(Few::One([a])) => with(&(a,)),
            Self::Tuple(Few::Two([a, b])) => with(&(a, b)),
            Self::Tuple(Few::Three([a, b, c])) => with(&(a, b, c)),
            Self::Tuple(Few::Eight([a, b, c, d, e, f, g, h])) => with(&(a, b, c, d, e, f, g, h)),
        }
    }
}

impl ToKey for Value {
    fn write(&self, to: &mut KeyBuilder) {
        self.visit(|value| value.write(to));
    }

    fn to_key(&self) -> Key {
        self.visit(|value| value.to_key())
    }
}

struct Newtype<'a>(&'a Value);

impl ToKey for Newtype<'_> {
    fn write(&self, to: &mut KeyBuilder) {
        self.0.write(to);
    }
}
