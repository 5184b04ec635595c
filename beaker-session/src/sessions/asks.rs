//! What a site asks its store outside of a request, by the face that suits the caller.

use super::Inner;
use crate::core::{Answer, Op, Open, Origin, unexpected};
use crate::store::{Created, Deleted, Loaded, Member};
use crate::{Error, RecordKey, Session, SessionId, Sessions};

/// The sessions of a site, by one face of their store. What is asked for is written once, as async
/// functions; by the blocking face they wait for nothing.
pub(crate) struct Asks {
    pub(super) sessions: Sessions,
    #[cfg(feature = "tokio")]
    in_task: bool,
}

impl Sessions {
    pub(crate) fn blocking(&self) -> Asks {
        Asks {
            sessions: self.clone(),
            #[cfg(feature = "tokio")]
            in_task: false,
        }
    }

    /// By the asynchronous face of the store, if it has one.
    #[cfg(feature = "tokio")]
    pub(crate) fn in_task(&self) -> Option<Asks> {
        self.0.store.asynchronous()?;
        Some(Asks { sessions: self.clone(), in_task: true })
    }
}

impl Asks {
    async fn ask(&self, op: Op) -> Answer {
        let store = self.sessions.store();
        #[cfg(feature = "tokio")]
        if self.in_task
            && let Some(store) = store.asynchronous()
        {
            return store.ask(&op).await;
        }
        op.run(store, None)
    }

    pub(crate) async fn get_by_id(&self, id: &SessionId) -> Result<Option<Session>, Error> {
        let Inner { config, clock, .. } = &*self.sessions.0;
        let loaded = self.load(&config.wire.key(id)).await?;
        let Loaded::Present(stored) = loaded else { return Ok(None) };
        if stored.record.is_expired(stored.accessed, clock.now()) {
            return Ok(None);
        }
        let open = Open::known(Origin::Known, *id, stored);
        Ok(Some(self.sessions.detached(open)))
    }

    pub(super) async fn load(&self, key: &RecordKey) -> Result<Loaded, Error> {
        match self.ask(Op::Load(*key)).await {
            Answer::Loaded(loaded) => Ok(loaded),
            other => Err(failure(other)),
        }
    }

    pub(super) async fn create(&self, op: Op) -> Result<Created, Error> {
        match self.ask(op).await {
            Answer::Created(created) => Ok(created),
            other => Err(failure(other)),
        }
    }

    pub(super) async fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
        match self.ask(Op::Delete(*key)).await {
            Answer::Deleted(deleted) => Ok(deleted),
            other => Err(failure(other)),
        }
    }

    pub(super) async fn members(&self, subject: &str) -> Result<Vec<Member>, Error> {
        match self.ask(Op::Members(subject.to_owned())).await {
            Answer::Members(members) => Ok(members),
            other => Err(failure(other)),
        }
    }

    pub(super) async fn raise_epoch(&self, subject: &str) -> Result<u64, Error> {
        match self.ask(Op::RaiseEpoch(subject.to_owned())).await {
            Answer::Epoch(epoch) => Ok(epoch),
            other => Err(failure(other)),
        }
    }
}

/// Why there is no answer.
fn failure(answer: Answer) -> Error {
    match answer {
        Answer::Failed(error) => error,
        _ => unexpected(),
    }
}
