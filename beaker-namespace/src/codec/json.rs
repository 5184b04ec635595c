//! A value as JSON, where a text that is the whole value is copied as it is if it can be.
//
// The writer of serde_json looks at the bytes of a text one by one, for those that JSON writes in another way. What
// is written here is what it would write: a text with such bytes, and all that is no text, is left to it.

use serde::ser::{Serialize, Serializer};
use serde_json::Error;

use super::text;

/// Appends `value` to `bytes`.
pub(super) fn encode<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    value.serialize(Whole { bytes, writer: &mut None })
}

/// That of serde_json.
type Writer<'v> = serde_json::Serializer<&'v mut Vec<u8>>;

/// Where one whole value goes.
struct Whole<'w, 'v> {
    bytes: &'v mut Vec<u8>,
    /// What the writer is asked to begin borrows it, so it lies with the caller.
    writer: &'w mut Option<Writer<'v>>,
}

impl<'w, 'v> Whole<'w, 'v> {
    fn writer(self) -> &'w mut Writer<'v> {
        self.writer.insert(serde_json::Serializer::new(self.bytes))
    }
}

macro_rules! to_the_writer {
    ($($method:ident($($name:ident: $argument:ty),*) -> $made:ty;)*) => {$(
        fn $method(self, $($name: $argument),*) -> Result<$made, Error> {
            self.writer().$method($($name),*)
        }
    )*};
}

impl<'w, 'v> Serializer for Whole<'w, 'v> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = <&'w mut Writer<'v> as Serializer>::SerializeSeq;
    type SerializeTuple = <&'w mut Writer<'v> as Serializer>::SerializeTuple;
    type SerializeTupleStruct = <&'w mut Writer<'v> as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = <&'w mut Writer<'v> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <&'w mut Writer<'v> as Serializer>::SerializeMap;
    type SerializeStruct = <&'w mut Writer<'v> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <&'w mut Writer<'v> as Serializer>::SerializeStructVariant;

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        if !text::is_written_as_it_is(value.as_bytes()) {
            return self.writer().serialize_str(value);
        }
        self.bytes.reserve(value.len() + 2);
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'"');
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        number: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.writer().serialize_newtype_variant(name, number, variant, value)
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.writer().collect_str(value)
    }

    to_the_writer! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, number: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(len: usize) -> Self::SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(
            name: &'static str, number: u32, variant: &'static str, len: usize
        ) -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_struct_variant(
            name: &'static str, number: u32, variant: &'static str, len: usize
        ) -> Self::SerializeStructVariant;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Serialize)]
    enum Either {
        Plain,
        One(String),
        Two(u8, char),
        Named { text: &'static str },
    }

    #[derive(serde::Serialize)]
    struct Wrapped(String);

    #[derive(serde::Serialize)]
    struct Pair(u8, String);

    #[derive(serde::Serialize)]
    struct Nothing;

    /// Each of its numbers, told by the size that it asks for.
    struct Number<const BITS: u32>(u8);

    impl<const BITS: u32> Serialize for Number<BITS> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            match BITS {
                8 => to.serialize_i8(-1),
                16 => to.serialize_i16(-300),
                32 => to.serialize_f32(0.1),
                64 => to.serialize_f64(f64::from(self.0) / 0.0),
                _ => to.serialize_i128(i128::MIN),
            }
        }
    }

    #[track_caller]
    fn agree<T: Serialize>(value: T) {
        let mut ours = b"before ".to_vec();
        encode(&mut ours, &value).unwrap();
        let writers = serde_json::to_string(&value).unwrap();
        assert_eq!(String::from_utf8(ours).unwrap(), format!("before {writers}"));
    }

    #[test]
    fn a_value_is_written_as_the_writer_writes_it() {
        let long = "long ".repeat(200);
        for text in ["", "plain", "grün \u{1f600} \u{7f}", "a \"b\"", "\\", "\n\0\u{1f}", &long] {
            agree(text);
            agree(Some(Some(text)));
            agree(Wrapped(text.to_owned()));
            agree(Pair(7, text.to_owned()));
            agree(Either::One(text.to_owned()));
            agree(vec![text; 3]);
            agree(BTreeMap::from([(text, text)]));
            agree(serde_json::json!({ "text": text, "other": [text, null] }));
            agree(format_args!("shown {text}"));
        }
        agree(Either::Plain);
        agree(Either::Two(7, '"'));
        agree(Either::Named { text: "plain" });
        agree(('a', '\n', true, (), Nothing, None::<u8>));
        agree('"');
        agree(true);
        agree(());
        agree(Nothing);
        agree(None::<u8>);
        agree((1_u8, 2_u16, 3_u32, u64::MAX, u128::MAX, -1_i64, -1_i32));
        agree(u128::MAX);
        agree(u64::MAX);
        agree(7_u8);
        agree(7_u16);
        agree(7_u32);
        agree(-7_i32);
        agree(-7_i64);
        agree(Number::<8>(0));
        agree(Number::<16>(0));
        agree(Number::<32>(0));
        agree(Number::<64>(1));
        agree(Number::<128>(0));
        agree(std::path::Path::new("/a/b"));
        agree(std::net::Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn what_has_no_json_is_an_error_of_the_writer() {
        let error = encode(&mut Vec::new(), &BTreeMap::from([((1, 2), 3)])).unwrap_err();
        assert_eq!(error.to_string(), "key must be a string");
    }
}
