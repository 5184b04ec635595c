// Python's pickles, read as data.
//
// 1. A pickle is a program for a stack machine. Only instructions that move plain data are carried
//    out. Those that name, build or call something (`GLOBAL`, `REDUCE`, `BUILD`, …) are known by
//    their effect on the stack alone: they leave a mark, "here would be an object", and whatever
//    the mark is part of is refused when it is asked for. No name in a pickle is ever looked up.
// 2. The machine fills a flat list of nodes that refer to each other by number, so neither its
//    depth nor a cycle can exhaust the stack. Values are made from it afterwards.
// 3. A node can be referred to any number of times, so the tree can be far larger than the pickle.
//    What is made is counted against a budget, and so is its depth; a cycle ends there too.

//! Reads Python pickles that hold plain data, and never builds an object.
//!
//! Protocols 0 to 5. Everything is refused that Python would have to import, build or call
//! something for: instances, functions, `datetime`, `Decimal`, sets before protocol 4, bytes before
//! protocol 3. The error names the pickle's instruction.
//!
//! [`read`] makes the whole value. [`Pickle`] is for many records in one pickle: it reads the structure
//! and makes each value when it is asked for, within one [`Budget`].
//!
//! Nothing in a pickle can make this module allocate much more than [`Limits`] says, recurse deeper
//! than [`MAX_DEPTH`], or panic.

mod budget;
mod input;
mod machine;
mod node;
mod text;
mod value;

use bytes::Bytes;

pub use self::budget::{Budget, Limits};
pub use self::input::Span;
pub use self::node::{Node, NodeId, Pickle};
pub(super) use self::text::unquote;
pub use self::value::Value;
use crate::{Error, ErrorKind};

/// How deep values may be nested. A value that contains itself is refused as too deep.
pub const MAX_DEPTH: usize = 128;

const OPERATION: &str = "read a pickle";

/// Reads the plain value that `bytes` are the pickle of, within the default [`Limits`].
///
/// What follows the pickle's end is ignored, as Python does.
///
/// # Errors
///
/// [`Codec`](ErrorKind::Codec) if it holds a Python object, or a text that is not Unicode;
/// [`Corrupt`](ErrorKind::Corrupt) if it is no pickle or ends too early;
/// [`TooLarge`](ErrorKind::TooLarge) beyond the limits or [`MAX_DEPTH`].
///
/// # Examples
///
/// ```
/// use beaker_namespace::ErrorKind;
/// use beaker_namespace::compat::pickle::{self, Value};
///
/// let value = pickle::read(b"\x80\x03]q\x00(K\x01K\x02e.")?;
/// assert_eq!(value, Value::List(vec![Value::Int(1), Value::Int(2)]));
///
/// let error = pickle::read(b"cos\nsystem\n(S'true'\ntR.").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Codec);
/// assert!(error.to_string().contains("a Python object (opcode REDUCE)"));
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
pub fn read(bytes: &[u8]) -> Result<Value, Error> {
    read_within(bytes, Limits::default())
}

/// As [`read`], within `limits`.
///
/// # Errors
///
/// As [`read`].
pub fn read_within(bytes: &[u8], limits: Limits) -> Result<Value, Error> {
    let mut budget = Budget::new(limits);
    let pickle = Pickle::parse(Bytes::copy_from_slice(bytes), &mut budget)?;
    pickle.value(pickle.root(), &mut budget)
}

fn corrupt(at: usize, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, OPERATION).with_detail(format!("{what} at byte {at}"))
}

fn object(opcode: &str) -> Error {
    Error::new(ErrorKind::Codec, OPERATION).with_detail(format!(
        "the record holds a Python object (opcode {opcode}), which is never built"
    ))
}

fn not_unicode() -> Error {
    Error::new(ErrorKind::Codec, OPERATION)
        .with_detail("the record holds a text that is not Unicode (half of a surrogate pair)")
}

fn too_deep() -> Error {
    Error::new(ErrorKind::TooLarge, OPERATION).with_detail(format!(
        "the record is nested deeper than {MAX_DEPTH} levels, or contains itself"
    ))
}
