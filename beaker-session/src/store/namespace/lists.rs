//! The lists of users' sessions, and the epochs of their cookie-only sessions.
//
// They are entries of the same namespace, under keys that no session can have, and named by a hash
// of the subject. Each change is a set on the generation that was read, tried again if somebody
// was quicker.

use beaker_namespace::{Condition, Entry, Key, Payload, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::MARGIN;
use super::calls::Calls;
use crate::store::member::{Member, Roll};
use crate::{Error, ErrorKind};

/// How often a change is tried against others.
const TRIES: usize = 256;

const LIST: &str = "list a user's sessions";
const EPOCH: &str = "change a user's epoch";

impl Calls<'_> {
    pub(super) async fn add_member(self, subject: &str, member: &Member) -> Result<(), Error> {
        let key = key_of("sessions of", subject);
        self.change(LIST, &key, |roll: &mut Roll, now| {
            roll.enroll(member, now)?;
            Ok(roll.until())
        })
        .await
        .map(drop)
    }

    pub(super) async fn list_members(self, subject: &str) -> Result<Vec<Member>, Error> {
        let entry = self.get(LIST, &key_of("sessions of", subject)).await?;
        let roll: Roll = entry.as_ref().map_or_else(|| Ok(Roll::default()), |e| parse(LIST, e))?;
        Ok(roll.members(self.now()))
    }

    pub(super) async fn read_epoch(self, subject: &str) -> Result<u64, Error> {
        let entry = self.get(EPOCH, &key_of("epoch of", subject)).await?;
        entry.as_ref().map_or(Ok(0), |entry| parse(EPOCH, entry))
    }

    pub(super) async fn next_epoch(self, subject: &str) -> Result<u64, Error> {
        self.change(EPOCH, &key_of("epoch of", subject), |epoch: &mut u64, _now| {
            *epoch += 1;
            Ok(Timestamp::NEVER)
        })
        .await
    }

    /// Reads, changes and writes a list; `change` says until when it is to be kept.
    async fn change<T: DeserializeOwned + Serialize + Default>(
        self,
        operation: &'static str,
        key: &Key,
        change: impl Fn(&mut T, Timestamp) -> Result<Timestamp, Error>,
    ) -> Result<T, Error> {
        for _ in 0..TRIES {
            let now = self.now();
            let entry = self.get(operation, key).await?;
            let (mut list, seen) = match &entry {
                Some(entry) => {
                    (parse(operation, entry)?, Condition::Generation(entry.generation()))
                }
                None => (T::default(), Condition::Absent),
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
