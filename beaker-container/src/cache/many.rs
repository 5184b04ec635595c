//! Many keys in one call.

use std::borrow::Borrow;
use std::convert::Infallible;
#[cfg(feature = "tokio")]
use std::future::Future;

use beaker_namespace::{Key, ToKey};

use super::Cache;
use crate::creation::Created;
#[cfg(feature = "tokio")]
use crate::life::Life;
#[cfg(feature = "tokio")]
use crate::policy::Policy;
use crate::{CreateError, Error, FetchMany, Got};

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
    /// than it was asked for.
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
        create: impl FnMut(Vec<&K>) -> Result<Vec<V>, E>,
    ) -> Result<Vec<V>, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        let got = self.fetch_many(keys).try_create(create)?;
        Ok(got.into_iter().map(Got::into_value).collect())
    }

    /// A call for `keys` that can have a policy of its own and says what happened; see [`FetchMany`].
    pub fn fetch_many<'a, Q: Borrow<K>>(&'a self, keys: &'a [Q]) -> FetchMany<'a, K, V> {
        FetchMany::new(&self.life, self.enabled, keys, &self.policy)
    }

    /// Stores values under their keys, with the cache's time to live, as [`insert`](Self::insert) stores
    /// one.
    ///
    /// A store that can do so takes them all in one call. If it fails any of them may be stored.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_container::{Cache, Created};
    ///
    /// let squares = Cache::<u64, u64>::open("memory:", "inserted squares")?;
    /// squares.insert_many([(2, 4), (3, 9)])?;
    /// squares.store_many([(4, Created::new(16).tag("even"))])?;
    /// assert_eq!(squares.get_many(&[2, 3, 4])?, [Some(4), Some(9), Some(16)]);
    /// # Ok::<(), beaker_container::Error>(())
    /// ```
    #[doc(alias = "set_many")]
    pub fn insert_many<Q: Borrow<K>>(
        &self,
        values: impl IntoIterator<Item = (Q, V)>,
    ) -> Result<(), Error> {
        self.store_many(values.into_iter().map(|(key, value)| (key, Created::new(value))))
    }

    /// As [`insert_many`](Self::insert_many), with all that a creator can decide about each.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn store_many<Q: Borrow<K>>(
        &self,
        values: impl IntoIterator<Item = (Q, Created<V>)>,
    ) -> Result<(), Error> {
        self.life.set_many(self.to_store(values), &self.policy)
    }

    fn to_store<Q: Borrow<K>>(
        &self,
        values: impl IntoIterator<Item = (Q, Created<V>)>,
    ) -> Vec<(Key, Created<V>)> {
        let stored = values.into_iter().filter(|(_, created)| self.enabled && created.stored);
        stored.map(|(key, created)| (key.borrow().to_key(), created)).collect()
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
        &'k self,
        keys: &'k [Q],
        create: impl FnMut(Vec<&'k K>) -> F,
    ) -> Result<Vec<V>, CreateError<E>>
    where
        K: 'k,
        Q: Borrow<K>,
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<V>, E>>,
    {
        let got = self.fetch_many(keys).try_create_async(create).await?;
        Ok(got.into_iter().map(Got::into_value).collect())
    }

    /// As [`get_or_create_many`](Self::get_or_create_many), in a task.
    ///
    /// # Errors
    ///
    /// As there, and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_try_create_async`](Self::get_or_try_create_async).
    pub async fn get_or_create_many_async<'k, Q, F>(
        &'k self,
        keys: &'k [Q],
        create: impl FnMut(Vec<&'k K>) -> F,
    ) -> Result<Vec<V>, Error>
    where
        K: 'k,
        Q: Borrow<K>,
        F: Future<Output = Vec<V>>,
    {
        let got = self.fetch_many(keys).create_async(create).await?;
        Ok(got.into_iter().map(Got::into_value).collect())
    }

    /// As [`insert_many`](Self::insert_many), in a task.
    ///
    /// # Errors
    ///
    /// As [`insert_async`](Self::insert_async).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped any of the values may be stored or not.
    pub async fn insert_many_async<Q: Borrow<K>>(
        &self,
        values: impl IntoIterator<Item = (Q, V)>,
    ) -> Result<(), Error> {
        let created = values.into_iter().map(|(key, value)| (key, Created::new(value)));
        self.store_all_async(self.to_store(created)).await
    }

    /// As [`store_many`](Self::store_many), in a task.
    ///
    /// # Errors
    ///
    /// As [`insert_async`](Self::insert_async).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped any of the values may be stored or not.
    pub async fn store_many_async<Q: Borrow<K>>(
        &self,
        values: impl IntoIterator<Item = (Q, Created<V>)>,
    ) -> Result<(), Error> {
        self.store_all_async(self.to_store(values)).await
    }

    async fn store_all_async(&self, values: Vec<(Key, Created<V>)>) -> Result<(), Error> {
        self.on_life(
            (values, self.policy),
            |life, (values, policy)| life.set_many(values, &policy),
            async |life: &Life<V>, (values, policy): (Vec<(Key, Created<V>)>, Policy)| {
                life.set_many_async(values, &policy).await
            },
        )
        .await
    }
}
