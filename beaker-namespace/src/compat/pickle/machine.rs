use std::collections::HashMap;

use super::input::Input;
use super::node::{Node, NodeId};
use super::{Budget, corrupt, text};
use crate::Error;

/// The highest protocol that is known.
const PROTOCOL: u8 = 5;

/// The stack machine that a pickle is written for, without the instructions that make objects.
pub(super) struct Machine<'a> {
    input: Input<'a>,
    budget: &'a mut Budget,
    nodes: Vec<Node>,
    stack: Vec<NodeId>,
    /// The lengths of the stack at which a `MARK` stands, from below.
    marks: Vec<usize>,
    memo: HashMap<u32, NodeId>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8], budget: &'a mut Budget) -> Self {
        Self {
            input: Input::new(bytes),
            budget,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs to the `STOP`; the nodes and which of them is the pickled value.
    pub(super) fn run(mut self) -> Result<(Vec<Node>, NodeId), Error> {
        loop {
            let opcode = self.input.byte()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return Ok((self.nodes, root));
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), Error> {
        match opcode {
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'I' | b'L' | b'J' | b'K' | b'M' | 0x8a | 0x8b => self.push_int(opcode),
            b'F' | b'G' => self.push_float(opcode),
            b'S' | b'V' | b'T' | b'U' => self.push_old_text(opcode),
            b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 => self.push_span(opcode),
            b']' | b'}' | b')' | 0x8f => self.push_empty(opcode),
            b'l' | b't' | b'd' | 0x91 => self.push_marked(opcode),
            0x85..=0x87 => self.push_tuple(usize::from(opcode - 0x84)),
            b'a' | b's' => self.add(if opcode == b'a' { 1 } else { 2 }),
            b'e' | b'u' | 0x90 => self.add_marked(opcode),
            b'(' | b'0' | b'1' | b'2' => self.arrange(opcode),
            b'p' | b'q' | b'r' | 0x94 => self.remember(opcode),
            b'g' | b'h' | b'j' => self.recall(opcode),
            0x80 => self.check_protocol(),
            // The frame only says how much to read ahead.
            0x95 => self.input.number(8).map(|_| ()),
            _ => self.note_object(opcode),
        }
    }

    fn fault(&self, what: &str) -> Error {
        corrupt(self.input.position(), what)
    }

    fn check_protocol(&mut self) -> Result<(), Error> {
        match self.input.byte()? {
            0..=PROTOCOL => Ok(()),
            _ => Err(self.fault("an unknown protocol")),
        }
    }

    fn push(&mut self, node: Node) -> Result<(), Error> {
        self.budget.take_node()?;
        // The budget counts nodes in 32 bits.
        self.stack.push(self.nodes.len() as NodeId);
        self.nodes.push(node);
        Ok(())
    }

    fn push_or(&mut self, node: Option<Node>, what: &str) -> Result<(), Error> {
        match node {
            Some(node) => self.push(node),
            None => Err(self.fault(what)),
        }
    }

    fn push_int(&mut self, opcode: u8) -> Result<(), Error> {
        let node = match opcode {
            b'I' => match self.input.line()? {
                b"00" => Some(Node::Bool(false)),
                b"01" => Some(Node::Bool(true)),
                line => text::parse_int(line),
            },
            b'L' => {
                let line = self.input.line()?;
                text::parse_int(line.strip_suffix(b"L").unwrap_or(line))
            }
            b'K' => text::int_from_le(&[self.input.byte()?, 0]),
            b'M' => Some(Node::Int(self.input.number(2)? as i64)),
            b'J' => text::int_from_le(self.input.take(4)?),
            _ => {
                let width = if opcode == 0x8a { 1 } else { 4 };
                let len = self.input.number(width)?;
                text::int_from_le(self.input.take(len)?)
            }
        };
        self.push_or(node, "no whole number, or one of more than 512 bytes")
    }

    fn push_float(&mut self, opcode: u8) -> Result<(), Error> {
        let node = match opcode {
            b'F' => text::parse_float(self.input.line()?),
            _ => Some(Node::Float(f64::from_bits(self.input.number(8)?.swap_bytes()))),
        };
        self.push_or(node, "no number")
    }

    /// The texts of protocol 0, and the byte strings of Python 2, which are texts if they are ASCII.
    fn push_old_text(&mut self, opcode: u8) -> Result<(), Error> {
        let node = match opcode {
            b'V' => text::unescape(self.input.line()?),
            b'S' => text::unquote(self.input.line()?).map(|bytes| old_string(&bytes)),
            _ => {
                let len = self.input.number(if opcode == b'U' { 1 } else { 4 })?;
                let bytes = self.input.take(len)?;
                Some(old_string(bytes))
            }
        };
        self.push_or(node, "no text")
    }

    fn push_span(&mut self, opcode: u8) -> Result<(), Error> {
        let width = match opcode {
            0x8c | b'C' => 1,
            b'X' | b'B' => 4,
            _ => 8,
        };
        let len = self.input.number(width)?;
        let span = self.input.span(len)?;
        let is_text = matches!(opcode, 0x8c | b'X' | 0x8d);
        self.push(if is_text { Node::Str(span) } else { Node::Bytes(span) })
    }

    fn push_empty(&mut self, opcode: u8) -> Result<(), Error> {
        self.push(container(opcode, Vec::new()))
    }

    fn push_marked(&mut self, opcode: u8) -> Result<(), Error> {
        let items = self.pop_to_mark()?;
        if opcode == b'd' && !items.len().is_multiple_of(2) {
            return Err(self.fault("a key without a value"));
        }
        self.push(container(opcode, items))
    }

    fn push_tuple(&mut self, len: usize) -> Result<(), Error> {
        let items = self.pop_many(len)?;
        self.push(Node::Tuple(items))
    }

    /// Adds the top `count` of the stack to the container below them.
    fn add(&mut self, count: usize) -> Result<(), Error> {
        let items = self.pop_many(count)?;
        let opcode = if count == 1 { b'e' } else { b'u' };
        self.add_items(opcode, &items)
    }

    fn add_marked(&mut self, opcode: u8) -> Result<(), Error> {
        let items = self.pop_to_mark()?;
        self.add_items(opcode, &items)
    }

    fn add_items(&mut self, opcode: u8, new: &[NodeId]) -> Result<(), Error> {
        let top = self.top()?;
        match (self.nodes.get_mut(top as usize), opcode) {
            (Some(Node::List(items)), b'e') | (Some(Node::Set(items)), 0x90) => items.extend(new),
            (Some(Node::Dict(items)), b'u') if new.len().is_multiple_of(2) => items.extend(new),
            // What a list or dictionary of a class of its own holds is not looked at.
            (Some(Node::Object(_)), _) => {}
            _ => return Err(self.fault("something is added to what cannot hold it")),
        }
        Ok(())
    }

    /// `MARK`, `POP`, `POP_MARK`, `DUP`.
    fn arrange(&mut self, opcode: u8) -> Result<(), Error> {
        match opcode {
            b'(' => {
                self.budget.take_node()?;
                self.marks.push(self.stack.len());
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_to_mark()?;
            }
            _ => {
                let top = self.top()?;
                self.stack.push(top);
            }
        }
        Ok(())
    }

    fn remember(&mut self, opcode: u8) -> Result<(), Error> {
        let at = match opcode {
            // As Python counts; the budget keeps it within 32 bits.
            0x94 => self.memo.len() as u32,
            _ => self.memo_place(opcode == b'p', opcode == b'q')?,
        };
        self.budget.take_node()?;
        let top = self.top()?;
        self.memo.insert(at, top);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), Error> {
        let at = self.memo_place(opcode == b'g', opcode == b'h')?;
        match self.memo.get(&at) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => Err(self.fault("something is recalled that was never kept")),
        }
    }

    fn memo_place(&mut self, as_line: bool, short: bool) -> Result<u32, Error> {
        if !as_line {
            return Ok(self.input.number(if short { 1 } else { 4 })? as u32);
        }
        match text::parse_int(self.input.line()?) {
            Some(Node::Int(at)) => u32::try_from(at).ok(),
            _ => None,
        }
        .ok_or_else(|| self.fault("no place to keep something"))
    }

    /// Carries out what an instruction that makes an object does to the stack, and no more.
    fn note_object(&mut self, opcode: u8) -> Result<(), Error> {
        let name = match opcode {
            b'c' => self.skip_lines(2, "GLOBAL"),
            b'P' => self.skip_lines(1, "PERSID"),
            b'i' => self.skip_lines(2, "INST").and_then(|name| self.unmark(name)),
            b'o' => self.unmark("OBJ"),
            b'Q' => self.discard(1, "BINPERSID"),
            b'R' => self.discard(2, "REDUCE"),
            0x81 => self.discard(2, "NEWOBJ"),
            0x93 => self.discard(2, "STACK_GLOBAL"),
            0x92 => self.discard(3, "NEWOBJ_EX"),
            0x82 => self.input.number(1).map(|_| "EXT1"),
            0x83 => self.input.number(2).map(|_| "EXT2"),
            0x84 => self.input.number(4).map(|_| "EXT4"),
            0x97 => Ok("NEXT_BUFFER"),
            b'b' => return self.replace(1, "BUILD"),
            0x98 => return self.replace(0, "READONLY_BUFFER"),
            _ => return Err(self.fault(&format!("an unknown instruction ({opcode:#04x})"))),
        }?;
        self.push(Node::Object(name))
    }

    fn skip_lines(&mut self, count: usize, name: &'static str) -> Result<&'static str, Error> {
        for _ in 0..count {
            self.input.line()?;
        }
        Ok(name)
    }

    fn discard(&mut self, count: usize, name: &'static str) -> Result<&'static str, Error> {
        self.pop_many(count).map(|_| name)
    }

    fn unmark(&mut self, name: &'static str) -> Result<&'static str, Error> {
        self.pop_to_mark().map(|_| name)
    }

    /// Makes an object of what is below the top `above`, for all that refers to it.
    fn replace(&mut self, above: usize, name: &'static str) -> Result<(), Error> {
        self.pop_many(above)?;
        let top = self.top()?;
        if let Some(node) = self.nodes.get_mut(top as usize) {
            *node = Node::Object(name);
        }
        Ok(())
    }

    fn top(&self) -> Result<NodeId, Error> {
        match self.stack.last() {
            Some(&top) if self.stack.len() > self.floor() => Ok(top),
            _ => Err(self.fault("nothing is on the stack")),
        }
    }

    fn pop(&mut self) -> Result<NodeId, Error> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<NodeId>, Error> {
        match self.stack.len().checked_sub(count) {
            Some(at) if at >= self.floor() => Ok(self.split_off(at)),
            _ => Err(self.fault("too little is on the stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<NodeId>, Error> {
        match self.marks.pop() {
            Some(at) => Ok(self.split_off(at)),
            None => Err(self.fault("no mark is on the stack")),
        }
    }

    /// Not [`Vec::split_off`], which may hand on the room of the whole stack.
    fn split_off(&mut self, at: usize) -> Vec<NodeId> {
        self.stack.drain(at..).collect()
    }

    /// Below the last mark nothing can be reached.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }
}

fn container(opcode: u8, items: Vec<NodeId>) -> Node {
    match opcode {
        b']' | b'l' => Node::List(items),
        b')' | b't' => Node::Tuple(items),
        b'}' | b'd' => Node::Dict(items),
        _ => Node::Set(items),
    }
}

fn old_string(bytes: &[u8]) -> Node {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Node::Text(text.into()),
        _ => Node::Blob(bytes.into()),
    }
}
