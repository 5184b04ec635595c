//! All sessions of one user.

use std::collections::HashSet;

use beaker_namespace::Timestamp;

use super::Sessions;
use super::asks::Asks;
use crate::core::Op;
use crate::record::Record;
use crate::store::{Created, Deleted, Loaded, Member, ready};
use crate::{Error, ErrorKind, RecordKey, Session, SessionId};

/// One of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Names the session to [`Sessions::revoke`]. Opens nothing, so it may be shown to the user.
    pub key: RecordKey,
    /// When the session was made.
    pub created: Timestamp,
    /// When it was last used, as exactly as the access policy notes it.
    pub last_seen: Timestamp,
    /// What [`Session::set_subject`] was given to tell devices apart.
    pub label: Option<String>,
}

impl Sessions {
    /// The live sessions of `subject`, as [`Session::set_subject`] named it; the one used last
    /// comes first.
    ///
    /// # Errors
    ///
    /// Those of the store; [`Unsupported`](crate::ErrorKind::Unsupported) if it keeps no lists.
    pub fn devices(&self, subject: &str) -> Result<Vec<Device>, Error> {
        ready(self.blocking().devices(subject))
    }

    /// Ends all sessions of `subject`, and says how many. One that is being renewed at the same
    /// time ends too. Sessions that are kept in cookies end by the subject's epoch, and are not
    /// counted.
    ///
    /// # Errors
    ///
    /// Those of the store; what was not ended then is ended by calling again.
    pub fn revoke_all(&self, subject: &str) -> Result<usize, Error> {
        ready(self.blocking().revoke_all(subject))
    }

    /// Ends all sessions of `session`'s subject but this one, and says how many.
    ///
    /// # Errors
    ///
    /// As [`revoke_all`](Self::revoke_all); [`Config`](crate::ErrorKind::Config) if the session
    /// has no subject or is not stored yet; [`Unsupported`](crate::ErrorKind::Unsupported) for
    /// sessions that are kept in cookies: an epoch ends them all.
    pub fn revoke_others(&self, session: &Session) -> Result<usize, Error> {
        ready(self.blocking().revoke_others(session))
    }
}

impl Asks {
    pub(crate) async fn devices(&self, subject: &str) -> Result<Vec<Device>, Error> {
        let now = self.sessions.0.clock.now();
        let mut devices = Vec::new();
        for Member { key, .. } in self.members(subject).await? {
            let stored = match self.load(&key).await {
                Ok(Loaded::Present(stored)) => stored,
                Ok(_) => continue,
                // Nobody can go on with it, so it is no device any more.
                Err(error) if error.kind() == ErrorKind::Corrupt => continue,
                Err(error) => return Err(error),
            };
            let record = &stored.record;
            // A session can change its subject, and stays on the old list.
            if record.subject() != Some(subject) || record.is_expired(stored.accessed, now) {
                continue;
            }
            devices.push(Device {
                key,
                created: record.created(),
                last_seen: stored.accessed,
                label: record.label().map(str::to_owned),
            });
        }
        devices.sort_by_key(|device| std::cmp::Reverse(device.last_seen));
        Ok(devices)
    }

    pub(crate) async fn revoke_all(&self, subject: &str) -> Result<usize, Error> {
        if self.sessions.0.config.epochs {
            return self.raise_epoch(subject).await.map(|_| 0);
        }
        let mut ended = 0;
        for Member { key, .. } in self.members(subject).await? {
            ended += usize::from(self.end(&key).await? == Deleted::Deleted);
        }
        Ok(ended)
    }

    pub(crate) async fn revoke_others(&self, session: &Session) -> Result<usize, Error> {
        if self.sessions.0.config.sealer.is_some() {
            return Err(Error::new(ErrorKind::Unsupported, "end a user's other sessions"));
        }
        let (subject, spared) = session.subject().zip(session.key()).ok_or_else(|| {
            Error::config("the session has no subject yet: call set_subject, and save")
        })?;
        let (mut seen, mut ended) = (HashSet::from([spared]), 0);
        // Who is renewed while this runs is on the list, when it is read again, under the new key.
        loop {
            let members = self.members(&subject).await?;
            let new = members.iter().map(|member| member.key).filter(|key| seen.insert(*key));
            let new: Vec<RecordKey> = new.collect();
            if new.is_empty() {
                return Ok(ended);
            }
            for key in new {
                ended += usize::from(self.end_unless_renewed(&key).await?);
            }
        }
    }

    /// Ends one session; and where it was made of another system's, that too.
    pub(crate) async fn end(&self, key: &RecordKey) -> Result<Deleted, Error> {
        let config = &self.sessions.0.config;
        if config.sealer.is_some() && config.epochs {
            return self.mark(key).await;
        }
        if config.bridge.is_some()
            && let Ok(Loaded::Present(stored)) = self.load(key).await
            && let Some(mark) = stored.record.own.bridged
        {
            let record = Record::new(self.sessions.0.clock.now()).into();
            let _marked_before = self.create(Op::Create { key: mark, record }).await?;
        }
        self.delete(key).await
    }

    /// Notes that a cookie-only session has ended. Its life is not known here, so that stays.
    async fn mark(&self, key: &RecordKey) -> Result<Deleted, Error> {
        let key = key.plain_id().map_or(*key, SessionId::hashed);
        let record = Record::new(self.sessions.0.clock.now()).into();
        Ok(match self.create(Op::Create { key, record }).await? {
            Created::Created(_) => Deleted::Deleted,
            Created::Exists => Deleted::Absent,
        })
    }

    /// The old key of a renewed session would lead to the new one, which may be the one to be
    /// spared.
    async fn end_unless_renewed(&self, key: &RecordKey) -> Result<bool, Error> {
        match self.load(key).await {
            Ok(Loaded::Renewed | Loaded::Absent) => Ok(false),
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
            Ok(Loaded::Present(_)) | Err(_) => Ok(self.end(key).await? == Deleted::Deleted),
        }
    }
}
