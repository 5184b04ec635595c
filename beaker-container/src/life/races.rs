//! Orders of calls that have to be forced: who waits, who comes between two looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use beaker_namespace::{
    Clock, Entry, Key, ManualClock, Mark, MemoryConfig, MemoryNamespace, Namespace, Payload,
    Timestamp,
};

use super::flow::Request;
use super::mode::{Mode, ready};
use super::tests::{Moment, Stepped, life, stop, until_one_waits, until_wait};
use super::{InPlace, Life, Source};
use crate::creation::Created;
use crate::policy::{OnTimeout, Policy, Stale};
use crate::values::Values;
use crate::{CreateError, ErrorKind, Got};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(0)))
}

type Answer = Result<Got<u32>, CreateError<&'static str>>;

/// A call that does nothing but what `create` does.
fn call(
    life: &Life<u32>,
    policy: Policy,
    create: impl FnOnce() -> Result<Created<u32>, &'static str>,
) -> Answer {
    let request = Request::new(Key::new("k"), policy);
    life.obtain_on_thread(&request, |_| create())
}

fn insert(life: &Life<u32>, value: u32, policy: &Policy) {
    let key = Key::new("k");
    life.set(&key, Created::new(&value), policy).unwrap();
}

#[test]
fn s02_two_hundred_who_wait_for_a_failing_creation_make_one_call() {
    let life = life(&Stepped::new(&clock()));
    let calls = Arc::new(AtomicU32::new(0));
    let (step, creating, go) = stop();
    let leader = {
        let (life, calls) = (life.clone(), calls.clone());
        thread::spawn(move || {
            call(&life, Policy::new(), || {
                calls.fetch_add(1, Ordering::SeqCst);
                step();
                Err("down")
            })
        })
    };
    creating.recv().unwrap();
    let waiters: Vec<_> = (0..200)
        .map(|_| {
            let (life, calls) = (life.clone(), calls.clone());
            thread::spawn(move || {
                call(&life, Policy::new(), || {
                    calls.fetch_add(1, Ordering::SeqCst);
                    Err("again")
                })
            })
        })
        .collect();
    until_wait(&life, 200);
    go.send(()).unwrap();
    for caller in waiters.into_iter().chain([leader]) {
        assert!(matches!(caller.join().unwrap(), Err(CreateError::Create("down"))));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn s04_who_read_the_old_value_and_leads_just_after_a_refresh_does_not_create_again() {
    let clock = clock();
    let namespace = Stepped::new(&clock);
    let life = life(&namespace);
    let policy = Policy::new().ttl(MINUTE).stale(Stale::Both { max_age: HOUR });
    insert(&life, 1, &policy);
    clock.advance(MINUTE);
    let inner = Arc::clone(&namespace.inner);
    namespace.at(Moment::BeforeClaim, move || {
        let entry = Entry::new(Payload::Object(Arc::new(2_u32)), inner.clock().now());
        inner.set(&Key::new("k"), entry).unwrap();
    });
    let got = call(&life, policy, || unreachable!("it was made between the two looks")).unwrap();
    assert_eq!((got.value, got.source), (2, Source::Fresh));
}

#[test]
fn s05_all_who_wait_share_a_value_that_is_not_stored() {
    let life = life(&Stepped::new(&clock()));
    let (step, creating, go) = stop();
    let leader = {
        let life = life.clone();
        thread::spawn(move || {
            call(&life, Policy::new(), || {
                step();
                Ok(Created::new(1).unstored())
            })
        })
    };
    creating.recv().unwrap();
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let life = life.clone();
            thread::spawn(move || call(&life, Policy::new(), || unreachable!("one creates")))
        })
        .collect();
    until_wait(&life, 8);
    go.send(()).unwrap();
    assert_eq!(leader.join().unwrap().unwrap().source, Source::Created);
    for waiter in waiters {
        let got = waiter.join().unwrap().unwrap();
        assert_eq!((got.value, got.source, got.stored), (1, Source::Joined, false));
    }
    assert_eq!(life.creation_stats().joined, 8);
    assert_eq!(life.get(&Key::new("k"), &Policy::new()).unwrap(), None);
}

#[test]
fn a_failure_between_the_two_looks_stops_the_creation() {
    let clock = clock();
    let namespace = Stepped::new(&clock);
    let life = life(&namespace);
    let stale = Policy::new().ttl(MINUTE).stale(Stale::OnError { max_age: HOUR });
    let told = Policy::new().error_ttl(HOUR);
    for (policy, old) in [(stale, true), (told, false)] {
        life.clear().unwrap();
        if old {
            insert(&life, 1, &policy);
            clock.advance(MINUTE);
        }
        let (other, key) = (life.clone(), Key::new("k"));
        namespace.at(Moment::BeforeClaim, move || {
            let error: Arc<dyn std::any::Any + Send + Sync> = Arc::new("down");
            let failure =
                super::failures::Failure::new(Some(error), other.clock.coarse(), &policy, false);
            other.shared.failures.record(&key, failure);
        });
        match call(&life, policy, || unreachable!("somebody failed just now")) {
            Ok(got) => assert_eq!((old, got.value, got.source), (true, 1, Source::Fallback)),
            Err(error) => assert!(!old && matches!(error, CreateError::Create("down"))),
        }
        assert!(life.shared.flights.is_empty());
    }
}

/// A clock whose coarse face lags behind, as the system's does by up to a tick.
#[derive(Debug)]
struct Lagging(Arc<ManualClock>);

impl Clock for Lagging {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn coarse(&self) -> Timestamp {
        self.0.now().saturating_sub(Duration::from_millis(4))
    }
}

