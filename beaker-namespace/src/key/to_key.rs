//! Which Rust types are keys.

use std::borrow::Cow;
use std::sync::Arc;

use super::{
    BYTES, FALSE, INT, Key, KeyBuilder, NEGATIVE, NESTED, NONE, SOME, Segment, TEXT, TRUE, TUPLE,
    WIDE, WIDE_NEGATIVE,
};

/// A value that names an entry.
///
/// Implemented for text, byte slices, integers, `bool`, `Option`, references and smart pointers to
/// these, and tuples of up to eight. For a type of your own, delegate to a tuple of its fields.
///
/// # Examples
///
/// ```
/// use beaker_namespace::{Key, KeyBuilder, ToKey};
///
/// struct UserId(u64);
///
/// impl ToKey for UserId {
///     fn write(&self, to: &mut KeyBuilder) {
///         ("user", self.0).write(to);
///     }
/// }
///
/// assert_eq!(Key::new(&(UserId(7), "name")).to_string(), r#"(("user", 7), "name")"#);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key, nor a part of one",
    label = "not a key",
    note = "text, bytes, whole numbers, `bool`, `Option` and tuples of these are keys; for a type of \
            your own, implement `ToKey` by such a tuple",
    note = "an argument of a cached function can be left out by `skip(…)`, or `key = …` can say what \
            tells the calls apart"
)]
pub trait ToKey {
    /// Writes the value as one segment of a tuple.
    fn write(&self, to: &mut KeyBuilder);

    /// Encodes the value as a whole key.
    #[inline]
    fn to_key(&self) -> Key {
        let mut builder = KeyBuilder::default();
        self.write(&mut builder);
        match builder.first() {
            Some(TEXT | BYTES | NESTED) => builder.with_bytes(to_the_end),
            _ => builder.finish(),
        }
    }
}

/// A segment with a length, as a whole key: it ends with the key, so its length is not written.
fn to_the_end(encoded: &[u8]) -> Key {
    let mut rest = &encoded[1..];
    let content = super::take_sized(&mut rest).unwrap_or_default();
    whole(if encoded[0] == NESTED { TUPLE } else { encoded[0] }, content)
}

/// A value that can be read back from a key.
///
/// Implemented for owned text, `Vec<u8>`, integers, `bool`, `Option`, tuples of up to eight, and
/// [`Key`], which reads any segment: so a key that was put in a tuple with others comes back.
///
/// # Examples
///
/// ```
/// use beaker_namespace::{FromKey, Key};
///
/// let inner = Key::new(&("user", 7));
/// let outer = Key::new(&("tenant", &inner));
/// assert_eq!(<(String, Key)>::from_key(&outer), Some(("tenant".to_owned(), inner)));
/// ```
pub trait FromKey: Sized {
    /// The value that was encoded; `None` if the key is of another type.
    fn from_key(key: &Key) -> Option<Self>;
}

impl ToKey for str {
    fn write(&self, to: &mut KeyBuilder) {
        to.push(&[TEXT]);
        to.push_len(self.len());
        to.push(self.as_bytes());
    }

    #[inline]
    fn to_key(&self) -> Key {
        whole(TEXT, self.as_bytes())
    }
}

impl ToKey for [u8] {
    fn write(&self, to: &mut KeyBuilder) {
        to.push(&[BYTES]);
        to.push_len(self.len());
        to.push(self);
    }

    #[inline]
    fn to_key(&self) -> Key {
        whole(BYTES, self)
    }
}

#[inline(always)]
fn whole(tag: u8, bytes: &[u8]) -> Key {
    Key::short(tag, bytes).unwrap_or_else(|| whole_long(tag, bytes))
}

#[cold]
fn whole_long(tag: u8, bytes: &[u8]) -> Key {
    whole_of(tag, bytes)
}

/// As `whole`, made anew for each length that is known when it is compiled: a few shifts are left.
#[inline(always)]
fn whole_of(tag: u8, bytes: &[u8]) -> Key {
    let mut builder = KeyBuilder::default();
    builder.push(&[tag]);
    builder.push(bytes);
    builder.finish()
}

impl<const N: usize> ToKey for [u8; N] {
    fn write(&self, to: &mut KeyBuilder) {
        self[..].write(to);
    }

    fn to_key(&self) -> Key {
        whole_of(BYTES, self)
    }
}

impl ToKey for bool {
    fn write(&self, to: &mut KeyBuilder) {
        to.push(&[if *self { TRUE } else { FALSE }]);
    }
}

impl<T: ToKey> ToKey for Option<T> {
    fn write(&self, to: &mut KeyBuilder) {
        match self {
            None => to.push(&[NONE]),
            Some(value) => {
                to.push(&[SOME]);
                value.write(to);
            }
        }
    }
}

impl ToKey for Key {
    fn write(&self, to: &mut KeyBuilder) {
        let bytes = self.as_bytes();
        match bytes.first() {
            Some(&tag @ (TEXT | BYTES)) => {
                to.push(&[tag]);
                to.push_len(bytes.len() - 1);
                to.push(&bytes[1..]);
            }
            Some(&TUPLE) => {
                to.push(&[NESTED]);
                to.push_len(bytes.len() - 1);
                to.push(&bytes[1..]);
            }
            _ => to.push(bytes),
        }
    }

    #[inline]
    fn to_key(&self) -> Key {
        self.clone()
    }
}

