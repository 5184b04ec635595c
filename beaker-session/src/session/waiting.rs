//! Waiting for a session's end.
//
// 1. Who waits listens first, then looks at the store, then waits for what comes first: that he is told, that the
//    session's time is over, or that he is to look again. So what ends between two steps is seen or told.
// 2. Being told is a reason to look and no more: the store says whether the session has ended, as for `check`.
// 3. The wait is for the id that the session has when it begins.

use std::time::{Duration, Instant};

use beaker_namespace::Timestamp;
use beaker_sync::Listener;

use super::{Loaded, Session};
use crate::sessions::End;
use crate::store::ready;
use crate::{Error, ErrorKind, Sessions};

/// What a wait for a session's end came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Waited {
    /// The session has ended.
    Ended,
    /// It had not when the time to wait was over.
    TimedOut,
}

impl Session {
    /// The shortest time between two looks of a [wait](Self::wait_ended_for); a shorter one counts as this.
    pub const MIN_LOOK: Duration = Duration::from_millis(100);

    /// Waits until the session has ended, for what goes on for long with a [detached](Self::detach) one, such as a
    /// thread that streams. What has ended is as [`check`](Self::check) says: it was logged out, revoked, renewed
    /// to another id (by this handle too), or it has expired.
    ///
    /// An end by these [`Sessions`], or a clone of them, is told at once. Other processes, and others who write to the
    /// same store, tell nobody: what they end is seen by a look at the store, one read `every` so often, and so at most
    /// that long after it. `every` is at least [`MIN_LOOK`](Self::MIN_LOOK); a wait costs nothing else. That the
    /// session has expired is seen at most `MIN_LOOK` after its time is over, as the last look knew it, if the clock was
    /// not set meanwhile. Uses by other requests prolong it, as they do for all. Where another request has shortened it
    /// ([`set_limits`](Self::set_limits)), nobody tells: that is seen by the next look, and so at most `every` later.
    ///
    /// A store that fails, or a record that cannot be read, says nothing of the session: the wait goes on, and looks again
    /// after `every`, or when the time is over that the session was known to have. So an outage ends no wait, and an end
    /// meanwhile is seen when it is over; to close streams in an outage, ask [`check`](Self::check).
    ///
    /// A session that is kept in its cookie has ended when the time is over that it had when it was loaded. That it
    /// was logged out or renewed, or its user's sessions were revoked, is seen and told only where there is a store
    /// [for that](crate::Builder::with_epochs); the mark that it was logged out or renewed says so also if it cannot be
    /// read.
    ///
    /// A `timeout` of zero looks once. It blocks its thread; in a task use
    /// [`wait_ended_async`](Self::wait_ended_async).
    ///
    /// # Errors
    ///
    /// Those of the store that no later look can mend, such as [`Unsupported`](ErrorKind::Unsupported). One that was never
    /// stored has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use beaker_namespace::Stores;
    /// use beaker_session::{Sessions, Waited};
    ///
    /// let store = Stores::new().open(&"memory:".parse()?, "waiting")?;
    /// let sessions = Sessions::builder().with_namespace(store).build()?;
    /// let session = sessions.begin([]).load()?;
    /// session.set_subject("ada", None)?;
    /// session.save()?;
    ///
    /// let stream = session.detach()?;
    /// let (look, long) = (Duration::from_secs(30), Duration::from_secs(3600));
    /// assert_eq!(stream.wait_ended_for(look, Duration::ZERO)?, Waited::TimedOut);
    /// std::thread::scope(|scope| {
    ///     let streaming = scope.spawn(|| stream.wait_ended_for(look, long));
    ///     sessions.revoke_all("ada")?; // signed out everywhere
    ///     assert_eq!(streaming.join().expect("it does not panic")?, Waited::Ended);
    ///     Ok::<(), beaker_session::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_ended_for(&self, every: Duration, timeout: Duration) -> Result<Waited, Error> {
        let sessions = self.lazy().sessions();
        let Some(mut wait) = Wait::begin(self, every) else { return Ok(Waited::Ended) };
        let deadline = Instant::now().checked_add(timeout);
        while let Some(pause) = wait.pause(ready(sessions.blocking().look(&wait.session)))? {
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(Waited::TimedOut);
            }
            let _told = wait.listener.wait_for(left.map_or(pause, |left| left.min(pause)));
        }
        Ok(Waited::Ended)
    }
}

