use std::fmt::Write as _;

/// Returns the ASCII text that Beaker's caches store `key` under.
///
/// Characters beyond ASCII become Python escapes with lower-case digits: `é` is `\xe9`, `中` is
/// `\u4e2d`, `🍪` is `\U0001f36a`. The backslash itself is not escaped, so `é` and the four
/// characters `\xe9` are one key.
///
/// A Python text may hold half of a surrogate pair; a Rust text cannot, so those keys cannot be
/// asked for from here.
///
/// # Examples
///
/// ```
/// use beaker_namespace::compat::storage_key;
///
/// assert_eq!(storage_key("naïve 🍪"), r"na\xefve \U0001f36a");
/// ```
#[doc(alias = "backslashreplace")]
pub fn storage_key(key: &str) -> String {
    let mut ascii = String::with_capacity(key.len());
    for character in key.chars() {
        let code = u32::from(character);
        // Writing to a `String` cannot fail.
        let _ = match code {
            0..0x80 => ascii.write_char(character),
            0x80..0x100 => write!(ascii, "\\x{code:02x}"),
            0x100..0x1_0000 => write!(ascii, "\\u{code:04x}"),
            _ => write!(ascii, "\\U{code:08x}"),
        };
    }
    ascii
}

/// Returns how Python writes a bytes object, `b'…'`.
pub(super) fn bytes_repr(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    let mut text = format!("b{}", char::from(quote));
    for &byte in bytes {
        // Writing to a `String` cannot fail.
        let _ = match byte {
            b'\t' => text.write_str("\\t"),
            b'\n' => text.write_str("\\n"),
            b'\r' => text.write_str("\\r"),
            _ if byte == quote || byte == b'\\' => write!(text, "\\{}", char::from(byte)),
            b' '..=b'~' => text.write_char(char::from(byte)),
            _ => write!(text, "\\x{byte:02x}"),
        };
    }
    text.push(char::from(quote));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_python_writes_them() {
        // The right-hand sides are what Python 3.11 prints for repr() of these bytes.
        for (bytes, repr) in [
            (&b""[..], r"b''"),
            (b"session", r"b'session'"),
            (br"\xa0", r"b'\\xa0'"),
            (b"a'b", r#"b"a'b""#),
            (b"a\"b", r#"b'a"b'"#),
            (b"a'b\"c", r#"b'a\'b"c'"#),
            (b"\t\n\r\0\x1f ~\x7f\x80\xff", r"b'\t\n\r\x00\x1f ~\x7f\x80\xff'"),
        ] {
            assert_eq!(bytes_repr(bytes), repr);
        }
    }
}
