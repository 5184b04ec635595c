//! The locks of a site's sessions, under [`MergePolicy::Lock`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_sync::{KeyGuard, KeyLocks};

use super::{Inner, Sessions};
use crate::config::MergePolicy;
use crate::{Error, ErrorKind, RecordKey};

const OPERATION: &str = "lock session";

/// The lock of one session; see [`MergePolicy::Lock`]. It is given up when the last clone is dropped. `Debug` shows no
/// key.
#[derive(Clone)]
#[must_use = "the lock is given up as soon as this is dropped"]
pub struct SessionLock(Arc<KeyGuard<RecordKey>>);

impl SessionLock {
    pub(crate) fn key(&self) -> &RecordKey {
        self.0.key()
    }
}

impl Sessions {
    /// Waits for the lock that a [`SessionCore`](crate::SessionCore) of this site asks for by
    /// [`Op::Lock`](crate::Op::Lock), for as long as the policy says; whoever uses the adapters needs not call it.
    ///
    /// It blocks; in a task use [`lock_async`](Self::lock_async).
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_session::{Answer, Error, MergePolicy, Op, SessionCore, Sessions, Step};
    /// # use beaker_namespace::{Clock, Stores, SystemClock};
    ///
    /// let store = Stores::new().open(&"memory:".parse()?, "lock example")?;
    /// let builder = Sessions::builder().with_namespace(store);
    /// let sessions = builder.with_merge(MergePolicy::lock()).build()?;
    ///
    /// let drive = |core: &mut SessionCore, mut step: Step| -> Result<(), Error> {
    ///     while let Step::Ask(op) = step {
    ///         let answer = match &op {
    ///             Op::Lock(key) => Answer::from(sessions.lock(key)),
    ///             op => op.run(sessions.store(), None),
    ///         };
    ///         step = core.answer(answer, SystemClock.now())?;
    ///     }
    ///     Ok(())
    /// };
    /// # let request = sessions.begin([]);
    /// # request.load()?.insert("name", "Ada")?;
    /// # let headers = request.commit()?;
    /// # let cookie = headers.set_cookies().next().unwrap_or_default().split(';').next().unwrap_or_default();
    /// let mut core = SessionCore::new(&sessions, [cookie.as_bytes()]); // of a session that is there
    /// let step = core.begin_load(SystemClock.now())?;
    /// drive(&mut core, step)?;
    /// assert_eq!(sessions.locked(), 1);
    /// let step = core.begin_commit(SystemClock.now(), false)?;
    /// drive(&mut core, step)?;
    /// assert_eq!(sessions.locked(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Busy`](ErrorKind::Busy) if another request has the session for longer; [`Config`](ErrorKind::Config) if the
    /// policy is another one than [`MergePolicy::Lock`].
    pub fn lock(&self, key: &RecordKey) -> Result<SessionLock, Error> {
        let (locks, wait) = self.locks_and_wait()?;
        let guard = match self.try_lock(locks, key) {
            None => locks.try_lock_for(*key, wait).ok_or_else(|| busy(wait))?,
            Some(guard) => guard,
        };
        Ok(SessionLock(Arc::new(guard)))
    }

    /// How many sessions requests hold now, under [`MergePolicy::Lock`].
    pub fn locked(&self) -> usize {
        self.0.locks.as_ref().map_or(0, KeyLocks::len)
    }

    /// The lock, if nobody has it; else it is counted that it is waited for.
    fn try_lock(
        &self,
        locks: &KeyLocks<RecordKey>,
        key: &RecordKey,
    ) -> Option<KeyGuard<RecordKey>> {
        let guard = locks.try_lock(*key);
        if guard.is_none() {
            self.config().counts.add(|at| &at.lock_waits);
        }
        guard
    }

    fn locks_and_wait(&self) -> Result<(&KeyLocks<RecordKey>, Duration), Error> {
        let Inner { locks, config, .. } = &*self.0;
        match (locks, config.merge) {
            (Some(locks), MergePolicy::Lock { wait }) => Ok((locks, wait)),
            _ => Err(Error::config("sessions are locked under MergePolicy::Lock alone")),
        }
    }
}

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl Sessions {
    /// As [`lock`](Self::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock); [`Unavailable`](ErrorKind::Unavailable) if the system gives no thread for timers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the wait, and leaves nothing.
    pub async fn lock_async(&self, key: &RecordKey) -> Result<SessionLock, Error> {
        let (locks, wait) = self.locks_and_wait()?;
        let guard = match self.try_lock(locks, key) {
            None if wait.is_zero() => return Err(busy(wait)),
            None => crate::timer::within(wait, locks.lock_async(*key))
                .await?
                .ok_or_else(|| busy(wait))?,
            Some(guard) => guard,
        };
        Ok(SessionLock(Arc::new(guard)))
    }
}

fn busy(wait: Duration) -> Error {
    let busy = Error::new(ErrorKind::Busy, OPERATION);
    if wait.is_zero() {
        return busy;
    }
    busy.with_detail(format!(
        "another request had the session for {wait:?}; if no handler takes that long, one asks its own site with its \
         visitor's cookie"
    ))
}

impl fmt::Debug for SessionLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionLock(..)")
    }
}