/// One who waits for the end of a session.
pub(crate) struct Wait<'a> {
    sessions: &'a Sessions,
    /// As it was when the wait began.
    pub(crate) session: Loaded,
    pub(crate) listener: Listener<'a, End>,
    every: Duration,
    /// When the session ends, as was seen last.
    expires: Timestamp,
}

impl<'a> Wait<'a> {
    /// Listens; `None` if there is no stored session, so that nothing can end.
    pub(crate) fn begin(session: &'a Session, every: Duration) -> Option<Self> {
        let sessions = session.lazy().sessions();
        let session = session.loaded()?;
        let listener = sessions.listen(&session);
        let expires = session.base.record.expires(session.base.accessed);
        let every = every.max(Session::MIN_LOOK);
        Some(Self { sessions, session, listener, every, expires })
    }

    /// For how long there is nothing to see unless somebody tells; `None` if the session has ended.
    pub(crate) fn pause(
        &mut self,
        looked: Result<Timestamp, Error>,
    ) -> Result<Option<Duration>, Error> {
        let has_looked = looked.is_ok();
        match looked {
            Ok(expires) => self.expires = expires,
            Err(error) => match error.kind() {
                ErrorKind::Ended => return Ok(None),
                ErrorKind::Unavailable | ErrorKind::Corrupt => {}
                _ => return Err(error),
            },
        }
        let left = self.expires.saturating_duration_since(self.sessions.0.clock.now());
        // Over since the look: the next one sees it. If that fails there is none but each `every`, as in any outage.
        let is_blind = left.is_zero() && !has_looked;
        Ok(Some(if is_blind { self.every } else { left.clamp(Session::MIN_LOOK, self.every) }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use beaker_namespace::{Clock, ManualClock, MemoryConfig, MemoryNamespace};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn stored() -> Session {
        stored_by(MemoryConfig::new())
    }

    fn stored_by(config: MemoryConfig) -> Session {
        let namespace = MemoryNamespace::anonymous(config).unwrap();
        let builder = Sessions::builder().with_namespace(namespace).with_idle(Some(HOUR));
        let sessions = builder.build().unwrap();
        let session = sessions.begin([]).load().unwrap();
        session.insert("user", "ada").unwrap();
        session.save().unwrap();
        session
    }

    #[test]
    fn a_wait_that_is_over_leaves_nothing() {
        let session = stored();
        let ends = &session.lazy().sessions().0.ends;
        let waited = session.wait_ended_for(Duration::MAX, Duration::ZERO).unwrap();
        assert_eq!((waited, ends.listeners()), (Waited::TimedOut, 0));
        let wait = Wait::begin(&session, Duration::ZERO).unwrap();
        assert_eq!(ends.listeners(), 1);
        drop(wait);
        assert_eq!(ends.listeners(), 0);
    }

    #[test]
    fn after_a_failed_look_the_next_one_is_when_the_time_is_over_and_then_each_so_often() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
        let session = stored_by(MemoryConfig::new().clock(Arc::clone(&clock) as Arc<dyn Clock>));
        let mut wait = Wait::begin(&session, 10 * HOUR).unwrap();
        let mut pause = |expires: Result<Duration, ErrorKind>| {
            let looked = expires.map(|left| clock.now().saturating_add(left));
            wait.pause(looked.map_err(|kind| Error::new(kind, "look"))).unwrap()
        };
        assert_eq!(pause(Err(ErrorKind::Unavailable)), Some(HOUR), "as it was loaded");
        assert_eq!(pause(Ok(HOUR * 2)), Some(HOUR * 2));
        clock.advance(HOUR);
        assert_eq!(pause(Err(ErrorKind::Corrupt)), Some(HOUR), "as it was seen last");
        clock.advance(HOUR);
        assert_eq!(pause(Err(ErrorKind::Unavailable)), Some(10 * HOUR));
        assert_eq!(pause(Ok(Duration::ZERO)), Some(Session::MIN_LOOK), "over since the look");
        assert_eq!(pause(Err(ErrorKind::Ended)), None);
    }

    #[test]
    #[cfg(feature = "tokio")]
    fn a_wait_whose_future_is_dropped_leaves_nothing() {
        let session = stored();
        let ends = &session.lazy().sessions().0.ends;
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        {
            let mut wait = std::pin::pin!(session.wait_ended_async(Duration::MAX));
            assert!(wait.as_mut().poll(&mut context).is_pending());
            assert_eq!(ends.listeners(), 1);
        }
        assert_eq!(ends.listeners(), 0);
    }
}
