//! `Flights::join_async`: tasks in the flights of threads. Each future is polled by hand.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use beaker_syncdict::{Flights, Join, JoinFuture, Leader};

use crate::support::{Bell, LIMIT, Task, in_time, poll_once, poll_with, ready, spawn, step, until};

type Shared = Arc<Flights<String, u32>>;
type Waiting<'a> = JoinFuture<'a, String, u32>;

fn lead<'a>(flights: &'a Flights<String, u32>, key: &str) -> Leader<'a, String, u32> {
    match ready(flights.join_async(key)) {
        Join::Lead(leader) => leader,
        other => panic!("somebody else leads: {other:?}"),
    }
}

/// A task that waits for `key`, and its bell.
fn waiter<'a>(flights: &'a Flights<String, u32>, key: &str) -> (Waiting<'a>, Arc<Bell>) {
    let (mut future, bell) = (flights.join_async(key), Arc::default());
    assert!(poll_with(Pin::new(&mut future), &bell).is_pending(), "it is to wait");
    (future, bell)
}

/// A thread that is known to wait for `key`; it finishes with `mine` if it comes to lead.
fn thread_waiter(flights: &Shared, key: &'static str, mine: u32) -> Task<u32> {
    let already = flights.waiting(key);
    let joined = Arc::clone(flights);
    let task = spawn(move || outcome(joined.join(key, Some(LIMIT)), mine));
    until("the waiter waits", || flights.waiting(key) == already + 1);
    task
}

fn outcome(join: Join<'_, String, u32>, mine: u32) -> u32 {
    match join {
        Join::Lead(leader) => leader.finish(mine),
        Join::Joined(outcome) => outcome,
        other => panic!("neither lead nor outcome: {other:?}"),
    }
}

fn joined(poll: Poll<Join<'_, String, u32>>) -> u32 {
    match poll {
        Poll::Ready(Join::Joined(outcome)) => outcome,
        other => panic!("no outcome: {other:?}"),
    }
}

#[test]
fn first_task_leads_and_the_others_get_its_outcome() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let waiters: Vec<_> = (0..8).map(|_| waiter(&flights, "k")).collect();
    assert_eq!(flights.waiting("k"), 8);
    assert_eq!(leader.finish(7), 7);
    for (mut future, bell) in waiters {
        assert_eq!(bell.rung(), 1);
        assert_eq!(joined(poll_once(Pin::new(&mut future))), 7);
    }
    assert_eq!(flights.len(), 0);
}

#[test]
fn threads_and_tasks_wait_in_one_flight() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (mut task, _bell) = waiter(&flights, "k");
    let thread = thread_waiter(&flights, "k", 0);
    assert_eq!(flights.waiting("k"), 2);
    leader.finish(3);
    assert_eq!((thread.join(), joined(poll_once(Pin::new(&mut task)))), (3, 3));

    let Join::Lead(leader) = flights.join("k", None) else { panic!("nobody else leads") };
    let other = Arc::clone(&flights);
    let task = spawn(move || {
        let (mut task, bell) = waiter(&other, "k");
        until("the bell rings", || bell.rung() == 1);
        joined(poll_once(Pin::new(&mut task)))
    });
    until("the task waits", || flights.waiting("k") == 1);
    leader.finish(4);
    assert_eq!(task.join(), 4);
}

#[test]
fn future_does_nothing_before_its_first_poll() {
    let flights = Shared::default();
    let future = flights.join_async("k");
    assert_eq!(flights.len(), 0);
    lead(&flights, "k").finish(1);
    assert!(matches!(ready(future), Join::Lead(_)));
}

#[test]
fn error_is_handed_to_every_task() {
    let flights = Flights::<u8, Result<u32, String>>::new();
    let Join::Lead(leader) = ready(flights.join_async(&1)) else { panic!("nobody else leads") };
    let mut waiter = flights.join_async(&1);
    assert!(poll_once(Pin::new(&mut waiter)).is_pending());
    let failed: Result<u32, String> = Err("no route".into());
    assert_eq!(leader.finish(failed.clone()), failed);
    let Poll::Ready(Join::Joined(got)) = poll_once(Pin::new(&mut waiter)) else {
        panic!("no outcome")
    };
    assert_eq!(got, failed);
}

#[test]
fn flight_that_a_task_leads_has_no_leading_thread() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    // Another task on this very thread waits, and so would the thread.
    let (mut other, _bell) = waiter(&flights, "k");
    assert!(matches!(flights.join("k", Some(Duration::ZERO)), Join::TimedOut));
    leader.finish(1);
    assert_eq!(joined(poll_once(Pin::new(&mut other))), 1);
}

