//! Keys as text for people: printed, and read back.

use std::fmt;

use super::{Key, KeyBuilder, ParseKeyError, Segment, ToKey};

/// Prints a whole key: a text of harmless characters bare, anything else as a segment.
pub(super) fn write_top(f: &mut fmt::Formatter<'_>, segment: &Segment<'_>) -> fmt::Result {
    match segment {
        Segment::Text(text) if is_bare(text) => f.write_str(text),
        _ => write_segment(f, segment),
    }
}

/// A text that needs no quotes: nothing in it is read as another kind of segment.
fn is_bare(text: &str) -> bool {
    let starts = text.chars().next().is_some_and(|c| c.is_alphabetic() || "_/.%@~".contains(c));
    let plain = |c: char| c.is_alphanumeric() || "_-./:@%+=~#?&".contains(c);
    starts && text.chars().all(plain) && !matches!(text, "true" | "false" | "none")
}

fn write_segment(f: &mut fmt::Formatter<'_>, segment: &Segment<'_>) -> fmt::Result {
    match segment {
        Segment::Text(text) => write!(f, "\"{}\"", text.escape_debug()),
        Segment::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
        Segment::Unsigned(value) => write!(f, "{value}"),
        Segment::Negative(value) => write!(f, "{value}"),
        Segment::Bool(value) => write!(f, "{value}"),
        Segment::None => f.write_str("none"),
        Segment::Some(inner) => {
            f.write_str("some ")?;
            write_segment(f, inner)
        }
        Segment::Tuple(segments) => {
            f.write_str("(")?;
            for (index, segment) in segments.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                write_segment(f, segment)?;
            }
            f.write_str(if segments.len() == 1 { ",)" } else { ")" })
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Key, ParseKeyError> {
    if is_bare(text) {
        return Ok(text.to_key());
    }
    let mut parser = Parser { text, position: 0 };
    let mut builder = KeyBuilder::default();
    parser.segment(&mut builder, super::MAX_DEPTH)?;
    parser.spaces();
    if parser.position < text.len() {
        return Err(parser.error("something follows the key"));
    }
    Ok(Encoded(builder.with_bytes(<[u8]>::to_vec)).to_key())
}

/// A segment that is already encoded.
struct Encoded(Vec<u8>);

impl ToKey for Encoded {
    fn write(&self, to: &mut KeyBuilder) {
        to.push(&self.0);
    }
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Parser<'a> {
    fn segment(&mut self, to: &mut KeyBuilder, depth: usize) -> Result<(), ParseKeyError> {
        let Some(depth) = depth.checked_sub(1) else { return Err(self.error("too deep")) };
        self.spaces();
        let rest = self.rest();
        if self.eat("b\"") {
            self.quoted(Ok)?.write(to);
        } else if self.eat("\"") {
            let text = self.quoted(|bytes| String::from_utf8(bytes).map_err(|_| "not UTF-8"))?;
            text.write(to);
        } else if self.eat("(") {
            self.tuple(to, depth)?;
        } else if self.eat("some ") {
            to.push(&[super::SOME]);
            self.segment(to, depth)?;
        } else if rest.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            self.integer(to)?;
        } else {
            self.word(to)?;
        }
        Ok(())
    }

    fn tuple(&mut self, to: &mut KeyBuilder, depth: usize) -> Result<(), ParseKeyError> {
        let mut inner = KeyBuilder::default();
        loop {
            self.spaces();
            if self.eat(")") {
                break;
            }
            self.segment(&mut inner, depth)?;
            self.spaces();
            if !self.eat(",") && !self.rest().starts_with(')') {
                return Err(self.error("`,` or `)` is missing"));
            }
        }
        to.push(&[super::NESTED]);
        to.push_len(inner.len);
        inner.with_bytes(|bytes| to.push(bytes));
        Ok(())
    }

    fn integer(&mut self, to: &mut KeyBuilder) -> Result<(), ParseKeyError> {
        let rest = self.rest();
        let end = rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
        let digits = &rest[..end];
        if let Ok(value) = digits.parse::<i128>() {
            value.write(to);
        } else if let Ok(value) = digits.parse::<u128>() {
            value.write(to);
        } else {
            return Err(self.error("a number that is no 128-bit integer"));
        }
        self.position += end;
        Ok(())
    }

    fn word(&mut self, to: &mut KeyBuilder) -> Result<(), ParseKeyError> {
        if self.eat("true") {
            true.write(to);
        } else if self.eat("false") {
            false.write(to);
        } else if self.eat("none") {
            None::<bool>.write(to);
        } else {
            return Err(self.error("no segment begins so"));
        }
        Ok(())
    }

    /// Reads up to the closing quote, undoing the escapes that `Display` writes.
    fn quoted<T>(
        &mut self,
        finish: impl FnOnce(Vec<u8>) -> Result<T, &'static str>,
    ) -> Result<T, ParseKeyError> {
        let mut bytes = Vec::new();
        loop {
            let Some(next) = self.rest().chars().next() else {
                return Err(self.error("the closing quote is missing"));
            };
            self.position += next.len_utf8();
            match next {
                '"' => return finish(bytes).map_err(|reason| self.error(reason)),
                '\\' => self.escape(&mut bytes)?,
                other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), ParseKeyError> {
        let Some(kind) = self.rest().chars().next() else {
            return Err(self.error("an escape is cut off"));
        };
        self.position += kind.len_utf8();
        match kind {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            '\\' | '"' | '\'' => bytes.push(kind as u8),
            'x' => bytes.push(self.hex(2)? as u8),
            'u' => {
                if !self.eat("{") {
                    return Err(self.error("`{` is missing"));
                }
                let digits = self.rest().find('}').unwrap_or(0);
                let code = self.hex(digits)?;
                self.position += 1;
                let Some(c) = char::from_u32(code) else {
                    return Err(self.error("no such character"));
                };
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(self.error("no such escape")),
        }
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<u32, ParseKeyError> {
        let value = self.rest().get(..digits).and_then(|text| u32::from_str_radix(text, 16).ok());
        self.position += digits;
        value.ok_or_else(|| self.error("no hexadecimal number"))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.position += if found { token.len() } else { 0 };
        found
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn error(&self, reason: &'static str) -> ParseKeyError {
        ParseKeyError { position: self.position.min(self.text.len()), reason }
    }
}
