//! What is under the key of a session.

use std::sync::Arc;

use beaker_namespace::{CodecId, Condition, Entry, Lookup, Payload};

use super::accessed;
use super::calls::is_too_large;
use crate::record::{self, Record, Stored, Version};
use crate::store::Loaded;
use crate::{Error, ErrorKind, RecordKey};

/// The payload of a mark begins with this byte, which begins no JSON.
pub(super) const MARK: u8 = 0x01;

/// What a look-up found.
pub(super) enum Found {
    Absent,
    Session(Arc<Record>, Entry),
    Mark(Mark),
    /// It is there and cannot be read back: why, and what a set in its place expects.
    Damaged(Error, Condition),
}

/// Why a session is no longer under its key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    Ended,
    /// It went to this key. `None` if that is written as no key that is known here: then it is not known where
    /// it went, and still it is no longer here.
    Renewed(Option<RecordKey>),
}

impl Found {
    /// What a look-up in the course of `operation` came to.
    pub(super) fn of(
        operation: &'static str,
        looked_up: Result<Lookup, beaker_namespace::Error>,
    ) -> Result<Self, Error> {
        let corrupt = || Error::new(ErrorKind::Corrupt, operation);
        match looked_up {
            Ok(Lookup::Found(entry)) => Ok(Self::read(operation, entry)),
            Ok(Lookup::Corrupt(damage)) => {
                let condition = damage.condition();
                Ok(Self::Damaged(corrupt().with_detail(damage.reason()), condition))
            }
            Ok(_) => Ok(Self::Absent),
            // It was within the limit of whoever wrote it. Here it cannot be read, however often one tries.
            Err(error) if is_too_large(&error) => {
                let error = corrupt()
                    .with_detail("the record is longer than the store may read")
                    .with_source(error);
                Ok(Self::Damaged(error, Condition::TooLarge))
            }
            Err(error) => Err(Error::store(operation, error)),
        }
    }

    fn read(operation: &'static str, entry: Entry) -> Self {
        let damaged =
            |entry: &Entry, error| Self::Damaged(error, Condition::Generation(entry.generation()));
        let corrupt = || Error::new(ErrorKind::Corrupt, operation);
        match entry.payload().clone() {
            Payload::Object(object) => match object.downcast::<Record>() {
                Ok(record) => Self::Session(record, entry),
                Err(other) => match other.downcast_ref() {
                    Some(mark) => Self::Mark(*mark),
                    None => damaged(&entry, corrupt()),
                },
            },
            Payload::Bytes { codec: CodecId::RAW, bytes } => match bytes.split_first() {
                Some((&MARK, to)) => Self::Mark(Mark::read(to)),
                _ => match record::decode(&bytes) {
                    Ok(record) => Self::Session(Arc::new(record), entry),
                    Err(error) => damaged(&entry, error),
                },
            },
            _ => damaged(&entry, corrupt()),
        }
    }

    /// What a load of it says. What is damaged is not absent: it may have been damaged on purpose.
    pub(super) fn into_loaded(self) -> Result<Loaded, Error> {
        match self {
            Self::Session(record, entry) => {
                let version = Version(entry.generation());
                let accessed = accessed(entry.expires(), &record);
                Ok(Loaded::Present(Stored { record, version, accessed }))
            }
            Self::Mark(Mark::Renewed(_)) => Ok(Loaded::Renewed),
            Self::Mark(Mark::Ended) | Self::Absent => Ok(Loaded::Absent),
            Self::Damaged(error, _) => Err(error),
        }
    }

    /// Whether it is a session, for whoever can read it. Who looks again is told what it is.
    pub(super) fn may_live(&self) -> bool {
        matches!(self, Self::Session(..) | Self::Damaged(..))
    }
}

impl Mark {
    /// What is behind a mark's first byte: nothing, or where the session went.
    fn read(to: &[u8]) -> Self {
        if to.is_empty() {
            return Self::Ended;
        }
        let to = std::str::from_utf8(to).ok();
        Self::Renewed(to.and_then(|to| RecordKey::parse(to).ok()))
    }
}
