//! All sessions of one user.

use std::collections::HashSet;

use beaker_namespace::Timestamp;

use super::Sessions;
use super::asks::Asks;
use crate::core::Op;
use crate::record::Record;
use crate::store::{Created, Deleted, DeletedIf, Loaded, Member, ready};
use crate::{Error, ErrorKind, RecordKey, Session, SessionId};

/// How often the end of one session is tried against others who keep changing it.
const END_TRIES: usize = 64;

/// What came of ending one of a list's sessions.
enum Ending {
    Ended,
    /// It could not be read, and has ended; or a rescue has moved it so long ago that nothing says where to.
    EndedUnread,
    /// It is another subject's by now.
    Spared,
    /// It is not under this key any more.
    Gone,
}

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
    /// time ends too, and what a request under way would still store in one is refused. A session that
    /// has another subject by now is left alone; one whose record is damaged, so that nobody can say
    /// whose it is, ends. A login that is stored only after its list was looked at counts as a later
    /// one. Sessions that are kept in cookies end by the subject's epoch, and are not counted.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`Conflict`](crate::ErrorKind::Conflict) if others keep changing a session: the
    /// others have ended then. What was not ended is ended by calling again.
    pub fn revoke_all(&self, subject: &str) -> Result<usize, Error> {
        ready(self.blocking().revoke_all(subject))
    }

    /// Ends all sessions of `session`'s subject but this one, and says how many; as
    /// [`revoke_all`](Self::revoke_all) does.
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
        self.end_all(subject, HashSet::new()).await
    }

    pub(crate) async fn revoke_others(&self, session: &Session) -> Result<usize, Error> {
        if self.sessions.0.config.sealer.is_some() {
            return Err(Error::new(ErrorKind::Unsupported, "end a user's other sessions")
                .with_detail("they are kept in cookies, which end all together: use revoke_all"));
        }
        let (subject, spared) = session.subject().zip(session.key()).ok_or_else(|| {
            Error::config("the session has no subject yet: call set_subject, and save")
        })?;
        self.end_all(&subject, HashSet::from([spared])).await
    }

    /// Ends the sessions of `subject` but those that were `seen`, and says how many.
    async fn end_all(&self, subject: &str, mut seen: HashSet<RecordKey>) -> Result<usize, Error> {
        let mut ended = 0;
        let mut failed = None;
        loop {
            let mut is_complete = true;
            for Member { key, .. } in self.members(subject).await? {
                if !seen.insert(key) {
                    continue;
                }
                match self.end_if_of(subject, &key).await {
                    Ok(Ending::Ended) => ended += 1,
                    Ok(Ending::EndedUnread) => {
                        ended += 1;
                        is_complete = false;
                    }
                    Ok(Ending::Spared) => {}
                    // If it was renewed or rescued, it is on the list under its new key by now, behind this one.
                    Ok(Ending::Gone) => is_complete = false,
                    Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                    // One that cannot be ended keeps none behind it.
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if is_complete {
                return failed.map_or(Ok(ended), Err);
            }
        }
    }

    /// Ends the session under `key` if it is `subject`'s. It ends the version that it has looked at: at
    /// one that changes its subject meanwhile it looks again.
    async fn end_if_of(&self, subject: &str, key: &RecordKey) -> Result<Ending, Error> {
        for _ in 0..END_TRIES {
            let stored = match self.load(key).await {
                Ok(Loaded::Present(stored)) => stored,
                Ok(Loaded::Renewed | Loaded::Absent) => return Ok(Ending::Gone),
                // Whose it is cannot be seen, so it may be the subject's.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    return Ok(match self.delete(key).await? {
                        Deleted::Deleted => Ending::EndedUnread,
                        // Somebody has ended it meanwhile, or rescued it to another key.
                        Deleted::Absent => Ending::Gone,
                    });
                }
                Err(error) => return Err(error),
            };
            if stored.record.subject() != Some(subject) {
                return Ok(Ending::Spared);
            }
            self.mark_origin(&stored.record).await?;
            match self.delete_if(key, stored.version).await? {
                DeletedIf::Deleted => return Ok(Ending::Ended),
                DeletedIf::Absent => return Ok(Ending::Gone),
                DeletedIf::Conflict => {}
            }
        }
        Err(Error::new(ErrorKind::Conflict, "end a user's sessions")
            .with_detail("others keep changing one"))
    }

    /// Ends one session; and where it was made of another system's, that too.
    pub(crate) async fn end(&self, key: &RecordKey) -> Result<Deleted, Error> {
        let config = &self.sessions.0.config;
        if config.sealer.is_some() && config.epochs {
            return self.mark(key).await;
        }
        if config.bridge.is_some()
            && let Ok(Loaded::Present(stored)) = self.load(key).await
        {
            self.mark_origin(&stored.record).await?;
        }
        self.delete(key).await
    }

    /// Where a session was made of another system's, that one opens nothing from now on.
    async fn mark_origin(&self, record: &Record) -> Result<(), Error> {
        if self.sessions.0.config.bridge.is_some()
            && let Some(mark) = record.own.bridged
        {
            let record = Record::new(self.sessions.0.clock.now()).into();
            let _marked_before = self.create(Op::Create { key: mark, record }).await?;
        }
        Ok(())
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
}
