//! Creations that run behind their callers.

mod batches;
mod refreshes;
mod timeouts;
mod workers;

use std::time::Duration;

use beaker_container::{Cache, CreateError, Created, ErrorKind, Got, Policy, Workers};

use crate::harness::{Keeper, Lab, gate, secs};

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(5);

type Numbers = Cache<String, u32>;

/// A cache with an old value 1 under `k`, and workers of its own.
fn with_old(lab: &Lab, policy: Policy) -> (Numbers, Workers) {
    let workers = Workers::new(4);
    let cache = lab.numbers(policy.ttl(secs(60))).with_workers(workers.clone());
    cache.store("k", Created::new(1).tag("t")).unwrap();
    lab.advance(60);
    (cache, workers)
}

/// A call whose creation is held: it makes 2.
fn spawn_held(cache: &Numbers) -> (Result<Got<u32>, CreateError<()>>, Keeper) {
    let (gate, keeper) = gate();
    let got = cache.fetch("k").tag("t").spawn(move |_| {
        gate.pass();
        Ok::<_, ()>(2_u32)
    });
    (got, keeper)
}

fn kind<T, E>(result: Result<T, CreateError<E>>) -> ErrorKind {
    match result {
        Err(CreateError::Cache(error)) => error.kind(),
        _ => panic!("it is the cache's error"),
    }
}
