//! A store that fails when a creation is to begin takes nothing away that may be served.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use beaker_container::{Cache, CreateError, ErrorKind, Got, Policy, Source, Stale, Workers};
use beaker_namespace::testkit::{Fault, FaultStore};
use beaker_namespace::{
    ErrorKind as StoreErrorKind, ManualClock, MemoryConfig, MemoryNamespace, Timestamp,
};
use rustix::fs::FlockOperation;

use crate::harness::Lab;

const MINUTE: Duration = Duration::from_secs(60);
const FULL: Fault = Fault::Fail(StoreErrorKind::Full);

/// A cache on a store that fails on demand, and what its listener is told.
struct Outage {
    clock: Arc<ManualClock>,
    store: Arc<FaultStore<Arc<MemoryNamespace>>>,
    cache: Cache<String, u32>,
    reported: Receiver<ErrorKind>,
}

impl Outage {
    fn new(policy: Policy) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
        let config = MemoryConfig::new().clock(clock.clone());
        let store = Arc::new(FaultStore::new(MemoryNamespace::anonymous(config).unwrap()));
        let (reports, reported) = channel();
        let cache = Cache::new(store.clone())
            .with_policy(policy.ttl(MINUTE))
            .on_unstored(move |error| reports.send(error.kind()).unwrap());
        Self { clock, store, cache, reported }
    }

    /// With the value 1 under each of `keys`, `seconds` old.
    fn aged(policy: Policy, keys: &[&str], seconds: u64) -> Self {
        let outage = Self::new(policy);
        for key in keys {
            outage.cache.insert(*key, 1).unwrap();
        }
        outage.clock.advance(Duration::from_secs(seconds));
        outage
    }

    /// As many creations did not begin, and as many callers got a value in place of the error.
    fn assert_not_begun(&self, not_begun: u64, reports: usize) {
        let stats = self.cache.creation_stats();
        assert_eq!((stats.not_begun, stats.created, stats.failed), (not_begun, 0, 0));
        let reported: Vec<_> = self.reported.try_iter().collect();
        assert_eq!(reported, vec![ErrorKind::Store(StoreErrorKind::Full); reports]);
        assert_eq!(self.cache.unstored(), 0, "nothing was made");
    }

    /// The store is well again: nothing of the failure is left.
    fn assert_heals(&self, key: &str) {
        self.store.disarm();
        self.clock.advance(2 * MINUTE);
        assert_eq!(self.cache.get_or_create(key, || 2).unwrap(), 2);
    }
}

fn early() -> Policy {
    Policy::new().refresh_at(0.5)
}

/// What lets an expired value be served.
fn each_staleness() -> [Policy; 3] {
    [
        Stale::WhileRefreshing { max_age: MINUTE },
        Stale::OnError { max_age: MINUTE },
        Stale::Both { max_age: MINUTE },
    ]
    .map(|stale| Policy::new().stale(stale))
}

fn none() -> u32 {
    unreachable!("there is no claim to create under")
}

fn told(got: Got<u32>) -> (u32, Source) {
    (got.value, got.source)
}

// The operations of a call: the read that counts; the look that decides, if that read found nothing and
// something old may be served; the claim; the look under it.

#[test]
fn a_fresh_value_is_served_although_its_early_refresh_cannot_begin() {
    for nth in [2, 3] {
        let outage = Outage::aged(early(), &["k"], 31);
        outage.store.arm(nth, FULL);
        let got = outage.cache.fetch("k").create(|_| none()).unwrap();
        assert_eq!(told(got), (1, Source::Fresh), "operation {nth}");
        outage.assert_not_begun(1, 1);
        outage.assert_heals("k");
    }
}

#[test]
fn an_old_value_is_served_if_its_creation_cannot_begin() {
    for policy in each_staleness() {
        for nth in [3, 4] {
            let outage = Outage::aged(policy, &["k"], 61);
            outage.store.arm(nth, FULL);
            let got = outage.cache.fetch("k").create(|_| none()).unwrap();
            assert_eq!(told(got), (1, Source::Fallback), "operation {nth}");
            outage.assert_not_begun(1, 1);
            assert_eq!(outage.cache.creation_stats().fallbacks, 1);
            outage.assert_heals("k");
        }
    }
}

#[test]
fn without_anything_to_serve_the_creator_does_not_run_and_the_error_is_the_store_s() {
    // An expired value that no policy lets be served, and no value.
    for keys in [&["k"][..], &[]] {
        for nth in [2, 3] {
            let outage = Outage::aged(Policy::new(), keys, 61);
            outage.store.arm(nth, FULL);
            let failed = outage.cache.get_or_create("k", none).unwrap_err();
            assert_eq!(failed.kind(), ErrorKind::Store(StoreErrorKind::Full), "operation {nth}");
            outage.assert_not_begun(1, 0);
            outage.assert_heals("k");
        }
    }
}

#[test]
fn the_default_value_is_served_where_there_is_nothing_else() {
    let outage = Outage::new(Policy::new());
    outage.store.arm(2, FULL);
    let cache = outage.cache.clone().with_default_value(7);
    let got = cache.fetch("k").create(|_| none()).unwrap();
    assert_eq!((got.value, got.source, got.stored), (7, Source::Fallback, false));
}

