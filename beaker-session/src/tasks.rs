//! The asynchronous face.
//
// A store that blocks is called on the runtime's threads for that, and one that has an asynchronous face
// by a task of its own, from the beginning of a load, a save or a revocation to its end: so a future that
// is dropped leaves nothing half done.

use std::future::Future;
use std::time::Duration;

use crate::core::Outgoing;
use crate::lazy::{Goal, LazySession};
use crate::session::Wait;
use crate::sessions::Asks;
use crate::store::{Face, SessionStore, ready};
use crate::timer::within;
use crate::{Device, Error, ErrorKind, RecordKey, Session, SessionId, Sessions};
use beaker_namespace::Latency;

#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl LazySession {
    /// As [`load`](Self::load).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); [`Config`](ErrorKind::Config) outside of a tokio runtime, if the
    /// store only blocks.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the session loaded or not, and nothing else. A wait for [its
    /// turn](crate::MergePolicy::Lock) ends with it.
    pub async fn load_async(&self) -> Result<Session, Error> {
        self.drive_async(Goal::Load).await?;
        Ok(Session::new(self.clone()))
    }

    /// As [`delete`](Self::delete).
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete); [`Config`](ErrorKind::Config) outside of a tokio runtime, if the
    /// store only blocks.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the session to be ended by the commit or not, and nothing else.
    pub async fn delete_async(&self) -> Result<(), Error> {
        self.drive_async(Goal::Delete).await
    }

    /// As [`commit`](Self::commit).
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit); [`Config`](ErrorKind::Config) outside of a tokio runtime, if
    /// the store only blocks.
    ///
    /// # Cancel safety
    ///
    /// A commit that has begun runs to its end, also if the future is dropped; outside of a runtime it ends
    /// with the future, between two calls of the store.
    pub async fn commit_async(&self) -> Result<Outgoing, Error> {
        self.commit_as_async(false).await
    }

    /// As [`commit_failed`](Self::commit_failed).
    ///
    /// # Errors
    ///
    /// As [`commit_async`](Self::commit_async).
    ///
    /// # Cancel safety
    ///
    /// As [`commit_async`](Self::commit_async).
    pub async fn commit_failed_async(&self) -> Result<Outgoing, Error> {
        self.commit_as_async(true).await
    }

    pub(crate) async fn commit_as_async(&self, server_error: bool) -> Result<Outgoing, Error> {
        let saved = self.drive_async(Goal::Commit { server_error }).await;
        self.committed(saved)
    }

    /// Whether [`drive`](Self::drive) may be called in a task.
    pub(crate) fn is_inline(&self, goal: Goal) -> bool {
        let sessions = self.sessions();
        let is_inline = sessions.0.inline && !goal.takes_turns(sessions.config());
        is_inline || !self.asks_store(goal)
    }

    async fn drive_async(&self, goal: Goal) -> Result<(), Error> {
        if self.is_inline(goal) {
            return self.drive(goal);
        }
        // In a box: it is larger than a kilobyte, which every handler's future would have to hold.
        Box::pin(self.clone().drive_elsewhere(goal)).await
    }

    async fn drive_elsewhere(self, goal: Goal) -> Result<(), Error> {
        if goal.takes_turns(self.sessions().config()) {
            return self.load_in_turn_async().await;
        }
        if self.sessions().asynchronous().is_some() {
            return to_its_end(async move { self.drive_in_task(goal).await }).await;
        }
        blocking(move || self.drive(goal)).await
    }

    async fn drive_in_task(self, goal: Goal) -> Result<(), Error> {
        match self.sessions().asynchronous() {
            Some(store) => self.drive_by(store, goal).await,
            None => self.drive(goal),
        }
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl Session {
    /// As [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save); [`Config`](ErrorKind::Config) outside of a tokio runtime, if the
    /// store only blocks.
    ///
    /// # Cancel safety
    ///
    /// A save that has begun runs to its end, also if the future is dropped; outside of a runtime it ends
    /// with the future, between two calls of the store.
    pub async fn save_async(&self) -> Result<(), Error> {
        self.lazy().drive_async(Goal::Save).await
    }

    /// As [`check`](Self::check).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); [`Config`](ErrorKind::Config) outside of a tokio runtime, if the
    /// store only blocks.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing.
    pub async fn check_async(&self) -> Result<(), Error> {
        let session = self.clone();
        self.lazy().sessions().call(|asks| async move { asks.check(&session).await }).await
    }

    /// Waits until the session has ended, as [`wait_ended_for`](Self::wait_ended_for) does: for a websocket or an
    /// event stream that is to end with the [detached](Self::detach) session.
    ///
    /// # Errors
    ///
    /// As [`wait_ended_for`](Self::wait_ended_for); [`Config`](ErrorKind::Config) outside of a tokio runtime, if
    /// the store only blocks; [`Unavailable`](ErrorKind::Unavailable) if the system gives no thread for timers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing; a read of the store that is under way may still end.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use beaker_session::Session;
    /// use tokio::sync::mpsc::Receiver;
    ///
    /// /// Sends what there is to tell, until the visitor is logged out or nothing comes any more.
    /// async fn stream(session: Session, mut news: Receiver<String>, mut send: impl AsyncFnMut(String)) {
    ///     let mut ended = std::pin::pin!(session.wait_ended_async(Duration::from_secs(30)));
    ///     loop {
    ///         tokio::select! {
    ///             biased;
    ///             // An error too: nobody would be told any more.
    ///             _ended = &mut ended => return,
    ///             new = news.recv() => match new {
    ///                 Some(new) => send(new).await,
    ///                 None => return,
    ///             },
    ///         }
    ///     }
    /// }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// # let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "ended")?;
    /// # let sessions = beaker_session::Sessions::builder().with_namespace(store).build()?;
    /// # let session = sessions.begin([]).load()?;
    /// # session.insert("user", "ada")?;
    /// # session.save()?;
    /// # let (news, told) = tokio::sync::mpsc::channel(8);
    /// # let (socket, key) = (session.detach()?, session.key());
    /// # news.send("hello".to_owned()).await?;
    /// # let mut sent = Vec::new();
    /// # stream(socket, told, async |new: String| {
    /// #     sent.push(new);
    /// #     sessions.revoke(&key.expect("it is stored")).expect("the store is in memory");
    /// # }).await;
    /// # assert_eq!(sent, ["hello"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait_ended_async(&self, every: Duration) -> Result<(), Error> {
        let sessions = self.lazy().sessions();
        let Some(mut wait) = Wait::begin(self, every) else { return Ok(()) };
        loop {
            let session = wait.session.clone();
            let look = sessions.call(|asks| async move { asks.look(&session).await });
            let Some(pause) = wait.pause(look.await)? else { return Ok(()) };
            let _told = within(pause, wait.listener.notified()).await?;
        }
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl Sessions {
    /// As [`get_by_id`](Self::get_by_id).
    ///
    /// # Errors
    ///
    /// As [`get_by_id`](Self::get_by_id).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing.
    pub async fn get_by_id_async(&self, id: SessionId) -> Result<Option<Session>, Error> {
        self.call(move |asks| async move { asks.get_by_id(&id).await }).await
    }

    /// As [`devices`](Self::devices).
    ///
    /// # Errors
    ///
    /// As [`devices`](Self::devices).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing.
    pub async fn devices_async(&self, subject: &str) -> Result<Vec<Device>, Error> {
        let subject = subject.to_owned();
        self.call(|asks| async move { asks.devices(&subject).await }).await
    }

    /// As [`revoke`](Self::revoke).
    ///
    /// # Errors
    ///
    /// As [`revoke`](Self::revoke).
    ///
    /// # Cancel safety
    ///
    /// A revocation that has begun runs to its end, also if the future is dropped; outside of a runtime it
    /// ends with the future, between two calls of the store.
    pub async fn revoke_async(&self, key: RecordKey) -> Result<(), Error> {
        self.call(move |asks| async move { asks.end(&key).await.map(drop) }).await
    }

    /// As [`revoke_all`](Self::revoke_all).
    ///
    /// # Errors
    ///
    /// As [`revoke_all`](Self::revoke_all).
    ///
    /// # Cancel safety
    ///
    /// As [`revoke_async`](Self::revoke_async).
    pub async fn revoke_all_async(&self, subject: &str) -> Result<usize, Error> {
        let subject = subject.to_owned();
        self.call(|asks| async move { asks.revoke_all(&subject).await }).await
    }

    /// As [`revoke_others`](Self::revoke_others).
    ///
    /// # Errors
    ///
    /// As [`revoke_others`](Self::revoke_others).
    ///
    /// # Cancel safety
    ///
    /// As [`revoke_async`](Self::revoke_async).
    pub async fn revoke_others_async(&self, session: &Session) -> Result<usize, Error> {
        let session = session.clone();
        self.call(|asks| async move { asks.revoke_others(&session).await }).await
    }

    /// As [`sweep`](Self::sweep).
    ///
    /// # Errors
    ///
    /// As [`sweep`](Self::sweep); [`Config`](ErrorKind::Config) outside of a tokio runtime, if the store
    /// only blocks.
    ///
    /// # Cancel safety
    ///
    /// A sweep that has begun runs to its end, also if the future is dropped; outside of a runtime it ends
    /// with the future.
    pub async fn sweep_async(&self) -> Result<u64, Error> {
        self.call(|asks| async move { asks.sweep().await }).await
    }

    async fn call<T, F>(&self, call: impl FnOnce(Asks) -> F + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let sessions = self.clone();
        call_store(self.store(), move |face| call(sessions.by(face))).await
    }
}

/// Calls `store`, by `call`, in the way that suits a task: at once, if it does not block; by its
/// asynchronous face; or on the runtime's threads for what blocks.
pub(crate) async fn call_store<T, F>(
    store: &dyn SessionStore,
    call: impl FnOnce(Face) -> F + Send + 'static,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    if store.latency() == Latency::Inline {
        return ready(call(Face::Blocking));
    }
    if store.asynchronous().is_some() {
        return to_its_end(call(Face::InTask)).await;
    }
    blocking(move || ready(call(Face::Blocking))).await
}

/// Runs `work` beside the caller, so that it ends also if the caller goes away. Outside of a runtime it is
/// the caller's.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => joined(runtime.spawn(work).await),
        Err(_none) => work.await,
    }
}

/// Runs `call`, which may block, on a thread of the runtime for that.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
        Error::config("a store that blocks needs a tokio runtime here").with_source(error)
    })?;
    joined(runtime.spawn_blocking(call).await)
}

fn joined<T>(ended: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    match ended {
        Ok(result) => result,
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(cancelled) => Err(Error::new(ErrorKind::Unavailable, "ask the session store")
            .with_detail("the runtime has ended")
            .with_source(cancelled)),
    }
}
