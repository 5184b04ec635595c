/// The text whose [`storage_key`](beaker_namespace::compat::storage_key) is `ascii`, as far as that
/// can be told: what looks like an escape of Beaker's becomes the character.
pub(super) fn unescape(ascii: &str) -> String {
    let mut text = String::with_capacity(ascii.len());
    let mut rest = ascii;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        match escape(rest) {
            Some((character, len)) => {
                text.push(character);
                rest = &rest[len..];
            }
            None => {
                text.push('\\');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// The character that `text` begins with the escape of, and the escape's length; only escapes that
/// Beaker would have written for that character.
fn escape(text: &str) -> Option<(char, usize)> {
    let (digits, range) = match text.as_bytes().get(1)? {
        b'x' => (2, 0x80..0x100),
        b'u' => (4, 0x100..0x1_0000),
        b'U' => (8, 0x1_0000..0x11_0000),
        _ => return None,
    };
    let code = text.get(2..2 + digits)?;
    if !code.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let code = u32::from_str_radix(code, 16).ok().filter(|code| range.contains(code))?;
    Some((char::from_u32(code)?, 2 + digits))
}

#[cfg(test)]
mod tests {
    use beaker_namespace::compat::storage_key;

    use super::*;

    #[test]
    fn a_text_comes_back_from_its_storage_key() {
        for text in ["", "plain", "naïve 🍪", "\u{80}\u{ff}\u{100}\u{ffff}\u{10000}", r"a\b", r"\"]
        {
            assert_eq!(unescape(&storage_key(text)), text);
        }
    }

    #[test]
    fn what_beaker_would_not_have_escaped_stays() {
        for text in [r"\x41", r"\xE9", r"\u00e9", r"\U0000e900", r"\ud83d", r"\x4", r"\xé", r"\\n"]
        {
            assert_eq!(unescape(text), text);
        }
    }

    // Beaker does not escape the backslash, so both are one key to it.
    #[test]
    fn an_escape_in_the_callers_own_key_is_taken_for_the_character() {
        assert_eq!(storage_key(r"\xe9"), storage_key("é"));
        assert_eq!(unescape(&storage_key(r"\xe9")), "é");
    }
}
