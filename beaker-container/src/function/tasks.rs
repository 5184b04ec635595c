//! The calls, in a task.

use std::future::Future;

use beaker_namespace::Key;

use super::Function;
use super::calls::{run as begin, value};
use super::types::{SharedError, Value};
use crate::{CreateError, Created, Error, Got, regions};

/// `load(…)`.
pub async fn try_call_async<V: Value, E: SharedError, F>(
    function: &'static Function<V>,
    key: &Key,
    original: impl FnOnce() -> F,
) -> Result<V, E>
where
    F: Future<Output = Result<V, E>>,
{
    let Ok(cache) = function.told(regions::cache_of_async(function).await) else {
        return original().await;
    };
    let mut original = Some(original);
    let made = cache.get_or_try_create_async(key, || begin(&mut original)).await;
    settle(function, made, original).await
}

/// `load(…)`, where `created` decides what is stored.
pub async fn try_call_created_async<V: Value, E: SharedError, F>(
    function: &'static Function<V>,
    key: &Key,
    original: impl FnOnce() -> F,
) -> Result<V, E>
where
    F: Future<Output = Result<Created<V>, E>>,
{
    let Ok(cache) = function.told(regions::cache_of_async(function).await) else {
        return value(original().await);
    };
    let mut original = Some(original);
    let create = |_| begin(&mut original);
    let made = cache.fetch(key).try_create_async(create).await;
    let original = original.map(|it| async move || value(it().await));
    settle(function, made.map(Got::into_value), original).await
}

/// `load::refresh(…)`.
pub async fn try_refresh_created_async<V: Value, E: SharedError, F>(
    function: &'static Function<V>,
    key: &Key,
    original: impl FnOnce() -> F,
) -> Result<V, E>
where
    F: Future<Output = Result<Created<V>, E>>,
{
    let Ok(cache) = function.told(regions::cache_of_async(function).await) else {
        return value(original().await);
    };
    let mut original = Some(original);
    let create = |_| begin(&mut original);
    let made = cache.fetch(key).anew().try_create_async(create).await;
    let original = original.map(|it| async move || value(it().await));
    settle(function, made.map(Got::into_value), original).await
}

/// `load::invalidate(…)`.
pub async fn invalidate_async<V: Value>(
    function: &'static Function<V>,
    key: &Key,
) -> Result<bool, Error> {
    function.told(regions::cache_of_async(function).await)?.remove_async(key).await
}

/// `load::peek(…)`.
pub async fn peek_async<V: Value>(
    function: &'static Function<V>,
    key: &Key,
) -> Result<Option<V>, Error> {
    function.told(regions::cache_of_async(function).await)?.get_async(key).await
}

/// `load::set(…)`.
pub async fn set_async<V: Value>(
    function: &'static Function<V>,
    key: &Key,
    created: Created<V>,
) -> Result<(), Error> {
    function.told(regions::cache_of_async(function).await)?.store_async(key, created).await
}

/// What the caller gets; if the cache failed before it created, from the function itself.
async fn settle<V: Value, E, F>(
    function: &Function<V>,
    made: Result<V, CreateError<E>>,
    mut original: Option<impl FnOnce() -> F>,
) -> Result<V, E>
where
    F: Future<Output = Result<V, E>>,
{
    match made {
        Ok(value) => Ok(value),
        Err(CreateError::Create(error)) => Err(error),
        Err(CreateError::Cache(error)) => {
            function.report(&error);
            begin(&mut original).await
        }
    }
}
