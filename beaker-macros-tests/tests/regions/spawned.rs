//! Functions that can outlive their calls: the time-outs of their regions hold.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use beaker_cache::container::Policy;
use beaker_cache::{Error, ErrorKind, OnCancel, Stale, Workers, cached};
use tokio::sync::Notify;

use crate::harness::{listen, regions, taken};

const HANG: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(5);
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, PartialEq)]
enum LoadError {
    Late(ErrorKind),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Late(error.kind())
    }
}

/// Holds a function until it is let go, from its second run on.
#[derive(Clone)]
struct Gate(Arc<(Mutex<u64>, Mutex<Receiver<()>>)>);

impl Gate {
    fn new() -> (Self, Sender<()>) {
        let (go, receiver) = channel();
        (Self(Arc::new((Mutex::new(0), Mutex::new(receiver)))), go)
    }

    fn pass(&self, held_from: u64) -> u64 {
        let run = {
            let mut runs = self.0.0.lock().unwrap();
            *runs += 1;
            *runs
        };
        if run >= held_from {
            self.0.1.lock().unwrap().recv_timeout(HANG).unwrap();
        }
        run
    }
}

#[cached(region = "slow", spawn, skip(gate))]
fn fallible(gate: Gate, id: u64) -> Result<u64, LoadError> {
    Ok(id + gate.pass(1))
}

#[test]
fn a_hard_time_out_is_the_functions_own_error_and_the_value_comes_behind() {
    let held = regions();
    let told = listen();
    held.region("slow", |options| options.policy(|policy| policy.hard_timeout(SOON)));
    let (gate, go) = Gate::new();
    let late = Err(LoadError::Late(ErrorKind::CreationTimeout));
    assert_eq!(fallible(gate.clone(), 10), late);
    // Who waits for it is held to it too.
    assert_eq!(fallible(gate.clone(), 10), late);
    assert!(taken(&told).is_empty(), "the callers were told");
    go.send(()).unwrap();
    // Patient enough to see the end of what runs behind.
    held.clock.advance(Duration::ZERO);
    while fallible::peek(10).unwrap().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(fallible(gate, 10), Ok(11));
}

#[cached(region = "slow", spawn, skip(gate))]
fn plain(gate: Gate, id: u64) -> u64 {
    id + gate.pass(2)
}

#[test]
fn a_soft_time_out_serves_the_old_value_and_a_function_without_error_is_never_late() {
    let held = regions();
    held.region("slow", |options| {
        let stale = Stale::OnError { max_age: HOUR };
        let policy = Policy::new().stale(stale).soft_timeout(SOON).hard_timeout(Duration::ZERO);
        options.policy(|_| policy).expire(Duration::from_secs(60))
    });
    let (gate, go) = Gate::new();
    assert_eq!(plain(gate.clone(), 10), 11, "it has no way to say that it is late");
    held.clock.advance(Duration::from_secs(60));
    assert_eq!(plain(gate.clone(), 10), 11, "the old one");
    go.send(()).unwrap();
    while plain::peek(10).unwrap().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(plain(gate, 10), 12);
}

#[cached(region = "slow", spawn, skip(entered, go))]
async fn detached(entered: Arc<Notify>, go: Arc<Notify>, id: u64) -> u64 {
    entered.notify_one();
    go.notified().await;
    id
}

#[test]
fn an_async_function_that_is_detached_runs_on_without_its_caller() {
    let held = regions();
    held.region("slow", |options| options.policy(|policy| policy.on_cancel(OnCancel::Detach)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let call = tokio::spawn(detached(entered.clone(), go.clone(), 7));
        entered.notified().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        go.notify_one();
        // It waits for the one that runs; a second one would wait for ever.
        assert_eq!(detached(entered, Arc::default(), 7).await, 7);
    });
    assert_eq!(Workers::shared().panics(), 0);
}

#[cached(region = "slow", spawn, skip(entered, go))]
async fn held(entered: Arc<Notify>, go: Arc<Notify>, id: u64) -> u64 {
    entered.notify_one();
    go.notified().await;
    id
}

#[cached(region = "slow", spawn, skip(entered, go))]
async fn held_fallible(entered: Arc<Notify>, go: Arc<Notify>, id: u64) -> Result<u64, LoadError> {
    Ok(held::original(entered, go, id).await)
}

/// What a call gives whose runtime is shut down once its function has begun, and is let go then.
fn cut_off<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
    entered: &Notify,
    go: &Notify,
) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let handle = runtime.handle().clone();
    // Polled by a thread of its own, so that the call goes on where its runtime ends.
    let caller = std::thread::spawn(move || handle.block_on(call));
    runtime.block_on(entered.notified());
    runtime.shutdown_timeout(HANG);
    go.notify_one();
    caller.join().expect("a call does not panic because its runtime is shut down")
}

#[test]
fn a_call_whose_runtime_is_shut_down_goes_on_with_what_it_began_or_says_so() {
    let held_regions = regions();
    let told = listen();
    held_regions.region("slow", |options| options);
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    assert_eq!(cut_off(held(entered.clone(), go.clone(), 7), &entered, &go), 7);
    assert_eq!(taken(&told), ["held: the runtime is shutting down; start another"]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(held::peek(7)).unwrap(), None, "it is not kept");
    let call = held_fallible(entered.clone(), go.clone(), 8);
    assert_eq!(cut_off(call, &entered, &go), Err(LoadError::Late(ErrorKind::Runtime)));
    assert!(taken(&told).is_empty(), "the caller was told");
}
