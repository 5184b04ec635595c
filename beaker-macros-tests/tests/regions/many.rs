//! Many calls at once, where the cache fails them.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use beaker_cache::config::Config;
use beaker_cache::container::Policy;
use beaker_cache::{Stale, cached};

use crate::harness::{listen, regions, taken};

#[cached(many, region = "misspelt")]
fn unknown(id: u64) -> u64 {
    id
}

#[cached(many, region = "misspelt")]
async fn unknown_async(id: u64) -> u64 {
    id
}

#[test]
fn many_calls_in_an_unknown_region_run_the_function() {
    let held = regions();
    let told = listen();
    held.configure(Config::default());
    assert_eq!(unknown::many([1, 2]), [1, 2]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(unknown_async::many([1, 2])), [1, 2]);
    assert_eq!(taken(&told).len(), 2, "one of each function");
}

/// Says that it runs, and for 2 waits until it may end.
struct Gate {
    runs: Mutex<Vec<u64>>,
    entered: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Gate {
    fn new() -> (Self, Receiver<()>, Sender<()>) {
        let ((entered, has_entered), (let_go, go)) = (channel(), channel());
        (Self { runs: Mutex::default(), entered, go: Mutex::new(go) }, has_entered, let_go)
    }

    fn pass(&self, id: u64) -> u64 {
        let is_held = {
            let mut runs = self.runs.lock().unwrap();
            runs.push(id);
            id == 2 && runs.len() == 1
        };
        if is_held {
            self.entered.send(()).unwrap();
            self.go.lock().unwrap().recv().unwrap();
        }
        id * 10
    }
}

#[cached(many, wait = 0, skip(gate))]
fn impatient(gate: &Gate, id: u64) -> u64 {
    gate.pass(id)
}

#[cached(many, wait = 0, skip(gate))]
async fn impatient_async(gate: &Gate, id: u64) -> u64 {
    gate.pass(id)
}

/// `many` asks for 1, 2 and 1 while `one` makes 2.
fn a_batch_waits_in_vain(
    one: impl FnOnce(&Gate) -> u64 + Send,
    many: impl FnOnce(&Gate) -> Vec<u64>,
) {
    let (gate, entered, go) = Gate::new();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| one(&gate));
        entered.recv().unwrap();
        assert_eq!(many(&gate), [10, 20, 10]);
        go.send(()).unwrap();
        assert_eq!(other.join().unwrap(), 20);
    });
    assert_eq!(*gate.runs.lock().unwrap(), [2, 1, 2]);
}

#[test]
fn a_batch_that_waits_for_another_in_vain_runs_no_call_twice() {
    let _held = regions();
    let told = listen();
    let on_thread = |gate: &Gate| impatient(gate, 2);
    a_batch_waits_in_vain(on_thread, |gate| impatient::many(gate, [1, 2, 1]));
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let in_task = |gate: &Gate| runtime().block_on(impatient_async(gate, 2));
    a_batch_waits_in_vain(in_task, |gate| {
        runtime().block_on(impatient_async::many(gate, [1, 2, 1]))
    });
    assert_eq!(taken(&told).len(), 2, "each waited in vain");
}

#[cached(many, region = "old", wait = 0, skip(gate))]
fn fallible(gate: &Gate, id: u64) -> Result<u64, String> {
    let made = gate.pass(id);
    if id == 1 { Err("1 fails".to_owned()) } else { Ok(made) }
}

#[cached(many, region = "old", wait = 0, skip(gate))]
async fn fallible_async(gate: &Gate, id: u64) -> Result<u64, String> {
    let made = gate.pass(id);
    if id == 1 { Err("1 fails".to_owned()) } else { Ok(made) }
}

/// What a batch came to, and which calls it ran.
type Came<T> = (T, Vec<u64>);

/// What a batch of `ids` comes to while another caller makes 2, on a thread and in a task. 1, whose
/// call fails, is there from two minutes ago, and 3 from one.
fn while_another_makes_2<const N: usize>(
    ttl: u64,
    policy: impl FnOnce(Policy) -> Policy,
    ids: [u64; N],
) -> [Came<Result<Vec<u64>, String>>; 2] {
    let held = regions();
    let _told = listen();
    held.region("old", |options| options.expire(Duration::from_secs(ttl)).policy(policy));
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let set = |id, value| {
        fallible::set(id, value).unwrap();
        runtime().block_on(fallible_async::set(id, value)).unwrap();
    };
    set(1, 11);
    held.clock.advance(Duration::from_secs(60));
    set(3, 33);
    held.clock.advance(Duration::from_secs(60));
    let on_thread = meanwhile(|gate| fallible(gate, 2), |gate| fallible::many(gate, ids));
    let in_task = meanwhile(
        |gate| runtime().block_on(fallible_async(gate, 2)),
        |gate| runtime().block_on(fallible_async::many(gate, ids)),
    );
    [on_thread, in_task]
}

/// What `many` comes to while `one` makes 2.
fn meanwhile<T>(
    one: impl FnOnce(&Gate) -> Result<u64, String> + Send,
    many: impl FnOnce(&Gate) -> T,
) -> Came<T> {
    let (gate, entered, go) = Gate::new();
    let came = std::thread::scope(|scope| {
        let other = scope.spawn(|| one(&gate));
        entered.recv().unwrap();
        let came = many(&gate);
        go.send(()).unwrap();
        assert_eq!(other.join().unwrap(), Ok(20));
        came
    });
    (came, gate.runs.into_inner().unwrap().split_off(1))
}

#[test]
fn the_error_of_a_call_is_told_if_what_was_served_for_it_is_lost_with_the_batch() {
    let old = |policy: Policy| policy.stale(Stale::OnError { max_age: Duration::from_secs(600) });
    for came in while_another_makes_2(100, old, [1, 2, 1]) {
        assert_eq!(came, (Err("1 fails".to_owned()), vec![1]));
    }
}

#[test]
fn what_was_there_is_served_if_another_of_the_batch_is_waited_for_in_vain() {
    for came in while_another_makes_2(100, |policy| policy, [3, 2, 4, 3]) {
        assert_eq!(came, (Ok(vec![33, 20, 40, 33]), vec![4, 2]));
    }
}

#[test]
fn what_is_current_is_served_though_its_early_refresh_failed_and_another_was_waited_for_in_vain() {
    let early = |policy: Policy| policy.refresh_at(0.5);
    for came in while_another_makes_2(200, early, [1, 2, 3]) {
        assert_eq!(came, (Ok(vec![11, 20, 33]), vec![1, 2]));
    }
}
