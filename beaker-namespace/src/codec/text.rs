//! A JSON text that is read without the parser, as most values that are one text can be.
//
// The parser goes byte by byte to the end of a text, in twice as many instructions as it takes to see that no
// byte means anything else. What is answered here is what the parser would; what it would refuse, and what asks
// for bytes or for JSON as it is written, is left to it.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, IntoDeserializer, Visitor};

/// The value of `bytes`, if they are a text that is written as it is, and a `T` is made of a text.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    T::deserialize(PlainText(plain(bytes)?)).ok()
}

/// The text that `bytes` are in JSON, if it is written there as it is.
fn plain(bytes: &[u8]) -> Option<&str> {
    let text = bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if is_written_as_it_is(text) { std::str::from_utf8(text).ok() } else { None }
}

/// Whether no byte of `text` is written in another way in JSON.
pub(super) fn is_written_as_it_is(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    // Without an early end, so that many are compared at once.
    text.iter().fold(true, |all, byte| all & is_plain(byte))
}

/// Answers to what a type asks for as the parser of serde_json does where it meets a text.
#[derive(Debug, Clone, Copy)]
struct PlainText<'de>(&'de str);

/// It is left to the parser, which also says what is wrong with it.
#[derive(Debug)]
struct ToTheParser;

impl fmt::Display for ToTheParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a text")
    }
}

impl std::error::Error for ToTheParser {}

impl Error for ToTheParser {
    // The words would hold the text.
    fn custom<T: fmt::Display>(_unsaid: T) -> Self {
        Self
    }

    fn invalid_type(_: serde::de::Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Self
    }
}

macro_rules! a_text {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ToTheParser> {
            visitor.visit_borrowed_str(self.0)
        }
    )*};
}

macro_rules! to_the_parser {
    ($($method:ident($($argument:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, ToTheParser> {
            Err(ToTheParser)
        }
    )*};
}

impl<'de> Deserializer<'de> for PlainText<'de> {
    type Error = ToTheParser;

    a_text! {
        deserialize_any deserialize_str deserialize_string deserialize_char deserialize_identifier
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ToTheParser> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ToTheParser> {
        // By such a name serde_json's own types ask for JSON as it is written.
        if name.starts_with("$serde_json::") {
            return Err(ToTheParser);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ToTheParser> {
        let variant: StrDeserializer<'de, ToTheParser> = self.0.into_deserializer();
        visitor.visit_enum(variant)
    }

    to_the_parser! {
        deserialize_bool() deserialize_unit() deserialize_seq() deserialize_map()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64()
        deserialize_bytes() deserialize_byte_buf() deserialize_ignored_any()
        deserialize_unit_struct(&'static str)
        deserialize_tuple(usize)
        deserialize_tuple_struct(&'static str, usize)
        deserialize_struct(&'static str, &'static [&'static str])
    }
}

#[cfg(test)]
mod tests {
    use serde::de::Deserialize;

    use super::super::{Codec, CodecId};
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Either {
        Plain,
        Other(String),
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Wrapped(String);

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Nothing;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(untagged)]
    enum Any {
        Number(u32),
        Text(String),
    }

    /// What a visitor was shown, by what it had asked for.
    #[derive(Debug, PartialEq)]
    struct Shown<const ASKS: char>(String);

    impl<'de, const ASKS: char> Deserialize<'de> for Shown<ASKS> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            match ASKS {
                'n' => from.deserialize_u64(Self(String::new())),
                'b' => from.deserialize_bytes(Self(String::new())),
                'i' => from.deserialize_ignored_any(Self(String::new())),
                's' => from.deserialize_seq(Self(String::new())),
                _ => from.deserialize_any(Self(String::new())),
            }
        }
    }

    impl<'de, const ASKS: char> Visitor<'de> for Shown<ASKS> {
        type Value = Self;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self, E> {
            Ok(Self(format!("number {number}")))
        }

        fn visit_unit<E: Error>(self) -> Result<Self, E> {
            Ok(Self("nothing".to_owned()))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
            Ok(Self(format!("text {text}")))
        }

        fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self, E> {
            Ok(Self(format!("borrowed text {text}")))
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self, E> {
            Ok(Self(format!("bytes {bytes:?}")))
        }
    }

    const PLAIN: &[u8] = b"\"plain\"";

    #[track_caller]
    fn agree<T: DeserializeOwned + PartialEq + fmt::Debug>(json: &[u8]) {
        let parsers: Option<T> = serde_json::from_slice(json).ok();
        let ours: Option<T> = Codec::decode(CodecId::JSON, json).ok();
        assert_eq!(ours, parsers, "{}", json.escape_ascii());
    }

    #[test]
    fn a_text_is_whatever_the_parser_says_that_it_is() {
        let texts = [
            PLAIN,
            b"\"\"",
            b"\"Plain\"",
            b"\"c\"",
            "\"grün \u{1f600} \u{7f}\"".as_bytes(),
            br#""a \"quoted\" \\ \u00e9""#,
            br#""one" "two""#,
            br#""ends with a \""#,
            b"\"a\nb\"",
            b"\"a\0b\"",
            b"\"\xff\"",
            b"\"",
            b"plain",
            b" \"plain\" ",
            b"\"12\"",
            b"12",
            b"null",
        ];
        for text in texts {
            agree::<String>(text);
            agree::<Box<str>>(text);
            agree::<char>(text);
            agree::<u32>(text);
            agree::<bool>(text);
            agree::<()>(text);
            agree::<Nothing>(text);
            agree::<Option<String>>(text);
            agree::<Option<Option<Wrapped>>>(text);
            agree::<Vec<u8>>(text);
            agree::<(String,)>(text);
            agree::<std::collections::BTreeMap<String, String>>(text);
            agree::<Either>(text);
            agree::<Any>(text);
            agree::<Wrapped>(text);
            agree::<serde_json::Value>(text);
            agree::<std::path::PathBuf>(text);
            agree::<std::net::IpAddr>(text);
            agree::<Shown<'n'>>(text);
            agree::<Shown<'b'>>(text);
            agree::<Shown<'i'>>(text);
            agree::<Shown<'s'>>(text);
            agree::<Shown<'a'>>(text);
        }
    }

    #[test]
    fn what_is_a_text_is_read_here_and_nothing_else_is() {
        assert_eq!(decode(PLAIN), Some("plain".to_owned()));
        assert_eq!(decode(PLAIN), Some(Some(Wrapped("plain".to_owned()))));
        assert_eq!(decode(b"\"Plain\""), Some(Either::Plain));
        assert_eq!(decode::<Either>(b"\"Other\""), None);
        assert_eq!(decode::<u32>(b"\"12\""), None);
        for other in [&br#""\\""#[..], br#""a"b""#, b"\"\x1f\"", b"\"\xff\"", b"\"", b"\"a", b""] {
            assert_eq!(decode::<String>(other), None, "{}", other.escape_ascii());
        }
    }
}
