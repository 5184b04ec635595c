use std::io::{Read, Write};
use std::sync::Arc;

use beaker_namespace::base64::{STANDARD, b64decode, b64encode};
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use zeroize::Zeroizing;

use super::{BeakerData, Encryption, json, pickled};
use crate::{Entropy, Error, ErrorKind, SystemEntropy};

const READ: &str = "read Beaker's session";

/// In which form the data is inside the payload: Beaker's `data_serializer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[doc(alias = "data_serializer")]
pub enum Serializer {
    /// JSON, packed by zlib: `json`.
    #[default]
    Json,
    /// A pickle: `pickle`, Beaker's own default. It is read as plain data, a payload that holds any
    /// Python object is refused, and none is written.
    PickleReadOnly,
}

/// How much one payload may take.
///
/// Python's Beaker knows no limits. A session of its that is beyond these counts as damaged here, so under
/// [`CorruptPolicy::Fresh`](crate::CorruptPolicy::Fresh) a visitor with one begins anew: the first write gives the browser
/// a new session in the place of Python's. Where Python keeps larger ones, raise the limits first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct PayloadLimits {
    text_bytes: usize,
    inflated_bytes: usize,
    values: u32,
}

impl PayloadLimits {
    /// 512 KiB of text, 256 KiB inflated, and 10,000 values.
    pub const fn new() -> Self {
        Self { text_bytes: 512 << 10, inflated_bytes: 256 << 10, values: 10_000 }
    }

    /// The most bytes of the payload's text, as it is in the cookie or in the store. Default: 512
    /// KiB.
    pub const fn max_text_bytes(mut self, bytes: usize) -> Self {
        self.text_bytes = bytes;
        self
    }

    /// The most bytes of what is in it, decrypted and inflated. Default: 256 KiB. A cookie of 4
    /// KiB can inflate to 3 MiB.
    pub const fn max_inflated_bytes(mut self, bytes: usize) -> Self {
        self.inflated_bytes = bytes;
        self
    }

    /// The most values in it: texts, numbers, lists and all; a key counts as one too. Default:
    /// 10,000.
    pub const fn max_values(mut self, values: u32) -> Self {
        self.values = values;
        self
    }

    pub(super) fn text(self) -> usize {
        self.text_bytes
    }

    /// The most bytes of a pickle round the text.
    pub(super) fn max_pickle_bytes(self) -> u64 {
        u64::try_from(self.text_bytes)
            .unwrap_or(u64::MAX)
            .saturating_add(pickled::AROUND_BYTES as u64)
    }
}

impl Default for PayloadLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// Turns a session's data into the text that Beaker keeps, and back.
///
/// It is base64 of zlib-packed JSON, encrypted in between if there are keys. Beaker keeps the same
/// text in cookies, files, databases and caches.
///
/// # Examples
///
/// ```
/// use beaker_session::compat::{BeakerData, Encryption, PayloadCodec};
///
/// let codec = PayloadCodec::new().encryption(Encryption::new("encrypt key", "validate key")?);
/// let text = codec.encode(&BeakerData::from_iter([("user".to_owned(), "ada".into())]))?;
/// assert_eq!(codec.decode(&text)?.get("user"), Some(&"ada".into()));
/// # Ok::<(), beaker_session::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PayloadCodec {
    serializer: Serializer,
    encryption: Option<Encryption>,
    limits: PayloadLimits,
    entropy: Arc<dyn Entropy>,
}

