//! One call for many keys with its own policy, that says what happened.

use std::borrow::{Borrow, Cow};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
#[cfg(feature = "tokio")]
use std::future::Future;
use std::future::ready as made;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Key, ToKey};

use crate::creation::Created;
use crate::fetch::{bypassed, refused};
#[cfg(feature = "tokio")]
use crate::life::AsTask;
use crate::life::{InPlace, Life, Mode, OnWorker, Request, ready};
use crate::policy::{Policy, Stale};
use crate::{CreateError, Error, Got};

/// One call for many keys, to be ended by a creator; made by
/// [`Cache::fetch_many`](crate::Cache::fetch_many).
///
/// It is to [`Cache::get_or_create_many`](crate::Cache::get_or_create_many) what
/// [`Fetch`](crate::Fetch) is to [`Cache::get_or_create`](crate::Cache::get_or_create): it starts with the
/// cache's policy and can change it, its creator may decide about each value by a [`Created`], and it says
/// of each value where it is from. The ends are those of [`Fetch`](crate::Fetch), with the same rules.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_container::{Cache, Created, Source};
///
/// let users = Cache::<u64, String>::open("memory:", "fetched users")?;
/// users.insert(&1, "Ada".to_owned())?;
/// let got = users.fetch_many(&[1, 2]).ttl(Duration::from_secs(60)).create(|missing| {
///     let user = |id: &u64| Created::new(format!("user {id}")).tag(format!("user:{id}"));
///     missing.into_iter().map(user).collect()
/// })?;
/// assert_eq!((got[0].source, got[1].source), (Source::Fresh, Source::Created));
/// users.invalidate_tag("user:2")?;
/// assert_eq!(users.get_many(&[1, 2])?, [Some("Ada".to_owned()), None]);
/// # Ok::<(), beaker_container::Error>(())
/// ```
#[must_use = "a fetch does nothing before one of its creators is given"]
pub struct FetchMany<'a, K, V> {
    life: Cow<'a, Life<V>>,
    enabled: bool,
    of_cache: &'a Policy,
    policy: Policy,
    tags: Vec<String>,
    wanted: Wanted<'a, K>,
}

