//! The proxy that keeps values encrypted.

use beaker_namespace::{Capability, CodecId, Entry, Error, ErrorKind, Key, Namespace, Payload};
use bytes::Bytes;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};

use super::key_ring::KeyRing;
use super::mapped::{Mapped, Mapping, Reason};

// The stored payload, version 1:
//
//      0   2  BE C1: no text, JSON or MessagePack value begins so
//      2   1  version
//      3   4  number of the key, little-endian
//      7  24  nonce, random for each write
//     31      the value, encrypted
//    end  16  Poly1305 tag
//
// Bound in besides: see `associated`.

const MAGIC: [u8; 2] = [0xbe, 0xc1];
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const NONCE_AT: usize = 7;
const VALUE_AT: usize = NONCE_AT + NONCE_BYTES;
const TAG_BYTES: usize = 16;

/// A namespace that keeps values secret, and finds every change to them.
///
/// Values are encrypted with XChaCha20-Poly1305 under the active key of a [`KeyRing`], with a random
/// nonce for each write. Bound in are the namespace's name, the key, the codec, when the entry
/// began, expires and dies, its cost, its tags and its entity tag. So somebody who can write to the
/// store cannot forge a value, move one to another key or namespace, give one a longer life, or take
/// a tag from it.
///
/// What does not decrypt is gone for the reader and counted as corrupt;
/// [`inspect`](Namespace::inspect) says whether its key is unknown here or its seal is wrong. It is
/// not dropped, since another reader may have the key. It takes bytes, not live objects; 47 bytes
/// are added to each. A listing decrypts what it lists.
///
/// # Warning
///
/// Not hidden: keys, the lengths of values, their times, costs, codecs, tags and entity tags,
/// [marks](Namespace::mark) and their names, the number of the encryption key, and which keys are written and read when. To hide the keys of
/// entries, use a keyed hash of what they say as the key.
///
/// Not prevented: somebody who can write to the store can remove an entry or a mark, can make a mark,
/// and can put back an older entry of the same key (its own times still end it). Two namespaces of one name with one
/// key ring are the same to it, wherever they are stored: use names or keys of their own.
///
/// Not refused: another key ring on the same namespace. Neither reads what the other wrote, and each replaces it, so
/// two programs with rings that do not know each other's keys make every value again and again. Each read that meets
/// such a value adds to [`corrupt`](beaker_namespace::Stats::corrupt): watch that, and ask
/// [`inspect`](Namespace::inspect), which names the number of the key that is lacking.
///
/// The inner namespace must return times to the microsecond, as the suite of `testkit` demands.
///
/// # Examples
///
/// ```
/// use beaker_backends::proxy::{Encrypted, KeyRing};
/// use beaker_namespace::{Entry, FileConfig, FileNamespace, Key, Namespace, Payload};
///
/// # let dir = tempfile::tempdir()?;
/// # let secret = [7; 32];
/// let file = FileNamespace::open("people", FileConfig::new(dir.path()))?;
/// let people = Encrypted::new(file, KeyRing::new(1, &secret)?);
/// people.set(&Key::new(&7), Entry::new(Payload::raw("Ada"), people.clock().now()))?;
/// assert!(people.get(&Key::new(&7))?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Encrypted<N> {
    mapped: Mapped<N, Encryption>,
}

impl<N: Namespace> Encrypted<N> {
    /// Values in `inner` are encrypted with `keys`.
    pub fn new(inner: N, keys: KeyRing) -> Self {
        // The keys are in the id: a flight must not hand a value to who lacks the key for it.
        let kind = format!("encrypted-{:016x}", keys.fingerprint());
        Self { mapped: Mapped::new(&kind, inner, Encryption { keys }) }
    }

    /// The namespace that holds the encrypted values.
    pub const fn inner(&self) -> &N {
        &self.mapped.inner
    }
}

namespace_by_mapped!(Encrypted);

#[derive(Debug)]
struct Encryption {
    keys: KeyRing,
}

impl Mapping for Encryption {
    fn close(&self, name: &str, key: &Key, entry: Entry) -> Result<Entry, Error> {
        let Payload::Bytes { codec, bytes } = entry.payload() else {
            return Err(Error::unsupported("encrypt an entry", Capability::Objects));
        };
        let (codec, bytes) = (*codec, self.seal(name, key, &entry, *codec, bytes)?.into());
        Ok(entry.with_payload(Payload::Bytes { codec, bytes }))
    }

