//! What a pickle of plain data holds.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A plain Python value.
///
/// Serializes as one would write it in Rust: `None` as unit, a sequence for lists, tuples and sets,
/// a map for dictionaries. JSON then takes dictionaries whose keys are texts, numbers or bools.
///
/// `Debug` prints kinds and lengths only; the values may be secrets.
///
/// # Examples
///
/// ```
/// use beaker_namespace::compat::pickle::{self, Value};
///
/// let value = pickle::read(b"\x80\x04\x95\x09\0\0\0\0\0\0\0}\x8c\x03abc\x88s.")?;
/// assert_eq!(value, Value::Dict(vec![(Value::Str("abc".into()), Value::Bool(true))]));
/// assert_eq!(serde_json::to_string(&value)?, r#"{"abc":true}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A larger whole number, in decimal digits with a sign if it is negative.
    BigInt(String),
    /// A `float`.
    Float(f64),
    /// A text. Also the byte strings of Python 2, where they are ASCII.
    Str(String),
    /// `bytes` or `bytearray`. Also the byte strings of Python 2 that are not ASCII.
    Bytes(Vec<u8>),
    /// A `list`.
    List(Vec<Value>),
    /// A `tuple`.
    Tuple(Vec<Value>),
    /// A `set` or a `frozenset`, in the pickle's order.
    Set(Vec<Value>),
    /// A `dict`, in the pickle's order. A key that is there twice, which no Python writes, stays so.
    Dict(Vec<(Value, Value)>),
}

impl Value {
    /// The value under the text `key`, if this is a dictionary that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(pairs) = self else { return None };
        let is_it = |candidate: &Self| matches!(candidate, Self::Str(text) if text == key);
        pairs.iter().find(|(candidate, _)| is_it(candidate)).map(|(_, value)| value)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one of 64 bits. A bool is none.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(_) => f.write_str("Bool(..)"),
            Self::Int(_) => f.write_str("Int(..)"),
            Self::BigInt(digits) => write!(f, "BigInt({} digits)", digits.len()),
            Self::Float(_) => f.write_str("Float(..)"),
            Self::Str(text) => write!(f, "Str({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::List(items) => write!(f, "List({} items)", items.len()),
            Self::Tuple(items) => write!(f, "Tuple({} items)", items.len()),
            Self::Set(items) => write!(f, "Set({} items)", items.len()),
            Self::Dict(pairs) => write!(f, "Dict({} pairs)", pairs.len()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::BigInt(text) | Self::Str(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| sequence.serialize_element(item))?;
                sequence.end()
            }
            Self::Dict(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                pairs.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}
