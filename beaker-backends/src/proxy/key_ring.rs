//! The keys that values are encrypted with.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock};

use beaker_namespace::{Error, ErrorKind};
use zeroize::Zeroizing;

/// The length of a key, in bytes.
const KEY_BYTES: usize = 32;

/// The keys of an [`Encrypted`](super::Encrypted) namespace: one encrypts, all decrypt.
///
/// Each key has a number, which is stored with what it encrypts. To change the key, give the new
/// one another number and keep the old one until what it encrypted has died. Where several
/// processes share the store, first make the new key known to all as an
/// [old one](Self::with_old), then make it the active one: a process that lacks a key finds nothing
/// under what it encrypted.
///
/// Cheap to clone; the clones share the keys. The keys are wiped from memory when the last is
/// dropped, and are never printed. The bytes that you pass remain yours to wipe.
///
/// # Examples
///
/// ```
/// use beaker_backends::proxy::KeyRing;
///
/// # fn secret(_name: &str) -> [u8; 32] { [7; 32] }
/// let keys = KeyRing::new(2, &secret("CACHE_KEY_2"))?.with_old(1, &secret("CACHE_KEY_1"))?;
/// assert_eq!(format!("{keys:?}"), "KeyRing { active: 2, old: [1] }");
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRing {
    active: Arc<RingKey>,
    old: Vec<Arc<RingKey>>,
}

/// A key and its number.
struct RingKey {
    id: u32,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl KeyRing {
    /// A ring of one key, which encrypts and decrypts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if `key` is not 32 bytes long.
    pub fn new(id: u32, key: &[u8]) -> Result<Self, Error> {
        Ok(Self { active: RingKey::new(id, key)?, old: Vec::new() })
    }

    /// Adds a key that only decrypts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if `key` is not 32 bytes long, or if there is a key of that number.
    pub fn with_old(mut self, id: u32, key: &[u8]) -> Result<Self, Error> {
        if self.find(id).is_some() {
            return Err(wrong(format!(
                "there are two keys with the number {id}; number them anew"
            )));
        }
        self.old.push(RingKey::new(id, key)?);
        Ok(self)
    }

    pub(super) fn active(&self) -> (u32, &[u8; KEY_BYTES]) {
        (self.active.id, &self.active.key)
    }

    pub(super) fn find(&self, id: u32) -> Option<&[u8; KEY_BYTES]> {
        let found = self.all().find(|key| key.id == id)?;
        Some(&found.key)
    }

    fn all(&self) -> impl Iterator<Item = &RingKey> {
        std::iter::once(&self.active).chain(&self.old).map(|key| &**key)
    }

    /// A number that is equal for rings of the same keys, in this process only: it tells nothing
    /// about them to anybody outside.
    pub(super) fn fingerprint(&self) -> u64 {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let mut keys: Vec<_> = self.all().map(|key| (key.id, &*key.key)).collect();
        keys.sort_unstable();
        HASHER.hash_one(keys)
    }
}

impl fmt::Debug for KeyRing {
    /// Prints the numbers, never the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let old: Vec<_> = self.old.iter().map(|key| key.id).collect();
        f.debug_struct("KeyRing").field("active", &self.active.id).field("old", &old).finish()
    }
}

impl RingKey {
    fn new(id: u32, key: &[u8]) -> Result<Arc<Self>, Error> {
        if key.len() != KEY_BYTES {
            return Err(wrong(format!(
                "key number {id} has {} bytes, not {KEY_BYTES}; take {KEY_BYTES} random bytes \
                 (`openssl rand -hex {KEY_BYTES}`, decoded), not a password",
                key.len()
            )));
        }
        // Copied when it is in its place, so that no copy is left behind by a move.
        let mut made = Arc::new(Self { id, key: Zeroizing::new([0; KEY_BYTES]) });
        if let Some(made) = Arc::get_mut(&mut made) {
            made.key.copy_from_slice(key);
        }
        Ok(made)
    }
}

fn wrong(detail: String) -> Error {
    Error::new(ErrorKind::Config, "make a key ring").with_detail(detail)
}
