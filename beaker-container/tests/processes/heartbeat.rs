//! Row F22: a task that waits for another process's claim stalls no other task of its runtime, though
//! that has one thread and the store only blocks.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_container::Cache;
use beaker_namespace::{Key, Namespace, Wait};
use tokio::runtime::{Builder, Runtime};

use crate::children::{HANG, Me, Other, Store, times_count};

const BEAT: Duration = Duration::from_millis(10);

/// How long the other process holds the claim.
fn held() -> Duration {
    Duration::from_millis(if times_count() { 2_000 } else { 300 })
}

/// The most between two beats. The goal is 50 ms; a short run, which shares the machine, is judged for
/// what waits as long as the claim is held.
fn most() -> Duration {
    if times_count() { Duration::from_millis(50) } else { held() - BEAT }
}

fn key() -> Key {
    Key::new("k")
}

/// Not a test by itself: what the child process runs.
#[test]
fn child_holds() {
    let Some(me) = Me::as_child() else { return };
    let claim = Store::Shared.open(&me.dir).claim(&key(), Wait::Never).unwrap().unwrap();
    Me::tell("holds");
    Me::await_line("wait");
    // sleep: how long it is held.
    std::thread::sleep(held());
    drop(claim);
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs `wait` beside a heart, and returns the longest time between two beats.
async fn longest_gap<F: Future<Output = ()> + 'static>(wait: F) -> Duration {
    let beating = async {
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        let mut end = std::pin::pin!(wait);
        loop {
            let over = tokio::time::timeout(BEAT, &mut end).await.is_ok();
            longest = longest.max(last.elapsed());
            last = Instant::now();
            if over {
                return longest;
            }
        }
    };
    tokio::time::timeout(HANG, beating).await.expect("it hangs")
}

/// The longest gap while `wait` waits on the store that another process holds the claim of.
fn gap_while<F: Future<Output = ()> + 'static>(
    dir: &Path,
    wait: impl FnOnce(Arc<dyn Namespace>) -> F,
) -> Duration {
    let mut other = Other::start("heartbeat::child_holds", dir, "");
    other.await_line("holds");
    other.say("wait");
    let longest = one_thread().block_on(longest_gap(wait(Store::Shared.open(dir))));
    other.end();
    longest
}

#[test]
fn storm_f22_a_task_that_waits_for_another_process_stalls_no_heartbeat() {
    let dir = tempfile::tempdir().unwrap();
    let gap = gap_while(dir.path(), |namespace| async move {
        let cache = Cache::<String, u32>::new(namespace).with_wait(HANG);
        assert_eq!(cache.get_or_create_async("k", || async { 2 }).await.unwrap(), 2);
    });
    let dir = tempfile::tempdir().unwrap();
    let control = gap_while(dir.path(), |namespace| async move {
        let claim = namespace.claim(&key(), Wait::AtMost(HANG)).unwrap();
        assert!(claim.is_some(), "it is free in the end");
    });
    // The other process may have held it a little before the wait began.
    let holds = gap <= most() && control > held() / 2;
    println!(
        "STORM|F22 a blocking claim in a task|file|held={:?} longest_gap={gap:.1?} most={:?} \
         control={control:.1?}|{}",
        held(),
        most(),
        if holds { "ok" } else { "STALLED" }
    );
    assert!(holds, "{gap:?}, {control:?} without the blocking pool");
}
