use std::fmt;
use std::time::Duration;
use std::vec;

use beaker_namespace::compat::pickle::{Budget, Node, NodeId, Pickle};
use beaker_namespace::{Error, ErrorKind, Timestamp};
use bytes::Bytes;

use super::{Value, key};

/// One key of a cache of Python's Beaker, with what is under it or why that cannot be read.
#[derive(Debug, Clone)]
pub struct BeakerRecord {
    key: StorageKey,
    entry: Result<BeakerEntry, Error>,
}

/// What Beaker stored under a key.
#[derive(Debug, Clone, PartialEq)]
pub struct BeakerEntry {
    stored_at: Timestamp,
    time_to_live: Option<Duration>,
    value: Value,
}

impl BeakerRecord {
    /// The key as its caller gave it.
    ///
    /// Beaker stores keys in ASCII, with escapes for everything else, but does not escape the
    /// backslash: what looks like such an escape is read as one. A key that is no text at all comes
    /// with U+FFFD in place of what is wrong; [`storage_key`](Self::storage_key) has it as it is.
    pub fn key(&self) -> String {
        key::unescape(&String::from_utf8_lossy(&self.key.0))
    }

    /// The key as Beaker stores it; see [`storage_key`](beaker_namespace::compat::storage_key).
    pub fn storage_key(&self) -> &[u8] {
        &self.key.0
    }

    /// What is stored.
    ///
    /// # Errors
    ///
    /// [`Codec`](ErrorKind::Codec) if it holds a Python object or a text that is not Unicode,
    /// [`Corrupt`](ErrorKind::Corrupt) if it is no record of Beaker's,
    /// [`TooLarge`](ErrorKind::TooLarge) beyond the limits.
    pub fn entry(&self) -> Result<&BeakerEntry, Error> {
        self.entry.as_ref().map_err(Error::clone)
    }

    /// As [`entry`](Self::entry), without the key.
    ///
    /// # Errors
    ///
    /// As [`entry`](Self::entry).
    pub fn into_entry(self) -> Result<BeakerEntry, Error> {
        self.entry
    }
}

impl BeakerEntry {
    /// When the value was stored; Beaker counts its life from there.
    pub fn stored_at(&self) -> Timestamp {
        self.stored_at
    }

    /// How long it lives; `None` is for ever, zero is not at all.
    ///
    /// Records of very old Beakers do not say it and have `None`.
    pub fn time_to_live(&self) -> Option<Duration> {
        self.time_to_live
    }

    /// When it expires, [`Timestamp::NEVER`] if never.
    pub fn expires_at(&self) -> Timestamp {
        self.time_to_live.map_or(Timestamp::NEVER, |ttl| self.stored_at.saturating_add(ttl))
    }

    /// Whether Beaker would make it anew at `now`; the moment of expiry counts as expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.time_to_live.is_some() && now >= self.expires_at()
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value, without the rest.
    pub fn into_value(self) -> Value {
        self.value
    }
}

#[derive(Clone)]
struct StorageKey(Vec<u8>);

impl fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The records of one namespace, in the order in which they are stored.
///
/// Everything was read from the files already, and no lock is held; values are made one by one. So
/// this takes as much memory as the files are large, and for a cache of the kind `file` about 32
/// bytes a value more.
#[derive(Debug)]
pub struct BeakerRecords {
    source: Source,
    budget: Budget,
}

enum Source {
    /// One pickled dictionary: its keys and values by turns.
    Dict { pickle: Pickle, items: vec::IntoIter<NodeId> },
    /// A pickle for each key.
    Pickles(vec::IntoIter<(Vec<u8>, Bytes)>),
}

impl BeakerRecords {
    /// The records in a file of the kind `file`.
    pub(super) fn from_dict(bytes: Bytes, mut budget: Budget) -> Result<Self, Error> {
        let pickle = Pickle::parse(bytes, &mut budget)?;
        let Node::Dict(items) = pickle.node(pickle.root()) else {
            return Err(not_a_record("the file does not hold a dictionary"));
        };
        let items = items.clone().into_iter();
        Ok(Self { source: Source::Dict { pickle, items }, budget })
    }

    /// The records of a dbm file, as they are in it.
    pub(super) fn from_pickles(pickles: Vec<(Vec<u8>, Bytes)>, budget: Budget) -> Self {
        Self { source: Source::Pickles(pickles.into_iter()), budget }
    }
}

impl Iterator for BeakerRecords {
    type Item = BeakerRecord;

    fn next(&mut self) -> Option<BeakerRecord> {
        let budget = &mut self.budget;
        let (key, entry) = match &mut self.source {
            Source::Dict { pickle, items } => {
                let (key, record) = (items.next()?, items.next()?);
                // A key of another type, which Beaker does not write, is no key of a caller's.
                let key = pickle.bytes_of(key).unwrap_or_default().to_vec();
                (key, entry(pickle, record, budget))
            }
            Source::Pickles(pickles) => {
                let (key, bytes) = pickles.next()?;
                let pickle = Pickle::parse(bytes, budget);
                (key, pickle.and_then(|pickle| entry(&pickle, pickle.root(), budget)))
            }
        };
        Some(BeakerRecord { key: StorageKey(key), entry })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dict { items, .. } => write!(f, "Dict({} left)", items.len() / 2),
            Self::Pickles(pickles) => write!(f, "Pickles({} left)", pickles.len()),
        }
    }
}

/// The entry that the node `id` is: `(stored, expire, value)`, or `(stored, value)` of old Beakers.
fn entry(pickle: &Pickle, id: NodeId, budget: &mut Budget) -> Result<BeakerEntry, Error> {
    let (stored, expire, value) = match pickle.node(id) {
        Node::Tuple(parts) => match parts[..] {
            [stored, expire, value] => (stored, pickle.node(expire), value),
            [stored, value] => (stored, &Node::None, value),
            _ => return Err(not_a_record("a record has the wrong number of parts")),
        },
        // What was read as data and is none is refused by name.
        Node::Object(_) => {
            return pickle
                .value(id, budget)
                .and_then(|_| Err(not_a_record("a record is an object")));
        }
        _ => return Err(not_a_record("a record is no tuple")),
    };
    let stored_at = seconds(pickle.node(stored))
        .map(Timestamp::from_secs_f64)
        .ok_or_else(|| not_a_record("a record does not begin with its time"))?;
    let time_to_live = match expire {
        Node::None => None,
        expire => Some(time_to_live(expire)?),
    };
    Ok(BeakerEntry { stored_at, time_to_live, value: pickle.value(value, budget)? })
}

fn time_to_live(expire: &Node) -> Result<Duration, Error> {
    let seconds =
        seconds(expire).ok_or_else(|| not_a_record("a record has no number for its expiry"))?;
    // What is below zero is over at once; what is too long to count is for ever, or nearly.
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

fn seconds(node: &Node) -> Option<f64> {
    let seconds = match node {
        Node::Int(seconds) => *seconds as f64,
        Node::Float(seconds) => *seconds,
        _ => return None,
    };
    seconds.is_finite().then_some(seconds)
}

fn not_a_record(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "read Beaker's record").with_detail(what)
}
