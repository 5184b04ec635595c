//! The values of a record, of which a copy costs little: most writes make one.
//
// 1. A record that another request may be reading is never changed: a write copies it, with its changes.
//    One in memory that nobody else holds is changed where it lies.
// 2. A copy is one allocation, and one for each short text. What is larger is shared with the
//    original. Short texts are not: threads that write one session would wait for each other to
//    count who shares them.
// 3. The names are in order, and each is there once.
// 4. How large they are is counted as they change: each save asks for it twice, and a session may have many.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{Data, Name, size_of_value};

/// Texts of more bytes than this are shared.
const COPIED_BYTES: usize = 64;

/// Among so many names looking at each is quicker than looking by halves: most differ in length.
const FEW: usize = 16;

/// What JSON takes for a value beside its name and itself, in bytes.
const FRAME_BYTES: usize = 4;

/// The values of a record, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Values {
    named: Vec<(Name, Kept)>,
    bytes: usize,
}

#[derive(Debug, Clone)]
enum Kept {
    Copied(Value),
    Shared(Arc<Value>),
}

impl Values {
    pub(crate) const fn new() -> Self {
        Self { named: Vec::new(), bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.named.len()
    }

    /// About how many bytes they take as JSON. A byte of a text counts as one, which escaped takes up to six, and any
    /// number as ten bytes, which takes up to 24.
    ///
    /// A record is checked by this before it is stored anywhere, also where nothing is encoded.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let at = self.find(name.as_bytes())?;
        Some(self.named[at].1.value())
    }

    /// All of them, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.named.iter().map(|(name, kept)| (name.as_str(), kept.value()))
    }

    /// A copy as a map.
    pub(crate) fn to_data(&self) -> Data {
        self.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// Makes the value under `name` what `change` makes of it.
    pub(crate) fn change(&mut self, name: &Name, change: impl Fn(Option<&Value>) -> Option<Value>) {
        let found = self.find(name.as_bytes());
        let before = found.map(|at| self.named[at].1.value());
        let after = change(before);
        let bytes = |value| size_of_one(name, value);
        self.bytes += after.as_ref().map_or(0, bytes);
        self.bytes -= before.map_or(0, bytes);
        match (after, found) {
            (Some(value), Some(at)) => self.named[at].1 = Kept::new(value),
            (Some(value), None) => {
                let at = self.place(name.as_bytes()).unwrap_or_else(|at| at);
                self.named.insert(at, (name.clone(), Kept::new(value)));
            }
            (None, Some(at)) => drop(self.named.remove(at)),
            (None, None) => {}
        }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        match self.named.len() {
            ..=FEW => self.named.iter().position(|(other, _)| other.as_bytes() == name),
            _ => self.place(name).ok(),
        }
    }

    /// Where the value under `name` is, or where it would be.
    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        self.named.binary_search_by(|(other, _)| other.as_bytes().cmp(name))
    }
}

impl Kept {
    fn new(value: Value) -> Self {
        match &value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Copied(value),
            Value::String(text) if text.len() <= COPIED_BYTES => Self::Copied(value),
            Value::String(_) | Value::Array(_) | Value::Object(_) => Self::Shared(value.into()),
        }
    }

    fn value(&self) -> &Value {
        match self {
            Self::Copied(value) => value,
            Self::Shared(value) => value,
        }
    }
}

fn size_of_one(name: &Name, value: &Value) -> usize {
    name.as_bytes().len() + FRAME_BYTES + size_of_value(value)
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

/// A map is in the order of its names already.
impl From<Data> for Values {
    fn from(data: Data) -> Self {
        let named = |(name, value): (String, Value)| (Name::new(&name), Kept::new(value));
        let named: Vec<_> = data.into_iter().map(named).collect();
        let bytes = named.iter().map(|(name, kept)| size_of_one(name, kept.value())).sum();
        Self { named, bytes }
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Data::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn name() -> impl Strategy<Value = String> {
        prop_oneof!["[a-eü]{0,2}", "[ab]{22,24}"]
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<u8>().prop_map(Value::from),
            "[a-z]{62,66}".prop_map(Value::from),
            prop::collection::vec(any::<u8>(), 0..3).prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn they_are_what_a_map_is(
            changes in prop::collection::vec((name(), prop::option::of(value())), 0..60),
        ) {
            let (mut values, mut map) = (Values::new(), Data::new());
            for (name, after) in &changes {
                let before = map.get(name).cloned();
                values.change(&Name::new(name), |value| {
                    assert_eq!(value, before.as_ref());
                    after.clone()
                });
                match after {
                    Some(after) => map.insert(name.clone(), after.clone()),
                    None => map.remove(name),
                };
                prop_assert_eq!(values.get(name), map.get(name));
            }
            prop_assert_eq!(values.to_data(), map.clone());
            prop_assert_eq!(values.len(), map.len());
            prop_assert_eq!(values.bytes(), Values::from(map.clone()).bytes());
            let text = serde_json::to_string(&values).unwrap();
            prop_assert_eq!(&text, &serde_json::to_string(&map).unwrap());
            prop_assert_eq!(&serde_json::from_str::<Values>(&text).unwrap(), &values);
            prop_assert_eq!(Values::from(map), values);
        }
    }

    #[test]
    fn a_copy_shares_what_is_large_and_changes_alone() {
        let data = Data::from([("a".to_owned(), json!(1)), ("b".to_owned(), json!([1, 2]))]);
        let first = Values::from(data.clone());
        let mut second = first.clone();
        let at = |values: &Values, name| std::ptr::from_ref(values.get(name).unwrap());
        assert_eq!(at(&first, "b"), at(&second, "b"));
        second.change(&Name::new("a"), |_| Some(json!(2)));
        second.change(&Name::new("b"), |_| Some(json!([1, 2, 3])));
        assert_eq!(first.to_data(), data);
        assert_eq!((second.get("a"), second.get("b")), (Some(&json!(2)), Some(&json!([1, 2, 3]))));
    }
}
