//! The contract of [`SessionStore`], on entries.

use std::sync::Arc;

use beaker_namespace::{Condition, Latency, Timestamp};

use super::{Content, NamespaceStore, timed};
use crate::record::{Record, Version};
use crate::store::{
    Created, Deleted, Loaded, Member, Renamed, Renaming, SessionStore, Touched, Updated,
};
use crate::{Error, RecordKey};

/// How many renewals in a row a delete follows.
const MAX_RENEWALS: usize = 8;

impl SessionStore for NamespaceStore {
    fn latency(&self) -> Latency {
        self.namespace.latency()
    }

    fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error> {
        let entry = self.entry(record, record.written)?;
        let set = self.set_if("create session", key, entry, Condition::Absent)?;
        Ok(set.map_or(Created::Exists, Created::Created))
    }

    fn load(&self, key: &RecordKey) -> Result<Loaded, Error> {
        self.get("load session", key)?.map_or(Ok(Loaded::Absent), Self::loaded)
    }

    fn update(
        &self,
        key: &RecordKey,
        expected: Version,
        record: &Arc<Record>,
    ) -> Result<Updated, Error> {
        const OPERATION: &str = "update session";
        let entry = self.entry(record, record.written)?;
        if let Some(version) =
            self.set_if(OPERATION, key, entry, Condition::Generation(expected.0))?
        {
            return Ok(Updated::Updated(version));
        }
        let Some(entry) = self.get(OPERATION, key)? else { return Ok(Updated::Absent) };
        Ok(match Self::loaded(entry) {
            Ok(Loaded::Present(found)) => Updated::Conflict(Some(found)),
            Ok(Loaded::Absent | Loaded::Renewed) => Updated::Absent,
            // A load will say why it cannot be read.
            Err(_) => Updated::Conflict(None),
        })
    }

    fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error> {
        const OPERATION: &str = "touch session";
        let Some(entry) = self.get(OPERATION, key)? else { return Ok(Touched::Absent) };
        let Content::Record(record) = Self::read(&entry)? else { return Ok(Touched::Absent) };
        let seen = Condition::Generation(entry.generation());
        let touched = self.set_if(OPERATION, key, timed(entry, &record, accessed), seen)?;
        Ok(touched.map_or(Touched::Superseded, Touched::Touched))
    }

    fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
        let mut outcome = Deleted::Absent;
        let mut next = Some(*key);
        for _ in 0..MAX_RENEWALS {
            let Some(key) = next else { break };
            let (ended, renewed) = self.end(&key)?;
            if ended == Deleted::Deleted {
                outcome = ended;
            }
            next = renewed;
        }
        Ok(outcome)
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
        const OPERATION: &str = "renew session";
        let Created::Created(version) = self.create(renaming.to, renaming.record)? else {
            return Ok(Renamed::Exists);
        };
        let mark = self.mark(Some(renaming.to), renaming.grace);
        let expected = Condition::Generation(renaming.expected.0);
        if self.set_if(OPERATION, renaming.from, mark, expected)?.is_some() {
            return Ok(Renamed::Renamed(version));
        }
        let _gone = self.end(renaming.to)?;
        Ok(if self.is_live(OPERATION, renaming.from)? {
            Renamed::Conflict
        } else {
            Renamed::Absent
        })
    }

    fn enroll(&self, subject: &str, member: &Member) -> Result<(), Error> {
        self.add_member(subject, member)
    }

    fn members(&self, subject: &str) -> Result<Vec<Member>, Error> {
        self.list_members(subject)
    }

    fn epoch(&self, subject: &str) -> Result<u64, Error> {
        self.read_epoch(subject)
    }

    fn raise_epoch(&self, subject: &str) -> Result<u64, Error> {
        self.next_epoch(subject)
    }

    fn sweep(&self) -> Result<u64, Error> {
        let swept = self.namespace.sweep();
        swept
            .map(|swept| swept.expired + swept.corrupt)
            .map_err(|error| Error::store("sweep sessions", error))
    }
}