impl PayloadCodec {
    /// JSON, not encrypted, within the default limits.
    pub fn new() -> Self {
        Self {
            serializer: Serializer::Json,
            encryption: None,
            limits: PayloadLimits::new(),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// Beaker's `data_serializer`. Default: [`Serializer::Json`].
    #[must_use]
    pub fn serializer(mut self, serializer: Serializer) -> Self {
        self.serializer = serializer;
        self
    }

    /// Encrypts, as Beaker does with an `encrypt_key`. Default: not.
    #[must_use]
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = Some(encryption);
        self
    }

    /// How much one payload may take, read or written. Default: [`PayloadLimits::new`].
    #[must_use]
    pub fn limits(mut self, limits: PayloadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Where nonces come from. Default: the operating system. Only for tests.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Returns the text.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) with a cipher or a serializer that is read only,
    /// [`TooLarge`](ErrorKind::TooLarge) beyond the limits, [`Codec`](ErrorKind::Codec) for values
    /// nested too deep, [`Entropy`](ErrorKind::Entropy) if there are no random bytes.
    pub fn encode(&self, data: &BeakerData) -> Result<String, Error> {
        if self.serializer != Serializer::Json {
            return Err(Error::new(ErrorKind::Config, "write Beaker's session").with_detail(
                "pickles are read only; set `data_serializer` to `json` in both programs",
            ));
        }
        let json = Zeroizing::new(json::to_python_json(data.as_map())?);
        // What could not be read back is not written either.
        if json.len() > self.limits.inflated_bytes {
            return Err(too_large("inflated", "max_inflated_bytes"));
        }
        json::check(json.as_bytes(), self.limits.values)?;
        let packed = deflate(json.as_bytes())?;
        let text = match &self.encryption {
            None => b64encode(packed, &STANDARD),
            Some(encryption) => encryption.seal(&*self.entropy, packed)?,
        };
        match text.len() > self.limits.text_bytes {
            true => Err(too_large("as text", "max_text_bytes")),
            false => Ok(text),
        }
    }

    /// Returns the data in `text`.
    ///
    /// Base64 must be in its one proper form, and nothing may follow the packed data: Beaker is
    /// more lenient, but never writes such a text.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if it is no payload, was changed, or belongs to other keys;
    /// [`Codec`](ErrorKind::Codec) if it holds what has no place in JSON (NaN, numbers of more
    /// than 64 bits, Python objects); [`TooLarge`](ErrorKind::TooLarge) beyond the limits.
    pub fn decode(&self, text: &str) -> Result<BeakerData, Error> {
        if text.len() > self.limits.text_bytes {
            return Err(too_large("as text", "max_text_bytes"));
        }
        let packed = match &self.encryption {
            Some(encryption) => encryption.open(text)?,
            None => Zeroizing::new(b64decode(text, &STANDARD).map_err(|error| {
                corrupt("it is not base64; is it encrypted?").with_source(error)
            })?),
        };
        let map = match self.serializer {
            Serializer::Json => {
                let json = inflate(&packed, self.limits.inflated_bytes, "max_inflated_bytes")?;
                json::parse(&json, self.limits.values)?
            }
            Serializer::PickleReadOnly => {
                pickled::parse(&packed, self.limits.inflated_bytes, self.limits.values)?
            }
        };
        Ok(BeakerData::from(map))
    }
}

impl Default for PayloadCodec {
    fn default() -> Self {
        Self::new()
    }
}

fn deflate(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    // The level that Python takes; a cookie is measured when it is packed.
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .map_err(|error| Error::new(ErrorKind::Codec, "write Beaker's session").with_source(error))
}

/// What is in `packed`: at most `most` bytes, which is the limit called `limit`.
pub(super) fn inflate(
    packed: &[u8],
    most: usize,
    limit: &str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut decoder = ZlibDecoder::new(packed);
    let mut bytes = Zeroizing::new(Vec::new());
    // One more than may be read, to see that there is more.
    let stop = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.by_ref().take(stop).read_to_end(&mut bytes);
    read.map_err(|error| {
        corrupt("it is not packed by zlib, or was cut short; is it encrypted with other keys?")
            .with_source(error)
    })?;
    if bytes.len() > most {
        return Err(too_large("inflated", limit));
    }
    match decoder.into_inner().is_empty() {
        true => Ok(bytes),
        false => Err(corrupt("something follows the packed data")),
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, READ).with_detail(what)
}

fn too_large(how: &str, limit: &str) -> Error {
    Error::new(ErrorKind::TooLarge, READ)
        .with_detail(format!("{how} it is larger than `PayloadLimits::{limit}`"))
}