macro_rules! forward {
    ($($(#[$generic:ident])? $type:ty),* $(,)?) => {$(
        impl$(<$generic: ToKey + ?Sized>)? ToKey for $type {
            fn write(&self, to: &mut KeyBuilder) {
                (**self).write(to);
            }

            #[inline]
            fn to_key(&self) -> Key {
                (**self).to_key()
            }
        }
    )*};
}

forward!(#[T] &T, #[T] Box<T>, #[T] Arc<T>, String, Vec<u8>, Cow<'_, str>);

/// What was decoded, encoded again in the one way that is right.
impl ToKey for Segment<'_> {
    fn write(&self, to: &mut KeyBuilder) {
        match self {
            Self::Text(text) => text.write(to),
            Self::Bytes(bytes) => bytes.write(to),
            Self::Unsigned(value) => value.write(to),
            Self::Negative(value) => value.write(to),
            Self::Bool(value) => value.write(to),
            Self::None => None::<bool>.write(to),
            Self::Some(inner) => {
                to.push(&[SOME]);
                inner.write(to);
            }
            Self::Tuple(segments) => {
                let mut inner = KeyBuilder::default();
                segments.iter().for_each(|segment| segment.write(&mut inner));
                to.push(&[NESTED]);
                to.push_len(inner.len);
                inner.with_bytes(|bytes| to.push(bytes));
            }
        }
    }
}

impl FromKey for Key {
    fn from_key(key: &Key) -> Option<Self> {
        Some(key.clone())
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl ToKey for $type {
            #[inline]
            fn write(&self, to: &mut KeyBuilder) {
                write_integer(to, i128::try_from(*self).map_err(|_| *self as u128));
            }
        }

        impl FromKey for $type {
            fn from_key(key: &Key) -> Option<Self> {
                FromSegment::from_segment(&Segment::parse_key(key.as_bytes())?)
            }
        }

        impl FromSegment for $type {
            fn from_segment(segment: &Segment<'_>) -> Option<Self> {
                match *segment {
                    Segment::Unsigned(value) => value.try_into().ok(),
                    Segment::Negative(value) => value.try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

/// Writes the value, or the one too large for `i128`.
#[inline]
fn write_integer(to: &mut KeyBuilder, value: Result<i128, u128>) {
    let value = match value {
        Ok(value) => value,
        Err(wide) => return write_wide(to, WIDE, wide.to_be_bytes()),
    };
    if let Ok(unsigned) = u64::try_from(value) {
        to.push(&[INT]);
        to.push(&unsigned.to_be_bytes());
    } else if let Ok(negative) = i64::try_from(value) {
        to.push(&[NEGATIVE]);
        to.push(&negative.to_be_bytes());
    } else {
        let tag = if value < 0 { WIDE_NEGATIVE } else { WIDE };
        write_wide(to, tag, value.to_be_bytes());
    }
}

fn write_wide(to: &mut KeyBuilder, tag: u8, bytes: [u8; 16]) {
    to.push(&[tag]);
    to.push(&bytes);
}

/// Reads one segment of a tuple.
trait FromSegment: Sized {
    fn from_segment(segment: &Segment<'_>) -> Option<Self>;
}

macro_rules! from_segment {
    ($($type:ty: $pattern:pat => $value:expr),* $(,)?) => {$(
        impl FromSegment for $type {
            fn from_segment(segment: &Segment<'_>) -> Option<Self> {
                match segment {
                    $pattern => $value,
                    _ => None,
                }
            }
        }

        impl FromKey for $type {
            fn from_key(key: &Key) -> Option<Self> {
                FromSegment::from_segment(&Segment::parse_key(key.as_bytes())?)
            }
        }
    )*};
}

from_segment! {
    String: Segment::Text(text) => Some((*text).to_owned()),
    Vec<u8>: Segment::Bytes(bytes) => Some(bytes.to_vec()),
    bool: Segment::Bool(value) => Some(*value),
}

impl<T: FromSegment> FromSegment for Option<T> {
    fn from_segment(segment: &Segment<'_>) -> Option<Self> {
        match segment {
            Segment::None => Some(None),
            Segment::Some(inner) => T::from_segment(inner).map(Some),
            _ => None,
        }
    }
}

/// Any key that was written as a segment comes back as it was.
impl FromSegment for Key {
    fn from_segment(segment: &Segment<'_>) -> Option<Self> {
        Some(segment.to_key())
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))+) => {$(
        impl<$($name: ToKey),+> ToKey for ($($name,)+) {
            fn write(&self, to: &mut KeyBuilder) {
                let mut inner = KeyBuilder::default();
                #[allow(non_snake_case, reason = "the macro names the fields by their types")]
                let ($($name,)+) = self;
                $($name.write(&mut inner);)+
                to.push(&[NESTED]);
                to.push_len(inner.len);
                inner.with_bytes(|bytes| to.push(bytes));
            }

            fn to_key(&self) -> Key {
                let mut builder = KeyBuilder::default();
                builder.push(&[TUPLE]);
                #[allow(non_snake_case, reason = "the macro names the fields by their types")]
                let ($($name,)+) = self;
                $($name.write(&mut builder);)+
                builder.finish()
            }
        }

        #[allow(private_bounds, reason = "the segments of a key are not public")]
        impl<$($name: FromSegment),+> FromKey for ($($name,)+) {
            fn from_key(key: &Key) -> Option<Self> {
                Self::from_segment(&Segment::parse_key(key.as_bytes())?)
            }
        }

        impl<$($name: FromSegment),+> FromSegment for ($($name,)+) {
            fn from_segment(segment: &Segment<'_>) -> Option<Self> {
                let Segment::Tuple(segments) = segment else { return None };
                let mut segments = segments.iter();
                let tuple = ($($name::from_segment(segments.next()?)?,)+);
                segments.next().is_none().then_some(tuple)
            }
        }
    )+};
}

tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
}
