//! The calls, on a thread.

use beaker_namespace::Key;

use super::types::{SharedError, Value};
use super::{Function, FunctionCache};
use crate::{CreateError, Created, Error, Got, regions};

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
