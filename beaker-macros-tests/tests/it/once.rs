//! Several threads at once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use beaker_cache::cached;

/// A hang is a failure after this long.
const HANG: Duration = Duration::from_secs(20);

/// Holds a creator until it is let go.
struct Gate {
    entered: Sender<()>,
    go: Receiver<()>,
}

struct Keeper {
    entered: Receiver<()>,
    go: Sender<()>,
}

fn gate() -> (Gate, Keeper) {
    let (entered_send, entered) = channel();
    let (go, go_receive) = channel();
    (Gate { entered: entered_send, go: go_receive }, Keeper { entered, go })
}

impl Gate {
    fn pass(&self) {
        self.entered.send(()).unwrap();
        self.go.recv_timeout(HANG).unwrap();
    }
}

static RUNS: AtomicU64 = AtomicU64::new(0);

#[cached(skip(gate))]
fn held(gate: &Gate, id: u64) -> u64 {
    gate.pass();
    id + RUNS.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn cache_23_and_d42_an_invalidation_wins_over_a_running_call() {
    let (gate, keeper) = gate();
    let call = thread::spawn(move || held(&gate, 10));
    keeper.entered.recv_timeout(HANG).unwrap();
    held::invalidate(10).unwrap();
    keeper.go.send(()).unwrap();
    assert_eq!(call.join().unwrap(), 10);
    assert_eq!(held::peek(10).unwrap(), None);
}

#[cached(skip(gate))]
fn held_refresh(gate: &Gate, id: u64) -> u64 {
    gate.pass();
    id
}

#[test]
fn an_invalidation_wins_over_a_running_refresh() {
    let (gate, keeper) = gate();
    held_refresh::set(10, 7).unwrap();
    let refresh = thread::spawn(move || held_refresh::refresh(&gate, 10));
    keeper.entered.recv_timeout(HANG).unwrap();
    assert_eq!(held_refresh::peek(10).unwrap(), Some(7), "the old value stays meanwhile");
    held_refresh::invalidate(10).unwrap();
    keeper.go.send(()).unwrap();
    assert_eq!(refresh.join().unwrap(), 10);
    assert_eq!(held_refresh::peek(10).unwrap(), None);
}

static ONCE: AtomicU64 = AtomicU64::new(0);

#[cached]
fn once(id: u64) -> Result<u64, String> {
    thread::yield_now();
    match ONCE.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(id),
        _ => Err("a second run".to_owned()),
    }
}

#[test]
fn con_11_many_threads_make_one_call() {
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                assert_eq!(once(1), Ok(1));
            });
        }
    });
    assert_eq!(ONCE.load(Ordering::Relaxed), 1);
}

static FRESH: AtomicU64 = AtomicU64::new(0);

#[cached]
fn fresh() -> u64 {
    FRESH.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn a_refresh_gives_what_was_made_after_it_was_asked_for() {
    let start = Barrier::new(4);
    fresh();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    start.wait();
                    let before = FRESH.load(Ordering::Relaxed);
                    assert!(fresh::refresh() >= before);
                }
            });
        }
    });
    assert!(FRESH.load(Ordering::Relaxed) <= 1 + 4 * 200);
}
