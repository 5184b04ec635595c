//! One key's life.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Codec, Inspection, Key, Namespace, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::creation::Created;
use crate::life::Life;
use crate::policy::{Policy, Stale};
use crate::values::Values;
use crate::{CreateError, Error};

/// One key of a namespace, with the way to make its value, and when it expires.
///
/// `E` is the creator's own error. Containers of one key see each other's changes at once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_container::Container;
/// use beaker_namespace::{Key, Stores};
///
/// let pages = Stores::new().open(&"memory:".parse()?, "pages")?;
/// let home = Container::<String>::new(pages, Key::new("home"))
///     .with_creator(|| "<h1>Hello</h1>".to_owned())
///     .with_ttl(Duration::from_secs(60));
/// assert_eq!(home.get()?, "<h1>Hello</h1>");
/// assert!(home.has_current_value()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Container<V, E = Infallible> {
    life: Life<V>,
    key: Key,
    policy: Policy,
    creator: Option<Creator<V, E>>,
}

type Creator<V, E> = Arc<dyn Fn() -> Result<V, E> + Send + Sync>;

impl<V, E> Clone for Container<V, E> {
    fn clone(&self) -> Self {
        Self {
            life: self.life.clone(),
            key: self.key.clone(),
            policy: self.policy,
            creator: self.creator.clone(),
        }
    }
}

impl<V, E> fmt::Debug for Container<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("namespace", self.life.namespace.id())
            .field("key", &self.key)
            .field("policy", &self.policy)
            .field("creates", &self.creator.is_some())
            .finish()
    }
}

impl<V> Container<V>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    /// The container of `key`, without a creator; its value never expires.
    pub fn new(namespace: Arc<dyn Namespace>, key: Key) -> Self {
        Self::from_parts(namespace, key, Values::encoded(Codec::default()))
    }
}

impl<V: Clone + Send + Sync + 'static> Container<V> {
    /// The same for a live object that needs no codec.
    pub fn of_object(namespace: Arc<dyn Namespace>, key: Key) -> Self {
        Self::from_parts(namespace, key, Values::objects())
    }
}

impl<V> Container<V> {
    fn from_parts(namespace: Arc<dyn Namespace>, key: Key, values: Values<V>) -> Self {
        Self { life: Life::new(namespace, values), key, policy: Policy::new(), creator: None }
    }
}

impl<V, E> Container<V, E> {
    /// Makes the value with `create` where there is no current one.
    #[must_use]
    pub fn with_creator(
        self,
        create: impl Fn() -> V + Send + Sync + 'static,
    ) -> Container<V, Infallible> {
        self.with_try_creator(move || Ok(create()))
    }

    /// As [`with_creator`](Self::with_creator), for a creator that can fail.
    #[must_use]
    pub fn with_try_creator<F>(
        self,
        create: impl Fn() -> Result<V, F> + Send + Sync + 'static,
    ) -> Container<V, F> {
        Container {
            life: self.life,
            key: self.key,
            policy: self.policy,
            creator: Some(Arc::new(create)),
        }
    }

    /// A value stored from now on expires this long after its creation began. Default: never.
    ///
    /// What is stored already keeps the expiry it was stored with.
    #[must_use]
    pub fn with_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.policy.ttl = ttl.into();
        self
    }

    /// A value whose creation began before `start` counts as expired.
    #[must_use]
    pub fn with_start_time(mut self, start: Timestamp) -> Self {
        self.policy.start_time = Some(start);
        self
    }

    /// What is done with an expired value meanwhile. Default: [`Stale::Never`].
    #[must_use]
    pub fn with_stale(mut self, stale: Stale) -> Self {
        self.policy.stale = stale;
        self
    }

    /// Replaces all that was decided about the value's life.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How long [`get`](Self::get) waits at most while somebody else makes the value. Default:
    /// 30 s.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.policy.wait = wait;
        self
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The namespace.
    pub fn namespace(&self) -> &Arc<dyn Namespace> {
        &self.life.namespace
    }

    /// Whether there is an entry, expired or not.
    ///
    /// An expired entry is kept as long as the policy lets it be served, and may be gone after.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn has_value(&self) -> Result<bool, Error> {
        Ok(matches!(
            self.life.namespace.inspect(&self.key)?,
            Inspection::Present(_) | Inspection::Dead(_)
        ))
    }

    /// Whether there is an entry that is not expired.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn has_current_value(&self) -> Result<bool, Error> {
        let Some(entry) = self.life.namespace.get(&self.key)? else { return Ok(false) };
        Ok(self.policy.is_current(&entry, || self.life.clock.now())
            && self.life.is_valid(entry.began(), entry.shared_tags().as_ref())?)
    }

    /// Whether [`get`](Self::get) can give a value: there is a current one, or a creator.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn can_have_value(&self) -> Result<bool, Error> {
        Ok(self.creator.is_some() || self.has_current_value()?)
    }
}

impl<V, E> Container<V, E>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// The current value; if there is none, the one that the creator makes, which is stored.
    ///
    /// # Concurrency
    ///
    /// As [`Cache::get_or_create`](crate::Cache::get_or_create).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`](crate::ErrorKind::Missing) if there is no current value and no
    /// creator: an expired value is then neither returned nor removed. The creator's own as
    /// [`CreateError::Create`].
    ///
    /// # Panics
    ///
    /// A panic of the creator reaches its own caller only.
    pub fn get(&self) -> Result<V, CreateError<E>> {
        match &self.creator {
            Some(create) => self.life.get_or_try_create(&self.key, &self.policy, || (**create)()),
            None => Ok(self.life.get(&self.key, &self.policy)?.ok_or_else(Error::missing)?),
        }
    }

    /// Stores `value`, replacing what is there; wins over a creation that is running.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn set(&self, value: V) -> Result<(), Error> {
        self.life.set(&self.key, Created::new(&value), &self.policy)
    }

    /// Removes the value, expired or not; removing what is absent succeeds. Wins over a creation
    /// that is running.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn clear(&self) -> Result<(), Error> {
        self.life.remove(&self.key).map(|_| ())
    }
}
