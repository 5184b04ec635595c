//! One call with its own policy, that says what happened.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use beaker_namespace::Key;

use crate::creation::{Created, Creation};
use crate::life::{Life, Mode, Request};
use crate::policy::{Policy, Stale};
use crate::{CreateError, Error, Got, Source};

/// One call for a key, to be ended by a creator; made by
/// [`Cache::fetch`](crate::Cache::fetch).
///
/// It starts with the cache's policy and can change it. What it gives, [`Got`], says where the
/// value is from, how old it is, and how long it stays fresh.
///
/// A creator is told of the value that expired, if there is one (see [`Creation`]), and may return
/// a plain value or a [`Created`] that decides about its time to live, tags, cost and entity tag.
///
/// # Which end to take
///
/// | | creators that end with the call | creators that can outlive it (`Send + 'static`) |
/// |---|---|---|
/// | on a thread | [`create`](Self::create), [`try_create`](Self::try_create) | [`spawn`](Self::spawn) |
/// | in a task | `create_async`, `try_create_async` | `spawn_async` |
///
/// Only a creator that can outlive the call can run on behind it: after a soft time-out, after a
/// hard one that lets it finish, as an early refresh, or as the refresh of a value that may be
/// served stale, which the caller then gets at once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_container::{Cache, Created, Source};
///
/// let prices = Cache::<String, u32>::open("memory:", "prices")?.with_ttl(Duration::from_secs(60));
/// let got = prices.fetch("tea").ttl(Duration::from_secs(5)).create(|_| Created::new(3))?;
/// assert_eq!((got.value, got.source), (3, Source::Created));
/// let got = prices.fetch("tea").create(|_| 4_u32)?;
/// assert_eq!((got.value, got.source), (3, Source::Fresh));
/// # Ok::<(), beaker_container::Error>(())
/// ```
#[must_use = "a fetch does nothing before one of its creators is given"]
pub struct Fetch<'a, V> {
    life: Cow<'a, Life<V>>,
    enabled: bool,
    of_cache: &'a Policy,
    request: Request,
}

impl<V> fmt::Debug for Fetch<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("policy", &self.request.policy).finish_non_exhaustive()
    }
}