#[test]
fn task_on_the_thread_that_leads_is_told_of_re_entry() {
    let flights = Shared::default();
    let Join::Lead(leader) = flights.join("k", None) else { panic!("nobody else leads") };
    assert!(matches!(ready(flights.join_async("k")), Join::Reentrant));
    leader.finish(1);
}

/// Polls each task whose bell rings until all have ended; one that leads finishes with `mine`.
fn drive(mut tasks: Vec<(Waiting<'_>, Arc<Bell>)>, mine: u32) -> Vec<u32> {
    let mut outcomes = Vec::new();
    let start = Instant::now();
    let mut heard = vec![0; tasks.len()];
    while outcomes.len() < tasks.len() {
        assert!(start.elapsed() < LIMIT, "{} tasks hang", tasks.len() - outcomes.len());
        for ((future, bell), heard) in tasks.iter_mut().zip(&mut heard) {
            if bell.rung() > *heard {
                *heard = bell.rung();
                if let Poll::Ready(join) = poll_with(Pin::new(future), bell) {
                    outcomes.push(outcome(join, mine));
                }
            }
        }
    }
    outcomes
}

/// F12: a leader that is dropped at any point of its work passes the lead on.
#[test]
fn f12_leader_dropped_at_any_await_passes_the_lead_to_one_of_32() {
    const POINTS: usize = 5;
    for polls in 1..=POINTS + 1 {
        let flights = Shared::default();
        let mut leader = Box::pin(async {
            let Join::Lead(leader) = flights.join_async("k").await else { panic!("it leads") };
            for _ in 0..POINTS {
                step().await;
            }
            leader.finish(100)
        });
        assert!(poll_once(leader.as_mut()).is_pending());
        let threads: Vec<_> = (0..16).map(|_| thread_waiter(&flights, "k", 5)).collect();
        let tasks: Vec<_> = (0..16).map(|_| waiter(&flights, "k")).collect();
        let finished = (1..polls).any(|_| poll_once(leader.as_mut()).is_ready());
        drop(leader);
        let mut outcomes = drive(tasks, 5);
        outcomes.extend(threads.into_iter().map(Task::join));
        assert_eq!(finished, polls > POINTS);
        assert_eq!(outcomes, [if finished { 100 } else { 5 }; 32], "after {polls} polls");
        assert_eq!(flights.len(), 0);
    }
}

/// F12: each successor gives up in its turn, task or thread, and the last one finishes.
#[test]
fn f12_lead_goes_round_until_somebody_finishes() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let leads = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (flights, leads) = (Arc::clone(&flights), Arc::clone(&leads));
            spawn(move || {
                if let Join::Lead(leader) = flights.join("k", Some(LIMIT)) {
                    leads.fetch_add(1, Ordering::SeqCst);
                    drop(leader);
                }
            })
        })
        .collect();
    until("the threads wait", || flights.waiting("k") == 8);
    let mut tasks: Vec<_> = (0..8).map(|_| waiter(&flights, "k")).collect();
    drop(leader);
    let start = Instant::now();
    while !tasks.is_empty() {
        assert!(start.elapsed() < LIMIT, "{} tasks hang", tasks.len());
        tasks.retain_mut(|(future, bell)| match poll_with(Pin::new(future), bell) {
            Poll::Pending => true,
            Poll::Ready(join) => {
                assert!(matches!(join, Join::Lead(_)), "{join:?}");
                leads.fetch_add(1, Ordering::SeqCst);
                false
            }
        });
    }
    threads.into_iter().for_each(Task::join);
    assert_eq!((leads.load(Ordering::SeqCst), flights.len()), (16, 0));
}

/// F13: a task that is kept and never polled again does not keep the lead.
#[test]
fn f13_unpolled_task_keeps_the_lead_from_no_task() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (mut kept, kept_bell) = waiter(&flights, "k");
    let (mut polled, bell) = waiter(&flights, "k");
    drop(leader);
    assert_eq!((kept_bell.rung(), bell.rung()), (1, 1));
    let Poll::Ready(Join::Lead(leader)) = poll_once(Pin::new(&mut polled)) else {
        panic!("the lead is kept from it")
    };
    assert!(poll_with(Pin::new(&mut kept), &kept_bell).is_pending(), "two lead");
    leader.finish(2);
    assert_eq!(kept_bell.rung(), 2);
    assert_eq!(joined(poll_once(Pin::new(&mut kept))), 2);
}

#[test]
fn f13_unpolled_task_keeps_the_lead_from_no_thread() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (mut kept, _bell) = waiter(&flights, "k");
    let thread = thread_waiter(&flights, "k", 9);
    drop(leader);
    assert_eq!(thread.join(), 9);
    assert_eq!(joined(poll_once(Pin::new(&mut kept))), 9);
}