#[test]
fn a_creation_behind_its_caller_that_cannot_begin_is_counted_and_reported() {
    let mut outage = Outage::aged(each_staleness()[0], &["k"], 61);
    let workers = Workers::new(1);
    outage.cache = outage.cache.with_workers(workers.clone());
    outage.store.arm(3, FULL);
    let got = outage.cache.fetch("k").spawn(|_| Ok::<_, ()>(none())).unwrap();
    assert_eq!(told(got), (1, Source::Stale));
    assert_eq!(workers.drain(MINUTE), 0);
    outage.assert_not_begun(1, 1);
    outage.assert_heals("k");
}

// The operations of a batch of two: the read, in one call unless hits are watched; a look at each key if
// something old may be served; a claim on each; a look at each under them.

#[test]
fn a_batch_serves_what_it_may_for_the_keys_that_cannot_begin() {
    let keys = ["a", "b"].map(str::to_owned);
    for policy in each_staleness() {
        // A claim fails: the store is asked no more, since each call may take its whole time-out, and what is
        // claimed by then is made. The look fails: nothing is.
        for (nth, values, not_begun) in [(4, [1, 1], 2), (5, [2, 1], 1), (6, [1, 1], 2)] {
            let outage = Outage::aged(policy, &["a", "b"], 61);
            outage.store.arm(nth, FULL);
            let made = outage.cache.get_or_create_many(&keys, |missing| vec![2; missing.len()]);
            assert_eq!(made.unwrap(), values, "operation {nth}");
            let stats = outage.cache.creation_stats();
            assert_eq!((stats.not_begun, stats.fallbacks), (not_begun, not_begun));
            assert_eq!(outage.reported.try_iter().count() as u64, not_begun);
            outage.assert_heals("a");
        }
    }
}

#[test]
fn a_batch_serves_the_fresh_values_whose_early_refresh_cannot_begin() {
    let keys = ["a", "b"].map(str::to_owned);
    let outage = Outage::aged(early(), &["a", "b"], 31);
    outage.store.arm(5, FULL);
    assert_eq!(outage.cache.get_or_create_many(&keys, |_| vec![none()]).unwrap(), [1, 1]);
    outage.assert_not_begun(2, 2);
}

#[test]
fn a_batch_without_anything_to_serve_gives_the_store_s_error() {
    let keys = ["a", "b"].map(str::to_owned);
    for nth in [2, 3, 4] {
        let outage = Outage::new(Policy::new());
        outage.store.arm(nth, FULL);
        let failed = outage.cache.get_or_try_create_many(&keys, |_| Ok::<_, ()>(vec![none()]));
        let Err(CreateError::Cache(error)) = failed else { panic!("operation {nth}: {failed:?}") };
        assert_eq!(error.kind(), ErrorKind::Store(StoreErrorKind::Full), "operation {nth}");
        outage.assert_heals("a");
    }
}

/// Every file below `dir` that is a lock. While nothing is made, these are the writers'.
fn lock_files(dir: &Path) -> Vec<File> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => lock_files(&path),
            Some(end) if end == "lock" => vec![File::open(path).unwrap()],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn f9_a_stopped_writer_holds_no_creation_up_for_longer_than_its_call_waits() {
    let lab = Lab::file();
    let serving = Cache::<String, u32>::new(lab.namespace())
        .with_ttl(MINUTE)
        .with_stale(Stale::WhileRefreshing { max_age: MINUTE });
    serving.insert("k", 1).unwrap();
    lab.advance(61);
    // As by a process that is stopped while it writes.
    let writers = lock_files(lab.url.path());
    assert!(!writers.is_empty());
    let lock =
        |writer| rustix::fs::flock(writer, FlockOperation::NonBlockingLockExclusive).unwrap();
    writers.iter().for_each(lock);

    let began = Instant::now();
    let cache = serving.clone().with_stale(Stale::Never);
    let impatient = cache.clone().with_wait(Duration::from_millis(20));
    assert_eq!(impatient.get_or_create("k", none).unwrap_err().kind(), ErrorKind::Timeout);
    let got = serving.fetch("k").create(|_| none()).unwrap();
    assert_eq!(told(got), (1, Source::Stale), "somebody else is at it");
    assert!(began.elapsed() < Duration::from_secs(5), "the store's own limit is ten seconds");

    drop(writers);
    assert_eq!(cache.get_or_create("k", || 2).unwrap(), 2);
}

#[cfg(feature = "tokio")]
#[test]
fn in_a_task_it_is_the_same_by_either_face_of_the_store() {
    use beaker_namespace::testkit::AsyncStore;

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let keys = ["k".to_owned()];
    for policy in each_staleness() {
        let outage = Outage::aged(policy, &["k"], 61);
        let faced = AsyncStore::new(outage.store.clone());
        faced.refuse_blocking();
        let by_its_face =
            Cache::<String, u32>::new(Arc::new(faced)).with_policy(policy.ttl(MINUTE));
        for cache in [&outage.cache, &by_its_face] {
            outage.store.arm(3, FULL);
            let got = runtime.block_on(cache.fetch("k").create_async(|_| async { none() }));
            assert_eq!(told(got.unwrap()), (1, Source::Fallback));
            outage.store.arm(3, FULL);
            let batch = cache.get_or_create_many_async(&keys, |_| async { vec![none()] });
            assert_eq!(runtime.block_on(batch).unwrap(), [1]);
        }
    }
}
