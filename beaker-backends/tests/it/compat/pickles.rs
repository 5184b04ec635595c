//! Pickles of CPython and pickles that nobody should write.

use beaker_backends::compat::{Value, pickle as reader};
use beaker_namespace::ErrorKind;

use super::{pickle, pickles};

fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}

fn ints(numbers: &[i64]) -> Vec<Value> {
    numbers.iter().copied().map(Value::Int).collect()
}

/// The dictionary that the pickles called `plain` hold.
fn plain() -> Vec<(&'static str, Value)> {
    vec![
        ("none", Value::None),
        ("t", Value::Bool(true)),
        ("f", Value::Bool(false)),
        ("i", Value::Int(-3)),
        ("byte", Value::Int(200)),
        ("word", Value::Int(40_000)),
        ("int", Value::Int(-70_000)),
        ("big", Value::BigInt("1180591620717411303424".to_owned())),
        ("nbig", Value::BigInt("-1180591620717411303424".to_owned())),
        ("fl", Value::Float(1.5)),
        ("s", text("naïve 🍪")),
        ("by", Value::Bytes(vec![0, 0xff])),
        ("l", Value::List(vec![Value::Int(1), Value::List(ints(&[2, 3]))])),
        ("e", Value::List(vec![Value::List(vec![]), Value::Dict(vec![]), Value::Tuple(vec![])])),
        ("t1", Value::Tuple(ints(&[1]))),
        ("t2", Value::Tuple(ints(&[1, 2]))),
        ("t3", Value::Tuple(ints(&[1, 2, 3]))),
        ("t4", Value::Tuple(ints(&[1, 2, 3, 4]))),
        ("d", Value::Dict(vec![(Value::Int(1), text("x"))])),
    ]
}

#[test]
fn plain_data_is_the_same_in_every_protocol() {
    let made = pickles();
    let made = made["plain"].as_array().unwrap();
    assert_eq!(made.len(), 6);
    for (protocol, made) in made.iter().enumerate() {
        let Value::Dict(found) = reader::read(&pickle(made)).unwrap() else { panic!("no dict") };
        let expected: Vec<(Value, Value)> = plain()
            .into_iter()
            .filter(|(key, _)| protocol >= 3 || *key != "by")
            .map(|(key, value)| (text(key), value))
            .collect();
        // Compared one by one, since values are not printed.
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "protocol {protocol}: {:?}", expected.0.as_str());
        }
    }
}

#[test]
fn sets_byte_arrays_and_odd_floats_are_read() {
    let made = pickles();
    let read = |name: &str| reader::read(&pickle(&made[name])).unwrap();
    assert_eq!(read("sets"), Value::Tuple(vec![Value::Set(ints(&[1])), Value::Set(ints(&[2]))]));
    assert_eq!(read("bytearray"), Value::Bytes(b"ab".to_vec()));
    let floats = [f64::INFINITY, f64::NEG_INFINITY, -0.25, 1e300];
    assert_eq!(read("floats"), Value::List(floats.map(Value::Float).to_vec()));
}

#[test]
fn byte_strings_of_python_2_are_texts_if_they_are_ascii() {
    assert_eq!(reader::read(b"S'a\\x41'\np0\n.").unwrap(), text("aA"));
    assert_eq!(reader::read(b"U\x02ab.").unwrap(), text("ab"));
    assert_eq!(reader::read(b"T\x02\0\0\0a\xe9.").unwrap(), Value::Bytes(vec![b'a', 0xe9]));
    assert_eq!(reader::read(b"S'\\xe9'\n.").unwrap(), Value::Bytes(vec![0xe9]));
}

