use std::{
    fmt,
    marker::PhantomData,
    sync::LazyLock,
    time::{Duration, Instant},
};

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};

use crate::{
    Error, ErrorKind,
    primitive::Arc,
    registry::{Registered, Registry},
};

type Names = Registry<Box<str>, Named>;

static NAMES: LazyLock<Arc<Names>> = LazyLock::new(|| Arc::new(Names::new()));

/// A mutex of this process that is found by its name.
///
/// All locks of one name are one lock, for as long as one of them is there; then the name is
/// forgotten. Cloning gives the same lock.
///
/// A *plain* lock is held once. A *recursive* one may be taken again by the thread that holds it,
/// and is free when all its guards are gone. A name is of one kind at a time: asking for the other
/// is an error.
///
/// # Concurrency
///
/// Who waits is woken in no promised order. Threads of other processes are not kept out: that is
/// what [`CreationLock`](crate::CreationLock) and [`Synchronizer::file`](crate::Synchronizer::file)
/// are for.
///
/// # Examples
///
/// ```
/// use beaker_sync::NameLock;
///
/// let reports = NameLock::plain("reports")?;
/// let guard = reports.lock();
/// assert!(NameLock::plain("reports")?.try_lock().is_none());
/// drop(guard);
/// assert!(reports.try_lock().is_some());
/// # Ok::<(), beaker_sync::Error>(())
/// ```
#[derive(Clone)]
pub struct NameLock {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Named(Registered<Box<str>, Named>),
    Anonymous(Arc<Named>),
}

/// The lock itself. The mutex counts for both kinds; a plain lock asks first who holds it.
#[derive(Debug)]
struct Named {
    mutex: ReentrantMutex<()>,
    nesting: Nesting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Plain,
    Recursive,
}

impl NameLock {
    /// The plain lock called `name`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] while a recursive lock of that name is in use.
    pub fn plain(name: &str) -> Result<Self, Error> {
        Self::named(name, Nesting::Plain)
    }

    /// The recursive lock called `name`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] while a plain lock of that name is in use.
    pub fn recursive(name: &str) -> Result<Self, Error> {
        Self::named(name, Nesting::Recursive)
    }

    /// A plain lock of no name; only its clones are the same lock.
    pub fn anonymous() -> Self {
        Self { source: Source::Anonymous(Arc::new(Named::new(Nesting::Plain))) }
    }

    /// A recursive lock of no name; only its clones are the same lock.
    pub fn anonymous_recursive() -> Self {
        Self { source: Source::Anonymous(Arc::new(Named::new(Nesting::Recursive))) }
    }

    /// The name; `None` for an anonymous lock.
    pub fn name(&self) -> Option<&str> {
        match &self.source {
            Source::Named(named) => Some(named.key()),
            Source::Anonymous(_) => None,
        }
    }

    /// Whether the thread that holds it may take it again.
    pub fn is_recursive(&self) -> bool {
        self.inner().nesting == Nesting::Recursive
    }

    /// Waits until the lock is free, then holds it.
    ///
    /// # Panics
    ///
    /// If the lock is plain and this thread holds it already: it would wait for itself for ever.
    pub fn lock(&self) -> NameGuard<'_> {
        let inner = self.inner();
        assert!(!inner.is_barred(), "this thread holds the plain lock {self:?} already");
        NameGuard::new(inner.mutex.lock())
    }

    /// Takes the lock if it is free now; `None` if somebody holds it. Never waits.
    ///
    /// A plain lock that this thread holds is not free.
    pub fn try_lock(&self) -> Option<NameGuard<'_>> {
        self.try_until(None)
    }

    /// Waits at most `timeout` for the lock; `None` when time is up.
    ///
    /// Zero behaves like [`try_lock`](Self::try_lock); a time too long to count is for ever. For a
    /// plain lock that this thread holds the answer is `None` at once.
    pub fn try_lock_for(&self, timeout: Duration) -> Option<NameGuard<'_>> {
        if timeout.is_zero() {
            return self.try_lock();
        }
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.try_until(Some(deadline)),
            None if self.inner().is_barred() => None,
            None => Some(self.lock()),
        }
    }

    fn named(name: &str, nesting: Nesting) -> Result<Self, Error> {
        let named = Registry::get_or_insert_with(&NAMES, name, || Named::new(nesting));
        if named.value().nesting != nesting {
            return Err(Error::new(ErrorKind::Conflict, "cannot share a named lock"));
        }
        Ok(Self { source: Source::Named(named) })
    }

    fn try_until(&self, deadline: Option<Instant>) -> Option<NameGuard<'_>> {
        let inner = self.inner();
        if inner.is_barred() {
            return None;
        }
        let guard = match deadline {
            Some(deadline) => inner.mutex.try_lock_until(deadline),
            None => inner.mutex.try_lock(),
        };
        guard.map(NameGuard::new)
    }

    fn inner(&self) -> &Named {
        match &self.source {
            Source::Named(named) => named.value(),
            Source::Anonymous(inner) => inner,
        }
    }
}

impl fmt::Debug for NameLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameLock")
            .field("name", &self.name())
            .field("recursive", &self.is_recursive())
            .finish()
    }
}

impl Named {
    fn new(nesting: Nesting) -> Self {
        Self { mutex: ReentrantMutex::new(()), nesting }
    }

    /// Whether this thread must not take it because it holds it.
    fn is_barred(&self) -> bool {
        self.nesting == Nesting::Plain && self.mutex.is_owned_by_current_thread()
    }
}

/// Proof that this thread holds a [`NameLock`]; dropping it frees the lock.
///
/// Not [`Send`]: a lock is freed on the thread that took it.
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<beaker_sync::NameGuard<'static>>();
/// ```
#[must_use = "the lock is freed as soon as the guard is dropped"]
#[derive(Debug)]
pub struct NameGuard<'a> {
    _held: ReentrantMutexGuard<'a, ()>,
    _not_send: PhantomData<*const ()>,
}

impl<'a> NameGuard<'a> {
    fn new(held: ReentrantMutexGuard<'a, ()>) -> Self {
        Self { _held: held, _not_send: PhantomData }
    }
}
