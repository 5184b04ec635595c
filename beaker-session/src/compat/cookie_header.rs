// Which cookies a header holds is decided as Python's `http.cookies` does where that understands
// the header, and more kindly where it gives the whole header up:
//
// 1. Cookies are parted by `;` or by white space; white space may stand around the `=`.
// 2. A value in double quotes may hold both, if the quotes end where the value does.
// 3. What is no `name=value` is passed over. Python then forgets some or all of the other cookies.
// 4. Of several cookies with one name the last one counts, good or bad.

use super::{CookieSigner, Signed};

/// Returns the value of the cookie `name` in the value of a request's `Cookie` header, as it stands
/// there: with quotes, if it has any.
///
/// Names are compared exactly. A value that is not UTF-8 is none.
///
/// # Examples
///
/// ```
/// use beaker_session::compat::find_cookie;
///
/// assert_eq!(find_cookie(b"a=1; sid=\"x;y\"", "sid"), Some("\"x;y\""));
/// // A neighbour that Python cannot parse does not hide it.
/// assert_eq!(find_cookie(br#"j={"a":1}; sid=x"#, "sid"), Some("x"));
/// ```
pub fn find_cookie<'h>(header: &'h [u8], name: &str) -> Option<&'h str> {
    let last = find_cookies(header, name).last()?;
    std::str::from_utf8(last).ok()
}

/// The values of all cookies `name`, in their order.
pub(super) fn find_cookies<'h>(header: &'h [u8], name: &str) -> impl Iterator<Item = &'h [u8]> {
    let mut rest = header;
    let pairs = std::iter::from_fn(move || {
        let (pair, after) = next_pair(rest)?;
        rest = after;
        Some(pair)
    });
    pairs.flatten().filter(move |(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
}

/// Returns the session id in the value of a request's `Cookie` header.
///
/// With a signer the cookie must be signed, otherwise there is none. Without one it is taken as it
/// is, freed of quotes and escapes: anybody can then choose it, so it must not be adopted before a
/// session is found under it. An empty id is none, although Beaker adopts it.
pub fn session_id(header: &[u8], name: &str, signer: Option<&CookieSigner>) -> Option<String> {
    id_in(find_cookie(header, name)?, signer)
}

/// The id in a cookie's value.
pub(super) fn id_in(value: &str, signer: Option<&CookieSigner>) -> Option<String> {
    let id = match signer {
        Some(signer) => match signer.verify(value) {
            Signed::Value(id) => id.to_owned(),
            Signed::Invalid | Signed::Empty => return None,
        },
        None => unquote(value),
    };
    Some(id).filter(|id| !id.is_empty())
}

/// A name and a value.
type Pair<'h> = (&'h [u8], &'h [u8]);

/// The first cookie of `header`, or `None` within for what is none, and what comes after it.
fn next_pair(header: &[u8]) -> Option<(Option<Pair<'_>>, &[u8])> {
    let start = header.iter().position(|&byte| !is_separator(byte))?;
    let text = &header[start..];
    let len = text.iter().position(|&byte| byte == b'=' || is_separator(byte));
    let (key, rest) = text.split_at(len.unwrap_or(text.len()));
    let Some(value) = skip_spaces(rest).strip_prefix(b"=") else {
        return Some((None, rest));
    };
    let value = skip_spaces(value);
    let (value, rest) = value.split_at(value_len(value));
    Some((Some((key, value)), rest))
}

/// How long the value is that `text` begins with.
fn value_len(text: &[u8]) -> usize {
    let plain = || text.iter().position(|&byte| is_separator(byte)).unwrap_or(text.len());
    quoted_len(text).unwrap_or_else(plain)
}

/// How long the quoted text is that `text` begins with; `None` if there is no quote, none that
/// closes it, or something behind that.
fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut at = text.starts_with(b"\"").then_some(1)?;
    loop {
        match text.get(at)? {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    let len = at + 1;
    text.get(len).is_none_or(|&byte| is_separator(byte)).then_some(len)
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_space(byte));
    &text[start.unwrap_or(text.len())..]
}

fn is_separator(byte: u8) -> bool {
    byte == b';' || is_space(byte)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// What Python's `http.cookies` wrote as `value`: quotes come off, `\073` and `\"` become
/// characters.
fn unquote(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
    let Some(inner) = inner else { return value.to_owned() };
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (character, len) = escaped(rest);
        text.push(character);
        rest = &rest[len..];
    }
    text.push_str(rest);
    text
}

/// The character that `text` begins with, behind a backslash, and how long its notation is.
fn escaped(text: &str) -> (char, usize) {
    let octal =
        text.get(..3).filter(|digits| digits.bytes().all(|digit| matches!(digit, b'0'..=b'7')));
    // Up to \377, one byte, which is a character of Latin-1.
    match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
        Some(code) => (char::from(code), 3),
        None => {
            // With nothing behind it, the backslash is itself.
            text.chars().next().map_or(('\\', 0), |next| (next, next.len_utf8()))
        }
    }
}
