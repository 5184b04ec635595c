//! The locks of a site's sessions, under [`MergePolicy::Lock`].

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_sync::{KeyGuard, KeyLocks};

use super::Sessions;
use crate::config::MergePolicy;
use crate::{Error, ErrorKind, RecordKey};

const OPERATION: &str = "lock session";

/// The lock of one session; see [`MergePolicy::Lock`]. It is given up when the last clone is dropped. `Debug` shows no
/// key.
#[derive(Clone)]
#[must_use = "the lock is given up as soon as this is dropped"]
pub struct SessionLock(Arc<KeyGuard<RecordKey>>);

impl SessionLock {
    fn new(guard: KeyGuard<RecordKey>) -> Self {
        Self(Arc::new(guard))
    }

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
        match self.try_lock(key)? {
            Some(lock) => Ok(lock),
            None => self.wait_for_lock(key, &mut self.patience()?),
        }
    }

    /// How many sessions requests hold now, under [`MergePolicy::Lock`].
    pub fn locked(&self) -> usize {
        self.0.locks.as_ref().map_or(0, KeyLocks::len)
    }

    /// The lock, if nobody has it; else it is counted that it is waited for.
    pub(crate) fn try_lock(&self, key: &RecordKey) -> Result<Option<SessionLock>, Error> {
        let guard = self.locks()?.try_lock(*key);
        if guard.is_none() {
            self.config().counts.add(|at| &at.lock_waits);
        }
        Ok(guard.map(SessionLock::new))
    }

    /// As [`lock`](Self::lock), after [`try_lock`](Self::try_lock) has found that somebody has it.
    pub(crate) fn wait_for_lock(
        &self,
        key: &RecordKey,
        patience: &mut Patience,
    ) -> Result<SessionLock, Error> {
        patience.wait(self.locks()?, *key).map(SessionLock::new)
    }

    /// How long a load waits, as the policy says.
    pub(crate) fn patience(&self) -> Result<Patience, Error> {
        match self.config().merge {
            MergePolicy::Lock { wait } => Ok(Patience { wait, began: None }),
            _ => Err(not_locked()),
        }
    }

    fn locks(&self) -> Result<&KeyLocks<RecordKey>, Error> {
        self.0.locks.as_ref().ok_or_else(not_locked)
    }
}

fn not_locked() -> Error {
    Error::config("sessions are locked under MergePolicy::Lock alone")
}

/// What is left of the time that a load may wait, from its first wait on.
pub(crate) struct Patience {
    wait: Duration,
    began: Option<Instant>,
}

impl Patience {
    fn left(&mut self) -> Duration {
        let began = self.began.get_or_insert_with(Instant::now);
        self.wait.saturating_sub(began.elapsed())
    }

    /// Waits for the lock of `key`; if time is up first it is [`Busy`](ErrorKind::Busy).
    pub(crate) fn wait<K: Eq + Hash + Clone>(
        &mut self,
        locks: &KeyLocks<K>,
        key: K,
    ) -> Result<KeyGuard<K>, Error> {
        locks.try_lock_for(key, self.left()).ok_or_else(|| self.is_over())
    }

    fn is_over(&self) -> Error {
        let busy = Error::new(ErrorKind::Busy, OPERATION);
        if self.wait.is_zero() {
            return busy;
        }
        busy.with_detail(format!(
            "another request had the session for {:?}; if no handler takes that long, one asks its own site with its \
             visitor's cookie",
            self.wait
        ))
    }
}

#[cfg(feature = "tokio")]
impl Patience {
    /// As [`wait`](Self::wait), in a task.
    pub(crate) async fn wait_async<K: Eq + Hash + Clone>(
        &mut self,
        locks: &KeyLocks<K>,
        key: K,
    ) -> Result<KeyGuard<K>, Error> {
        let left = self.left();
        let guard = if left.is_zero() {
            locks.try_lock(key)
        } else {
            crate::timer::within(left, locks.lock_async(key)).await?
        };
        guard.ok_or_else(|| self.is_over())
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
        match self.try_lock(key)? {
            Some(lock) => Ok(lock),
            None => self.wait_for_lock_async(key, &mut self.patience()?).await,
        }
    }

    /// As [`wait_for_lock`](Self::wait_for_lock), in a task.
    pub(crate) async fn wait_for_lock_async(
        &self,
        key: &RecordKey,
        patience: &mut Patience,
    ) -> Result<SessionLock, Error> {
        patience.wait_async(self.locks()?, *key).await.map(SessionLock::new)
    }
}

impl fmt::Debug for SessionLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionLock(..)")
    }
}