impl<'a, V: Clone + Send + Sync + 'static> Fetch<'a, V> {
    pub(crate) fn new(life: &'a Life<V>, enabled: bool, key: Key, of_cache: &'a Policy) -> Self {
        Self { life: Cow::Borrowed(life), enabled, of_cache, request: Request::new(key, *of_cache) }
    }

    /// Changes the policy of this call.
    pub fn policy(mut self, change: impl FnOnce(Policy) -> Policy) -> Self {
        self.request.policy = change(self.request.policy);
        self
    }

    /// The time to live of what this call makes.
    pub fn ttl(self, ttl: impl Into<Option<Duration>>) -> Self {
        self.policy(|policy| policy.ttl(ttl))
    }

    /// What this call does with an expired value.
    pub fn stale(self, stale: Stale) -> Self {
        self.policy(|policy| policy.stale(stale))
    }

    /// Makes the value anew, whatever is there. The old one stays until the new one is stored, and
    /// if the creator fails.
    ///
    /// One creation runs at a time. Who asks while another runs waits for it, and takes its value
    /// only if it began after this call; so of many who ask at once, two create.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_container::Cache;
    ///
    /// let prices = Cache::<String, u32>::open("memory:", "anew")?;
    /// prices.insert("tea", 3)?;
    /// assert_eq!(prices.fetch("tea").anew().create(|_| 4_u32)?.value, 4);
    /// assert_eq!(prices.get("tea")?, Some(4));
    /// # Ok::<(), beaker_container::Error>(())
    /// ```
    pub fn anew(self) -> Self {
        let now = self.life.clock.now();
        self.policy(|policy| policy.anew(now))
    }

    /// Adds a tag to what this call makes.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.request.tags.push(tag.into());
        self
    }

    /// What this call gives if nothing can be made and nothing old may be served; see
    /// [`Cache::with_default_value`](crate::Cache::with_default_value).
    pub fn default_value(mut self, value: V) -> Self {
        self.life = Cow::Owned(self.life.with_default_value(value));
        self
    }

    /// The value, or what `create` returns, on this thread.
    ///
    /// # Concurrency
    ///
    /// As [`Cache::get_or_create`](crate::Cache::get_or_create).
    ///
    /// # Errors
    ///
    /// As [`Cache::get_or_create`](crate::Cache::get_or_create); [`ErrorKind::Config`](crate::ErrorKind::Config) if this call asked
    /// for a time-out of the creation, which needs [`spawn`](Self::spawn). (One of the cache's policy is no
    /// error: see [`Policy`].)
    ///
    /// # Panics
    ///
    /// A panic in `create` reaches its own caller only; a waiter creates next.
    pub fn create<R: Into<Created<V>>>(
        self,
        create: impl FnOnce(Creation<V>) -> R,
    ) -> Result<Got<V>, Error> {
        self.try_create(|creation| Ok::<R, Infallible>(create(creation)))
            .map_err(CreateError::into_cache_error)
    }

    /// As [`create`](Self::create), for a creator that can fail.
    ///
    /// # Errors
    ///
    /// The creator's own as [`CreateError::Create`], anything else as [`CreateError::Cache`].
    pub fn try_create<R, E>(
        self,
        create: impl FnOnce(Creation<V>) -> Result<R, E>,
    ) -> Result<Got<V>, CreateError<E>>
    where
        R: Into<Created<V>>,
        E: Clone + Send + Sync + 'static,
    {
        let create = |creation| create(creation).map(Into::into);
        refused(&self.request.policy, self.of_cache, Mode::Thread)?;
        if !self.enabled {
            return create(Creation { old: None }).map(bypassed).map_err(CreateError::Create);
        }
        self.life.obtain_on_thread(&self.request, create)
    }

    /// As [`try_create`](Self::try_create), for a creator that can outlive the call: it runs on a
    /// thread of the cache's [`Workers`](crate::Workers).
    ///
    /// # Errors
    ///
    /// As [`try_create`](Self::try_create), and
    /// [`ErrorKind::CreationTimeout`](crate::ErrorKind::CreationTimeout).
    ///
    /// # Panics
    ///
    /// A panic in `create` reaches this caller if it still waits; else the workers count it.
    pub fn spawn<R, E>(
        self,
        create: impl FnOnce(Creation<V>) -> Result<R, E> + Send + 'static,
    ) -> Result<Got<V>, CreateError<E>>
    where
        R: Into<Created<V>>,
        E: Clone + Send + Sync + 'static,
    {
        let create = |creation| create(creation).map(Into::into);
        if !self.enabled {
            return create(Creation { old: None }).map(bypassed).map_err(CreateError::Create);
        }
        self.life.obtain_on_worker(self.request, create)
    }
}

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl<V: Clone + Send + Sync + 'static> Fetch<'_, V> {
    /// As [`create`](Self::create), in a task: who waits does not block.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_try_create_async`](crate::Cache::get_or_try_create_async).
    pub async fn create_async<R, F>(
        self,
        create: impl FnOnce(Creation<V>) -> F,
    ) -> Result<Got<V>, Error>
    where
        R: Into<Created<V>>,
        F: Future<Output = R>,
    {
        let create = |creation| {
            let created = create(creation);
            async move { Ok::<R, Infallible>(created.await) }
        };
        self.try_create_async(create).await.map_err(CreateError::into_cache_error)
    }

    /// As [`try_create`](Self::try_create), in a task: who waits does not block.
    ///
    /// # Errors
    ///
    /// As [`try_create`](Self::try_create), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_try_create_async`](crate::Cache::get_or_try_create_async).
    pub async fn try_create_async<R, E, F>(
        self,
        create: impl FnOnce(Creation<V>) -> F,
    ) -> Result<Got<V>, CreateError<E>>
    where
        R: Into<Created<V>>,
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<R, E>>,
    {
        let create = |creation| {
            let created = create(creation);
            async move { created.await.map(Into::into) }
        };
        refused(&self.request.policy, self.of_cache, Mode::Task)?;
        if !self.enabled {
            return create(Creation { old: None }).await.map(bypassed).map_err(CreateError::Create);
        }
        // In a box of its own, so that the caller's future stays small.
        Box::pin(self.life.obtain(&self.request, Mode::Task, create)).await
    }

    /// As [`try_create_async`](Self::try_create_async), for a creator that can outlive the call: it
    /// runs as a task of its own, counted by the cache's [`Workers`](crate::Workers).
    ///
    /// # Errors
    ///
    /// As [`try_create_async`](Self::try_create_async), and
    /// [`ErrorKind::CreationTimeout`](crate::ErrorKind::CreationTimeout).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits for its own creation, that is dropped too and one of
    /// those who wait creates in its place; with [`OnCancel::Detach`](crate::OnCancel::Detach) it
    /// runs on.
    ///
    /// # Panics
    ///
    /// A panic in `create` reaches this caller if it still waits; else the workers count it.
    pub async fn spawn_async<R, E, F>(
        self,
        create: impl FnOnce(Creation<V>) -> F + Send + 'static,
    ) -> Result<Got<V>, CreateError<E>>
    where
        R: Into<Created<V>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
    {
        let create = |creation| {
            let created = create(creation);
            async move { created.await.map(Into::into) }
        };
        if !self.enabled {
            return create(Creation { old: None }).await.map(bypassed).map_err(CreateError::Create);
        }
        Box::pin(self.life.obtain_in_task(self.request, create)).await
    }
}

/// What a cache that is off gives.
pub(crate) fn bypassed<V>(created: Created<V>) -> Got<V> {
    let Created { value, ttl, .. } = created;
    let ttl = ttl.unwrap_or(Some(Duration::ZERO));
    Got { value, source: Source::Bypassed, age: Duration::ZERO, ttl, stored: false }
}

/// A call that asks for more than its cache's policy does, and that a creator that ends with it cannot
/// give, is told so at once: not only when there is nothing to find.
pub(crate) fn refused(policy: &Policy, of_cache: &Policy, mode: Mode) -> Result<(), Error> {
    match policy.needs_spawn_beyond(of_cache, mode != Mode::Thread) {
        Some(wanted) => Err(Error::needs_spawn(wanted)),
        None => Ok(()),
    }
}
