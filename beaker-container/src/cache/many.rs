//! Many keys in one call.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::convert::Infallible;
#[cfg(feature = "tokio")]
use std::future::Future;

use beaker_namespace::{Key, ToKey};

use super::Cache;
use crate::creation::Created;
#[cfg(feature = "tokio")]
use crate::life::Life;
use crate::life::{Mode, Request, ready};
#[cfg(feature = "tokio")]
use crate::policy::Policy;
use crate::{CreateError, Error};

impl<K: ToKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// The current values under `keys`, in their order.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_many<Q: Borrow<K>>(&self, keys: &[Q]) -> Result<Vec<Option<V>>, Error> {
        if !self.enabled {
            return Ok(vec![None; keys.len()]);
        }
        let keys: Vec<Key> = keys.iter().map(|key| key.borrow().to_key()).collect();
        self.life.get_many(&keys, &self.policy)
    }

    /// The current values under `keys`, in their order; `create` makes those that are missing.
    ///
    /// `create` is given the missing keys, each once, and returns a value for each, in their order.
    ///
    /// # Concurrency
    ///
    /// `create` is called once for all the keys that nobody else creates; for the others this call
    /// waits, and never with a lead of its own in hand. So no key is created twice, and two batches
    /// do not wait for each other. If somebody else gives up, `create` is called again with what is
    /// then still missing. It runs under the claims of its keys and no other lock.
    ///
    /// # Errors
    ///
    /// As [`get_or_create`](Self::get_or_create);
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if `create` returns another number of values
    /// than it was asked for, or if the policy has a time-out of the creation.
    ///
    /// # Panics
    ///
    /// A panic in `create` reaches its own caller only.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_container::Cache;
    ///
    /// let squares = Cache::<u64, u64>::open("memory:", "many squares")?;
    /// squares.insert(&2, 4)?;
    /// let values = squares.get_or_create_many(&[1, 2, 3], |missing| {
    ///     assert_eq!(missing, [&1, &3]);
    ///     missing.into_iter().map(|number| number * number).collect()
    /// })?;
    /// assert_eq!(values, [1, 4, 9]);
    /// # Ok::<(), beaker_container::Error>(())
    /// ```
    pub fn get_or_create_many<Q: Borrow<K>>(
        &self,
        keys: &[Q],
        mut create: impl FnMut(Vec<&K>) -> Vec<V>,
    ) -> Result<Vec<V>, Error> {
        self.get_or_try_create_many(keys, |missing| Ok::<_, Infallible>(create(missing)))
            .map_err(CreateError::into_cache_error)
    }

    /// As [`get_or_create_many`](Self::get_or_create_many), for a `create` that can fail.
    ///
    /// All who wait for one of its keys get the error.
    ///
    /// # Errors
    ///
    /// The creator's own as [`CreateError::Create`], anything else as [`CreateError::Cache`].
    pub fn get_or_try_create_many<Q: Borrow<K>, E>(
        &self,
        keys: &[Q],
        mut create: impl FnMut(Vec<&K>) -> Result<Vec<V>, E>,
    ) -> Result<Vec<V>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let wanted = Wanted::new(keys, self);
        let create = |places: Vec<usize>| {
            let missing = places.into_iter().map(|place| wanted.distinct[place]).collect();
            std::future::ready(create(missing).map(plain))
        };
        let values = ready(self.made(&wanted, Mode::Thread, create))?;
        Ok(wanted.in_order(&values))
    }

    /// Removes the values under `keys`, and says how many there were.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub fn remove_many<Q: Borrow<K>>(&self, keys: &[Q]) -> Result<u64, Error> {
        let keys: Vec<Key> = keys.iter().map(|key| key.borrow().to_key()).collect();
        self.life.remove_many(&keys)
    }

    async fn made<E, C, F>(
        &self,
        wanted: &Wanted<'_, K>,
        mode: Mode,
        mut create: C,
    ) -> Result<Vec<V>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
        C: FnMut(Vec<usize>) -> F,
        F: std::future::Future<Output = Result<Vec<Created<V>>, E>>,
    {
        if !self.enabled {
            let all = (0..wanted.distinct.len()).collect();
            let created = create(all).await.map_err(CreateError::Create)?;
            return Ok(created.into_iter().map(|created| created.value).collect());
        }
        self.life.obtain_many(&wanted.requests, &self.policy, mode, create).await
    }
}

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl<K: ToKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// As [`get_many`](Self::get_many), in a task.
    ///
    /// # Errors
    ///
    /// As there, and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing.
    pub async fn get_many_async<Q: Borrow<K>>(&self, keys: &[Q]) -> Result<Vec<Option<V>>, Error> {
        if !self.enabled {
            return Ok(vec![None; keys.len()]);
        }
        let keys: Vec<Key> = keys.iter().map(|key| key.borrow().to_key()).collect();
        self.on_life(
            (keys, self.policy),
            |life, (keys, policy)| life.get_many(&keys, &policy),
            async |life: &Life<V>, (keys, policy): (Vec<Key>, Policy)| {
                life.get_many_async(&keys, &policy).await
            },
        )
        .await
    }

    /// As [`remove_many`](Self::remove_many), in a task.
    ///
    /// # Errors
    ///
    /// As there, and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped any of the values may be removed or not.
    pub async fn remove_many_async<Q: Borrow<K>>(&self, keys: &[Q]) -> Result<u64, Error> {
        let keys: Vec<Key> = keys.iter().map(|key| key.borrow().to_key()).collect();
        self.on_life(
            keys,
            |life, keys| life.remove_many(&keys),
            async |life: &Life<V>, keys: Vec<Key>| life.remove_many_async(&keys).await,
        )
        .await
    }

    /// As [`get_or_try_create_many`](Self::get_or_try_create_many), in a task.
    ///
    /// # Errors
    ///
    /// As there, and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Calls of the store
    ///
    /// By its asynchronous face: one for what is there, and one for each mark (of a list of tags, of the
    /// region). If keys are missing, one look under the claims of all that it leads, and two for each key:
    /// the claim, and what was made. One look more for them all if the policy lets something old be served.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_try_create_async`](Self::get_or_try_create_async).
    pub async fn get_or_try_create_many_async<'k, Q, E, F>(
        &self,
        keys: &'k [Q],
        mut create: impl FnMut(Vec<&'k K>) -> F,
    ) -> Result<Vec<V>, CreateError<E>>
    where
        K: 'k,
        Q: Borrow<K>,
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<V>, E>>,
    {
        let wanted = Wanted::new(keys, self);
        let create = |places: Vec<usize>| {
            let missing = places.into_iter().map(|place| wanted.distinct[place]).collect();
            let created = create(missing);
            async move { created.await.map(plain) }
        };
        let values = Box::pin(self.made(&wanted, Mode::Task, create)).await?;
        Ok(wanted.in_order(&values))
    }
}

