//! A [`NamespaceStore`] as a [`SessionStore`], by either face.

use std::sync::Arc;

use beaker_namespace::{BoxFuture, Condition, ConditionalSet, Latency, Timestamp};

use super::NamespaceStore;
use super::calls::{Calls, is_too_large, ready};
use super::found::Found;
use super::operations::{LOAD, UPDATE};
use crate::core::{Answer, Op};
use crate::record::{Record, Version};
use crate::store::{
    AsyncSessionStore, Created, Deleted, DeletedIf, Loaded, Member, Renamed, Renaming,
    SessionStore, Touched, Updated,
};
use crate::{Error, RecordKey};

impl SessionStore for NamespaceStore {
    fn latency(&self) -> Latency {
        self.namespace.latency()
    }

    fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error> {
        ready(self.blocking().create(key, record))
    }

    fn load(&self, key: &RecordKey) -> Result<Loaded, Error> {
        // Of every request, so without a future. So is a write.
        let key = key.entry_key();
        if let Some(loaded) = self.load_quickly(&key) {
            return Ok(loaded);
        }
        Found::of(LOAD, self.namespace.look_up(&key))?.into_loaded()
    }

    fn update(
        &self,
        key: &RecordKey,
        expected: Version,
        record: &Arc<Record>,
    ) -> Result<Updated, Error> {
        let entry = self.entry(record, record.written)?;
        let seen = Condition::Generation(expected.0);
        match self.namespace.set_if(&key.entry_key(), entry, seen) {
            Ok(ConditionalSet::Stored { generation }) => Ok(Updated::Updated(Version(generation))),
            Ok(ConditionalSet::Conflict) => ready(self.blocking().not_updated(key)),
            Err(error) if is_too_large(&error) => {
                ready(self.blocking().update(key, expected, record))
            }
            Err(error) => Err(Error::store(UPDATE, error)),
        }
    }

    fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error> {
        ready(self.blocking().touch(key, accessed))
    }

    fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
        ready(self.blocking().delete(key))
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
        ready(self.blocking().rename(renaming))
    }

    fn enroll(&self, subject: &str, member: &Member) -> Result<(), Error> {
        ready(self.blocking().add_member(subject, member))
    }

    fn delete_if(&self, key: &RecordKey, expected: Version) -> Result<DeletedIf, Error> {
        ready(self.blocking().delete_if(key, expected))
    }

    fn members(&self, subject: &str) -> Result<Vec<Member>, Error> {
        ready(self.blocking().list_members(subject))
    }

    fn epoch(&self, subject: &str) -> Result<u64, Error> {
        ready(self.blocking().read_epoch(subject))
    }

    fn raise_epoch(&self, subject: &str) -> Result<u64, Error> {
        ready(self.blocking().next_epoch(subject))
    }

    fn sweep(&self) -> Result<u64, Error> {
        ready(self.blocking().sweep())
    }

    fn asynchronous(&self) -> Option<&dyn AsyncSessionStore> {
        self.namespace.asynchronous().map(|_| self as _)
    }
}

impl AsyncSessionStore for NamespaceStore {
    fn ask<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, Answer> {
        Box::pin(self.in_task().ask(op))
    }
}

impl Calls<'_> {
    /// As [`Op::run`].
    async fn ask(self, op: &Op) -> Answer {
        let answer = match op {
            // None of a store's.
            Op::Lock(_) => return op.run(self.store, None),
            Op::Load(key) => self.load(key).await.map(Answer::Loaded),
            Op::LoadBridged(_) => Ok(Answer::Loaded(Loaded::Absent)),
            Op::Create { key, record } => self.create(key, record).await.map(Answer::Created),
            Op::Update { key, expected, record } => {
                self.update(key, *expected, record).await.map(Answer::Updated)
            }
            Op::Touch { key, accessed } => self.touch(key, *accessed).await.map(Answer::Touched),
            Op::Delete(key) => self.delete(key).await.map(Answer::Deleted),
            Op::Rename { from, expected, to, record, grace } => {
                let (expected, grace) = (*expected, *grace);
                let renaming = Renaming { from, expected, to, record, grace };
                self.rename(&renaming).await.map(Answer::Renamed)
            }
            Op::Enroll { subject, member } => {
                self.add_member(subject, member).await.map(|()| Answer::Enrolled)
            }
            Op::DeleteIf { key, expected } => {
                self.delete_if(key, *expected).await.map(Answer::DeletedIf)
            }
            Op::Epoch(subject) => self.read_epoch(subject).await.map(Answer::Epoch),
            Op::Members(subject) => self.list_members(subject).await.map(Answer::Members),
            Op::RaiseEpoch(subject) => self.next_epoch(subject).await.map(Answer::Epoch),
            Op::Sweep => self.sweep().await.map(Answer::Swept),
        };
        answer.unwrap_or_else(Answer::Failed)
    }
}