#[test]
fn f13_unpolled_task_keeps_the_lead_from_no_newcomer() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (mut kept, _bell) = waiter(&flights, "k");
    drop(leader);
    let newcomer = lead(&flights, "k");
    newcomer.finish(8);
    assert_eq!(joined(poll_once(Pin::new(&mut kept))), 8);
    assert_eq!(flights.len(), 0);
}

#[test]
fn dropped_future_ends_its_wait_and_the_flight_goes_on() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (hasty, hasty_bell) = waiter(&flights, "k");
    let (mut patient, _bell) = waiter(&flights, "k");
    drop(hasty);
    assert_eq!(flights.waiting("k"), 1);
    leader.finish(1);
    assert_eq!(joined(poll_once(Pin::new(&mut patient))), 1);
    assert_eq!(hasty_bell.rung(), 0);
}

#[test]
fn dropped_future_leaves_the_lead_that_was_offered_to_the_others() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (offered, _bell) = waiter(&flights, "k");
    let (mut other, bell) = waiter(&flights, "k");
    drop(leader);
    drop(offered);
    assert_eq!(bell.rung(), 1);
    assert!(matches!(poll_once(Pin::new(&mut other)), Poll::Ready(Join::Lead(_))));
}

#[test]
fn flight_ends_when_the_last_task_drops_the_lead_that_was_offered() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (one, _bell) = waiter(&flights, "k");
    let (two, _bell) = waiter(&flights, "k");
    drop(leader);
    drop(one);
    assert_eq!(flights.len(), 1);
    drop(two);
    assert_eq!(flights.len(), 0);
    assert_eq!(lead(&flights, "k").finish(1), 1);
}

/// The memory that this process has at the moment, in KiB.
#[cfg(target_os = "linux")]
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// F19: 100,000 tasks that wait take less than 64 MiB, their futures with them.
#[cfg(target_os = "linux")]
#[test]
fn f19_storm_tasks_that_wait_take_little_memory() {
    const MOST_KIB: i64 = 64 << 10;
    let before = resident_kib();
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let bell = Arc::<Bell>::default();
    let mut tasks: Vec<_> = (0..100_000).map(|_| flights.join_async("k")).collect();
    for task in &mut tasks {
        assert!(poll_with(Pin::new(task), &bell).is_pending());
    }
    let grown = resident_kib() - before;
    // The control: what a waiter would be that has a page of its own.
    let pages: Vec<_> = (0..100_000).map(|number: u32| vec![number as u8 | 1; 4_096]).collect();
    let control = resident_kib() - before - grown;
    assert_eq!((flights.waiting("k"), pages.len()), (100_000, 100_000));
    let holds = grown < MOST_KIB && control > MOST_KIB;
    let verdict = if holds { "ok" } else { "FAILED" };
    println!(
        "STORM|F19 tasks that wait|flights|waiting=100000 grown={grown}KiB most={MOST_KIB}KiB \
         control={control}KiB|{verdict}"
    );
    assert!(holds, "{grown} KiB, control {control} KiB");
    drop(tasks);
    assert_eq!((flights.waiting("k"), leader.finish(1)), (0, 1));
}

/// F19: 100,000 tasks wait, 99 of 100 give up: no entry and no waker of theirs is left.
#[test]
fn f19_tasks_that_give_up_leave_no_entry_and_no_waker() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let bell = Arc::<Bell>::default();
    let mut tasks: Vec<_> = (0..100_000).map(|_| flights.join_async("k")).collect();
    for task in &mut tasks {
        assert!(poll_with(Pin::new(task), &bell).is_pending());
    }
    assert_eq!((flights.waiting("k"), Arc::strong_count(&bell)), (100_000, 100_001));
    let mut index = 0..;
    tasks.retain(|_| index.next().is_some_and(|index| index % 100 == 0));
    assert_eq!((flights.waiting("k"), Arc::strong_count(&bell)), (1_000, 1_001));
    leader.finish(1);
    assert_eq!((bell.rung(), Arc::strong_count(&bell)), (1_000, 1));
    assert!(tasks.iter_mut().all(|task| joined(poll_once(Pin::new(task))) == 1));
    assert_eq!(flights.len(), 0);
}

#[test]
fn newer_waker_takes_the_place_of_the_older() {
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (mut task, older) = waiter(&flights, "k");
    let newer = Arc::<Bell>::default();
    assert!(poll_with(Pin::new(&mut task), &newer).is_pending());
    assert_eq!(Arc::strong_count(&older), 1, "the older waker is kept");
    assert_eq!(flights.waiting("k"), 1);
    leader.finish(1);
    assert_eq!((older.rung(), newer.rung()), (0, 1));
}

