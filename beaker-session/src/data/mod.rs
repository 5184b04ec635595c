//! What a session holds, and what a request changes of it.

mod change;
mod changes;
mod migration;
mod name;
mod values;

use std::collections::BTreeMap;

pub use serde_json::Value;

pub(crate) use self::change::{Change, items, number};
pub(crate) use self::changes::Changes;
pub(crate) use self::migration::Migration;
pub(crate) use self::name::Name;
pub(crate) use self::values::Values;

/// The name of the number of the layout that a session's values have.
pub(crate) const LAYOUT: &str = "_layout";

/// Whether a name is not for programs, but for this crate and for bridges.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.starts_with('_')
}

/// The values of a session, by name.
pub type Data = BTreeMap<String, Value>;

/// The name of the largest value and its size, as [`Values::bytes`] counts.
pub(crate) fn largest(values: &Values) -> Option<(&str, usize)> {
    let sizes = values.iter().map(|(key, value)| (key, size_of_value(value)));
    sizes.max_by_key(|(_, size)| *size)
}

/// Most values are no lists and no maps: they are counted where they are asked for.
#[inline]
fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 10,
        Value::String(text) => text.len() + 2,
        Value::Array(_) | Value::Object(_) => size_of_many(value),
    }
}

#[inline(never)]
fn size_of_many(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| 1 + size_of_value(item)).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter().map(|(key, value)| key.len() + 4 + size_of_value(value)).sum::<usize>() + 2
        }
        one => size_of_value(one),
    }
}
