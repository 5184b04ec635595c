//! Values to bytes and back.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
#[cfg(feature = "json")]
use serde::de::value::StrDeserializer;

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
                serde_json::to_writer(&mut bytes, value)
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
            CodecId::JSON => decode_json(bytes),
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

#[cfg(feature = "json")]
fn decode_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // What is more than a text, or is written as one and asks JSON for something else, takes the whole way.
    if let Some(text) = plain_text(bytes)
        && let Ok(value) = T::deserialize(StrDeserializer::<serde::de::value::Error>::new(text))
    {
        return Ok(value);
    }
    serde_json::from_slice(bytes)
        .map_err(|error| failed("decode JSON").with_detail(place_of(&error)))
}

/// The text that `bytes` are in JSON, if it is written there as it is. The parser goes byte by byte to the end of
/// a text, in twice as many instructions as it takes to see that no byte means anything else.
#[cfg(feature = "json")]
fn plain_text(bytes: &[u8]) -> Option<&str> {
    let text = bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    // Without an early end, so that many are compared at once.
    let all_plain = text.iter().fold(true, |all, byte| all & is_plain(byte));
    if all_plain { std::str::from_utf8(text).ok() } else { None }
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

    /// What `bytes` are as a `T`, by the codec and by the parser alone.
    fn both_ways<T: DeserializeOwned>(bytes: &[u8]) -> [Option<T>; 2] {
        [Codec::decode(CodecId::JSON, bytes).ok(), serde_json::from_slice(bytes).ok()]
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Either {
        Plain,
        Other(String),
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Wrapped(String);

    #[test]
    fn a_text_is_whatever_the_parser_says_that_it_is() {
        let plain: &[u8] = b"\"plain\"";
        let texts = [
            plain,
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
        ];
        for text in texts {
            fn agree<T: DeserializeOwned + PartialEq + fmt::Debug>(text: &[u8]) {
                let [ours, parsers] = both_ways::<T>(text);
                assert_eq!(ours, parsers, "{}", text.escape_ascii());
            }
            agree::<String>(text);
            agree::<Box<str>>(text);
            agree::<char>(text);
            agree::<u32>(text);
            agree::<Option<String>>(text);
            agree::<Vec<u8>>(text);
            agree::<Either>(text);
            agree::<Wrapped>(text);
            agree::<serde_json::Value>(text);
        }
        assert_eq!(both_ways::<String>(plain), [Some("plain".into()), Some("plain".into())]);
        assert_eq!(both_ways::<Either>(b"\"Plain\""), [Some(Either::Plain), Some(Either::Plain)]);
    }

    #[test]
    fn only_a_text_without_escapes_is_read_as_it_is() {
        assert_eq!(plain_text(b"\"plain\""), Some("plain"));
        for other in [&br#""\\""#[..], br#""a"b""#, b"\"\x1f\"", b"\"\xff\"", b"\"", b"\"a", b""] {
            assert_eq!(plain_text(other), None, "{}", other.escape_ascii());
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
