//! Many calls at once, where the cache fails them.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use beaker_cache::cached;
use beaker_cache::config::Config;

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
