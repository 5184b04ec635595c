//! One session in the list of a user's sessions.

use beaker_namespace::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, RecordKey};

/// A session in the list of its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where the session is kept.
    pub key: RecordKey,
    /// When it ends at the latest; the list forgets it then.
    pub until: Timestamp,
}

/// How a list looks in a store: JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Roll {
    members: Vec<Row>,
}

/// The key as text, and the time in microseconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct Row(String, i64);

impl Roll {
    /// Adds `member` and drops those that are over.
    pub(super) fn enroll(&mut self, member: &Member, now: Timestamp) -> Result<(), Error> {
        let plain = || {
            Error::new(ErrorKind::Unsupported, "list a user's sessions")
                .with_detail("sessions under plain ids are not listed")
        };
        let key = member.key.to_text().ok_or_else(plain)?;
        self.members.retain(|row| row.0 != key && row.1 > now.as_micros());
        self.members.push(Row(key, member.until.as_micros()));
        Ok(())
    }

    pub(super) fn members(&self, now: Timestamp) -> Vec<Member> {
        let live = self.members.iter().filter(|row| row.1 > now.as_micros());
        live.filter_map(|row| {
            let key = RecordKey::parse(&row.0).ok()?;
            Some(Member { key, until: Timestamp::from_micros(row.1) })
        })
        .collect()
    }

    /// When the whole list can go.
    pub(super) fn until(&self) -> Timestamp {
        let latest = self.members.iter().map(|row| row.1).max();
        latest.map_or(Timestamp::NEVER, Timestamp::from_micros)
    }
}