#[test]
fn a_failure_counts_from_its_first_moment_on_a_clock_with_a_coarse_face() {
    let manual = clock();
    let config = MemoryConfig::new().clock(Arc::new(Lagging(manual.clone())));
    let namespace = MemoryNamespace::anonymous(config).unwrap();
    let life: Life<u32> = Life::new(namespace, Values::objects());
    let policy = Policy::new().ttl(MINUTE).stale(Stale::OnError { max_age: HOUR });
    insert(&life, 1, &policy);
    manual.advance(MINUTE + Duration::from_millis(4));
    let calls = AtomicU32::new(0);
    for _ in 0..100 {
        let down = || {
            calls.fetch_add(1, Ordering::SeqCst);
            Err("down")
        };
        assert_eq!(call(&life, policy, down).unwrap().source, Source::Fallback);
        manual.advance(Duration::from_micros(10));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn who_waits_for_a_creation_that_is_thrown_away_is_told_at_once() {
    let life = life(&Stepped::new(&clock()));
    let (step, creating, go) = stop();
    let policy = Policy::new().on_timeout(OnTimeout::Drop);
    // Time enough for the waiter to come; the test ends when it has, not when the time is over.
    let policy = policy.hard_timeout(Duration::from_millis(500));
    let leader = {
        let life = life.clone();
        thread::spawn(move || {
            life.obtain_on_worker(Request::new(Key::new("k"), policy), move |_| {
                step();
                Ok::<_, &'static str>(Created::new(1))
            })
        })
    };
    creating.recv().unwrap();
    let waiter = {
        let life = life.clone();
        thread::spawn(move || call(&life, Policy::new(), || unreachable!("one creates")))
    };
    until_one_waits(&life);
    // The creation is held all the while.
    let timed_out = |answer: Answer| matches!(answer, Err(CreateError::Cache(error)) if error.kind() == ErrorKind::CreationTimeout);
    assert!(timed_out(waiter.join().unwrap()));
    assert!(timed_out(leader.join().unwrap()));
    assert!(life.shared.flights.is_empty());
    assert_eq!(call(&life, Policy::new(), || Ok(Created::new(2))).unwrap().value, 2);
    go.send(()).unwrap();
}

#[test]
fn a_single_call_that_waits_for_a_batch_gets_its_error() {
    let life = life(&Stepped::new(&clock()));
    let (step, creating, go) = stop();
    let batch = {
        let life = life.clone();
        thread::spawn(move || {
            let requests = ["k", "l"].map(|key| Request::after_miss(Key::new(key), Policy::new()));
            let mut step = Some(step);
            let create = |_places: Vec<usize>| {
                if let Some(step) = step.take() {
                    step();
                }
                std::future::ready(Err::<Vec<Created<u32>>, _>("down"))
            };
            ready(life.obtain_many(&requests, &Policy::new(), Mode::Thread, InPlace(create)))
        })
    };
    creating.recv().unwrap();
    let waiter = {
        let life = life.clone();
        thread::spawn(move || call(&life, Policy::new(), || unreachable!("a batch makes it")))
    };
    until_one_waits(&life);
    go.send(()).unwrap();
    assert!(matches!(waiter.join().unwrap(), Err(CreateError::Create("down"))));
    assert!(matches!(batch.join().unwrap(), Err(CreateError::Create("down"))));
    assert!(life.shared.flights.is_empty());
}

/// An error that uses the cache when it is dropped.
#[derive(Clone)]
struct Busy(Life<u32>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.shared.failures.forget(&Key::new("another"));
    }
}

#[test]
fn an_error_may_use_the_cache_in_its_drop() {
    let clock = clock();
    let life = life(&Stepped::new(&clock));
    let policy = Policy::new().error_ttl(HOUR);
    let record = |key: &str| {
        let error: Arc<dyn std::any::Any + Send + Sync> = Arc::new(Busy(life.clone()));
        let failure =
            super::failures::Failure::new(Some(error), life.clock.coarse(), &policy, false);
        life.shared.failures.record(&Key::new(key), failure);
    };
    record("k");
    record("k");
    life.shared.failures.forget(&Key::new("k"));
    record("k");
    life.clear().unwrap();
    assert!(life.shared.failures.recent(&Key::new("k"), life.clock.coarse()).is_none());
}

/// Values of a creation that is invalidated by `tag` while it runs, for one who waits since then.
fn invalidated_for_a_waiter(tag: &str, stored: bool) -> u32 {
    let clock = clock();
    let life = life(&Stepped::new(&clock));
    let (step, creating, go) = stop();
    let leader = {
        let life = life.clone();
        thread::spawn(move || {
            call(&life, Policy::new(), || {
                step();
                let created = Created::new(1).tag("t");
                Ok(if stored { created } else { created.unstored() })
            })
        })
    };
    creating.recv().unwrap();
    clock.advance(MINUTE);
    life.mark_tag(tag, Mark::hard).unwrap();
    clock.advance(MINUTE);
    let waiter = {
        let life = life.clone();
        thread::spawn(move || call(&life, Policy::new(), || Ok(Created::new(2).tag("t"))))
    };
    until_one_waits(&life);
    go.send(()).unwrap();
    assert_eq!(leader.join().unwrap().unwrap().value, 1, "its call began before");
    waiter.join().unwrap().unwrap().value
}

#[test]
fn who_waits_never_gets_what_its_tag_s_invalidation_came_before() {
    for stored in [true, false] {
        assert_eq!(invalidated_for_a_waiter("t", stored), 2);
        assert_eq!(invalidated_for_a_waiter("other", stored), 1, "the control");
    }
}
