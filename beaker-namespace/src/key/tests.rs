use proptest::prelude::*;

use super::*;

#[test]
fn different_shapes_are_different_keys() {
    let keys = [
        Key::new(&("a b", "c")),
        Key::new(&("a", "b c")),
        Key::new("a b c"),
        Key::new(&("a b c",)),
        Key::new(&("a", ("b", "c"))),
        Key::new(&(("a", "b"), "c")),
        Key::new(&("a", "b", "c")),
        Key::new(&1),
        Key::new("1"),
        Key::new(&-1),
        Key::new(&[1_u8]),
        Key::new(&true),
        Key::new(&Some(1)),
        Key::new(&None::<u8>),
        Key::new(&u128::MAX),
        Key::new(&i128::MIN),
        Key::new(""),
        Key::new(&b""[..]),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "key {index} equals an earlier one");
    }
}

#[test]
fn a_key_in_a_tuple_reads_back_whatever_it_is() {
    let keys = [
        Key::new("text"),
        Key::new(""),
        Key::new(&b"\xff"[..]),
        Key::new(&("a", "b")),
        Key::new(&("a",)),
        Key::new(&(("a", 1), "b")),
        Key::new(&-1),
        Key::new(&u128::MAX),
        Key::new(&Some(("a", 1))),
        Key::new(&None::<u8>),
        Key::new(&"long".repeat(100)),
    ];
    for key in keys {
        let outer = Key::new(&("prefix", 7, &key));
        assert_eq!(<(String, u64, Key)>::from_key(&outer), Some(("prefix".into(), 7, key)));
    }
}

#[test]
fn a_type_that_only_writes_a_text_is_the_text() {
    struct Name(&'static str);
    impl ToKey for Name {
        fn write(&self, to: &mut KeyBuilder) {
            self.0.write(to);
        }
    }
    assert_eq!(Key::new(&Name("ab")), Key::new("ab"));
    assert_ne!(Key::new(&Name("ab")), Key::new("\u{2}ab"));
}

#[test]
fn a_second_encoding_of_a_value_is_no_key() {
    let wide_one = [&[WIDE][..], &1_u128.to_be_bytes()].concat();
    let negative_one = [&[NEGATIVE][..], &1_i64.to_be_bytes()].concat();
    let long_length = [TUPLE, TEXT, 0x81, 0x00, b'a'];
    for bytes in [&wide_one[..], &negative_one, &long_length] {
        assert_eq!(Key::from_encoded(bytes), None);
    }
}

#[test]
fn every_length_is_kept_byte_for_byte() {
    for length in 0..80_u8 {
        let bytes: Vec<u8> = (1..=length).collect();
        let key = Key::new(&bytes[..]);
        assert_eq!(key.as_bytes()[0], BYTES);
        assert_eq!(&key.as_bytes()[1..], bytes);
        assert_eq!(Some(&key), Key::from_encoded(key.as_bytes()).as_ref());
        let longer = Key::new(&[&bytes[..], &[0]].concat()[..]);
        assert_ne!(key, longer, "a zero at the end counts");
        assert_eq!(key.words().is_some(), key.as_bytes().len() <= INLINE_BYTES);
        assert!(key.words().is_none() || key.words() != longer.words());
        let nested = Key::new(&(&bytes[..], "tail"));
        assert_eq!(Vec::<u8>::from_key(&key).as_ref(), Some(&bytes));
        assert_eq!(<(Vec<u8>, String)>::from_key(&nested), Some((bytes, "tail".to_owned())));
    }
}

#[test]
fn the_integer_type_does_not_matter() {
    assert_eq!(Key::new(&7_u8), Key::new(&7_i64));
    assert_eq!(Key::new(&-7_i8), Key::new(&-7_i128));
    assert_eq!(u16::from_key(&Key::new(&300_u64)), Some(300));
    assert_eq!(u8::from_key(&Key::new(&300_u64)), None);
}

#[test]
fn owned_and_borrowed_text_are_one_key() {
    assert_eq!(Key::new("long enough to be on the heap, surely"), {
        Key::new(&String::from("long enough to be on the heap, surely"))
    });
}

#[test]
fn a_text_prefix_is_a_prefix_of_the_bytes() {
    assert!(Key::new("abcdef").as_bytes().starts_with(Key::new("abc").as_bytes()));
    assert!(Key::new(&("a", 1)).as_bytes().starts_with(Key::new(&("a",)).as_bytes()));
}

#[test]
fn debug_does_not_print_the_key() {
    assert_eq!(format!("{:?}", Key::new("secret")), "Key(7 bytes)");
}

#[test]
fn bare_words_that_mean_something_else_are_quoted() {
    assert_eq!(Key::new("true").to_string(), "\"true\"");
    assert_eq!(Key::new("12").to_string(), "\"12\"");
    assert_eq!(Key::new("users/12").to_string(), "users/12");
}

#[test]
fn what_is_no_key_says_where() {
    for text in [
        "(1, 2",
        "\"open",
        "1 2",
        "(1 2)",
        "",
        "\"\\q\"",
        "99999999999999999999999999999999999999999",
    ] {
        assert!(Key::parse(text).is_err(), "{text}");
    }
    assert_eq!(
        Key::parse("(1 2)").unwrap_err().to_string(),
        "not a key: `,` or `)` is missing at byte 3; quote a text: \"…\""
    );
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(Key::parse(&deep).is_err());
    assert_eq!(Key::from_encoded(&[SOME; 10_000]), None);
}

type Tuple = (String, u64, Option<bool>, Vec<u8>, i64);

proptest! {
    #[test]
    fn a_key_reads_back(tuple: Tuple, text: String, number: i128) {
        prop_assert_eq!(Tuple::from_key(&Key::new(&tuple)), Some(tuple.clone()));
        prop_assert_eq!(String::from_key(&Key::new(&text)), Some(text));
        prop_assert_eq!(i128::from_key(&Key::new(&number)), Some(number));
    }

    #[test]
    fn a_printed_key_parses_back(tuple: Tuple, text: String) {
        for key in [Key::new(&tuple), Key::new(&text), Key::new(&(tuple, text.as_str()))] {
            prop_assert_eq!(Key::parse(&key.to_string()), Ok(key));
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
        if let Some(key) = Key::from_encoded(&bytes) {
            prop_assert_eq!(key.as_bytes(), &bytes[..]);
            let _printed = key.to_string();
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text: String) {
        let _outcome = Key::parse(&text);
    }
}
