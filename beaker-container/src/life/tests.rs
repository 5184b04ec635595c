//! Moments of a flight that no caller from outside can hit on purpose.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use beaker_namespace::{
    Claim, Clock, Codec, Entry, Error as StoreError, Fulfilled, Inspection, Key, ManualClock,
    MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp, Wait, forward_namespace,
};
use parking_lot::Mutex;

use super::Life;
use crate::policy::Policy;
use crate::values::Values;
use crate::{CreateError, ErrorKind};

/// A hang is a failure after this long.
pub(super) const HANG: Duration = Duration::from_secs(20);

/// The moments of a creation at which a test steps in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Moment {
    BeforeClaim,
    /// After the leader read again under its claim.
    AfterSecondLook,
    AfterFulfil,
}

type Step = Box<dyn FnOnce() + Send>;

/// A memory namespace that lets a test step in, once for each moment.
pub(super) struct Stepped {
    pub(super) inner: Arc<MemoryNamespace>,
    steps: Mutex<HashMap<Moment, Step>>,
}

impl Stepped {
    pub(super) fn new(clock: &Arc<ManualClock>) -> Arc<Self> {
        let config = MemoryConfig::new().clock(clock.clone());
        let inner = MemoryNamespace::anonymous(config).unwrap();
        Arc::new(Self { inner, steps: Mutex::default() })
    }

    pub(super) fn at(&self, moment: Moment, step: impl FnOnce() + Send + 'static) {
        self.steps.lock().insert(moment, Box::new(step));
    }

    fn reach(&self, moment: Moment) {
        // In a statement of its own, so that the lock is free while the step runs.
        let step = self.steps.lock().remove(&moment);
        if let Some(step) = step {
            step();
        }
    }

    fn reach_second_look(&self) {
        if !self.steps.lock().contains_key(&Moment::BeforeClaim) {
            self.reach(Moment::AfterSecondLook);
        }
    }
}

impl fmt::Debug for Stepped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Namespace for Stepped {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, get, set, remove, clear, stats, mark, marks,
    );

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, StoreError> {
        self.reach(Moment::BeforeClaim);
        self.inner.claim(key, wait)
    }
    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, StoreError> {
        let fulfilled = self.inner.fulfil(key, entry, claim);
        self.reach(Moment::AfterFulfil);
        fulfilled
    }
    fn inspect(&self, key: &Key) -> Result<Inspection, StoreError> {
        let found = self.inner.inspect(key);
        self.reach_second_look();
        found
    }
}

/// Stops a thread until the test lets it go.
pub(super) fn stop() -> (impl FnOnce() + Send + 'static, Receiver<()>, Sender<()>) {
    let (reached_send, reached) = channel();
    let (go, go_receive) = channel();
    let step = move || {
        reached_send.send(()).unwrap();
        go_receive.recv_timeout(HANG).unwrap();
    };
    (step, reached, go)
}

pub(super) fn life(namespace: &Arc<Stepped>) -> Life<u32> {
    Life::new(namespace.clone(), Values::encoded(Codec::default()))
}

type Made = JoinHandle<Result<u32, CreateError<()>>>;

fn start(life: &Life<u32>, policy: Policy, value: u32) -> Made {
    let life = life.clone();
    thread::spawn(move || life.get_or_try_create(&Key::new("k"), &policy, || Ok(value)))
}

pub(super) fn until_wait(life: &Life<u32>, callers: usize) {
    let began = Instant::now();
    while life.shared.flights.waiting(&Key::new("k")) < callers {
        assert!(began.elapsed() < HANG, "nobody waits");
        thread::yield_now();
    }
}

pub(super) fn until_one_waits(life: &Life<u32>) {
    until_wait(life, 1);
}

#[test]
fn who_comes_after_a_clear_never_gets_what_was_stored_before_it() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let namespace = Stepped::new(&clock);
    let life = life(&namespace);
    let (step, stored, go) = stop();
    namespace.at(Moment::AfterFulfil, step);
    let leader = start(&life, Policy::new(), 1);
    stored.recv_timeout(HANG).unwrap();

    life.namespace.clear().unwrap();
    let later = start(&life, Policy::new(), 2);
    until_one_waits(&life);
    go.send(()).unwrap();

    assert_eq!(leader.join().unwrap().unwrap(), 1, "its call began before");
    assert_eq!(later.join().unwrap().unwrap(), 2);
}

#[test]
fn who_comes_after_a_clear_never_gets_what_was_found_before_it() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let namespace = Stepped::new(&clock);
    let life = life(&namespace);
    // Somebody else makes the value before the leader has its claim, so the leader finds it.
    let inner = Arc::clone(&namespace.inner);
    namespace.at(Moment::BeforeClaim, move || {
        let entry = Entry::new(Payload::Object(Arc::new(1_u32)), inner.clock().now());
        inner.set(&Key::new("k"), entry).unwrap();
    });
    let (step, found, go) = stop();
    namespace.at(Moment::AfterSecondLook, step);
    let leader = start(&life, Policy::new(), 9);
    found.recv_timeout(HANG).unwrap();

    life.namespace.clear().unwrap();
    let later = start(&life, Policy::new(), 2);
    until_one_waits(&life);
    go.send(()).unwrap();

    assert_eq!(leader.join().unwrap().unwrap(), 1, "its call began before");
    assert_eq!(later.join().unwrap().unwrap(), 2);
}

