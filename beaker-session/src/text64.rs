//! URL-safe base64 without padding, in its one canonical form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The longest fixed form that is read, with room for what the decoder estimates too much.
const ROOM_BYTES: usize = 64;

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn encode_into(bytes: impl AsRef<[u8]>, text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// The bytes of `text`, or `None` if it is not the form that [`encode`] gives.
///
/// Padding, other alphabets and trailing bits that are not zero are refused by the engine.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// As [`decode`], for exactly `N` bytes and without an allocation.
pub(crate) fn decode_exact<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut room = [0; ROOM_BYTES];
    if text.len() != N.div_ceil(3) * 4 - (3 - N % 3) % 3 || N > ROOM_BYTES - 4 {
        return None;
    }
    let written = URL_SAFE_NO_PAD.decode_slice(text, &mut room).ok()?;
    room[..written].try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_is_read_back_and_no_other_is() {
        assert_eq!(decode_exact::<16>(encode([7; 16]).as_bytes()), Some([7; 16]));
        assert_eq!(decode_exact::<24>(encode([8; 24]).as_bytes()), Some([8; 24]));
        assert_eq!(decode_exact::<32>(encode([9; 32]).as_bytes()), Some([9; 32]));
        assert_eq!(decode_exact::<3>(b"AAAA"), Some([0; 3]));
        assert_eq!(decode_exact::<16>(encode([7; 15]).as_bytes()), None);
        assert_eq!(decode_exact::<16>(encode([7; 17]).as_bytes()), None);
    }

    #[test]
    fn trailing_bits_padding_and_the_other_alphabet_are_refused() {
        let text = encode([0xff; 16]);
        assert!(text.ends_with("_w"));
        for bad in ["_x", "/w", "+w", "w="] {
            let spoiled = format!("{}{bad}", &text[..20]);
            assert_eq!(decode_exact::<16>(spoiled.as_bytes()), None, "{bad}");
        }
    }
}
