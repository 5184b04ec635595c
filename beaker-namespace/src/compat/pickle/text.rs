//! The notations of protocol 0: numbers and texts as lines.

use super::node::Node;

/// The most decimal digits of a whole number, and the most bytes of a binary one. Making digits
/// takes the square of their number.
const MAX_DIGITS: usize = 1_234;
pub(super) const MAX_INT_BYTES: usize = 512;

/// The whole number that `line` shows.
pub(super) fn parse_int(line: &[u8]) -> Option<Node> {
    let text = std::str::from_utf8(line).ok()?.trim_ascii();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let text = if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") };
    Some(text.parse().map_or_else(|_| Node::BigInt(text.into()), Node::Int))
}

/// The number that `bytes` are in two's complement, little-endian; none is zero.
pub(super) fn int_from_le(bytes: &[u8]) -> Option<Node> {
    if bytes.len() > MAX_INT_BYTES {
        return None;
    }
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    if bytes.len() <= 8 {
        let mut word = if negative { [0xff; 8] } else { [0; 8] };
        word[..bytes.len()].copy_from_slice(bytes);
        return Some(Node::Int(i64::from_le_bytes(word)));
    }
    let digits = decimal(magnitude(bytes, negative));
    let text = if negative { format!("-{digits}") } else { digits };
    Some(text.parse().map_or_else(|_| Node::BigInt(text.into()), Node::Int))
}

