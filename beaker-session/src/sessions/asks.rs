//! What a site asks its store outside of a request, by the face that suits the caller.

use beaker_namespace::Timestamp;

use super::Inner;
use crate::core::{Answer, Op, Open, Origin};
use crate::record::Version;
use crate::session::Loaded;
use crate::store::{Created, Deleted, DeletedIf, Face, Loaded as Found, Member};
use crate::{Error, ErrorKind, RecordKey, Session, SessionId, Sessions};

/// The sessions of a site, by one face of their store. What is asked for is written once, as async
/// functions; by the blocking face they wait for nothing.
pub(crate) struct Asks {
    pub(super) sessions: Sessions,
    face: Face,
}

impl Sessions {
    pub(crate) fn blocking(&self) -> Asks {
        self.by(Face::Blocking)
    }

    pub(crate) fn by(&self, face: Face) -> Asks {
        Asks { sessions: self.clone(), face }
    }
}

impl Asks {
    async fn ask(&self, op: Op) -> Answer {
        let answer = self.face.ask(self.sessions.store(), &op).await;
        self.sessions.tell(&op);
        answer
    }

    pub(crate) async fn get_by_id(&self, id: &SessionId) -> Result<Option<Session>, Error> {
        let Inner { config, clock, .. } = &*self.sessions.0;
        if config.sealer.is_some() {
            return Err(Error::new(ErrorKind::Unsupported, "get session by id")
                .with_detail("it is kept in its cookie, and comes with a request alone"));
        }
        let loaded = self.load(&config.wire.key(id)).await?;
        let Found::Present(stored) = loaded else { return Ok(None) };
        if stored.record.is_expired(stored.accessed, clock.now()) {
            return Ok(None);
        }
        let open = Open::known(Origin::Known, *id, stored);
        Ok(Some(self.sessions.detached(open)))
    }

    /// Whether the session that was loaded is still there.
    pub(crate) async fn check(&self, session: &Session) -> Result<(), Error> {
        let session = session.loaded().ok_or_else(ended)?;
        self.look(&session).await.map(drop)
    }

    /// As [`check`](Self::check), and when the session ends if it is not used again.
    pub(crate) async fn look(&self, session: &Loaded) -> Result<Timestamp, Error> {
        let Inner { config, clock, .. } = &*self.sessions.0;
        let Loaded { id, base, epoch } = session;
        let now = clock.now();
        if config.sealer.is_none() {
            return match self.load(&config.wire.key(id)).await? {
                Found::Present(found) => found.live_until(now).ok_or_else(ended),
                _ => Err(ended()),
            };
        }
        let until = base.live_until(now).ok_or_else(ended)?;
        if config.epochs {
            match self.load(&id.hashed()).await {
                Ok(Found::Absent) => {}
                // A mark that cannot be read is one all the same.
                Ok(_) => return Err(ended()),
                Err(error) if error.kind() == ErrorKind::Corrupt => return Err(ended()),
                Err(error) => return Err(error),
            }
            if let Some(subject) = base.record.subject()
                && epoch.unwrap_or(0) < self.epoch(subject).await?
            {
                return Err(ended());
            }
        }
        Ok(until)
    }

    async fn epoch(&self, subject: &str) -> Result<u64, Error> {
        match self.ask(Op::Epoch(subject.to_owned())).await {
            Answer::Epoch(epoch) => Ok(epoch),
            other => Err(other.into_failure()),
        }
    }

    pub(super) async fn load(&self, key: &RecordKey) -> Result<Found, Error> {
        self.ask(Op::Load(*key)).await.into_loaded()
    }

    pub(super) async fn create(&self, op: Op) -> Result<Created, Error> {
        self.ask(op).await.into_created()
    }

    pub(super) async fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
        self.ask(Op::Delete(*key)).await.into_deleted()
    }

    pub(super) async fn delete_if(
        &self,
        key: &RecordKey,
        expected: Version,
    ) -> Result<DeletedIf, Error> {
        match self.ask(Op::DeleteIf { key: *key, expected }).await {
            Answer::DeletedIf(deleted) => Ok(deleted),
            other => Err(other.into_failure()),
        }
    }

    pub(super) async fn members(&self, subject: &str) -> Result<Vec<Member>, Error> {
        match self.ask(Op::Members(subject.to_owned())).await {
            Answer::Members(members) => Ok(members),
            other => Err(other.into_failure()),
        }
    }

    pub(super) async fn raise_epoch(&self, subject: &str) -> Result<u64, Error> {
        match self.ask(Op::RaiseEpoch(subject.to_owned())).await {
            Answer::Epoch(epoch) => Ok(epoch),
            other => Err(other.into_failure()),
        }
    }

    pub(crate) async fn sweep(&self) -> Result<u64, Error> {
        let swept = self.ask(Op::Sweep).await.into_swept()?;
        self.sessions.0.config.counts.add_many(swept, |at| &at.collected);
        Ok(swept)
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Ended, "check session")
}