impl<K, V> fmt::Debug for FetchMany<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchMany").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<'a, K: ToKey, V: Clone + Send + Sync + 'static> FetchMany<'a, K, V> {
    pub(crate) fn new<Q: Borrow<K>>(
        life: &'a Life<V>,
        enabled: bool,
        keys: &'a [Q],
        of_cache: &'a Policy,
    ) -> Self {
        let wanted = Wanted::new(keys);
        Self {
            life: Cow::Borrowed(life),
            enabled,
            of_cache,
            policy: *of_cache,
            tags: Vec::new(),
            wanted,
        }
    }

    /// Changes the policy of this call.
    pub fn policy(mut self, change: impl FnOnce(Policy) -> Policy) -> Self {
        self.policy = change(self.policy);
        self
    }

    /// The time to live of what this call makes.
    pub fn ttl(self, ttl: impl Into<Option<Duration>>) -> Self {
        self.policy(|policy| policy.ttl(ttl))
    }

    /// What this call does with expired values.
    pub fn stale(self, stale: Stale) -> Self {
        self.policy(|policy| policy.stale(stale))
    }

    /// Makes all the values anew, whatever is there; see [`Fetch::anew`](crate::Fetch::anew).
    pub fn anew(self) -> Self {
        let now = self.life.clock.now();
        self.policy(|policy| policy.anew(now))
    }

    /// Adds a tag to all that this call makes.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// What this call gives for keys whose values cannot be made, with nothing old to serve; see
    /// [`Cache::with_default_value`](crate::Cache::with_default_value).
    pub fn default_value(mut self, value: V) -> Self {
        self.life = Cow::Owned(self.life.with_default_value(value));
        self
    }

    /// The values in the order of their keys; `create` makes those that are missing, on this thread.
    ///
    /// `create` is given the missing keys, each once, and returns a value for each, in their order.
    ///
    /// # Concurrency
    ///
    /// As [`Cache::get_or_create_many`](crate::Cache::get_or_create_many).
    ///
    /// # Errors
    ///
    /// As there; [`ErrorKind::Config`](crate::ErrorKind::Config) if this call asked for a time-out of the
    /// creation, which needs [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// A panic in `create` reaches its own caller only.
    pub fn create<R: Into<Created<V>>>(
        self,
        mut create: impl FnMut(Vec<&'a K>) -> Vec<R>,
    ) -> Result<Vec<Got<V>>, Error> {
        self.try_create(|missing| Ok::<_, Infallible>(create(missing)))
            .map_err(CreateError::into_cache_error)
    }

    /// As [`create`](Self::create), for a creator that can fail.
    ///
    /// # Errors
    ///
    /// The creator's own as [`CreateError::Create`], anything else as [`CreateError::Cache`].
    pub fn try_create<R, E>(
        self,
        mut create: impl FnMut(Vec<&'a K>) -> Result<Vec<R>, E>,
    ) -> Result<Vec<Got<V>>, CreateError<E>>
    where
        R: Into<Created<V>>,
        E: Clone + Send + Sync + 'static,
    {
        refused(&self.policy, self.of_cache, Mode::Thread)?;
        let mut create = |places: Vec<usize>| create(self.wanted.at(&places)).map(into_created);
        ready(self.in_place(Mode::Thread, |places| made(create(places))))
    }

    /// As [`try_create`](Self::try_create), for a creator that can outlive the call: it runs on a thread
    /// of the cache's [`Workers`](crate::Workers).
    ///
    /// At a soft time-out, or where something stale is served at once, all the keys that are created
    /// together have to have something to serve.
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
        create: impl Fn(Vec<K>) -> Result<Vec<R>, E> + Send + Sync + 'static,
    ) -> Result<Vec<Got<V>>, CreateError<E>>
    where
        K: Clone + Send + Sync + 'static,
        R: Into<Created<V>>,
        E: Clone + Send + Sync + 'static,
    {
        let keys = self.wanted.owned();
        let create = move |places: Vec<usize>| create(at(&keys, &places)).map(into_created);
        if !self.enabled {
            return self.bypassed(create(self.wanted.all()));
        }
        let requests = Arc::new(self.requests());
        let lead = OnWorker { requests: Arc::clone(&requests), create: Arc::new(create) };
        let got = ready(self.life.obtain_many(&requests, &self.policy, Mode::Thread, lead))?;
        Ok(self.wanted.in_order(&got))
    }

    async fn in_place<E, C, F>(
        &self,
        mode: Mode,
        mut create: C,
    ) -> Result<Vec<Got<V>>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
        C: FnMut(Vec<usize>) -> F,
        F: std::future::Future<Output = Result<Vec<Created<V>>, E>>,
    {
        if !self.enabled {
            let created = create(self.wanted.all()).await;
            return self.bypassed(created);
        }
        let requests = self.requests();
        let got = self.life.obtain_many(&requests, &self.policy, mode, InPlace(create)).await?;
        Ok(self.wanted.in_order(&got))
    }

    fn requests(&self) -> Vec<Request> {
        let request = |key: &Key| Request {
            tags: self.tags.clone(),
            ..Request::after_miss(key.clone(), self.policy)
        };
        self.wanted.encoded.iter().map(request).collect()
    }

    /// What a cache that is off gives.
    fn bypassed<E>(
        &self,
        created: Result<Vec<Created<V>>, E>,
    ) -> Result<Vec<Got<V>>, CreateError<E>> {
        let created = created.map_err(CreateError::Create)?;
        let got: Vec<Got<V>> = created.into_iter().map(bypassed).collect();
        Ok(self.wanted.in_order(&got))
    }
}

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl<'a, K: ToKey, V: Clone + Send + Sync + 'static> FetchMany<'a, K, V> {
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
        mut create: impl FnMut(Vec<&'a K>) -> F,
    ) -> Result<Vec<Got<V>>, Error>
    where
        R: Into<Created<V>>,
        F: Future<Output = Vec<R>>,
    {
        let create = |missing| {
            let created = create(missing);
            async move { Ok::<_, Infallible>(created.await) }
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
        mut create: impl FnMut(Vec<&'a K>) -> F,
    ) -> Result<Vec<Got<V>>, CreateError<E>>
    where
        R: Into<Created<V>>,
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<R>, E>>,
    {
        refused(&self.policy, self.of_cache, Mode::Task)?;
        let create = |places: Vec<usize>| {
            let created = create(self.wanted.at(&places));
            async move { created.await.map(into_created) }
        };
        // In a box of its own, so that the caller's future stays small.
        Box::pin(self.in_place(Mode::Task, create)).await
    }

    /// As [`spawn`](Self::spawn), in a task: the creation runs as a task of its own, counted by the
    /// cache's [`Workers`](crate::Workers).
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// As [`Fetch::spawn_async`](crate::Fetch::spawn_async).
    ///
    /// # Panics
    ///
    /// A panic in `create` reaches this caller if it still waits; else the workers count it.
    pub async fn spawn_async<R, E, F>(
        self,
        create: impl Fn(Vec<K>) -> F + Send + Sync + 'static,
    ) -> Result<Vec<Got<V>>, CreateError<E>>
    where
        K: Clone + Send + Sync + 'static,
        R: Into<Created<V>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<R>, E>> + Send + 'static,
    {
        let keys = self.wanted.owned();
        let create = move |places: Vec<usize>| {
            let created = create(at(&keys, &places));
            async move { created.await.map(into_created) }
        };
        if !self.enabled {
            return self.bypassed(create(self.wanted.all()).await);
        }
        let requests = Arc::new(self.requests());
        let lead = AsTask { requests: Arc::clone(&requests), create: Arc::new(create) };
        let got =
            Box::pin(self.life.obtain_many(&requests, &self.policy, Mode::Task, lead)).await?;
        Ok(self.wanted.in_order(&got))
    }
}

fn into_created<V, R: Into<Created<V>>>(values: Vec<R>) -> Vec<Created<V>> {
    values.into_iter().map(Into::into).collect()
}

/// The keys of a batch, each once, and where each of them was asked for.
struct Wanted<'a, K> {
    distinct: Vec<&'a K>,
    encoded: Vec<Key>,
    /// For each key asked for, its place among the distinct ones.
    places: Vec<usize>,
}

