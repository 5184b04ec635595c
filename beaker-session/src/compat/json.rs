// JSON as Python's `json` module writes and reads it, as far as it has a meaning here.
//
// 1. Writing: `", "` and `": "` between the parts, ASCII only, numbers as Python's `repr`.
// 2. Reading is in two passes. The first only looks: how deep, how many values, and whether there
//    is something that this crate's values cannot hold. So the second can neither exhaust the
//    stack nor change a number in silence.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use crate::{Error, ErrorKind};

/// How deep the values of a session may be nested.
pub const MAX_DEPTH: usize = 100;

const READ: &str = "read Beaker's session";

/// Returns the JSON text that Python's `json.dumps` makes of `value`.
///
/// # Errors
///
/// [`Codec`](ErrorKind::Codec) if it is nothing that JSON has, such as a map with keys that are no
/// texts.
///
/// # Examples
///
/// ```
/// use beaker_session::compat::to_python_json;
///
/// let text = to_python_json(&serde_json::json!({"né": [1, 1e16, null]}))?;
/// assert_eq!(text, r#"{"n\u00e9": [1, 1e+16, null]}"#);
/// # Ok::<(), beaker_session::Error>(())
/// ```
pub fn to_python_json<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    let fail = || Error::new(ErrorKind::Codec, "write Beaker's session");
    let mut text = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut text, PythonFormatter))
        .map_err(|error| fail().with_source(error))?;
    // It is ASCII.
    String::from_utf8(text).map_err(|error| fail().with_source(error))
}

/// The first look alone: whether `text` is deeper, or has more values, than it may.
pub(super) fn check(text: &[u8], max_values: u32) -> Result<(), Error> {
    Scan { rest: text, depth: 0, left: max_values }.run()
}

/// The object in `text`, of at most `max_values` values.
pub(super) fn parse(text: &[u8], max_values: u32) -> Result<BTreeMap<String, Value>, Error> {
    check(text, max_values)?;
    // What serde_json says may quote the text.
    serde_json::from_slice(text).map_err(|_| {
        Error::new(ErrorKind::Corrupt, READ)
            .with_detail("it is no JSON object, or holds a text that is not Unicode")
    })
}

/// The first look at a JSON text. What is no JSON at all is left to the second.
struct Scan<'t> {
    rest: &'t [u8],
    depth: usize,
    left: u32,
}

impl Scan<'_> {
    fn run(mut self) -> Result<(), Error> {
        while let Some((&byte, after)) = self.rest.split_first() {
            let number = self.rest;
            self.rest = after;
            match byte {
                b'"' => self.rest = behind_text(after),
                b'{' | b'[' => self.deepen()?,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b',' | b':' => self.count()?,
                b'-' if after.starts_with(b"I") => return Err(no_number()),
                b'-' | b'0'..=b'9' => self.rest = behind_number(number)?,
                b'N' | b'I' => return Err(no_number()),
                _ => {}
            }
        }
        Ok(())
    }

    fn deepen(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new(ErrorKind::TooLarge, READ)
                .with_detail(format!("it is nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Error> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Error::new(ErrorKind::TooLarge, READ)
                .with_detail("it holds more values than `PayloadLimits::max_values`")
        })?;
        Ok(())
    }
}

/// What follows the number that `text` begins with.
fn behind_number(text: &[u8]) -> Result<&[u8], Error> {
    let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    let len = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let (number, rest) = text.split_at(len);
    let number = std::str::from_utf8(number).unwrap_or_default();
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_whole = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if is_whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
        return Err(unknown("a whole number of more than 64 bits"));
    }
    Ok(rest)
}

/// What follows the text that `rest` is the inside of.
fn behind_text(rest: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        match byte {
            b'"' => return &rest[at + 1..],
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    b""
}

fn no_number() -> Error {
    unknown("a number that is none (NaN or Infinity)")
}

fn unknown(what: &str) -> Error {
    Error::new(ErrorKind::Codec, READ).with_detail(format!(
        "it holds {what}, which would not come back as it was; let Python take it out of the session"
    ))
}

struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }

    fn write_f64<W: ?Sized + Write>(&mut self, to: &mut W, number: f64) -> io::Result<()> {
        to.write_all(python_float(number).as_bytes())
    }

    fn write_f32<W: ?Sized + Write>(&mut self, to: &mut W, number: f32) -> io::Result<()> {
        self.write_f64(to, number.into())
    }

    /// Everything but printable ASCII is escaped, as UTF-16.
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        for character in fragment.chars() {
            match character {
                ' '..='~' => to.write_all(&[character as u8])?,
                _ => {
                    for unit in character.encode_utf16(&mut units) {
                        write!(to, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The number as Python's `repr` shows it: the shortest that is read back as the same, with an
/// exponent below 0.0001 and from 10^16.
fn python_float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number == 0.0 || (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let mut text = digits.to_owned();
    // Writing to a `String` cannot fail.
    let _ = write!(text, "e{sign}{:02}", exponent.unsigned_abs());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        // The right-hand sides are what Python 3.11 prints for repr() of these numbers.
        for (number, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-844983.0, "-844983.0"),
            (123456789.125, "123456789.125"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (9999999999999998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.25e22, "1.25e+22"),
            (2e300, "2e+300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(python_float(number), text);
        }
    }
}
