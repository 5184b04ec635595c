use std::fmt;

use bytes::Bytes;

use super::input::Span;
use super::machine::Machine;
use super::{Budget, MAX_DEPTH, Value, not_unicode, object, too_deep};
use crate::Error;

/// The number of a node in its pickle.
pub type NodeId = u32;

/// One value as the machine made it; what is in it is referred to by number.
#[derive(Clone)]
#[non_exhaustive]
pub enum Node {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A larger whole number, in decimal digits.
    BigInt(Box<str>),
    /// A `float`.
    Float(f64),
    /// A text in the pickle itself; whether it is Unicode is seen when it is made.
    Str(Span),
    /// A text that the pickle escapes.
    Text(Box<str>),
    /// A text with half of a surrogate pair.
    NotUnicode,
    /// Bytes in the pickle itself.
    Bytes(Span),
    /// Bytes that the pickle escapes.
    Blob(Box<[u8]>),
    /// A `list`.
    List(Vec<NodeId>),
    /// A `tuple`.
    Tuple(Vec<NodeId>),
    /// A `set` or a `frozenset`.
    Set(Vec<NodeId>),
    /// A `dict`: keys and values by turns.
    Dict(Vec<NodeId>),
    /// Where an object would be, and the instruction that would make it.
    Object(&'static str),
}

/// A pickle that was read: nodes that refer to each other, and the bytes that they refer to.
pub struct Pickle {
    bytes: Bytes,
    nodes: Vec<Node>,
    root: NodeId,
}

impl Pickle {
    /// Reads a pickle without making values.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) and [`TooLarge`](crate::ErrorKind::TooLarge) as [`read`](super::read).
    pub fn parse(bytes: Bytes, budget: &mut Budget) -> Result<Self, Error> {
        budget.take_input(bytes.len())?;
        let (nodes, root) = Machine::new(&bytes, budget).run()?;
        Ok(Self { bytes, nodes, root })
    }

    /// The node that was pickled.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// The node with this number, which must come from this pickle.
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }

    /// Makes the value of a node.
    ///
    /// # Errors
    ///
    /// [`Codec`](crate::ErrorKind::Codec) and [`TooLarge`](crate::ErrorKind::TooLarge) as [`read`](super::read).
    pub fn value(&self, id: NodeId, budget: &mut Budget) -> Result<Value, Error> {
        budget.take_values(1)?;
        self.make(id, 0, budget)
    }

    /// Recursive, to [`MAX_DEPTH`] levels.
    fn make(&self, id: NodeId, depth: usize, budget: &mut Budget) -> Result<Value, Error> {
        let value = match self.node(id) {
            Node::None => Value::None,
            Node::Bool(bool) => Value::Bool(*bool),
            Node::Int(number) => Value::Int(*number),
            Node::Float(number) => Value::Float(*number),
            Node::BigInt(text) => Value::BigInt(text_of(text, budget)?),
            Node::Text(text) => Value::Str(text_of(text, budget)?),
            Node::Str(span) => {
                let text = std::str::from_utf8(span.of(&self.bytes)).map_err(|_| not_unicode())?;
                Value::Str(text_of(text, budget)?)
            }
            Node::NotUnicode => return Err(not_unicode()),
            Node::Bytes(span) => Value::Bytes(bytes_of(span.of(&self.bytes), budget)?),
            Node::Blob(bytes) => Value::Bytes(bytes_of(bytes, budget)?),
            Node::List(items) => Value::List(self.make_all(items, depth, budget)?),
            Node::Tuple(items) => Value::Tuple(self.make_all(items, depth, budget)?),
            Node::Set(items) => Value::Set(self.make_all(items, depth, budget)?),
            Node::Dict(items) => Value::Dict(self.make_pairs(items, depth, budget)?),
            Node::Object(opcode) => return Err(object(opcode)),
        };
        Ok(value)
    }

    fn make_all(
        &self,
        items: &[NodeId],
        depth: usize,
        budget: &mut Budget,
    ) -> Result<Vec<Value>, Error> {
        if depth == MAX_DEPTH {
            return Err(too_deep());
        }
        // Counted before anything is allocated for them.
        budget.take_values(items.len())?;
        items.iter().map(|&item| self.make(item, depth + 1, budget)).collect()
    }

    fn make_pairs(
        &self,
        items: &[NodeId],
        depth: usize,
        budget: &mut Budget,
    ) -> Result<Vec<(Value, Value)>, Error> {
        let mut values = self.make_all(items, depth, budget)?.into_iter();
        let pairs = std::iter::from_fn(|| Some((values.next()?, values.next()?)));
        Ok(pairs.collect())
    }

    /// The bytes of a byte string, or of a text.
    pub fn bytes_of(&self, id: NodeId) -> Option<&[u8]> {
        match self.node(id) {
            Node::Str(span) | Node::Bytes(span) => Some(span.of(&self.bytes)),
            Node::Text(text) => Some(text.as_bytes()),
            Node::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl fmt::Debug for Pickle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pickle")
            .field("bytes", &self.bytes.len())
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Node {
    /// Prints the kind, never the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bool(_) => "Bool",
            Self::Int(_) | Self::BigInt(_) => "Int",
            Self::Float(_) => "Float",
            Self::Str(_) | Self::Text(_) => "Str",
            Self::NotUnicode => "NotUnicode",
            Self::Bytes(_) | Self::Blob(_) => "Bytes",
            Self::List(_) => "List",
            Self::Tuple(_) => "Tuple",
            Self::Set(_) => "Set",
            Self::Dict(_) => "Dict",
            Self::Object(_) => "Object",
        })
    }
}

fn text_of(text: &str, budget: &mut Budget) -> Result<String, Error> {
    budget.take_text(text.len())?;
    Ok(text.to_owned())
}

fn bytes_of(bytes: &[u8], budget: &mut Budget) -> Result<Vec<u8>, Error> {
    budget.take_text(bytes.len())?;
    Ok(bytes.to_vec())
}
