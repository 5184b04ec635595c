//! `load::many(…)`: many calls of a function at once.
//
// The cache is asked for all of them in one batch, and the function runs for those that are missing. A batch
// may fail by the cache when some of its calls have run already, so what came of them is kept beside it: no
// call runs twice, and none fails by the cache. What is current is then read once more; of a call that failed
// the batch may have served an old value, which is lost with it, so its error is what all calls get.

use std::collections::HashMap;

use beaker_namespace::Key;
use parking_lot::Mutex;

use super::Function;
use super::calls::value;
use super::types::{SharedError, Value};
use crate::{CreateError, Created, Error, Got, regions};

/// The key of each call, or why it has none, and its arguments.
type Keyed<A> = Vec<(Result<Key, Error>, A)>;

/// `load::many(…)`.
pub fn try_many<V: Value, E: SharedError, A>(
    function: &Function<V>,
    calls: Keyed<A>,
    mut original: impl FnMut(A) -> Result<Created<V>, E>,
) -> Result<Vec<V>, E> {
    let calls = match Calls::new(function, calls) {
        Ok(calls) => calls,
        Err(calls) => return calls.into_iter().map(|call| value(original(call))).collect(),
    };
    let mut run = |key: &Key| {
        let created = original(calls.begin(key));
        calls.end(key, &created);
        created
    };
    if let Ok(cache) = function.told(regions::cache_of(function)) {
        let fetch = cache.fetch_many(&calls.keys).policy(|policy| policy.hard_timeout(None));
        match fetch.try_create(|missing| missing.into_iter().map(&mut run).collect()) {
            Ok(got) => return Ok(got.into_iter().map(Got::into_value).collect()),
            Err(CreateError::Create(error)) => return Err(error),
            Err(CreateError::Cache(error)) => {
                function.report(&error);
                let lacking = calls.lacking();
                calls.found(&lacking, cache.get_many(&lacking).unwrap_or_default());
            }
        }
    }
    calls.failure()?;
    for key in &calls.keys {
        if calls.waits(key) {
            let _kept = run(key)?;
        }
    }
    Ok(calls.made())
}

/// `load::many(…)`, in a task.
#[cfg(feature = "tokio")]
pub async fn try_many_async<V: Value, E: SharedError, A, F>(
    function: &'static Function<V>,
    calls: Keyed<A>,
    mut original: impl FnMut(A) -> F,
) -> Result<Vec<V>, E>
where
    F: Future<Output = Result<Created<V>, E>>,
{
    let calls = match Calls::new(function, calls) {
        Ok(calls) => calls,
        Err(calls) => {
            let mut made = Vec::with_capacity(calls.len());
            for call in calls {
                made.push(value(original(call).await)?);
            }
            return Ok(made);
        }
    };
    let calls = &calls;
    let mut run = |key: &Key| {
        let (key, running) = (key.clone(), original(calls.begin(key)));
        async move {
            let created = running.await;
            calls.end(&key, &created);
            created
        }
    };
    if let Ok(cache) = function.told(regions::cache_of_async(function).await) {
        let fetch = cache.fetch_many(&calls.keys).policy(|policy| policy.hard_timeout(None));
        let create = |missing: Vec<&Key>| {
            let running: Vec<_> = missing.into_iter().map(&mut run).collect();
            async move {
                let mut made = Vec::with_capacity(running.len());
                for one in running {
                    made.push(one.await?);
                }
                Ok(made)
            }
        };
        match fetch.try_create_async(create).await {
            Ok(got) => return Ok(got.into_iter().map(Got::into_value).collect()),
            Err(CreateError::Create(error)) => return Err(error),
            Err(CreateError::Cache(error)) => {
                function.report(&error);
                let lacking = calls.lacking();
                let current = cache.get_many_async(&lacking).await;
                calls.found(&lacking, current.unwrap_or_default());
            }
        }
    }
    calls.failure()?;
    for key in &calls.keys {
        if calls.waits(key) {
            let _kept = run(key).await?;
        }
    }
    Ok(calls.made())
}

/// The calls of one batch, those with one key together.
struct Calls<A, V, E> {
    /// In the order in which they were asked for.
    keys: Vec<Key>,
    by_key: Mutex<HashMap<Key, Call<A, V, E>>>,
}

/// What one call needs, or what came of it.
enum Call<A, V, E> {
    Waits(A),
    Runs,
    Made(V),
    /// It failed, or was given up since another that ran beside it did.
    Failed(E),
}

impl<A, V: Value, E: SharedError> Calls<A, V, E> {
    /// Gives the calls back if one of them has no key.
    fn new(function: &Function<V>, calls: Keyed<A>) -> Result<Self, Vec<A>> {
        if let Some(error) = calls.iter().find_map(|(key, _)| key.as_ref().err()) {
            function.report(error);
            return Err(calls.into_iter().map(|(_, arguments)| arguments).collect());
        }
        let mut keys = Vec::with_capacity(calls.len());
        let mut by_key = HashMap::with_capacity(calls.len());
        for (key, arguments) in calls {
            let Ok(key) = key else { continue };
            keys.push(key.clone());
            by_key.entry(key).or_insert(Call::Waits(arguments));
        }
        Ok(Self { keys, by_key: Mutex::new(by_key) })
    }

    fn waits(&self, key: &Key) -> bool {
        matches!(self.by_key.lock().get(key), Some(Call::Waits(_)))
    }

    fn begin(&self, key: &Key) -> A {
        match self.by_key.lock().insert(key.clone(), Call::Runs) {
            Some(Call::Waits(arguments)) => arguments,
            _ => unreachable!("a batch asks for each of its keys once"),
        }
    }

    fn end(&self, key: &Key, created: &Result<Created<V>, E>) {
        let mut by_key = self.by_key.lock();
        match created {
            Ok(created) => {
                by_key.insert(key.clone(), Call::Made(created.value.clone()));
            }
            // The creator ends by it, so those that run beside it go no further.
            Err(error) => {
                for call in by_key.values_mut().filter(|call| matches!(call, Call::Runs)) {
                    *call = Call::Failed(error.clone());
                }
            }
        }
    }

    /// The keys for which nothing was made, each once.
    fn lacking(&self) -> Vec<Key> {
        let by_key = self.by_key.lock();
        let lacking = by_key.iter().filter(|(_, call)| !matches!(call, Call::Made(_)));
        lacking.map(|(key, _)| key.clone()).collect()
    }

    /// Takes what the cache has of them.
    fn found(&self, keys: &[Key], values: Vec<Option<V>>) {
        let mut by_key = self.by_key.lock();
        for (key, value) in keys.iter().zip(values) {
            if let Some(value) = value {
                by_key.insert(key.clone(), Call::Made(value));
            }
        }
    }

    /// The error of a call for which there is no value.
    fn failure(&self) -> Result<(), E> {
        let by_key = self.by_key.lock();
        let error = by_key.values().find_map(|call| match call {
            Call::Failed(error) => Some(error.clone()),
            Call::Waits(_) | Call::Runs | Call::Made(_) => None,
        });
        error.map_or(Ok(()), Err)
    }

    /// What was made, in the order in which it was asked for: a value for each.
    fn made(&self) -> Vec<V> {
        let by_key = self.by_key.lock();
        let made = |key| match by_key.get(key) {
            Some(Call::Made(made)) => made.clone(),
            _ => unreachable!("each call was made, or its error returned"),
        };
        self.keys.iter().map(made).collect()
    }
}