/// The number without its sign, as little-endian words.
fn magnitude(bytes: &[u8], negative: bool) -> Vec<u32> {
    let fill = if negative { 0xff } else { 0 };
    let mut carry = negative;
    let word = |chunk: &[u8]| {
        let mut word = [fill; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    };
    let negate = |word: u32| {
        let (negated, overflow) = (!word).overflowing_add(u32::from(carry));
        carry = overflow;
        negated
    };
    let words = bytes.chunks(4).map(word);
    let mut words: Vec<u32> = if negative { words.map(negate).collect() } else { words.collect() };
    // The negation of the lowest number overflows into one more word.
    if carry {
        words.push(1);
    }
    words
}

fn decimal(mut words: Vec<u32>) -> String {
    const CHUNK: u64 = 1_000_000_000;
    let mut chunks = Vec::new();
    while words.iter().any(|&word| word != 0) {
        let mut rest = 0;
        for word in words.iter_mut().rev() {
            let value = (rest << 32) | u64::from(*word);
            *word = (value / CHUNK) as u32;
            rest = value % CHUNK;
        }
        chunks.push(rest);
        while words.last() == Some(&0) {
            words.pop();
        }
    }
    let mut text = chunks.pop().unwrap_or_default().to_string();
    for chunk in chunks.iter().rev() {
        text.push_str(&format!("{chunk:09}"));
    }
    text
}

/// The number that `line` shows as Python writes a `float`.
pub(super) fn parse_float(line: &[u8]) -> Option<Node> {
    std::str::from_utf8(line).ok()?.trim_ascii().parse().ok().map(Node::Float)
}

/// The byte string that `line` shows in quotes, with Python's escapes.
pub(in crate::compat) fn unquote(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii();
    let (&quote, rest) = line.split_first()?;
    let (&end, inner) = rest.split_last()?;
    if end != quote || !matches!(quote, b'\'' | b'"') {
        return None;
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next()? {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'a' => bytes.push(7),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'v' => bytes.push(11),
            b'x' => bytes.push((hex(rest.next()?)? << 4) | hex(rest.next()?)?),
            digit @ b'0'..=b'7' => bytes.push(octal(digit, &mut rest)),
            other @ (b'\\' | b'\'' | b'"') => bytes.push(other),
            other => bytes.extend([b'\\', other]),
        }
    }
    Some(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Up to three octal digits, of which `first` is read.
fn octal(first: u8, rest: &mut (impl Iterator<Item = u8> + Clone)) -> u8 {
    let mut code = first - b'0';
    for _ in 0..2 {
        let Some(digit @ b'0'..=b'7') = rest.clone().next() else { break };
        rest.next();
        code = code.wrapping_mul(8).wrapping_add(digit - b'0');
    }
    code
}

/// The text of a `UNICODE` line: Latin-1 with `\uXXXX` and `\UXXXXXXXX` for everything else.
///
/// A text with half of a surrogate pair is [`Node::NotUnicode`].
pub(super) fn unescape(line: &[u8]) -> Option<Node> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = match after.first() {
            Some(b'u') if byte == b'\\' => 4,
            Some(b'U') if byte == b'\\' => 8,
            _ => 0,
        };
        if digits == 0 {
            text.push(char::from(byte));
            rest = after;
            // A backslash before a backslash is itself, and so is the second one.
            if let (b'\\', Some((b'\\', after))) = (byte, after.split_first()) {
                text.push('\\');
                rest = after;
            }
            continue;
        }
        let code = std::str::from_utf8(after.get(1..=digits)?).ok()?;
        let code = u32::from_str_radix(code, 16).ok()?;
        let Some(character) = char::from_u32(code) else {
            return (code <= 0x10_ffff).then_some(Node::NotUnicode);
        };
        text.push(character);
        rest = &after[1 + digits..];
    }
    Some(Node::Text(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: Option<Node>) -> String {
        match node {
            Some(Node::Int(number)) => number.to_string(),
            Some(Node::BigInt(text)) => format!("big {text}"),
            Some(Node::Text(text)) => text.into(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn binary_numbers_are_those_of_python() {
        // The right-hand sides are int.from_bytes(bytes, "little", signed=True) in Python 3.11.
        let ff = |len: usize| vec![0xff; len];
        assert_eq!(shown(int_from_le(&[])), "0");
        assert_eq!(shown(int_from_le(&[0xff, 0])), "255");
        assert_eq!(shown(int_from_le(&ff(8))), "-1");
        assert_eq!(shown(int_from_le(&ff(9))), "-1");
        assert_eq!(shown(int_from_le(&[ff(8), vec![0]].concat())), "big 18446744073709551615");
        let lowest = [vec![0; 11], vec![0x80]].concat();
        assert_eq!(shown(int_from_le(&lowest)), "big -39614081257132168796771975168");
        let ten_to_20 = [0, 0, 16, 99, 45, 94, 199, 107, 5];
        assert_eq!(shown(int_from_le(&ten_to_20)), "big 100000000000000000000");
        assert!(int_from_le(&[1; MAX_INT_BYTES + 1]).is_none());
    }

    #[test]
    fn numbers_in_lines_are_those_of_python() {
        assert_eq!(shown(parse_int(b"-0012")), "-12");
        assert_eq!(shown(parse_int(b"-0")), "0");
        assert_eq!(shown(parse_int(b"-9223372036854775808")), "-9223372036854775808");
        assert_eq!(shown(parse_int(b"9223372036854775808")), "big 9223372036854775808");
        for wrong in [&b""[..], b"-", b"1_0", b"0x1", b"1.0", "１".as_bytes()] {
            assert!(parse_int(wrong).is_none(), "{wrong:?}");
        }
        assert!(parse_int(&[b'1'; MAX_DIGITS + 1]).is_none());
    }

    #[test]
    fn escapes_are_those_of_python() {
        assert_eq!(unquote(br"'a\'\x41\101\n\q'"), Some(b"a'AA\n\\q".to_vec()));
        assert_eq!(unquote(br#""it's""#), Some(b"it's".to_vec()));
        for wrong in [&b""[..], b"'", b"'a", b"a", br"'\'", br"'\x4'"] {
            assert_eq!(unquote(wrong), None, "{wrong:?}");
        }
        assert_eq!(
            shown(unescape(b"a\\u4e2d\\U0001f36a\xe9\\u005c\\\\u4e2d")),
            "a中🍪é\\\\\\u4e2d"
        );
        assert_eq!(shown(unescape(br"\ud83d")), "Some(NotUnicode)");
        assert!(unescape(br"\u12").is_none() && unescape(br"\U00110000").is_none());
    }
}
