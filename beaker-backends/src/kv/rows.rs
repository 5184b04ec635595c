//! What is under which key.
//
//   N name          the namespace: its id and its epoch, eight bytes each, little-endian; where that spares
//                   work, what is known of its rows: see ledger.rs
//   E id key        an entry, in the compact envelope, whose sum has the key in it; what version 1 of this
//                   program wrote is in the other one, and is read too
//   C id key        the token of the claim on the key, eight bytes, little-endian
//   M names         when a name was invalidated, as a checked mark; the names are the length of the
//                   namespace's name, four bytes, big-endian, that name, and the marked one
//   P id            nothing: the entries of this id belong to nobody and are to be purged
//   V               which version of this program wrote the store; see version.rs
//
// An id is eight bytes, big-endian. A key is the encoded form of `Key`.
//
// Only entries and marks are checked by a sum. What a damaged row of another kind leads to are entries of
// another namespace, or none: the envelope knows the namespace's name.

use beaker_namespace::{Error, new_generation};

use super::engine::{Reader, Writer};
use super::ledger::{self, Ledger};

const NAMESPACE: u8 = b'N';
const ENTRY: u8 = b'E';
const CLAIM: u8 = b'C';
const MARK: u8 = b'M';
const PURGE: u8 = b'P';

/// Where the version of the store is.
pub(super) const VERSION: &[u8] = b"V";

/// The length of what stands before a key.
const HEAD_BYTES: usize = 9;

/// The length up to which a row is short: with a key that is held inline.
const SHORT_ROW_BYTES: usize = 40;

/// What a namespace is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    /// Which entries are its own.
    pub(super) id: u64,
    /// Changes when running creations are voided together.
    pub(super) epoch: u64,
    /// What is known of its rows; `None` is nothing.
    pub(super) ledger: Option<Ledger>,
}

impl Home {
    /// The namespace called `name`, if something was ever stored in it.
    pub(super) fn find<R: Reader + ?Sized>(reader: &R, name: &str) -> Result<Option<Self>, Error> {
        Ok(reader.get(&name_key(name))?.and_then(|row| {
            let (id, rest) = row.split_first_chunk::<8>()?;
            let (epoch, rest) = rest.split_first_chunk::<8>()?;
            Some(Self {
                id: u64::from_le_bytes(*id),
                epoch: u64::from_le_bytes(*epoch),
                ledger: Ledger::parse(rest),
            })
        }))
    }

    /// A new namespace, of which `ledger` is known.
    pub(super) fn new(ledger: Option<Ledger>) -> Self {
        Self { id: new_generation(), epoch: new_generation(), ledger }
    }

    /// The namespace under a new id; notes that the entries of the old one are to be purged.
    pub(super) fn replaced(
        self,
        writer: &mut dyn Writer,
        ledger: Option<Ledger>,
    ) -> Result<Self, Error> {
        writer.put(&purge_key(self.id), &[])?;
        Ok(Self::new(ledger).due_at(ledger::NOW))
    }

    /// The same with every running creation voided.
    pub(super) fn with_next_epoch(self) -> Self {
        Self { epoch: new_generation(), ..self }
    }

    /// Whether claims that began in `other` stand in it.
    pub(super) fn continues(self, other: Self) -> bool {
        (self.id, self.epoch) == (other.id, other.epoch)
    }

    pub(super) fn put(self, writer: &mut dyn Writer, name: &str) -> Result<(), Error> {
        let mut row = [self.id.to_le_bytes(), self.epoch.to_le_bytes()].concat();
        row.extend(self.ledger.and_then(Ledger::to_bytes).into_iter().flatten());
        writer.put(&name_key(name), &row)
    }

    /// Where the entry of `key` is.
    pub(super) fn entry(self, key: &[u8]) -> Vec<u8> {
        below(ENTRY, self.id, key)
    }

    /// Shows [`entry`](Self::entry) to `look`. A short one is not allocated, since each hit has one.
    pub(super) fn at_entry<T>(self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> T {
        let mut short = [0; SHORT_ROW_BYTES];
        let Some(row) = short.get_mut(..HEAD_BYTES + key.len()) else {
            return look(&self.entry(key));
        };
        row[0] = ENTRY;
        row[1..HEAD_BYTES].copy_from_slice(&self.id.to_be_bytes());
        row[HEAD_BYTES..].copy_from_slice(key);
        look(row)
    }

    /// Where the claim on `key` is.
    pub(super) fn claim(self, key: &[u8]) -> Vec<u8> {
        below(CLAIM, self.id, key)
    }

    /// What all claims begin with.
    pub(super) fn claims(self) -> Vec<u8> {
        below(CLAIM, self.id, &[])
    }
}

fn name_key(name: &str) -> Vec<u8> {
    [&[NAMESPACE], name.as_bytes()].concat()
}

/// Where the mark of `name` in `namespace` is.
pub(super) fn mark(namespace: &str, name: &str) -> Vec<u8> {
    // A name of 4 GiB and another of the same first bytes would meet, and then be found damaged.
    let length = (namespace.len() as u32).to_be_bytes();
    [&[MARK], &length[..], namespace.as_bytes(), name.as_bytes()].concat()
}

fn purge_key(id: u64) -> Vec<u8> {
    below(PURGE, id, &[])
}

/// What all ids to be purged begin with.
pub(super) const PURGES: &[u8] = &[PURGE];

/// What is left of the id that is to be purged under `purge`.
pub(super) fn leftovers(purge: &[u8]) -> [Vec<u8>; 2] {
    let id = purge.get(1..).unwrap_or_default();
    [ENTRY, CLAIM].map(|kind| [&[kind], id].concat())
}

/// The key of an entry or a claim, without what stands before it.
pub(super) fn key_in(row: &[u8]) -> &[u8] {
    row.get(HEAD_BYTES..).unwrap_or_default()
}

fn below(kind: u8, id: u64, key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEAD_BYTES + key.len());
    row.push(kind);
    row.extend_from_slice(&id.to_be_bytes());
    row.extend_from_slice(key);
    row
}