#[test]
fn every_object_of_python_is_refused_by_the_name_of_its_opcode() {
    let made = pickles();
    let made: Vec<Vec<u8>> = made["objects"].as_array().unwrap().iter().map(pickle).collect();
    let named = ["BUILD", "BUILD", "BUILD", "REDUCE", "REDUCE", "REDUCE", "REDUCE"];
    assert_eq!(made.len(), named.len());
    let by_hand: [(&[u8], &str); 15] = [
        (b"cos\nsystem\n.", "GLOBAL"),
        (b"\x8c\x02os\x8c\x06system\x93.", "STACK_GLOBAL"),
        (b"cos\nsystem\n(S'true'\ntR.", "REDUCE"),
        (b"(S'true'\nios\nsystem\n.", "INST"),
        (b"(cos\nsystem\nS'true'\no.", "OBJ"),
        (b"cm\nA\n)\x81.", "NEWOBJ"),
        (b"cm\nA\n)}\x92.", "NEWOBJ_EX"),
        (b"]}b.", "BUILD"),
        (b"Pid\n.", "PERSID"),
        (b"K\x01Q.", "BINPERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"\x83\x01\x00.", "EXT2"),
        (b"\x84\x01\0\0\0.", "EXT4"),
        (b"\x97.", "NEXT_BUFFER"),
        (b"\x97\x98.", "READONLY_BUFFER"),
    ];
    let made = made.iter().map(Vec::as_slice).zip(named).chain(by_hand);
    for (bytes, opcode) in made {
        let error = reader::read(bytes).expect_err(opcode);
        assert_eq!(error.kind(), ErrorKind::Codec, "{opcode}");
        assert_eq!(
            error.to_string(),
            format!(
                "cannot read a pickle: the record holds a Python object (opcode {opcode}), which \
                 is never built"
            )
        );
    }
}

#[test]
fn an_object_is_refused_wherever_it_is_hidden() {
    for hidden in [
        &b"](cm\nA\ne."[..],       // in a list
        b"}cm\nA\nK\x01s.",        // as a key
        b"]q\0h\0}b0h\0.",         // a list that is built later, by another reference
        b"(lp0\n(dp1\nb0g0\n.",    // the same in protocol 0
        b"]cm\nA\na(K\x01K\x02e.", // before what is added to it
    ] {
        assert_eq!(reader::read(hidden).unwrap_err().kind(), ErrorKind::Codec, "{hidden:?}");
    }
    // The control: an object that is thrown away is part of nothing.
    assert_eq!(reader::read(b"cm\nA\n0K\x07.").unwrap(), Value::Int(7));
}

#[test]
fn what_is_no_pickle_or_half_of_one_is_corrupt() {
    for bytes in [
        &b""[..],
        b"N",
        b".",
        b"]",
        b"\x80\x06N.",
        b"\xff.",
        b"(.",
        b"K",
        b"h\0.",
        b"g9\n.",
        b"e.",
        b"](K\x01u.",
        b"}(K\x01u.",
        b"(K\x01d.",
        b"K\x01K\x02a.",
        b"\x85.",
        b"(\x85.",
        b"0.",
        b"1.",
        b"2.",
        b"I1x\n.",
        b"Fx\n.",
        b"Sx\n.",
        b"Vx",
        b"L1",
        b"\x8b\xff\xff\xff\xff1.",
        b"X\xff\xff\xff\x7fa.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.",
        b"p-1\n.",
        b"q\0.",
    ] {
        assert_eq!(reader::read(bytes).unwrap_err().kind(), ErrorKind::Corrupt, "{bytes:?}");
    }
    let whole = pickle(&pickles()["plain"][4]);
    for end in 0..whole.len() {
        assert_eq!(reader::read(&whole[..end]).unwrap_err().kind(), ErrorKind::Corrupt, "{end}");
    }
}

#[test]
fn a_text_with_half_of_a_surrogate_pair_is_refused_as_no_unicode() {
    for bytes in [&b"\x8c\x03\xed\xa0\xbd."[..], b"V\\ud83d\n."] {
        let error = reader::read(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(error.to_string().contains("not Unicode"), "{error}");
    }
}

#[test]
fn what_contains_itself_is_too_deep() {
    let error = reader::read(&pickle(&pickles()["cycle"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("deeper than 128 levels, or contains itself"), "{error}");
}

#[test]
fn nesting_is_bounded_and_does_not_touch_the_stack() {
    let nested = |levels: usize| [vec![b']'; levels], vec![b'a'; levels - 1], vec![b'.']].concat();
    assert!(reader::read(&nested(128)).is_ok());
    assert_eq!(reader::read(&nested(129)).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(reader::read(&nested(200_000)).unwrap_err().kind(), ErrorKind::TooLarge);
    // Levels of tuples are made by another instruction.
    let tuples = [vec![b')'], vec![0x85; 200_000], vec![b'.']].concat();
    assert_eq!(reader::read(&tuples).unwrap_err().kind(), ErrorKind::TooLarge);
}

/// Ten references to what ten references are to, and so on: `levels` deep.
fn laughs(levels: u8) -> Vec<u8> {
    let mut bytes = b"\x80\x04]\x94K\x01a".to_vec();
    for level in 0..levels {
        bytes.extend(b"]\x94(");
        bytes.extend([b'h', level].repeat(10));
        bytes.push(b'e');
    }
    bytes.push(b'.');
    bytes
}

#[test]
fn references_do_not_multiply_without_limit() {
    assert!(laughs(20).len() < 500);
    let error = reader::read(&laughs(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        "cannot read a pickle: the records hold more than 4194304 values; raise the limit"
    );
    // The control: a few are what any pickle has.
    assert!(reader::read(&laughs(3)).is_ok());
}

#[test]
fn repeated_texts_do_not_multiply_without_limit() {
    let text = [&b"\x80\x04](B\xe8\x03\0\0"[..], &[0; 1_000], b"\x94"].concat();
    let repeated = |times: usize| [&text[..], &b"h\0".repeat(times), b"e."].concat();
    let limits = reader::Limits::new().max_bytes(100_000);
    let error = reader::read_within(&repeated(100), limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("more than 100000 bytes of texts"), "{error}");
    assert!(reader::read_within(&repeated(99), limits).is_ok());
}

#[test]
fn limits_can_be_set() {
    let limits = reader::Limits::new().max_values(3);
    assert!(reader::read_within(b"](K\x01K\x02e.", limits).is_err(), "the mark counts too");
    assert!(reader::read_within(b"]K\x01aK\x02a.", limits).is_ok());
    let few = reader::Limits::new().max_bytes(3);
    assert_eq!(reader::read_within(b"]K\x01a.", few).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(reader::read_within(b"K\x01.", few).unwrap(), Value::Int(1));
}

#[test]
fn a_value_is_serialized_as_what_it_is() {
    let bytes = pickle(&pickles()["plain"][2]);
    let json = serde_json::to_string(&reader::read(&bytes).unwrap()).unwrap();
    assert_eq!(
        json,
        "{\"none\":null,\"t\":true,\"f\":false,\"i\":-3,\"byte\":200,\"word\":40000,\
         \"int\":-70000,\"big\":\"1180591620717411303424\",\"nbig\":\"-1180591620717411303424\",\
         \"fl\":1.5,\"s\":\"naïve 🍪\",\"l\":[1,[2,3]],\"e\":[[],{},[]],\"t1\":[1],\"t2\":[1,2],\
         \"t3\":[1,2,3],\"t4\":[1,2,3,4],\"d\":{\"1\":\"x\"}}"
    );
}

#[test]
fn debug_prints_no_value() {
    let value = reader::read(b"}\x8c\x06secret\x8c\x06secrets.").unwrap();
    assert_eq!(format!("{value:?}"), "Dict(1 pairs)");
    assert_eq!(format!("{:?}", value.get("secret")), "Some(Str(6 bytes))");
}
