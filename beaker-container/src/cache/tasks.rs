//! The asynchronous face. That of many keys and of invalidations is beside their synchronous calls.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use beaker_namespace::{FromKey, Key, Scan, ToKey};

use super::Cache;
use crate::creation::Created;
use crate::life::{Life, Mode, Place, Request};
use crate::policy::Policy;
use crate::{CreateError, Error, Got, Why, runtime};

/// In tasks: what waits does not block. A store that answers at once is called at once, one that has an
/// [asynchronous face](beaker_namespace::AsyncNamespace) by that, and one that only blocks on the
/// runtime's threads for that. Threads and tasks that ask for one key meet in one creation.
///
/// It works on any runtime of tokio, also one of a single thread, and outside of a runtime, where
/// a thread of its own serves.
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl<K: ToKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// As [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing.
    pub async fn get_async<Q>(&self, key: &Q) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        if !self.enabled {
            return Ok(None);
        }
        let key = key.to_key();
        if self.answers_at_once() {
            return self.life.get(&key, &self.policy);
        }
        self.on_life(
            (key, self.policy),
            |life, (key, policy)| life.get(&key, &policy),
            async |life: &Life<V>, (key, policy): (Key, Policy)| {
                life.get_async(&key, &policy).await
            },
        )
        .await
    }

    /// As [`get_or_create`](Self::get_or_create). `create` is called, and its future polled, in
    /// the calling task.
    ///
    /// # Errors
    ///
    /// As [`get_or_create`](Self::get_or_create), and
    /// [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_try_create_async`](Self::get_or_try_create_async).
    ///
    /// # Panics
    ///
    /// A panic in the creation reaches its own caller only; a waiter creates next.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn load(_id: u64) -> String { "Ada".to_owned() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), beaker_container::Error> {
    /// use beaker_container::Cache;
    ///
    /// let users = Cache::<u64, String>::open("memory:", "async users")?;
    /// assert_eq!(users.get_or_create_async(&1, || load(1)).await?, "Ada");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_or_create_async<Q, F>(
        &self,
        key: &Q,
        create: impl FnOnce() -> F,
    ) -> Result<V, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
        F: Future<Output = V>,
    {
        let create = || {
            let created = create();
            async move { Ok::<V, Infallible>(created.await) }
        };
        let made = self.get_or_try_create_async(key, create).await;
        made.map_err(CreateError::into_cache_error)
    }

    /// As [`get_or_try_create`](Self::get_or_try_create). `create` is called, and its future polled,
    /// in the calling task, under the claim of its key and no other lock.
    ///
    /// # Errors
    ///
    /// As [`get_or_try_create`](Self::get_or_try_create), and
    /// [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of one who waits leaves nothing. Dropping the future of the one who
    /// creates drops the creation, and one of those who wait creates in its place. (For a creation
    /// that runs on, see [`Fetch::spawn_async`](crate::Fetch::spawn_async).) A future that is kept
    /// and not polled holds the creation up; the others wait no longer than
    /// [`with_wait`](Self::with_wait) says.
    ///
    /// # Panics
    ///
    /// A panic in the creation reaches its own caller only; a waiter creates next.
    pub async fn get_or_try_create_async<Q, E, F>(
        &self,
        key: &Q,
        create: impl FnOnce() -> F,
    ) -> Result<V, CreateError<E>>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<V, E>>,
    {
        if !self.enabled {
            return create().await.map_err(CreateError::Create);
        }
        let key = key.to_key();
        let request = if self.answers_at_once() && !self.policy.watches_hits() {
            if let Some(value) = self.life.get(&key, &self.policy)? {
                return Ok(value);
            }
            Request::after_miss(key, self.policy)
        } else {
            Request::new(key, self.policy)
        };
        let create = |_| {
            let created = create();
            async move { created.await.map(Created::new) }
        };
        // In a box of its own, so that the caller's future stays small.
        Box::pin(self.life.obtain(&request, Mode::Task, create)).await.map(Got::into_value)
    }

    /// As [`insert`](Self::insert).
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the value may be stored or not.
    pub async fn insert_async<Q>(&self, key: &Q, value: V) -> Result<(), Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.store_async(key, Created::new(value)).await
    }

    /// As [`store`](Self::store).
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the value may be stored or not. A creation that runs is voided for those
    /// who come later in either case; so it is by any change here.
    pub async fn store_async<Q>(&self, key: &Q, created: Created<V>) -> Result<(), Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        if !self.enabled || !created.stored {
            return Ok(());
        }
        self.on_life(
            (key.to_key(), created, self.policy),
            |life, (key, created, policy)| life.set(&key, created.as_ref(), &policy),
            async |life: &Life<V>, (key, created, policy): (Key, Created<V>, Policy)| {
                life.set_async(&key, created.as_ref(), &policy).await
            },
        )
        .await
    }

    /// As [`insert_with_ttl`](Self::insert_with_ttl).
    ///
    /// # Errors
    ///
    /// As [`insert_async`](Self::insert_async).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the value may be stored or not.
    pub async fn insert_with_ttl_async<Q>(
        &self,
        key: &Q,
        value: V,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<(), Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.store_async(key, Created::new(value).ttl(ttl)).await
    }

    /// As [`why`](Self::why).
    ///
    /// # Errors
    ///
    /// As [`why`](Self::why), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing.
    pub async fn why_async<Q>(&self, key: &Q) -> Result<Why, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.on_life(
            (key.to_key(), self.policy),
            |life, (key, policy)| life.why(&key, &policy),
            async |life: &Life<V>, (key, policy): (Key, Policy)| {
                life.why_async(&key, &policy).await
            },
        )
        .await
    }

    /// As [`keys`](Self::keys), in pages: other tasks run between two.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing.
    pub async fn keys_async(&self) -> Result<Vec<K>, Error>
    where
        K: FromKey,
    {
        let mut keys = Vec::new();
        let mut scan = Scan::new();
        loop {
            let page = self.on_life(
                scan.clone(),
                |life, scan| Ok(life.namespace.scan(&scan)?),
                async |life: &Life<V>, scan: Scan| Ok(life.store().scan(&scan).await?),
            );
            let page = page.await?;
            keys.extend(page.entries.iter().filter_map(|listed| K::from_key(&listed.key)));
            match page.next {
                Some(next) => scan = scan.after(next),
                None => return Ok(keys),
            }
        }
    }

    /// As [`remove`](Self::remove).
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the value may be removed or not. [`on_removal`](Self::on_removal) may not
    /// tell of it then.
    pub async fn remove_async<Q>(&self, key: &Q) -> Result<bool, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        self.on_life(
            key.to_key(),
            |life, key| life.remove(&key),
            async |life: &Life<V>, key: Key| life.remove_async(&key).await,
        )
        .await
    }

    /// As [`contains`](Self::contains).
    ///
    /// # Errors
    ///
    /// As [`get_async`](Self::get_async).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing.
    pub async fn contains_async<Q>(&self, key: &Q) -> Result<bool, Error>
    where
        K: Borrow<Q>,
        Q: ToKey + ?Sized,
    {
        Ok(self.get_async(key).await?.is_some())
    }

    /// As [`clear`](Self::clear).
    ///
    /// # Errors
    ///
    /// As [`clear`](Self::clear), and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the values may be removed or not: all or none.
    /// [`on_removal`](Self::on_removal) may not tell of it then.
    pub async fn clear_async(&self) -> Result<(), Error> {
        self.on_life(
            (),
            |life, ()| life.clear(),
            async |life: &Life<V>, ()| life.clear_async().await,
        )
        .await
    }

    /// Runs any other call of this cache: at once if the store answers at once, else on one of the
    /// runtime's threads that may block, also where the store has an asynchronous face.
    ///
    /// # Errors
    ///
    /// Those of `call`, and [`ErrorKind::Runtime`](crate::ErrorKind::Runtime).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped a call that was begun runs to its end.
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error>
    where
        K: 'static,
    {
        if self.answers_at_once() {
            return call(self);
        }
        let cache = self.clone();
        runtime::blocking(move || call(&cache)).await?
    }

    pub(super) async fn on_life<I: Send + 'static, T: Send + 'static>(
        &self,
        input: I,
        block: impl FnOnce(&Life<V>, I) -> Result<T, Error> + Send + 'static,
        wait: impl AsyncFnOnce(&Life<V>, I) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let block = |life: &Life<V>, _: &(), input| block(life, input);
        let wait = async |life: &Life<V>, _: &(), input| wait(life, input).await;
        Mode::Task.store(&self.life, &(), input, block, wait).await
    }

    fn answers_at_once(&self) -> bool {
        self.life.place() == Place::AtOnce
    }
}
