//! Whether a value says that there is nothing, asked through its `Serialize`.
//
// A policy knows no types, so it cannot ask `Option::is_none`. But a value that any store can keep tells a
// serializer what it is, and its first word is enough: everything that is not `None` ends there.

use std::fmt;

use serde::ser::{Impossible, Serialize, Serializer};

/// Whether `value` is written as `None` is: an `Option` without a value, or what is written as one.
pub(crate) fn is_absent<T: Serialize>(value: &T) -> bool {
    value.serialize(Probe).is_ok()
}

/// Takes nothing but `None`.
struct Probe;

/// It is something.
#[derive(Debug)]
struct Present;

impl fmt::Display for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that is there")
    }
}

impl std::error::Error for Present {}

impl serde::ser::Error for Present {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

type Compound = Impossible<(), Present>;

macro_rules! present {
    ($($method:ident($($argument:ty),*) -> $returns:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$returns, Present> { Err(Present) })*
    };
}

impl Serializer for Probe {
    type Ok = ();
    type Error = Present;
    type SerializeSeq = Compound;
    type SerializeTuple = Compound;
    type SerializeTupleStruct = Compound;
    type SerializeTupleVariant = Compound;
    type SerializeMap = Compound;
    type SerializeStruct = Compound;
    type SerializeStructVariant = Compound;

    fn serialize_none(self) -> Result<(), Present> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Present> {
        Err(Present)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<(), Present> {
        Err(Present)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Present> {
        Err(Present)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), Present> {
        Err(Present)
    }

    present! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> Compound;
        serialize_tuple(usize) -> Compound;
        serialize_tuple_struct(&'static str, usize) -> Compound;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Compound;
        serialize_map(Option<usize>) -> Compound;
        serialize_struct(&'static str, usize) -> Compound;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Compound;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    #[serde(transparent)]
    struct Found(Option<u8>);

    #[derive(serde::Serialize)]
    struct Record {
        name: Option<u8>,
    }

    #[test]
    fn only_none_is_absent() {
        assert!(is_absent(&None::<String>));
        assert!(is_absent(&Box::new(None::<u8>)));
        assert!(is_absent(&Found(None)));
        assert!(
            !is_absent(&Some(())) && !is_absent(&Some(None::<u8>)) && !is_absent(&Found(Some(0)))
        );
        assert!(!is_absent(&()) && !is_absent(&"") && !is_absent(&0_u8) && !is_absent(&[0_u8; 0]));
        assert!(!is_absent(&Record { name: None }) && !is_absent(&(None::<u8>,)));
    }
}
