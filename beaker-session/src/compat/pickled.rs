//! Pickles around and inside of payloads.
//!
//! Stores keep the payload's text as a pickle; with Beaker's default serializer the payload is one
//! too.

use std::collections::BTreeMap;

use beaker_namespace::compat::pickle::{self, Limits};
use serde_json::{Map, Number, Value};

use crate::{Error, ErrorKind};

const READ: &str = "read Beaker's session";

/// The key under which a store keeps a session.
pub(super) const SESSION: &str = "session";

/// More of a pickle than the text: its frame, its key, its ends.
pub(super) const AROUND_BYTES: usize = 1024;

/// From here on Python writes no frame round a text.
const FRAME_BYTES: usize = 64 << 10;

/// Reads a pickled dictionary with texts as keys.
pub(super) fn parse(
    bytes: &[u8],
    most: usize,
    values: u32,
) -> Result<BTreeMap<String, Value>, Error> {
    let value = read(bytes, most, values)?;
    let pickle::Value::Dict(pairs) = value else {
        return Err(Error::new(ErrorKind::Corrupt, READ).with_detail("it is no pickled dictionary"));
    };
    Ok(object(pairs)?.into_iter().collect())
}

/// The pickle of a text as Python's protocol 4 writes it: what redis and dbm hold.
pub(super) fn write_text(text: &str) -> Vec<u8> {
    framed(&[&text_opcode(text), text.as_bytes(), b"\x94."])
}

/// The text in such a pickle, of at most `most` bytes.
pub(super) fn read_text(bytes: &[u8], most: usize) -> Result<String, Error> {
    match read(bytes, most.saturating_add(AROUND_BYTES), 1)? {
        pickle::Value::Str(text) => Ok(text),
        _ => Err(no_session("it is no pickled text")),
    }
}

/// The pickle of a dictionary that has the text under [`SESSION`]: what a file holds.
pub(super) fn write_dict(text: &str) -> Vec<u8> {
    framed(&[b"}\x94\x8c\x07session\x94", &text_opcode(text), text.as_bytes(), b"\x94s."])
}

/// The text in such a dictionary; `None` if the dictionary has none.
pub(super) fn read_dict(bytes: &[u8], most: usize) -> Result<Option<String>, Error> {
    // A file may hold more than the session, which Beaker would keep, and never writes.
    let value = read(bytes, most.saturating_add(AROUND_BYTES), 16)?;
    match value.get(SESSION) {
        Some(pickle::Value::Str(text)) => Ok(Some(text.clone())),
        Some(pickle::Value::None) => Ok(None),
        None if matches!(value, pickle::Value::Dict(_)) => Ok(None),
        _ => Err(no_session("it is no pickled dictionary with a text")),
    }
}

fn read(bytes: &[u8], most: usize, values: u32) -> Result<pickle::Value, Error> {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    // Instructions that only move values count as well.
    let limits = Limits::new().max_bytes(most).max_values(values.saturating_mul(4).max(64));
    pickle::read_within(bytes, limits).map_err(|error| {
        let kind = match error.kind() {
            beaker_namespace::ErrorKind::TooLarge => ErrorKind::TooLarge,
            beaker_namespace::ErrorKind::Codec => ErrorKind::Codec,
            _ => ErrorKind::Corrupt,
        };
        Error::new(kind, READ).with_detail(error.to_string()).with_source(error)
    })
}

fn no_session(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, READ).with_detail(what)
}

/// The instruction before a text; `text` is shorter than 4 GiB.
fn text_opcode(text: &str) -> Vec<u8> {
    match u8::try_from(text.len()) {
        Ok(len) => vec![0x8c, len],
        Err(_) => [&b"X"[..], &(text.len() as u32).to_le_bytes()].concat(),
    }
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = b"\x80\x04".to_vec();
    if body.len() < FRAME_BYTES {
        bytes.push(0x95);
        bytes.extend((body.len() as u64).to_le_bytes());
    }
    bytes.extend(body);
    bytes
}

fn object(pairs: Vec<(pickle::Value, pickle::Value)>) -> Result<Map<String, Value>, Error> {
    let pair = |(key, value)| match key {
        pickle::Value::Str(key) => Ok((key, json(value)?)),
        _ => Err(unknown("a dictionary with keys that are no texts")),
    };
    pairs.into_iter().map(pair).collect()
}

/// The value as JSON has it. Recursive, to [`pickle::MAX_DEPTH`] levels.
fn json(value: pickle::Value) -> Result<Value, Error> {
    Ok(match value {
        pickle::Value::None => Value::Null,
        pickle::Value::Bool(bool) => Value::Bool(bool),
        pickle::Value::Int(number) => Value::Number(number.into()),
        pickle::Value::Float(number) => Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| unknown("a number that is none (NaN or infinity)"))?,
        pickle::Value::Str(text) => Value::String(text),
        pickle::Value::List(items) | pickle::Value::Tuple(items) => {
            Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        pickle::Value::Dict(pairs) => Value::Object(object(pairs)?),
        pickle::Value::BigInt(_) => return Err(unknown("a whole number of more than 64 bits")),
        pickle::Value::Bytes(_) => return Err(unknown("bytes")),
        _ => return Err(unknown("a set")),
    })
}

fn unknown(what: &str) -> Error {
    Error::new(ErrorKind::Codec, READ).with_detail(format!(
        "it holds {what}, which has no place in JSON; let Python take it out of the session"
    ))
}