fn plain<V>(values: Vec<V>) -> Vec<Created<V>> {
    values.into_iter().map(Created::new).collect()
}

/// The keys of a batch, each once, and where each of them was asked for.
struct Wanted<'a, K> {
    distinct: Vec<&'a K>,
    requests: Vec<Request>,
    /// For each key asked for, its place among the distinct ones.
    places: Vec<usize>,
}

impl<'a, K: ToKey> Wanted<'a, K> {
    fn new<Q: Borrow<K>, V>(keys: &'a [Q], cache: &Cache<K, V>) -> Self {
        let mut wanted = Self {
            distinct: Vec::with_capacity(keys.len()),
            requests: Vec::with_capacity(keys.len()),
            places: Vec::with_capacity(keys.len()),
        };
        let mut seen = HashMap::with_capacity(keys.len());
        for key in keys {
            let key: &K = key.borrow();
            let place = *seen.entry(key.to_key()).or_insert_with_key(|encoded| {
                wanted.distinct.push(key);
                wanted.requests.push(Request::after_miss(encoded.clone(), cache.policy));
                wanted.distinct.len() - 1
            });
            wanted.places.push(place);
        }
        wanted
    }

    fn in_order<V: Clone>(&self, values: &[V]) -> Vec<V> {
        self.places.iter().filter_map(|place| values.get(*place).cloned()).collect()
    }
}