#[test]
fn con_5_a_waiter_does_not_get_work_that_began_before_its_start_time() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let namespace = Stepped::new(&clock);
    let life = life(&namespace);
    let (step, stored, go) = stop();
    namespace.at(Moment::AfterFulfil, step);
    let leader = start(&life, Policy::new(), 1);
    stored.recv_timeout(HANG).unwrap();

    clock.advance(Duration::from_secs(1));
    let policy = Policy::new().start_time(clock.now());
    let later = start(&life, policy, 2);
    until_one_waits(&life);
    go.send(()).unwrap();

    assert_eq!(leader.join().unwrap().unwrap(), 1);
    assert_eq!(later.join().unwrap().unwrap(), 2);
}

#[test]
fn con_22_a_waiter_does_not_get_what_was_expired_when_it_called() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let namespace = Stepped::new(&clock);
    let life = life(&namespace);
    let policy = Policy::new().ttl(Duration::from_secs(5));
    let (step, creating, go) = stop();
    let leader = {
        let life = life.clone();
        let create = || {
            step();
            Ok::<_, ()>(1)
        };
        thread::spawn(move || life.get_or_try_create(&Key::new("k"), &policy, create))
    };
    creating.recv_timeout(HANG).unwrap();
    // The creation takes longer than its value lives.
    clock.advance(Duration::from_secs(5));
    let waiters = [start(&life, policy, 2), start(&life, policy, 2)];
    until_wait(&life, 2);
    go.send(()).unwrap();
    assert_eq!(leader.join().unwrap().unwrap(), 1);
    assert_eq!(waiters.map(|waiter| waiter.join().unwrap().unwrap()), [2, 2]);
}

/// A creation that runs until the test lets it go, and then fails.
fn start_failing(life: &Life<u32>) -> (JoinHandle<Result<u32, CreateError<String>>>, Sender<()>) {
    let (step, creating, go) = stop();
    let life = life.clone();
    let leader = thread::spawn(move || {
        life.get_or_try_create(&Key::new("k"), &Policy::new(), || {
            step();
            Err("boom".to_owned())
        })
    });
    creating.recv_timeout(HANG).unwrap();
    (leader, go)
}

#[test]
fn d29_all_who_wait_get_the_error_of_the_one_creation() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let life = life(&Stepped::new(&clock));
    let (leader, go) = start_failing(&life);
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let life = life.clone();
            let create = || -> Result<u32, String> { unreachable!("it failed for all who wait") };
            thread::spawn(move || life.get_or_try_create(&Key::new("k"), &Policy::new(), create))
        })
        .collect();
    until_wait(&life, 8);
    go.send(()).unwrap();
    for caller in waiters.into_iter().chain([leader]) {
        let failed = caller.join().unwrap();
        assert!(matches!(failed, Err(CreateError::Create(error)) if error == "boom"));
    }
}

#[test]
fn a_waiter_with_another_error_type_creates_for_itself() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let life = life(&Stepped::new(&clock));
    let (leader, go) = start_failing(&life);
    let other = start(&life, Policy::new(), 2);
    until_one_waits(&life);
    go.send(()).unwrap();
    assert!(matches!(leader.join().unwrap(), Err(CreateError::Create(_))));
    assert_eq!(other.join().unwrap().unwrap(), 2);
}

#[test]
fn a_waiter_whose_time_is_over_leaves_the_creation_to_the_others() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let life = life(&Stepped::new(&clock));
    let (leader, go) = start_failing(&life);
    let short = Policy::new().wait(Duration::from_millis(1));
    let failed = start(&life, short, 2).join().unwrap();
    assert!(matches!(failed, Err(CreateError::Cache(error)) if error.kind() == ErrorKind::Timeout));
    assert_eq!(life.shared.flights.waiting(&Key::new("k")), 0);
    go.send(()).unwrap();
    assert!(matches!(leader.join().unwrap(), Err(CreateError::Create(_))));
    assert!(life.shared.flights.is_empty());
}

#[test]
fn who_waited_all_along_gets_the_value_although_it_is_never_fresh() {
    // The control: a waiter that came in time takes the outcome and creates nothing.
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let namespace = Stepped::new(&clock);
    let life = life(&namespace);
    let policy = Policy::new().ttl(Duration::ZERO);
    let (step, claiming, go) = stop();
    namespace.at(Moment::BeforeClaim, step);
    let leader = start(&life, policy, 1);
    claiming.recv_timeout(HANG).unwrap();
    let waiter = start(&life, policy, 2);
    until_one_waits(&life);
    go.send(()).unwrap();
    assert_eq!(leader.join().unwrap().unwrap(), 1);
    assert_eq!(waiter.join().unwrap().unwrap(), 1);
}
