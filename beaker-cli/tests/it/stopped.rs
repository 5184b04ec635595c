//! Row F9: a runner that is stopped holds up nobody for longer than he is willing to wait, and an old
//! result is replayed at once where `--stale` admits it.

use std::env;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Bench, Gate, code, finish, kill, start, text};

const WAITERS: usize = 4;

/// The first run answers; the next ones say that they run, and wait to be let on.
const GATED: &str = "echo >> count; n=$(wc -l < count | tr -d ' '); \
                     if [ $n -gt 1 ]; then echo > started; read line < gate; fi; echo v$n";

/// Whether this is a long storm, which judges times by the numbers of the row.
fn times_count() -> bool {
    let seconds = env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
    seconds.unwrap_or(0.0) >= 30.0
}

/// How long a waiter waits.
fn wait() -> Duration {
    if times_count() { Duration::from_secs(1) } else { Duration::from_millis(150) }
}

/// Beyond its wait no waiter takes more than this: 0.3 s by the row. Beside other tests it is judged for
/// hangs.
fn slack() -> Duration {
    if times_count() { Duration::from_millis(300) } else { Duration::from_secs(5) }
}

/// A store with an old result, and a runner that is stopped while it has the claim.
struct Stopped {
    bench: Bench,
    gate: Gate,
    runner: Child,
}

impl Stopped {
    fn start() -> Self {
        let bench = Bench::new();
        let (started, gate) = (bench.gate("started"), bench.gate("gate"));
        let old = finish(start(&mut bench.run(&["--ttl", "0s", "--stale", "1h"], GATED)));
        assert_eq!(text(old.stdout), "v1\n");
        let runner = start(&mut bench.run(&["--ttl", "1h", "--force"], GATED));
        started.wait();
        kill(runner.id(), "STOP");
        Self { bench, gate, runner }
    }

    /// How long it took until one who will have no old result gave up.
    fn waited(&self) -> Duration {
        let limit = format!("{}ms", wait().as_millis());
        let options = ["--ttl", "0s", "--wait", &limit];
        let began = Instant::now();
        let output = finish(start(&mut self.bench.run(&options, GATED)));
        assert_eq!((code(&output), text(output.stdout)), (75, String::new()));
        began.elapsed()
    }

    /// Once the runner goes on, its result is everybody's, and nobody ran the command beside it.
    fn goes_on(self) {
        kill(self.runner.id(), "CONT");
        self.gate.open();
        assert_eq!(text(finish(self.runner).stdout), "v2\n");
        self.bench.wait_until_quiet();
        let replayed = finish(start(&mut self.bench.run(&["--ttl", "1h"], GATED)));
        assert_eq!(text(replayed.stdout), "v2\n");
        assert_eq!(self.bench.count(), 2);
    }
}

fn report(row: &str, measured: &str, holds: bool) {
    let verdict = if holds { "ok" } else { "LATE" };
    println!("STORM|F9 {row}|cli|{measured}|{verdict}");
    assert!(holds, "{row}: {measured}");
}

#[test]
fn storm_f9_waiters_of_a_stopped_runner_give_up_in_time() {
    let stopped = Stopped::start();
    let took: Vec<Duration> = thread::scope(|scope| {
        let waiters = [(); WAITERS].map(|()| scope.spawn(|| stopped.waited()));
        waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect()
    });
    stopped.goes_on();
    let (least, most) = (*took.iter().min().unwrap(), *took.iter().max().unwrap());
    let measured = format!("wait={:?} waiters={WAITERS} least={least:?} most={most:?}", wait());
    report("stopped runner", &measured, least >= wait() && most <= wait() + slack());
}

#[test]
fn storm_f9_the_old_result_is_replayed_while_a_runner_is_stopped() {
    let stopped = Stopped::start();
    let began = Instant::now();
    for _ in 0..20 {
        let options = ["--ttl", "0s", "--stale", "1h"];
        let served = finish(start(&mut stopped.bench.run(&options, GATED)));
        assert_eq!((code(&served), text(served.stdout)), (0, "v1\n".to_owned()));
    }
    let took = began.elapsed();
    // The control: who will not have the old one waits.
    assert!(stopped.waited() >= wait());
    stopped.goes_on();
    // Twenty of them take less than one wait for the runner.
    let limit = if times_count() { wait() } else { slack() };
    report("stopped runner, old result", &format!("served=20 all_took={took:?}"), took < limit);
}
