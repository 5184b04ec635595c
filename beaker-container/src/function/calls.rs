//! The calls, on a thread.

use std::sync::Arc;

use beaker_namespace::Key;
use parking_lot::Mutex;

use super::types::{SharedError, Value};
use super::{Function, FunctionCache};
use crate::{CreateError, Created, Error, ErrorKind, Fetch, Got, regions};

/// `load::cache()`: the cache itself.
pub fn cache<V: Value>(function: &Function<V>) -> Result<FunctionCache<V>, Error> {
    function.told(regions::cache_of(function)).map(|cache| FunctionCache::clone(&cache))
}

/// `load(…)`.
#[inline]
pub fn try_call<V: Value, E: SharedError>(
    function: &Function<V>,
    key: &Key,
    original: impl FnOnce() -> Result<V, E>,
) -> Result<V, E> {
    let Ok(cache) = function.told(regions::cache_of(function)) else { return original() };
    let mut original = Some(original);
    let made = cache.get_or_try_create_at(key, || run(&mut original));
    settle(function, made, original)
}

/// `load(…)`, where `created` decides what is stored.
pub fn try_call_created<V: Value, E: SharedError>(
    function: &Function<V>,
    key: &Key,
    original: impl FnOnce() -> Result<Created<V>, E>,
) -> Result<V, E> {
    let Ok(cache) = function.told(regions::cache_of(function)) else { return value(original()) };
    let mut original = Some(original);
    let made = cache.fetch(key).try_create(|_| run(&mut original));
    settle(function, made.map(Got::into_value), original.map(|it| move || value(it())))
}

/// `load::refresh(…)`.
pub fn try_refresh_created<V: Value, E: SharedError>(
    function: &Function<V>,
    key: &Key,
    original: impl FnOnce() -> Result<Created<V>, E>,
) -> Result<V, E> {
    let Ok(cache) = function.told(regions::cache_of(function)) else { return value(original()) };
    let mut original = Some(original);
    let made = cache.fetch(key).anew().try_create(|_| run(&mut original));
    settle(function, made.map(Got::into_value), original.map(|it| move || value(it())))
}

/// `load(…)` and `load::refresh(…)`, which is `anew`, of a function that can outlive its call.
///
/// `late` makes the error of a call that reached its hard time-out; without it there is none.
///
/// # Panics
///
/// If the creation was begun and went away without an end.
pub fn try_spawn<V: Value, E: SharedError>(
    function: &Function<V>,
    key: &Key,
    original: impl FnOnce() -> Result<Created<V>, E> + Send + 'static,
    late: Option<fn(Error) -> E>,
    anew: bool,
) -> Result<V, E> {
    let Ok(cache) = function.told(regions::cache_of(function)) else { return value(original()) };
    let kept = Kept::new(original);
    let create = kept.clone();
    let made = fetch(&cache, key, late.is_some(), anew).spawn(move |_| create.take()());
    match made {
        Ok(got) => Ok(got.value),
        Err(CreateError::Create(error)) => Err(error),
        Err(CreateError::Cache(error)) => match late {
            Some(late) if error.kind() == ErrorKind::CreationTimeout => Err(late(error)),
            _ => {
                function.report(&error);
                value(kept.take()())
            }
        },
    }
}

/// A call of a function that can outlive it. Where it cannot say that it is late, it is not.
pub(super) fn fetch<'a, V: Value>(
    cache: &'a FunctionCache<V>,
    key: &Key,
    can_be_late: bool,
    anew: bool,
) -> Fetch<'a, V> {
    let fetch = cache.fetch(key);
    let fetch = if anew { fetch.anew() } else { fetch };
    if can_be_late { fetch } else { fetch.policy(|policy| policy.hard_timeout(None)) }
}

/// What is run once, by the creation or, if that did not come to it, by the call.
pub(super) struct Kept<F>(Arc<Mutex<Option<F>>>);

impl<F> Clone for Kept<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> Kept<F> {
    pub(super) fn new(kept: F) -> Self {
        Self(Arc::new(Mutex::new(Some(kept))))
    }

    pub(super) fn take(&self) -> F {
        match self.0.lock().take() {
            Some(kept) => kept,
            None => panic!("the runtime that the cached function ran on was shut down"),
        }
    }
}

pub(super) fn value<V, E>(created: Result<Created<V>, E>) -> Result<V, E> {
    created.map(Created::into_value)
}

/// `load::invalidate(…)`.
pub fn invalidate<V: Value>(function: &Function<V>, key: &Key) -> Result<bool, Error> {
    function.told(regions::cache_of(function))?.remove(key)
}

/// `load::peek(…)`.
pub fn peek<V: Value>(function: &Function<V>, key: &Key) -> Result<Option<V>, Error> {
    function.told(regions::cache_of(function))?.get(key)
}

/// `load::set(…)`.
pub fn set<V: Value>(function: &Function<V>, key: &Key, created: Created<V>) -> Result<(), Error> {
    function.told(regions::cache_of(function))?.store(key, created)
}

pub(super) fn run<T>(original: &mut Option<impl FnOnce() -> T>) -> T {
    match original.take() {
        Some(original) => original(),
        None => unreachable!("a cache runs a creator at most once in a call"),
    }
}

/// What the caller gets; if the cache failed, from the function itself.
#[inline]
fn settle<V: Value, E>(
    function: &Function<V>,
    made: Result<V, CreateError<E>>,
    mut original: Option<impl FnOnce() -> Result<V, E>>,
) -> Result<V, E> {
    match made {
        Ok(value) => Ok(value),
        Err(CreateError::Create(error)) => Err(error),
        Err(CreateError::Cache(error)) => {
            function.report(&error);
            run(&mut original)
        }
    }
}