impl<'a, K: ToKey> Wanted<'a, K> {
    fn new<Q: Borrow<K>>(keys: &'a [Q]) -> Self {
        let mut wanted = Self {
            distinct: Vec::with_capacity(keys.len()),
            encoded: Vec::with_capacity(keys.len()),
            places: Vec::with_capacity(keys.len()),
        };
        let mut seen = HashMap::with_capacity(keys.len());
        for key in keys {
            let key: &K = key.borrow();
            let place = *seen.entry(key.to_key()).or_insert_with_key(|encoded| {
                wanted.distinct.push(key);
                wanted.encoded.push(encoded.clone());
                wanted.distinct.len() - 1
            });
            wanted.places.push(place);
        }
        wanted
    }

    fn all(&self) -> Vec<usize> {
        (0..self.distinct.len()).collect()
    }

    fn at(&self, places: &[usize]) -> Vec<&'a K> {
        at(&self.distinct, places)
    }

    fn owned(&self) -> Vec<K>
    where
        K: Clone,
    {
        self.distinct.iter().copied().cloned().collect()
    }

    fn in_order<T: Clone>(&self, values: &[T]) -> Vec<T> {
        self.places.iter().filter_map(|place| values.get(*place).cloned()).collect()
    }
}

fn at<T: Clone>(keys: &[T], places: &[usize]) -> Vec<T> {
    places.iter().map(|&place| keys[place].clone()).collect()
}
