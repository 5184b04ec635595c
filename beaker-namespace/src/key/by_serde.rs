//! Keys of values that are no more than `Serialize`.
//
// serde's data model as segments; what a value is called in Rust does not matter:
//
//   text, bytes, whole numbers, `bool`, `Option`     as in typed keys
//   a newtype                                        what is in it
//   everything else                                  a tuple that begins with the number of its kind:
//
//     SEQUENCE   the elements (also of tuples and tuple structs)
//     MAP        the entries, each a key and a value, in the order of the encoded keys (also the fields
//                of structs, whose keys are their names)
//     VARIANT    its name, and what is in it as a segment: nothing, a value, a sequence or a map
//     FLOAT      the bits, as of 64
//     CHARACTER  as a text
//     UNIT       nothing
//
// So two values of serde's data model have one key only if they are equal, but for the order of
// entries, and for numbers of different widths. A hash set is a sequence in an order of its own: the
// same set may have several keys, which costs a creation and serves nothing wrong.

use std::fmt;

use serde::ser::{self, Serialize};

use super::{
    BYTES, FALSE, INT, Key, KeyBuilder, MAX_DEPTH, NEGATIVE, NESTED, NONE, SOME, TEXT, TRUE, ToKey,
    WIDE, WIDE_NEGATIVE,
};
use crate::{Error, ErrorKind};

const SEQUENCE: u8 = 0;
const MAP: u8 = 1;
const VARIANT: u8 = 2;
const FLOAT: u8 = 3;
const CHARACTER: u8 = 4;
const UNIT: u8 = 5;

impl Key {
    /// Makes a key of what `value` is to serde, for types that are [`Serialize`] and not
    /// [`ToKey`].
    ///
    /// Different values have different keys, as with [`Key::new`]; maps and the fields of a struct
    /// in another order are the same. Names of types do not matter, those of fields and variants
    /// do, so a renamed field makes new keys. Floating-point numbers go by their bits: `0.0` is not
    /// `-0.0`. The values of a hash set come in an order of its own, so use a `BTreeSet`.
    ///
    /// It costs a few allocations; text and numbers by themselves are the keys that [`Key::new`]
    /// makes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if the value's own `Serialize` fails, as that of a path does which is not
    /// UTF-8, or if it is nested deeper than 60 levels.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_namespace::Key;
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct Query {
    ///     text: String,
    ///     tags: Vec<String>,
    /// }
    ///
    /// let query = |text: &str, tag: &str| Query { text: text.into(), tags: vec![tag.into()] };
    /// assert_eq!(Key::by_serde(&query("a", "bc"))?, Key::by_serde(&query("a", "bc"))?);
    /// assert_ne!(Key::by_serde(&query("a", "bc"))?, Key::by_serde(&query("ab", "c"))?);
    /// # Ok::<(), beaker_namespace::Error>(())
    /// ```
    pub fn by_serde<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let mut out = Vec::new();
        value.serialize(Writer { out: &mut out, depth: 0 }).map_err(|failed| {
            let detail = match failed {
                Failed::TooDeep => "it is nested too deep",
                // Its words may have the value in them.
                Failed::Value => "its `Serialize` refused",
            };
            Error::new(ErrorKind::Codec, "make a key by serde").with_detail(detail)
        })?;
        Ok(Segment(&out).to_key())
    }
}

/// An encoded segment.
struct Segment<'a>(&'a [u8]);

impl ToKey for Segment<'_> {
    fn write(&self, to: &mut KeyBuilder) {
        to.push(self.0);
    }
}

/// Why there is no key.
#[derive(Debug)]
enum Failed {
    Value,
    TooDeep,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no key")
    }
}

impl std::error::Error for Failed {}

impl ser::Error for Failed {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Value
    }
}

type Done = Result<(), Failed>;

/// Writes one segment.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl<'a> Writer<'a> {
    fn integer(self, tag: u8, bytes: &[u8]) -> Done {
        self.out.push(tag);
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn sized(self, tag: u8, bytes: &[u8]) -> Done {
        self.out.push(tag);
        push_length(self.out, bytes.len());
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// A tuple of this kind, to be filled.
    fn compound(self, kind: u8) -> Result<Compound<'a>, Failed> {
        // A variant is two levels, and those that read keys have a limit.
        if self.depth >= MAX_DEPTH / 2 - 4 {
            return Err(Failed::TooDeep);
        }
        let mut content = Vec::new();
        write_at(&mut content, self.depth, &kind)?;
        let entries = Vec::new();
        Ok(Compound { out: self.out, depth: self.depth + 1, content, entries, of: None })
    }

    /// The same within a variant.
    fn variant(self, name: &'static str, kind: u8) -> Result<Compound<'a>, Failed> {
        let depth = self.depth;
        let mut outer = self.compound(VARIANT)?;
        write_at(&mut outer.content, depth + 1, name)?;
        let mut content = Vec::new();
        write_at(&mut content, depth, &kind)?;
        outer.of = Some(std::mem::replace(&mut outer.content, content));
        Ok(outer)
    }
}

fn write_at<T: Serialize + ?Sized>(out: &mut Vec<u8>, depth: usize, value: &T) -> Done {
    value.serialize(Writer { out, depth })
}

fn push_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// A tuple that is being filled.
struct Compound<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
    content: Vec<u8>,
    /// The entries of a map: the key's segment, and the value's.
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// What stands before it in the variant of which it is the content.
    of: Option<Vec<u8>>,
}

