//! The proxy that keeps long values compressed.

use beaker_namespace::{Capability, Entry, Error, Key, Namespace, Payload};
use bytes::Bytes;
use lz4_flex::block;

use super::mapped::{Mapped, Mapping, Reason};

// The stored payload:
//
//      0   2  BE C0: no text, JSON or MessagePack value begins so
//      2   1  0: the value as it is; 1: the value as one LZ4 block
//      3      of 0: the value
//      3   4  of 1: the value's length, little-endian
//      7      of 1: the block
//
// Every value is marked, so none is taken for a compressed one because of what it holds.

const MAGIC: [u8; 2] = [0xbe, 0xc0];
const PLAIN: u8 = 0;
const LZ4: u8 = 1;
const MARK_BYTES: usize = 3;
const LZ4_HEADER_BYTES: usize = MARK_BYTES + 4;

/// A byte of an LZ4 block stands for at most this many; so a length beyond it is a lie.
const MOST_FROM_A_BYTE: usize = 255;

/// A namespace that keeps long values compressed, by LZ4.
///
/// A value of at least [`min_bytes`](Self::min_bytes) is stored compressed if that is shorter. It
/// comes back as it was, with its codec. It takes bytes, not live objects. Keys and tags are not
/// compressed.
///
/// What cannot be read back is gone for the reader and counted as corrupt, and
/// [`inspect`](Namespace::inspect) says why; it is not dropped, since another reader may have a
/// higher limit.
///
/// A listing reads each value that it lists, a page in one call, for its length is that of the value, not of what is
/// stored.
///
/// # Warning
///
/// - A namespace that holds values from before it was compressed has to be cleared: those values
///   are not marked. A text, JSON or MessagePack value among them is found to be damaged. A value of
///   raw bytes that begins with the three bytes of a mark would be taken for a marked one.
/// - All that use one namespace need a limit ([`max_bytes`](Self::max_bytes)) as high as the longest
///   value that any of them compresses.
///
/// # Examples
///
/// ```
/// use beaker_backends::proxy::Compressed;
/// use beaker_namespace::{Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload};
///
/// let memory = MemoryNamespace::open("pages", MemoryConfig::new())?;
/// let pages = Compressed::new(memory).min_bytes(512);
/// let page = "<li>".repeat(1_000);
/// pages.set(&Key::new("/"), Entry::new(Payload::raw(page), pages.clock().now()))?;
/// let found = pages.get(&Key::new("/"))?.expect("it was just set");
/// assert_eq!(found.payload().len_bytes(), Some(4_000));
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
#[derive(Debug)]
pub struct Compressed<N> {
    mapped: Mapped<N, Compression>,
}

impl<N: Namespace> Compressed<N> {
    /// Values of 1 KiB and more are compressed in `inner`; at most 64 MiB are read back.
    pub fn new(inner: N) -> Self {
        let compression = Compression { min_bytes: 1024, max_bytes: 64 << 20 };
        Self { mapped: Mapped::new("compressed", inner, compression) }
    }

    /// Leaves shorter values as they are. Default: 1,024 bytes.
    #[must_use]
    pub fn min_bytes(mut self, min_bytes: usize) -> Self {
        self.mapped.mapping.min_bytes = min_bytes;
        self
    }

    /// The longest value that is compressed, and the longest that is allocated for what is stored.
    /// A longer value is stored as it is. Default: 64 MiB; at most 4 GiB.
    ///
    /// Stored bytes that claim to be longer are damaged, and nothing is allocated for them.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: u32) -> Self {
        self.mapped.mapping.max_bytes = max_bytes;
        self
    }

    /// The namespace that holds the compressed values.
    pub const fn inner(&self) -> &N {
        &self.mapped.inner
    }
}

namespace_by_mapped!(Compressed);

/// When to compress, and how much to expand.
#[derive(Debug)]
struct Compression {
    min_bytes: usize,
    max_bytes: u32,
}

impl Mapping for Compression {
    fn close(&self, _name: &str, _key: &Key, entry: Entry) -> Result<Entry, Error> {
        let Payload::Bytes { codec, bytes } = entry.payload() else {
            return Err(Error::unsupported("compress an entry", Capability::Objects));
        };
        let (codec, bytes) = (*codec, self.compress(bytes).unwrap_or_else(|| plain(bytes)).into());
        Ok(entry.with_payload(Payload::Bytes { codec, bytes }))
    }

    fn open(&self, _name: &str, _key: &Key, entry: Entry) -> Result<Entry, Reason> {
        let Payload::Bytes { codec, bytes } = entry.payload() else {
            return Err("it is a live object, not compressed bytes".into());
        };
        let (codec, bytes) = (*codec, self.expand(bytes)?);
        Ok(entry.with_payload(Payload::Bytes { codec, bytes }))
    }
}

impl Compression {
    /// The marked and compressed value, if that is wanted and shorter.
    fn compress(&self, value: &[u8]) -> Option<Vec<u8>> {
        let length = u32::try_from(value.len()).ok().filter(|&length| length <= self.max_bytes)?;
        if value.len() < self.min_bytes {
            return None;
        }
        let mut out = vec![0; LZ4_HEADER_BYTES + block::get_maximum_output_size(value.len())];
        let (header, room) = out.split_at_mut(LZ4_HEADER_BYTES);
        header[..MARK_BYTES].copy_from_slice(&mark(LZ4));
        header[MARK_BYTES..].copy_from_slice(&length.to_le_bytes());
        let compressed = block::compress_into(value, room).ok()?;
        out.truncate(LZ4_HEADER_BYTES + compressed);
        // What is kept in memory must not keep the room for the worst case.
        out.shrink_to_fit();
        (out.len() < MARK_BYTES + value.len()).then_some(out)
    }

    fn expand(&self, stored: &Bytes) -> Result<Bytes, Reason> {
        let Some((found, rest)) = stored.split_first_chunk::<MARK_BYTES>() else {
            return Err("it is cut off before its mark".into());
        };
        if *found == mark(PLAIN) {
            Ok(stored.slice(MARK_BYTES..))
        } else if *found == mark(LZ4) {
            self.expand_block(rest)
        } else {
            Err("it is not marked as a value of a compressed namespace, or a newer program wrote \
                 it"
            .into())
        }
    }

    fn expand_block(&self, stored: &[u8]) -> Result<Bytes, Reason> {
        let Some((length, block)) = stored.split_first_chunk() else {
            return Err("it is cut off before its length".into());
        };
        let length = u32::from_le_bytes(*length);
        if length > self.max_bytes {
            return Err(
                format!("it claims {length} bytes, above the limit of {}", self.max_bytes).into()
            );
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > block.len().saturating_mul(MOST_FROM_A_BYTE) {
            return Err("it claims more bytes than its block can hold".into());
        }
        let mut value = vec![0; length];
        match block::decompress_into(block, &mut value) {
            Ok(expanded) if expanded == length => Ok(value.into()),
            Ok(_) => Err("it is shorter than it claims".into()),
            Err(_) => Err("its block cannot be expanded".into()),
        }
    }
}

fn mark(method: u8) -> [u8; MARK_BYTES] {
    [MAGIC[0], MAGIC[1], method]
}

fn plain(value: &[u8]) -> Vec<u8> {
    [&mark(PLAIN), value].concat()
}