#[test]
fn task_in_a_detached_flight_gets_its_outcome_and_a_later_one_the_new() {
    let flights = Shared::default();
    let old = lead(&flights, "k");
    let (mut early, _bell) = waiter(&flights, "k");
    flights.detach("k");
    let new = lead(&flights, "k");
    let (mut late, _bell) = waiter(&flights, "k");
    old.finish(1);
    assert_eq!(joined(poll_once(Pin::new(&mut early))), 1);
    assert!(poll_once(Pin::new(&mut late)).is_pending());
    new.finish(2);
    assert_eq!(joined(poll_once(Pin::new(&mut late))), 2);
    assert_eq!(flights.len(), 0);
}

#[test]
fn task_in_a_detached_flight_begins_anew_when_its_leader_gives_up() {
    let flights = Shared::default();
    let old = lead(&flights, "k");
    let (mut early, bell) = waiter(&flights, "k");
    flights.detach("k");
    let new = lead(&flights, "k");
    drop(old);
    assert_eq!((bell.rung(), flights.waiting("k")), (1, 0));
    assert!(poll_with(Pin::new(&mut early), &bell).is_pending());
    assert_eq!(flights.waiting("k"), 1);
    new.finish(2);
    assert_eq!(joined(poll_once(Pin::new(&mut early))), 2);
}

#[test]
fn task_that_is_offered_a_detached_lead_leads_anew() {
    let flights = Shared::default();
    let old = lead(&flights, "k");
    let (mut early, _bell) = waiter(&flights, "k");
    drop(old);
    flights.detach("k");
    let Poll::Ready(Join::Lead(leader)) = poll_once(Pin::new(&mut early)) else {
        panic!("it has nobody to wait for")
    };
    assert!(!leader.is_detached());
    assert_eq!((leader.finish(1), flights.len()), (1, 0));
}

/// A waker that calls back into the flights while it is woken.
struct Intruder {
    flights: Weak<Flights<String, u32>>,
    seen: AtomicUsize,
}

impl Wake for Intruder {
    fn wake(self: Arc<Self>) {
        let flights = self.flights.upgrade().expect("the flights live");
        drop(flights.join_async("k"));
        self.seen.fetch_add(1 + flights.len(), Ordering::SeqCst);
    }
}

#[test]
fn wakers_are_woken_and_dropped_under_no_lock() {
    in_time(|| {
        let flights = Arc::new(Flights::with_shards(1));
        let intruder =
            Arc::new(Intruder { flights: Arc::downgrade(&flights), seen: AtomicUsize::new(0) });
        let waker = Waker::from(Arc::clone(&intruder));
        let leader = lead(&flights, "k");
        let mut task = flights.join_async("k");
        assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(leader); // wakes: one flight is there
        assert_eq!(intruder.seen.load(Ordering::SeqCst), 2);
        let leader = lead(&flights, "k");
        assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
        leader.finish(1); // wakes: none is
        assert_eq!(intruder.seen.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn waker_that_panics_keeps_no_other_from_being_woken() {
    struct Broken;
    impl Wake for Broken {
        fn wake(self: Arc<Self>) {
            panic!("a broken waker");
        }
    }
    let flights = Shared::default();
    let leader = lead(&flights, "k");
    let (_before, before) = waiter(&flights, "k");
    let mut broken = flights.join_async("k");
    let waker = Waker::from(Arc::new(Broken));
    assert!(Pin::new(&mut broken).poll(&mut Context::from_waker(&waker)).is_pending());
    let (mut after, bell) = waiter(&flights, "k");
    let finish = std::panic::AssertUnwindSafe(|| leader.finish(1));
    assert!(std::panic::catch_unwind(finish).is_err());
    assert_eq!((before.rung(), bell.rung()), (1, 1));
    assert_eq!(joined(poll_once(Pin::new(&mut after))), 1);
    assert_eq!(flights.len(), 0);
}

#[test]
#[should_panic(expected = "polled after completion")]
fn polling_a_completed_future_panics() {
    let flights = Shared::default();
    let mut future = pin!(flights.join_async("k"));
    assert!(poll_once(future.as_mut()).is_ready());
    let _ = poll_once(future);
}

#[test]
fn joins_cross_threads() {
    fn crosses<T: Send>(_: T) {}
    let flights = Shared::default();
    crosses(flights.join_async("k"));
    crosses(async {
        if let Join::Lead(leader) = flights.join_async("k").await {
            leader.scope().wrap(step()).await;
            leader.finish(1);
        }
    });
}
