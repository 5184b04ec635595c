//! URL-safe base64 without padding, in its one canonical form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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

/// As [`decode`], for exactly `N` bytes: without an allocation, and quicker than the engine, as most
/// requests need it.
pub(crate) fn decode_exact<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (quads, tail) = text.as_chunks::<4>();
    let (triples, rest) = bytes.as_chunks_mut::<3>();
    if quads.len() != triples.len() || tail.len() != [0, 2, 3][rest.len()] {
        return None;
    }
    let mut seen = 0;
    for (quad, triple) in quads.iter().zip(triples) {
        let word = word_of(*quad);
        seen |= word;
        triple.copy_from_slice(&word.to_be_bytes()[1..]);
    }
    let mut last = [b'A'; 4];
    last[..tail.len()].copy_from_slice(tail);
    let word = word_of(last);
    seen |= word;
    let word = word.to_be_bytes();
    let (kept, spare) = word[1..].split_at(rest.len());
    rest.copy_from_slice(kept);
    // The bits behind the last byte are zeros, or the text is another one for the same bytes.
    (seen & NONE == 0 && spare.iter().all(|byte| *byte == 0)).then_some(bytes)
}

/// The value of what is no character of the alphabet: above all that a character gives.
const NONE: u32 = 0xff00_0000;

/// The value of each character, for each place in four characters where it has to be.
static VALUES: [[u32; 256]; 4] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut values = [[NONE; 256]; 4];
    let mut at = 0;
    while at < alphabet.len() {
        let character = alphabet[at] as usize;
        values[0][character] = (at as u32) << 18;
        values[1][character] = (at as u32) << 12;
        values[2][character] = (at as u32) << 6;
        values[3][character] = at as u32;
        at += 1;
    }
    values
};

/// The 24 bits of four characters; [`NONE`] with them if one is outside of the alphabet.
#[inline(always)]
fn word_of(quad: [u8; 4]) -> u32 {
    let [a, b, c, d] = quad.map(usize::from);
    VALUES[0][a] | VALUES[1][b] | VALUES[2][c] | VALUES[3][d]
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
    fn what_is_read_is_what_the_engine_reads() {
        fn check<const N: usize>() {
            let good = encode(std::array::from_fn::<u8, N, _>(|at| (at * 37 + 11) as u8));
            for at in 0..good.len() {
                for byte in 0..=u8::MAX {
                    let mut text = good.clone().into_bytes();
                    text[at] = byte;
                    let read = decode_exact::<N>(&text).map(Vec::from);
                    assert_eq!(read, decode(&text), "byte {byte} at {at} of {N} bytes");
                }
            }
        }
        check::<1>();
        check::<2>();
        check::<3>();
        check::<16>();
        check::<32>();
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
