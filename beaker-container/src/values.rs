//! Between a typed value and what a store keeps.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use beaker_namespace::{
    Capabilities, Capability, Codec, CodecId, Entry, Error as StoreError,
    ErrorKind as StoreErrorKind, Payload,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::absent::is_absent;

/// How values of type `V` become payloads and come back.
///
/// The two functions are chosen where `V` is known to be serializable, so that a cache of objects
/// that are not can be had too.
pub(crate) struct Values<V> {
    encode: fn(Codec, &V) -> Result<Payload, StoreError>,
    decode: fn(CodecId, &[u8]) -> Result<V, StoreError>,
    to_object: fn(&V) -> Object,
    /// If the objects are not simply of type `V`.
    from_object: Option<fn(&Object) -> Option<V>>,
    /// Whether a value says that there is nothing, where that is known.
    is_absent: fn(&V) -> bool,
    codec: Codec,
}

type Object = Arc<dyn Any + Send + Sync>;

impl<V> Clone for Values<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Values<V> {}

impl<V> fmt::Debug for Values<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl<V> Values<V> {
    /// Values that any store can keep.
    pub(crate) fn encoded(codec: Codec) -> Self
    where
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        let encode = |codec: Codec, value: &V| codec.encode(value);
        Self { encode, decode: Codec::decode, is_absent: is_absent::<V>, codec, ..Self::objects() }
    }

    /// Values that only a store of live objects can keep.
    pub(crate) fn objects() -> Self
    where
        V: Clone + Send + Sync + 'static,
    {
        Self {
            encode: |_, _| Err(no_bytes()),
            decode: |_, _| Err(no_bytes()),
            to_object: |value| Arc::new(value.clone()),
            from_object: None,
            is_absent: |_| false,
            codec: Codec::default(),
        }
    }

    pub(crate) fn with_absent(mut self, is_absent: fn(&V) -> bool) -> Self {
        self.is_absent = is_absent;
        self
    }

    /// Whether `value` says that there is nothing.
    pub(crate) fn is_absent(&self, value: &V) -> bool {
        (self.is_absent)(value)
    }

    pub(crate) fn with_codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }
}

impl<T: Any + Send + Sync> Values<Arc<T>> {
    /// Values that a store of live objects keeps as they are, without an `Arc` of its own around.
    pub(crate) fn shared() -> Self {
        Self {
            to_object: |value| Arc::clone(value) as Object,
            from_object: Some(shared),
            ..Self::objects()
        }
    }
}

/// The other end of `Arc::clone(value) as Object`.
fn shared<T: Any + Send + Sync>(object: &Object) -> Option<Arc<T>> {
    match is_surely::<T>(object) {
        true => Arc::clone(object).downcast().ok(),
        false => shared_after_all(object),
    }
}

#[inline(always)]
fn own<T: Any + Clone + Send + Sync>(object: &Object) -> Option<T> {
    match is_surely::<T>(object) {
        true => object.downcast_ref::<T>().cloned(),
        false => own_after_all(object),
    }
}

#[cold]
fn shared_after_all<T: Any + Send + Sync>(object: &Object) -> Option<Arc<T>> {
    Arc::clone(object).downcast().ok()
}

#[cold]
fn own_after_all<T: Any + Clone + Send + Sync>(object: &Object) -> Option<T> {
    object.downcast_ref::<T>().cloned()
}

/// Whether it can be seen without a call that the object is a `T`: it has the table of functions that a
/// `T` has here. It may be one if not, since a type can have several such tables.
///
/// Where it is so the compiler knows the table, and so what the `downcast` that follows would find out by
/// a call through it.
#[inline(always)]
pub(crate) fn is_surely<T: Any + Send + Sync>(object: &Object) -> bool {
    let object: *const (dyn Any + Send + Sync) = &**object;
    let with_the_table_of_t: *const (dyn Any + Send + Sync) = object.cast::<T>();
    std::ptr::eq(object, with_the_table_of_t)
}

fn no_bytes() -> StoreError {
    StoreError::unsupported("keep a value without a codec", Capability::Objects)
}

/// What an entry holds for a reader of `V`.
pub(crate) enum Decoded<V> {
    Value(V),
    /// Written for another type, or with a codec that is not here: to be made anew.
    Foreign,
}

impl<V: Clone + Send + Sync + 'static> Values<V> {
    pub(crate) fn payload(&self, value: &V, store: Capabilities) -> Result<Payload, Error> {
        if store.has(Capability::Objects) {
            return Ok(Payload::Object((self.to_object)(value)));
        }
        Ok((self.encode)(self.codec, value)?)
    }

    /// The value of a live object, if it is one of this type.
    #[inline(always)]
    pub(crate) fn of_object(&self, object: &Object) -> Option<V> {
        match self.from_object {
            None => own(object),
            Some(from_object) => from_object(object),
        }
    }

    pub(crate) fn value(&self, entry: &Entry) -> Result<Decoded<V>, Error> {
        match entry.payload() {
            Payload::Object(object) => match self.of_object(object) {
                Some(value) => Ok(Decoded::Value(value)),
                None => Err(Error::wrong_type(type_name::<V>())),
            },
            Payload::Bytes { codec, bytes } => self.decoded(*codec, bytes),
        }
    }

    fn decoded(&self, codec: CodecId, bytes: &[u8]) -> Result<Decoded<V>, Error> {
        match (self.decode)(codec, bytes) {
            Ok(value) => Ok(Decoded::Value(value)),
            // A changed type or codec is a clean miss: the next creation replaces the entry.
            Err(error) if error.kind() == StoreErrorKind::Codec => Ok(Decoded::Foreign),
            Err(error) => Err(error.into()),
        }
    }
}
