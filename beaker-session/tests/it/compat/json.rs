//! JSON as Python writes and reads it.

use std::fmt;

use beaker_namespace::base64::{STANDARD, b64encode};
use beaker_session::ErrorKind;
use beaker_session::compat::{MAX_DEPTH, PayloadCodec, PayloadLimits, to_python_json};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::{text, vectors};

/// A JSON value whose objects keep their order, as Python's do.
enum Ordered {
    Plain(Value),
    List(Vec<Ordered>),
    Map(Vec<(String, Ordered)>),
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(serializer),
            Self::List(items) => items.serialize(serializer),
            Self::Map(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Ordered;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Ordered, E> {
        Ok(Ordered::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Ordered, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Ordered::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Ordered, A::Error> {
        let mut map = Vec::new();
        while let Some(pair) = pairs.next_entry()? {
            map.push(pair);
        }
        Ok(Ordered::Map(map))
    }
}

/// The text again, parsed and written.
fn rewritten(json: &str) -> String {
    let value: Ordered = serde_json::from_str(json).expect("it is JSON");
    to_python_json(&value).expect("it is JSON")
}

// SES-19, UTIL-9.
#[test]
fn every_text_is_written_as_python_writes_it() {
    let serialized = vectors!("crypto").into_iter().filter(|v| v["kind"] == "json_serializer");
    let mut texts: Vec<String> =
        serialized.map(|vector| text(&vector["expect"], "json_text").to_owned()).collect();
    assert_eq!(texts.len(), 14);
    // Also what is inside of whole sessions, where it says.
    for vector in [vectors!("cookie_session_json"), vectors!("file_sessions")].concat() {
        let json = vector["detail"]["json_text"].as_str();
        let json =
            json.filter(|json| !json.contains(['N', 'I']) && vector["kind"] != "unusual_json");
        texts.extend(json.map(str::to_owned));
    }
    assert!(texts.len() > 40, "{}", texts.len());
    for json in texts {
        assert_eq!(rewritten(&json), json);
    }
}

// SES-19.
#[test]
fn every_packed_text_is_read_and_written() {
    for vector in vectors!("crypto") {
        if vector["kind"] != "json_serializer" {
            continue;
        }
        let (input, expect) = (&vector["input"], &vector["expect"]);
        let codec = PayloadCodec::new();
        let read = codec.decode(text(expect, "zlib_b64")).unwrap();
        assert_eq!(read, super::data(&input["data"]), "{}", vector["id"]);
        let again = codec.encode(&read).unwrap();
        assert_eq!(codec.decode(&again).unwrap(), read);
    }
}

/// The payload that holds `json`, packed by zlib without compression.
pub(super) fn packed(json: &str) -> String {
    let mut bytes = vec![0x78, 0x01];
    let mut chunks = json.as_bytes().chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        bytes.push(u8::from(chunks.peek().is_none()));
        bytes.extend((chunk.len() as u16).to_le_bytes());
        bytes.extend((!(chunk.len() as u16)).to_le_bytes());
        bytes.extend(chunk);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for &byte in json.as_bytes() {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    bytes.extend(((b << 16) | a).to_be_bytes());
    b64encode(bytes, &STANDARD)
}

fn read(json: &str) -> Result<Value, ErrorKind> {
    let data = PayloadCodec::new().decode(&packed(json)).map_err(|error| error.kind())?;
    Ok(Value::Object(data.into_map().into_iter().collect()))
}

#[test]
fn what_would_not_come_back_as_it_was_is_refused_and_not_changed() {
    for json in [
        r#"{"x": NaN}"#,
        r#"{"x": [Infinity]}"#,
        r#"{"x": -Infinity}"#,
        r#"{"x": 18446744073709551616}"#,
        r#"{"x": -9223372036854775809}"#,
    ] {
        assert_eq!(read(json), Err(ErrorKind::Codec), "{json}");
    }
    for json in [r#"{"x": "\ud83d"}"#, "[]", "1", "", "{", r#"{"a":1}x"#] {
        assert_eq!(read(json), Err(ErrorKind::Corrupt), "{json}");
    }
    // The control: the largest numbers, names of numbers in texts, a quote behind a backslash.
    let json = r#"{"a": 18446744073709551615, "b": -9223372036854775808, "c": "NaN, Infinity", "d\\\"": "-"}"#;
    assert_eq!(read(json).unwrap(), serde_json::from_str::<Value>(json).unwrap());
}

#[test]
fn a_number_comes_back_as_the_same_number() {
    // serde_json's quick way of reading gives a neighbour of these.
    for json in [r#"{"x": 1896503276.806864}"#, r#"{"x": 0.1}"#, r#"{"x": 122.416294033786585}"#] {
        let number: f64 = json[6..json.len() - 1].parse().unwrap();
        assert_eq!(read(json).unwrap()["x"].as_f64(), Some(number));
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth| format!("{}{}", r#"{"a":"#.repeat(depth) + "1", "}".repeat(depth));
    assert!(read(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(read(&nested(MAX_DEPTH + 1)), Err(ErrorKind::TooLarge));
    assert_eq!(read(&nested(40_000)), Err(ErrorKind::TooLarge));
    let mut value = Value::Null;
    for _ in 0..MAX_DEPTH {
        value = Value::Array(vec![value]);
    }
    let data = [("a".to_owned(), value)].into_iter().collect();
    assert_eq!(PayloadCodec::new().encode(&data).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn the_number_of_values_is_bounded() {
    let json = |count: usize| format!(r#"{{"a": [{}]}}"#, vec!["1"; count].join(","));
    let limits = PayloadLimits::new().max_values(100);
    let codec = PayloadCodec::new().limits(limits);
    assert!(codec.decode(&packed(&json(100))).is_ok());
    assert_eq!(codec.decode(&packed(&json(101))).unwrap_err().kind(), ErrorKind::TooLarge);
}
