//! The part of `SyncDict` that creates: "exists and valid ? get : create".
//
// One miss, on one thread:
//   1. a look under the shared lock;
//   2. under the exclusive lock: is somebody creating? is it there by now? else open a flight;
//   3. the creator, under no lock;
//   4. under the exclusive lock: take the flight out and, if it was left untouched, put the value
//      in; then tell those who wait.
// So a flight costs two visits to a small table and allocates nothing unless somebody waits.

use std::any::Any;
use std::borrow::Borrow;
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::Arc;

use crate::error::{CreateError, Reentrant};
use crate::raw_leader::Borrowed;
use crate::shards::{Joining, Patience};
use crate::storage::{Storage, Table};
use crate::sync_dict::SyncDict;
use crate::waiters::unshare;

/// What a creation gives to those who wait for it.
#[derive(Debug, Clone)]
pub(crate) enum Outcome<T> {
    Created(T),
    /// An error of the leader's type; who waits with another type leads next.
    Failed(Arc<dyn Any + Send + Sync>),
}

type Lead<'a, K, V, S> =
    Borrowed<'a, K, Outcome<<S as Storage<K, V>>::Value>, <S as Storage<K, V>>::Table>;

impl<K: Hash + Eq, V: ?Sized, S: Storage<K, V>> SyncDict<K, V, S> {
    /// Returns the value under `key`, or runs `create` and keeps what it returns.
    ///
    /// # Concurrency
    ///
    /// While one call for a key runs `create`, the others wait for it and get a clone of the
    /// value. `create` runs at most once, on the calling thread, under no lock; it may use the
    /// dictionary for other keys. [`insert`](Self::insert) and [`remove`](Self::remove) during the
    /// creation win over its result, which its caller gets all the same.
    ///
    /// # Errors
    ///
    /// [`Reentrant`] if the calling thread is creating this very key.
    ///
    /// # Panics
    ///
    /// A panic in `create` reaches its own caller only; one of those who wait leads next.
    #[inline]
    pub fn get_or_create<Q>(
        &self,
        key: &Q,
        create: impl FnOnce() -> S::Value,
    ) -> Result<S::Value, Reentrant>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.shards.hash(key);
        match self.look_up(hash, key) {
            Some(value) => Ok(value),
            None => infallible(self.create_missing(hash, key, || Ok(create()))),
        }
    }

    /// Returns the value under `key`, or runs `create` and keeps what it returns, if it succeeds.
    ///
    /// # Concurrency
    ///
    /// As [`get_or_create`](Self::get_or_create). A creator that fails has run **once** for all
    /// who wait: each gets a clone of the same error. (Wrap an error that cannot be cloned in an
    /// [`Arc`].) Who waits with another error type `E` leads next.
    ///
    /// # Errors
    ///
    /// [`CreateError::Create`] with what `create` returned: nothing is stored, and the next call
    /// creates anew. [`CreateError::Reentrant`] if the calling thread is creating this very key.
    ///
    /// # Panics
    ///
    /// A panic in `create` reaches its own caller only; one of those who wait leads next.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_syncdict::{CreateError, SyncDict};
    ///
    /// let ports: SyncDict<String, u16> = SyncDict::new();
    /// let parse = |text: &str| ports.get_or_try_create(text, || text.parse::<u16>());
    /// assert_eq!(parse("80"), Ok(80));
    /// assert!(matches!(parse("http"), Err(CreateError::Create(_))));
    /// assert!(!ports.contains_key("http"));
    /// ```
    #[inline]
    pub fn get_or_try_create<Q, E>(
        &self,
        key: &Q,
        create: impl FnOnce() -> Result<S::Value, E>,
    ) -> Result<S::Value, CreateError<E>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        E: Clone + Send + Sync + 'static,
    {
        let hash = self.shards.hash(key);
        match self.look_up(hash, key) {
            Some(value) => Ok(value),
            None => self.create_missing(hash, key, create),
        }
    }

    /// Returns the value under `key` if it exists and `is_valid` says so, else creates it anew.
    ///
    /// # Concurrency
    ///
    /// As [`get_or_create`](Self::get_or_create). `is_valid` runs on the calling thread under no
    /// lock: once for each value found, so more than once if the value changes meanwhile. It is
    /// not asked about a value that was created while the caller waited. The invalid value stays
    /// readable until the new one takes its place.
    ///
    /// # Errors
    ///
    /// [`Reentrant`] if the calling thread is creating this very key.
    ///
    /// # Panics
    ///
    /// A panic in `create` or `is_valid` reaches its own caller only.
    pub fn get_or_create_if<Q>(
        &self,
        key: &Q,
        is_valid: impl FnMut(&S::Value) -> bool,
        create: impl FnOnce() -> S::Value,
    ) -> Result<S::Value, Reentrant>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        infallible(self.get_or_try_create_if(key, is_valid, || Ok(create())))
    }

    /// Returns the value under `key` if it exists and `is_valid` says so, else tries to create it.
    ///
    /// # Concurrency
    ///
    /// As [`get_or_create_if`](Self::get_or_create_if), and errors are shared as by
    /// [`get_or_try_create`](Self::get_or_try_create).
    ///
    /// # Errors
    ///
    /// As [`get_or_try_create`](Self::get_or_try_create). The invalid value stays.
    ///
    /// # Panics
    ///
    /// A panic in `create` or `is_valid` reaches its own caller only.
    pub fn get_or_try_create_if<Q, E>(
        &self,
        key: &Q,
        mut is_valid: impl FnMut(&S::Value) -> bool,
        create: impl FnOnce() -> Result<S::Value, E>,
    ) -> Result<S::Value, CreateError<E>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        E: Clone + Send + Sync + 'static,
    {
        let hash = self.shards.hash(key);
        loop {
            if let Some(value) = self.look_up(hash, key).filter(&mut is_valid) {
                return Ok(value);
            }
            let leader = match self.join(hash, key, |_| false) {
                Joined::Lead(leader) => leader,
                Joined::Settled(result) => return result,
                Joined::LookAgain => continue,
            };
            // It may have been replaced between the look and the lead. If so the leader is
            // dropped, and those who wait judge for themselves.
            if let Some(value) = self.look_up(hash, key).filter(&mut is_valid) {
                return Ok(value);
            }
            return self.lead(leader, create);
        }
    }

    #[inline(never)]
    fn create_missing<Q, E>(
        &self,
        hash: u64,
        key: &Q,
        create: impl FnOnce() -> Result<S::Value, E>,
    ) -> Result<S::Value, CreateError<E>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        E: Clone + Send + Sync + 'static,
    {
        loop {
            match self.join(hash, key, |table| table.contains(hash, key)) {
                Joined::Lead(leader) => return self.lead(leader, create),
                Joined::Settled(result) => return result,
                Joined::LookAgain => {}
            }
            if let Some(value) = self.look_up(hash, key) {
                return Ok(value);
            }
        }
    }

    fn join<Q, E>(
        &self,
        hash: u64,
        key: &Q,
        is_present: impl Fn(&S::Table) -> bool,
    ) -> Joined<'_, K, V, S, E>
    where
        K: Borrow<Q>,
        Q: Eq + ToOwned<Owned = K> + ?Sized,
        E: Clone + 'static,
    {
        match self.shards.join(hash, key, Patience::Forever, is_present) {
            Joining::Lead(leader) => Joined::Lead(leader),
            Joining::Reentrant => Joined::Settled(Err(CreateError::Reentrant)),
            Joining::Landed(outcome) => match unshare(outcome) {
                Outcome::Created(value) => Joined::Settled(Ok(value)),
                Outcome::Failed(error) => match error.downcast_ref::<E>() {
                    Some(error) => Joined::Settled(Err(CreateError::Create(error.clone()))),
                    None => Joined::LookAgain,
                },
            },
            // Patience without end does not time out.
            Joining::Present | Joining::TimedOut => Joined::LookAgain,
        }
    }

    /// Runs `create` and ends the flight by what it returns.
    fn lead<E>(
        &self,
        leader: Lead<'_, K, V, S>,
        create: impl FnOnce() -> Result<S::Value, E>,
    ) -> Result<S::Value, CreateError<E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        match create() {
            Ok(value) => Ok(self.fill(leader, value)),
            Err(error) => Err(CreateError::Create(Self::fail(leader, error))),
        }
    }

    fn fill(&self, leader: Lead<'_, K, V, S>, value: S::Value) -> S::Value {
        let stored = S::Table::keep(&value);
        let (landing, _displaced) =
            leader.land_with(|shard, hash, key| self.put(shard, hash, key, stored));
        if landing.is_awaited() {
            landing.publish(Outcome::Created(value.clone()));
        }
        value
    }

    fn fail<E: Clone + Send + Sync + 'static>(leader: Lead<'_, K, V, S>, error: E) -> E {
        let landing = leader.land();
        if landing.is_awaited() {
            landing.publish(Outcome::Failed(Arc::new(error.clone())));
        }
        error
    }
}

/// What joining a key's creation came to, in terms of the map.
enum Joined<'a, K, V: ?Sized, S: Storage<K, V>, E> {
    Lead(Lead<'a, K, V, S>),
    Settled(Result<S::Value, CreateError<E>>),
    LookAgain,
}

fn infallible<T>(result: Result<T, CreateError<Infallible>>) -> Result<T, Reentrant> {
    result.map_err(|error| match error {
        CreateError::Reentrant => Reentrant,
        CreateError::Create(never) => match never {},
    })
}
