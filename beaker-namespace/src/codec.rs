//! Values to bytes and back.

#[cfg(feature = "json")]
mod json;
#[cfg(feature = "json")]
mod text;

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Payload};

/// The codec that made stored bytes, as one byte in the envelope.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodecId(u8);

impl CodecId {
    /// Bytes as they are.
    pub const RAW: Self = Self(0);
    /// JSON text.
    pub const JSON: Self = Self(1);
    /// MessagePack.
    pub const MESSAGE_PACK: Self = Self(2);

    /// The number in the envelope.
    pub const fn as_u8(self) -> u8 {
        self.0
    }

    /// The codec with that number, known here or not.
    pub const fn from_u8(number: u8) -> Self {
        Self(number)
    }
}

impl fmt::Debug for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::RAW => f.write_str("raw"),
            Self::JSON => f.write_str("json"),
            Self::MESSAGE_PACK => f.write_str("msgpack"),
            Self(other) => write!(f, "codec {other}"),
        }
    }
}

/// How values become bytes. Reading follows what the bytes say, so a store may hold several kinds.
///
/// Both codecs refuse input nested deeper than 128 levels, so stored bytes cannot exhaust the
/// stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// JSON text: any program reads it. Needs the feature `json`.
    Json,
    /// MessagePack with field names: smaller and quicker. Needs the feature `msgpack`.
    MessagePack,
}

impl Default for Codec {
    /// JSON, or MessagePack where only that is compiled in.
    fn default() -> Self {
        if cfg!(feature = "json") || !cfg!(feature = "msgpack") {
            Self::Json
        } else {
            Self::MessagePack
        }
    }
}

/// Nesting of stored values that is read back.
#[cfg(feature = "msgpack")]
const MAX_DEPTH: usize = 128;

/// The bytes that an encoded value is given at first: few values grow beyond it.
#[cfg(feature = "json")]
const ROOM: usize = 512;

impl Codec {
    /// Encodes `value`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if the value has no such form, [`ErrorKind::Unsupported`] if the codec
    /// is not compiled in.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Payload, Error> {
        match self {
            #[cfg(feature = "json")]
            Self::Json => {
                let mut bytes = Vec::with_capacity(ROOM);
                json::encode(&mut bytes, value)
                    .map_err(|error| failed("encode as JSON").with_source(error))?;
                // Who keeps it keeps the room too.
                if bytes.len() < ROOM / 2 {
                    bytes.shrink_to_fit();
                }
                Ok(payload(CodecId::JSON, bytes))
            }
            #[cfg(feature = "msgpack")]
            Self::MessagePack => rmp_serde::to_vec_named(value)
                .map(|bytes| payload(CodecId::MESSAGE_PACK, bytes))
                .map_err(|error| failed("encode as MessagePack").with_source(error)),
            #[allow(unreachable_patterns, reason = "reached where a codec is not compiled in")]
            absent => {
                let _unused = value;
                Err(not_compiled_in(absent))
            }
        }
    }

    /// Decodes bytes that the codec `id` made.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if the bytes are of another type, [`ErrorKind::Unsupported`] if the
    /// codec is unknown or not compiled in.
    pub fn decode<T: DeserializeOwned>(id: CodecId, bytes: &[u8]) -> Result<T, Error> {
        match id {
            #[cfg(feature = "json")]
            CodecId::JSON => match text::decode(bytes) {
                Some(value) => Ok(value),
                None => serde_json::from_slice(bytes)
                    .map_err(|error| failed("decode JSON").with_detail(place_of(&error))),
            },
            #[cfg(feature = "msgpack")]
            CodecId::MESSAGE_PACK => decode_message_pack(bytes),
            other => {
                let _unused = bytes;
                Err(Error::new(ErrorKind::Unsupported, "decode a value").with_detail(format!(
                    "it was written with {other:?}, which is not compiled in or newer than this"
                )))
            }
        }
    }
}

#[allow(dead_code, reason = "used where a codec is compiled in")]
fn payload(codec: CodecId, bytes: Vec<u8>) -> Payload {
    Payload::Bytes { codec, bytes: Bytes::from(bytes) }
}

#[allow(dead_code, reason = "used where a codec is compiled in")]
fn failed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Codec, operation)
}

fn not_compiled_in(codec: Codec) -> Error {
    let feature = match codec {
        Codec::Json => "json",
        Codec::MessagePack => "msgpack",
    };
    Error::new(ErrorKind::Unsupported, "encode a value")
        .with_detail(format!("enable the feature `{feature}` of beaker-namespace"))
}

/// Where JSON stopped being the type. Its own message may quote the value, so it is left out.
#[cfg(feature = "json")]
fn place_of(error: &serde_json::Error) -> String {
    format!(
        "{:?} error at line {} column {}: it was written for another type",
        error.classify(),
        error.line(),
        error.column()
    )
}

#[cfg(feature = "msgpack")]
fn decode_message_pack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut rest = bytes;
    let mut decoder = rmp_serde::Deserializer::new(&mut rest);
    decoder.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut decoder)
        .map_err(|_| failed("decode MessagePack").with_detail("it was written for another type"))?;
    if !rest.is_empty() {
        return Err(failed("decode MessagePack").with_detail("something follows the value"));
    }
    Ok(value)
}

#[cfg(all(test, feature = "json", feature = "msgpack"))]
mod tests {
    use super::*;

    /// Whether bytes that nest `levels` deep are read back.
    fn reads(id: CodecId, levels: usize) -> bool {
        let bytes = match id {
            CodecId::JSON => [vec![b'['; levels], vec![b']'; levels]].concat(),
            _ => [vec![0x91; levels], vec![0x90]].concat(),
        };
        match Codec::decode::<serde_json::Value>(id, &bytes) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Codec);
                false
            }
        }
    }

    #[test]
    fn f47_both_codecs_read_100_levels_and_refuse_129() {
        for id in [CodecId::JSON, CodecId::MESSAGE_PACK] {
            let read: Vec<_> = [1, 100, 129, 1_000].map(|levels| reads(id, levels)).into();
            assert_eq!(read, [true, true, false, false], "{id:?}");
        }
    }

    /// The driver's own limit is eight times as deep, and its frames are larger than JSON's.
    #[test]
    fn f47_control_the_driver_alone_reads_what_the_codec_refuses() {
        let bytes = [vec![0x91; 500], vec![0x90]].concat();
        assert!(rmp_serde::from_slice::<serde_json::Value>(&bytes).is_ok());
        assert!(Codec::decode::<serde_json::Value>(CodecId::MESSAGE_PACK, &bytes).is_err());
    }
}
