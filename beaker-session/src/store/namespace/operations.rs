//! What [`SessionStore`](crate::SessionStore) promises, on entries.

use std::sync::Arc;

use beaker_namespace::{Condition, Timestamp};

use super::calls::Calls;
use super::found::{Found, Mark};
use super::{ENDED_FOR, timed};
use crate::record::{Record, Version};
use crate::store::{Created, Deleted, DeletedIf, Loaded, Renamed, Renaming, Touched, Updated};
use crate::{Error, ErrorKind, RecordKey};

/// How many renewals in a row a delete follows.
const MAX_RENEWALS: usize = 8;

/// How often a delete is tried against others who keep changing the entry.
const DELETE_TRIES: usize = 64;

pub(super) const LOAD: &str = "load session";
pub(super) const UPDATE: &str = "update session";
const RENAME: &str = "renew session";
const DELETE: &str = "delete session";

impl Calls<'_> {
    pub(super) async fn create(
        self,
        key: &RecordKey,
        record: &Arc<Record>,
    ) -> Result<Created, Error> {
        let entry = self.store.entry(record, record.written)?;
        let key = key.entry_key();
        let set = self.set_if("create session", &key, entry, Condition::Absent).await?;
        Ok(set.map_or(Created::Exists, Created::Created))
    }

    pub(super) async fn load(self, key: &RecordKey) -> Result<Loaded, Error> {
        self.find(LOAD, &key.entry_key()).await?.into_loaded()
    }

    pub(super) async fn update(
        self,
        key: &RecordKey,
        expected: Version,
        record: &Arc<Record>,
    ) -> Result<Updated, Error> {
        let entry = self.store.entry(record, record.written)?;
        let expected = Condition::Generation(expected.0);
        match self.set_if(UPDATE, &key.entry_key(), entry, expected).await? {
            Some(version) => Ok(Updated::Updated(version)),
            None => self.not_updated(key).await,
        }
    }

    pub(super) async fn not_updated(self, key: &RecordKey) -> Result<Updated, Error> {
        Ok(match self.find(UPDATE, &key.entry_key()).await?.into_loaded()? {
            Loaded::Present(found) => Updated::Conflict(Some(found)),
            Loaded::Absent | Loaded::Renewed => Updated::Absent,
        })
    }

    pub(super) async fn touch(
        self,
        key: &RecordKey,
        accessed: Timestamp,
    ) -> Result<Touched, Error> {
        const OPERATION: &str = "touch session";
        let key = key.entry_key();
        let (record, entry) = match self.find(OPERATION, &key).await? {
            Found::Session(record, entry) => (record, entry),
            Found::Mark(_) | Found::Absent => return Ok(Touched::Absent),
            Found::Damaged(error, _) => return Err(error),
        };
        let from = Version(entry.generation());
        let entry = timed(entry, &record, accessed);
        let seen = Condition::Generation(from.0);
        let touched = self.set_fitting_if(OPERATION, &key, entry, seen).await?;
        Ok(touched.map_or(Touched::Superseded, |to| Touched::Touched { from, to }))
    }

    pub(super) async fn delete(self, key: &RecordKey) -> Result<Deleted, Error> {
        let mut outcome = Deleted::Absent;
        let mut next = Some(*key);
        for _ in 0..MAX_RENEWALS {
            let Some(key) = next else { break };
            let (ended, renewed) = self.end(&key).await?;
            if ended == Deleted::Deleted {
                outcome = ended;
            }
            next = renewed;
        }
        Ok(outcome)
    }

    pub(super) async fn delete_if(
        self,
        key: &RecordKey,
        expected: Version,
    ) -> Result<DeletedIf, Error> {
        let mark = self.store.mark(None, ENDED_FOR);
        let seen = Condition::Generation(expected.0);
        if self.set_fitting_if(DELETE, &key.entry_key(), mark, seen).await?.is_some() {
            self.remove(DELETE, key).await?;
            return Ok(DeletedIf::Deleted);
        }
        Ok(if self.is_live(DELETE, key).await? { DeletedIf::Conflict } else { DeletedIf::Absent })
    }

    pub(super) async fn rename(self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
        let Some(expected) = self.expected(renaming).await? else {
            return self.not_renamed(renaming).await;
        };
        let Created::Created(version) = self.create(renaming.to, renaming.record).await? else {
            return Ok(Renamed::Exists);
        };
        let mark = self.store.mark(Some(renaming.to), renaming.grace);
        let from = renaming.from.entry_key();
        if self.set_fitting_if(RENAME, &from, mark, expected).await?.is_some() {
            return Ok(Renamed::Renamed(version));
        }
        let _gone = self.end(renaming.to).await?;
        self.not_renamed(renaming).await
    }

    /// What the set of a rename's mark expects to find; `None` if what was damaged is not there as such.
    async fn expected(self, renaming: &Renaming<'_>) -> Result<Option<Condition>, Error> {
        if let Some(version) = renaming.expected {
            return Ok(Some(Condition::Generation(version.0)));
        }
        Ok(match self.find(RENAME, &renaming.from.entry_key()).await? {
            Found::Damaged(_, condition) => Some(condition),
            _ => None,
        })
    }

    async fn not_renamed(self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
        let is_live = self.is_live(RENAME, renaming.from).await?;
        Ok(if is_live { Renamed::Conflict } else { Renamed::Absent })
    }

    /// Deletes what is under `key` and says where it went, if it was renamed.
    async fn end(self, key: &RecordKey) -> Result<(Deleted, Option<RecordKey>), Error> {
        let mut is_damaged = false;
        for _ in 0..DELETE_TRIES {
            let found = self.find(DELETE, &key.entry_key()).await?;
            // Made after the look-up, as it stays for its time from then on.
            let mark = self.store.mark(None, ENDED_FOR);
            is_damaged = matches!(found, Found::Damaged(..));
            let seen = match found {
                Found::Session(_, entry) => Condition::Generation(entry.generation()),
                Found::Damaged(_, condition) => condition,
                Found::Mark(Mark::Renewed(to)) => return Ok((Deleted::Absent, to)),
                Found::Mark(Mark::Ended) | Found::Absent => return Ok((Deleted::Absent, None)),
            };
            if self.set_fitting_if(DELETE, &key.entry_key(), mark, seen).await?.is_some() {
                // Over damage the mark stays: it may be a session for whoever can read it, or has rescued it.
                if !is_damaged {
                    self.remove(DELETE, key).await?;
                }
                return Ok((Deleted::Deleted, None));
            }
        }
        if is_damaged {
            // The namespace lets nothing be set over it, which it should. A logout ends it all the same.
            self.remove(DELETE, key).await?;
            return Ok((Deleted::Deleted, None));
        }
        Err(Error::new(ErrorKind::Unavailable, DELETE).with_detail("others keep changing it"))
    }

    /// After a set failed: whether the session is still there, or something that nobody can read here.
    async fn is_live(self, operation: &'static str, key: &RecordKey) -> Result<bool, Error> {
        Ok(self.find(operation, &key.entry_key()).await?.may_live())
    }
}