    fn open(&self, name: &str, key: &Key, entry: Entry) -> Result<Entry, Reason> {
        let Payload::Bytes { codec, bytes } = entry.payload() else {
            return Err("it is a live object, not encrypted bytes".into());
        };
        let (codec, bytes) = (*codec, self.unseal(name, key, &entry, *codec, bytes)?);
        Ok(entry.with_payload(Payload::Bytes { codec, bytes }))
    }
}

impl Encryption {
    fn seal(
        &self,
        name: &str,
        key: &Key,
        entry: &Entry,
        codec: CodecId,
        value: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let (id, secret) = self.keys.active();
        let mut nonce = XNonce::default();
        getrandom::fill(&mut nonce).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "draw a random nonce").with_source(error)
        })?;
        let mut out = Vec::with_capacity(VALUE_AT + value.len() + TAG_BYTES);
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(value);
        let bound = associated(id, name, key, entry, codec);
        let tag = XChaCha20Poly1305::new(secret.into())
            .encrypt_inout_detached(&nonce, &bound, (&mut out[VALUE_AT..]).into())
            .map_err(|_| {
                Error::new(ErrorKind::TooLarge, "encrypt an entry")
                    .with_detail("a value may have at most 256 GiB")
            })?;
        out.extend_from_slice(&tag);
        Ok(out)
    }

    fn unseal(
        &self,
        name: &str,
        key: &Key,
        entry: &Entry,
        codec: CodecId,
        stored: &[u8],
    ) -> Result<Bytes, Reason> {
        let sealed = Sealed::cut(stored)?;
        let secret = self.keys.find(sealed.id).ok_or_else(|| {
            Reason::from(format!("its key, number {}, is not in the key ring", sealed.id))
        })?;
        let bound = associated(sealed.id, name, key, entry, codec);
        let mut value = sealed.value.to_vec();
        XChaCha20Poly1305::new(secret.into())
            .decrypt_inout_detached(&sealed.nonce, &bound, value.as_mut_slice().into(), &sealed.tag)
            .map_err(|_| {
                "its seal is wrong: it was changed, moved here from elsewhere, or sealed with \
                 another key of that number"
            })?;
        Ok(value.into())
    }
}

/// A stored payload, cut into its parts.
struct Sealed<'a> {
    id: u32,
    nonce: XNonce,
    value: &'a [u8],
    tag: Tag,
}

impl<'a> Sealed<'a> {
    fn cut(stored: &'a [u8]) -> Result<Self, Reason> {
        if !stored.starts_with(&MAGIC) {
            return Err("it is not encrypted".into());
        }
        match stored.get(MAGIC.len()) {
            Some(&VERSION) => Self::parts(&stored[MAGIC.len() + 1..]),
            Some(_) => return Err("a version of this program that is not this one wrote it".into()),
            None => None,
        }
        .ok_or_else(|| "it is cut off".into())
    }

    fn parts(stored: &'a [u8]) -> Option<Self> {
        let (id, rest) = stored.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (value, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        Some(Self {
            id: u32::from_le_bytes(*id),
            nonce: (*nonce).into(),
            value,
            tag: (*tag).into(),
        })
    }
}

/// What is bound to the value without being in it: all that the reader is told of the entry, and
/// where it is. The generation is not, because the store sets it after this.
///
/// Each part of no fixed length has its length in front, so no two entries have the same bytes.
fn associated(id: u32, name: &str, key: &Key, entry: &Entry, codec: CodecId) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + name.len() + key.as_bytes().len());
    out.extend_from_slice(b"beaker encrypted entry");
    out.extend_from_slice(&[VERSION, codec.as_u8()]);
    out.extend_from_slice(&id.to_le_bytes());
    for time in [entry.began(), entry.expires(), entry.dies()] {
        out.extend_from_slice(&time.as_micros().to_le_bytes());
    }
    out.extend_from_slice(&entry.weight().to_le_bytes());
    push_sized(&mut out, name.as_bytes());
    push_sized(&mut out, key.as_bytes());
    out.push(u8::from(entry.entity_tag().is_some()));
    push_sized(&mut out, entry.entity_tag().unwrap_or_default().as_bytes());
    for tag in entry.tag_list() {
        push_sized(&mut out, tag.as_bytes());
    }
    out
}

fn push_sized(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&(part.len() as u64).to_le_bytes());
    out.extend_from_slice(part);
}
