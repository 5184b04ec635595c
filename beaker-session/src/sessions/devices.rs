//! All sessions of one user.

use beaker_namespace::Timestamp;

use super::Sessions;
use crate::store::{Loaded, Member};
use crate::{Error, RecordKey, Session};

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
    /// The live sessions of `subject`, as [`Session::set_subject`] named it; the one used last comes first.
    ///
    /// # Errors
    ///
    /// Those of the store; [`Unsupported`](crate::ErrorKind::Unsupported) if it keeps no lists.
    pub fn devices(&self, subject: &str) -> Result<Vec<Device>, Error> {
        let now = self.0.clock.now();
        let mut devices = Vec::new();
        for Member { key, .. } in self.0.store.members(subject)? {
            let Loaded::Present(stored) = self.0.store.load(&key)? else { continue };
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

    /// Ends all sessions of `subject`, and says how many. One that is being renewed at the same time ends too.
    /// Sessions that are kept in cookies end by the subject's epoch, and are not counted.
    ///
    /// # Errors
    ///
    /// Those of the store; what was not ended then is ended by calling again.
    pub fn revoke_all(&self, subject: &str) -> Result<usize, Error> {
        self.revoke_but(subject, None)
    }

    /// Ends all sessions of `session`'s subject but this one, and says how many.
    ///
    /// # Errors
    ///
    /// As [`revoke_all`](Self::revoke_all); [`Config`](crate::ErrorKind::Config) if the session has no
    /// subject or is not stored yet.
    pub fn revoke_others(&self, session: &Session) -> Result<usize, Error> {
        let (subject, key) = session.subject().zip(session.key()).ok_or_else(|| {
            Error::config("the session has no subject yet: call set_subject, and save")
        })?;
        self.revoke_but(&subject, Some(key))
    }

    fn revoke_but(&self, subject: &str, spared: Option<RecordKey>) -> Result<usize, Error> {
        use crate::store::Deleted;
        if self.0.config.epochs {
            return self.0.store.raise_epoch(subject).map(|_| 0);
        }
        let mut ended = 0;
        for Member { key, .. } in self.0.store.members(subject)? {
            if Some(key) != spared && self.0.store.delete(&key)? == Deleted::Deleted {
                ended += 1;
            }
        }
        Ok(ended)
    }
}
