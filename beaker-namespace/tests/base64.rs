//! Base64 with an alternative alphabet: strict, and one text per payload.

use beaker_namespace::base64::{Alphabet, STANDARD, URL_SAFE, b64decode, b64encode};
use proptest::prelude::*;

#[test]
fn the_alternative_characters_stand_in_for_plus_and_slash() {
    let bytes = [0xfb, 0xff, 0xbf];
    assert_eq!(b64encode(bytes, &STANDARD), "+/+/");
    assert_eq!(b64encode(bytes, &URL_SAFE), "-_-_");
    let alphabet = Alphabet::with_altchars(*b"!~").unwrap();
    assert_eq!(b64encode(bytes, &alphabet), "!~!~");
    assert_eq!(b64decode("!~!~", &alphabet).unwrap(), bytes);
    assert_eq!(alphabet.altchars(), *b"!~");
}

#[test]
fn the_presets_are_the_alphabets_of_their_characters() {
    assert_eq!(Alphabet::with_altchars(*b"+/").unwrap(), STANDARD);
    assert_eq!(Alphabet::with_altchars(*b"-_").unwrap(), URL_SAFE);
    assert_ne!(STANDARD, URL_SAFE);
}

#[test]
fn an_ambiguous_alphabet_is_refused_with_the_character_at_fault() {
    for (altchars, position, message) in [
        (*b"a_", 0, "the first alternative character is in the alphabet already"),
        (*b"-7", 1, "the second alternative character is in the alphabet already"),
        (*b"=_", 0, "the first alternative character is the padding character"),
        (*b"--", 1, "the second alternative character is the same as the first"),
        (*b" _", 0, "the first alternative character is not a printable ASCII character"),
        ([b'-', 0xe9], 1, "the second alternative character is not a printable ASCII character"),
        ([0, b'_'], 0, "the first alternative character is not a printable ASCII character"),
    ] {
        let error = Alphabet::with_altchars(altchars).unwrap_err();
        assert_eq!((error.position(), error.to_string().as_str()), (position, message));
    }
}

#[test]
fn a_foreign_text_is_refused_with_the_place_and_without_the_data() {
    for (text, position, message) in [
        ("QUJ\n", Some(3), "byte 3 is not in the base64 alphabet"),
        ("-_8=", Some(0), "byte 0 is not in the base64 alphabet"),
        ("QQ==QQ==", Some(2), "byte 2 is base64 padding that does not belong there"),
        ("QUJD====", Some(4), "byte 4 is base64 padding that does not belong there"),
        ("QR==", Some(1), "byte 1, the last of the base64 text, has bits set that must be 0"),
        ("QUJDQ", None, "5 base64 characters end in the middle of a byte"),
        ("QQ", None, "the base64 padding is missing or incomplete"),
        ("QQ=", None, "the base64 padding is missing or incomplete"),
    ] {
        let error = b64decode(text, &STANDARD).unwrap_err();
        assert_eq!((error.position(), error.to_string().as_str()), (position, message), "{text:?}");
    }
}

#[test]
fn nothing_is_the_base64_of_nothing() {
    assert_eq!(b64encode([], &STANDARD), "");
    assert_eq!(b64decode("", &STANDARD).unwrap(), Vec::<u8>::new());
}

fn alphabets() -> impl Strategy<Value = Alphabet> {
    (b'!'..=b'~', b'!'..=b'~').prop_filter_map("not an alphabet", |(first, second)| {
        Alphabet::with_altchars([first, second]).ok()
    })
}

/// One change of a text: a byte put in, taken out or replaced.
fn mutated(text: &str, place: prop::sample::Index, byte: u8, how: u8) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let at = place.index(bytes.len() + 1);
    match how {
        0 => bytes.insert(at, byte),
        1 if at < bytes.len() => bytes[at] = byte,
        _ => bytes.truncate(at),
    }
    bytes
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(bytes: Vec<u8>, alphabet in alphabets()) {
        let text = b64encode(&bytes, &alphabet);
        prop_assert!(text.is_ascii());
        prop_assert_eq!(b64decode(&text, &alphabet).unwrap(), bytes);
    }

    // Beaker's decoder skips foreign characters, so many texts stand for one payload (D61).
    #[test]
    fn a_payload_has_one_text(
        bytes: Vec<u8>, alphabet in alphabets(), place: prop::sample::Index, byte: u8, how in 0..3_u8,
    ) {
        let text = b64encode(&bytes, &alphabet);
        let changed = mutated(&text, place, byte, how);
        prop_assume!(changed != text.as_bytes());
        if let Ok(decoded) = b64decode(&changed, &alphabet) {
            prop_assert_ne!(decoded, bytes);
        }
    }

    #[test]
    fn every_text_is_refused_or_is_what_would_be_written(text: Vec<u8>, alphabet in alphabets()) {
        if let Ok(decoded) = b64decode(&text, &alphabet) {
            prop_assert_eq!(b64encode(decoded, &alphabet).into_bytes(), text);
        }
    }

    // Texts made of the alphabet are accepted often, so that the rule above is really tried.
    #[test]
    fn a_likely_text_is_refused_or_is_what_would_be_written(text in "[A-Da-d0-3+/]{0,6}={0,3}") {
        if let Ok(decoded) = b64decode(&text, &STANDARD) {
            prop_assert_eq!(b64encode(decoded, &STANDARD), text);
        }
    }
}
