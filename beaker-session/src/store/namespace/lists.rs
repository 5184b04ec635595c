//! The lists of users' sessions, and the epochs of their cookie-only sessions.
//
// They are entries of the same namespace, under keys that no session can have, and named by a hash
// of the subject. Each change is a set on the generation that was read, tried again if somebody
// was quicker.
//
// A list grows by each login, so each takes off some of those that have ended: of the members that
// nobody has looked at for an hour, a few, those that were not looked at for the longest time first. One
// that is enrolled and not stored yet looks as one that has ended. That it is not
// taken off is for the hour: it is stored sooner, or enrolled again first. All keep their places: whoever
// ends them all finds where a session was renewed to behind where it was.
//
// One that is damaged is an error, and begins anew when it is changed: an epoch above all that were counted.
// What is set in its place is set as any other change is, so of several who find it damaged one begins it anew,
// and the others go on with what he made.

use std::time::Duration;

use beaker_namespace::{Condition, Entry, Key, Lookup, Payload, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::MARGIN;
use super::calls::Calls;
use crate::store::Loaded;
use crate::store::member::{Member, Roll};
use crate::{Error, ErrorKind};

/// How often a change is tried against others.
const TRIES: usize = 256;

/// A session is stored a moment after it is enrolled, and until then it is not to be taken for one that
/// has ended. Who enrols asks again if more than a part of this has passed before it is stored.
const STORED_WITHIN: Duration = Duration::from_secs(60 * 60);

/// How many members an enrolment looks at. More than one, so that a list shrinks.
const LOOKED_AT: usize = 4;

const LIST: &str = "list a user's sessions";
const EPOCH: &str = "change a user's epoch";

impl Calls<'_> {
    pub(super) async fn add_member(self, subject: &str, member: &Member) -> Result<(), Error> {
        let key = key_of("sessions of", subject);
        let anew = |_now| Roll::default();
        let roll = self
            .change(LIST, &key, anew, |roll: &mut Roll, now| {
                roll.enroll(member, now)?;
                Ok(roll.until())
            })
            .await?;
        // It is on the list, which is what was asked for; the next enrolment looks again.
        let _looked_at_later = self.prune(&roll, subject, &key).await;
        Ok(())
    }

    /// Takes some of those off the list of `subject` that are not there, or are another's.
    async fn prune(self, roll: &Roll, subject: &str, key: &Key) -> Result<(), Error> {
        let mut looked_at = Vec::new();
        for row in roll.unseen_for(STORED_WITHIN, LOOKED_AT, self.now()) {
            let Some(member) = row.key() else { continue };
            let is_there = match self.load(&member).await {
                Ok(Loaded::Present(stored)) => stored.record.subject() == Some(subject),
                Ok(Loaded::Absent | Loaded::Renewed) => false,
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                // It may be the subject's.
                Err(_) => true,
            };
            looked_at.push((row, is_there));
        }
        if looked_at.is_empty() {
            return Ok(());
        }
        self.change(
            LIST,
            key,
            |_now| Roll::default(),
            |roll: &mut Roll, now| {
                roll.prune(&looked_at, now);
                Ok(roll.until())
            },
        )
        .await
        .map(drop)
    }

    pub(super) async fn list_members(self, subject: &str) -> Result<Vec<Member>, Error> {
        let (roll, _) = self.read::<Roll>(LIST, &key_of("sessions of", subject)).await?;
        let roll = roll?;
        Ok(roll.map_or_else(Vec::new, |roll| roll.members(self.now())))
    }

    pub(super) async fn read_epoch(self, subject: &str) -> Result<u64, Error> {
        match self.read(EPOCH, &key_of("epoch of", subject)).await?.0 {
            Ok(epoch) => Ok(epoch.unwrap_or_default()),
            // What it barred stays barred: it is raised above all that there can have been.
            Err(error) if error.kind() == ErrorKind::Corrupt => self.next_epoch(subject).await,
            Err(error) => Err(error),
        }
    }

    pub(super) async fn next_epoch(self, subject: &str) -> Result<u64, Error> {
        let above_all = |now: Timestamp| now.as_micros().cast_unsigned();
        self.change(EPOCH, &key_of("epoch of", subject), above_all, |epoch: &mut u64, _now| {
            *epoch += 1;
            Ok(Timestamp::NEVER)
        })
        .await
    }

    /// What is under `key`, an error if it is damaged, and what a set in its place expects to find.
    async fn read<T: DeserializeOwned>(
        self,
        operation: &'static str,
        key: &Key,
    ) -> Result<(Result<Option<T>, Error>, Condition), Error> {
        let corrupt = || Error::new(ErrorKind::Corrupt, operation);
        Ok(match self.look_up(operation, key).await {
            Ok(Lookup::Found(entry)) => {
                (parse(operation, &entry).map(Some), Condition::Generation(entry.generation()))
            }
            // Once it has gone too: who goes on from nothing there would begin below what was counted.
            Ok(Lookup::Corrupt(damage)) => {
                (Err(corrupt().with_detail(damage.reason())), Condition::Absent)
            }
            Ok(_) => (Ok(None), Condition::Absent),
            Err(error) if error.kind() == ErrorKind::Corrupt => (Err(error), Condition::Absent),
            Err(error) => return Err(error),
        })
    }

    /// Reads, changes and writes a list; `change` says until when it is to be kept. In place of one that is
    /// damaged it begins with `anew`.
    async fn change<T: DeserializeOwned + Serialize + Default>(
        self,
        operation: &'static str,
        key: &Key,
        anew: impl Fn(Timestamp) -> T,
        change: impl Fn(&mut T, Timestamp) -> Result<Timestamp, Error>,
    ) -> Result<T, Error> {
        for _ in 0..TRIES {
            let now = self.now();
            let (found, seen) = self.read(operation, key).await?;
            let mut list = match found {
                Ok(list) => list.unwrap_or_default(),
                Err(_damaged) => anew(now),
            };
            let until = change(&mut list, now)?.saturating_add(MARGIN);
            let bytes = serde_json::to_vec(&list)
                .map_err(|error| Error::new(ErrorKind::Codec, operation).with_source(error))?;
            let entry = Entry::new(Payload::raw(bytes), now).times(until, until);
            if self.set_if(operation, key, entry, seen).await?.is_some() {
                return Ok(list);
            }
        }
        Err(Error::new(ErrorKind::Unavailable, operation).with_detail("others keep changing it"))
    }
}

fn key_of(list: &str, subject: &str) -> Key {
    let hash = Sha256::digest(subject);
    Key::new(&(list, &hash[..]))
}

fn parse<T: DeserializeOwned>(operation: &'static str, entry: &Entry) -> Result<T, Error> {
    let corrupt = || Error::new(ErrorKind::Corrupt, operation);
    let Payload::Bytes { bytes, .. } = entry.payload() else { return Err(corrupt()) };
    serde_json::from_slice(bytes).map_err(|_unshown| corrupt())
}