impl Compound<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        write_at(&mut self.content, self.depth, value)
    }

    fn entry_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        let mut segment = Vec::new();
        write_at(&mut segment, self.depth, key)?;
        self.entries.push((segment, Vec::new()));
        Ok(())
    }

    fn entry_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        match self.entries.last_mut() {
            Some((_, segment)) => write_at(segment, self.depth, value),
            None => Err(Failed::Value),
        }
    }

    fn finish(mut self) -> Done {
        self.entries.sort_unstable();
        for (key, value) in &self.entries {
            self.content.extend_from_slice(key);
            self.content.extend_from_slice(value);
        }
        let Some(mut outer) = self.of else { return close(self.out, &self.content) };
        close(&mut outer, &self.content)?;
        close(self.out, &outer)
    }
}

fn close(out: &mut Vec<u8>, content: &[u8]) -> Done {
    Writer { out, depth: 0 }.sized(NESTED, content)
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    fn serialize_bool(self, value: bool) -> Done {
        self.integer(if value { TRUE } else { FALSE }, &[])
    }

    fn serialize_i8(self, value: i8) -> Done {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Done {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Done {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Done {
        self.integer(if value < 0 { NEGATIVE } else { INT }, &value.to_be_bytes())
    }

    fn serialize_i128(self, value: i128) -> Done {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.serialize_i64(value),
            (_, Ok(value)) => self.serialize_u64(value),
            _ => self.integer(if value < 0 { WIDE_NEGATIVE } else { WIDE }, &value.to_be_bytes()),
        }
    }

    fn serialize_u8(self, value: u8) -> Done {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Done {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Done {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Done {
        self.integer(INT, &value.to_be_bytes())
    }

    fn serialize_u128(self, value: u128) -> Done {
        match u64::try_from(value) {
            Ok(value) => self.serialize_u64(value),
            Err(_) => self.integer(WIDE, &value.to_be_bytes()),
        }
    }

    fn serialize_f32(self, value: f32) -> Done {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Done {
        let mut float = self.compound(FLOAT)?;
        float.element(&value.to_bits())?;
        float.finish()
    }

    fn serialize_char(self, value: char) -> Done {
        let mut character = self.compound(CHARACTER)?;
        character.element(value.encode_utf8(&mut [0; 4]))?;
        character.finish()
    }

    fn serialize_str(self, value: &str) -> Done {
        self.sized(TEXT, value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.sized(BYTES, value)
    }

    fn serialize_none(self) -> Done {
        self.integer(NONE, &[])
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        if self.depth >= MAX_DEPTH / 2 - 4 {
            return Err(Failed::TooDeep);
        }
        self.out.push(SOME);
        write_at(self.out, self.depth + 1, value)
    }

    fn serialize_unit(self) -> Done {
        self.compound(UNIT)?.finish()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Done {
        let mut variant = self.compound(VARIANT)?;
        variant.element(name)?;
        variant.finish()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Done {
        let mut variant = self.compound(VARIANT)?;
        variant.element(name)?;
        variant.element(value)?;
        variant.finish()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, Failed> {
        self.compound(SEQUENCE)
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'a>, Failed> {
        self.compound(SEQUENCE)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, Failed> {
        self.compound(SEQUENCE)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Failed> {
        self.variant(name, SEQUENCE)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>, Failed> {
        self.compound(MAP)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, Failed> {
        self.compound(MAP)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Failed> {
        self.variant(name, MAP)
    }
}

/// The traits of serde for what has elements.
macro_rules! elements {
    ($($kind:ident $method:ident),*) => {$(
        impl ser::$kind for Compound<'_> {
            type Ok = ();
            type Error = Failed;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                self.element(value)
            }

            fn end(self) -> Done {
                self.finish()
            }
        }
    )*};
}

elements!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

/// The same for what has fields with names.
macro_rules! fields {
    ($($kind:ident),*) => {$(
        impl ser::$kind for Compound<'_> {
            type Ok = ();
            type Error = Failed;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Done {
                self.entry_key(name)?;
                self.entry_value(value)
            }

            fn end(self) -> Done {
                self.finish()
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.entry_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.entry_value(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

#[cfg(test)]
mod tests;
