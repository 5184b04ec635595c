//! Base64: a payload has exactly one text, and everything else is refused.

use arbitrary::{Arbitrary, Unstructured};
use beaker_namespace::base64::{Alphabet, STANDARD, URL_SAFE, b64decode, b64encode};

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
struct Case<'a> {
    alphabet: Choice,
    bytes: &'a [u8],
}

#[derive(Debug, Arbitrary)]
enum Choice {
    Standard,
    UrlSafe,
    Own([u8; 2]),
}

/// Encodes the input and decodes it, as what it is and as what it is not.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let alphabet = match case.alphabet {
        Choice::Standard => STANDARD.clone(),
        Choice::UrlSafe => URL_SAFE.clone(),
        Choice::Own(altchars) => match Alphabet::with_altchars(altchars) {
            Ok(alphabet) => alphabet,
            Err(error) => return assert!(error.position() < 2),
        },
    };
    let text = b64encode(case.bytes, &alphabet);
    assert_eq!(text, encoded_by_hand(case.bytes, alphabet.altchars()));
    assert_eq!(b64decode(&text, &alphabet).as_deref(), Ok(case.bytes));
    match b64decode(case.bytes, &alphabet) {
        Ok(bytes) => assert_eq!(b64encode(bytes, &alphabet).as_bytes(), case.bytes),
        Err(error) => {
            assert!(error.position().is_none_or(|at| at < case.bytes.len()));
            assert!(!error.to_string().is_empty());
            assert_ne!(strict(case.bytes, alphabet.altchars()), Some(true), "{error}");
        }
    }
}

/// The plainest encoder there is.
fn encoded_by_hand(bytes: &[u8], altchars: [u8; 2]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = (group(0) << 16) | (group(1) << 8) | group(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { character(digit, altchars) } else { '=' });
        }
    }
    text
}

fn character(digit: u32, altchars: [u8; 2]) -> char {
    let digit = digit as u8;
    char::from(match digit {
        0..=25 => b'A' + digit,
        26..=51 => b'a' + digit - 26,
        52..=61 => b'0' + digit - 52,
        _ => altchars[usize::from(digit - 62)],
    })
}

/// Whether `text` is what an encoder writes; `None` where this short look cannot tell.
fn strict(text: &[u8], altchars: [u8; 2]) -> Option<bool> {
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || altchars.contains(byte);
    if !text.len().is_multiple_of(4) {
        return Some(false);
    }
    // Without padding every bit counts, so the characters alone decide.
    (!text.contains(&b'=')).then(|| text.iter().all(in_alphabet))
}
