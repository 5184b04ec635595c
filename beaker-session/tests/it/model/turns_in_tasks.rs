//! `MergePolicy::Lock` over the driver of tasks: requests are polled in every order, as far as they were woken, and
//! dropped at each of their stops.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{MemoryConfig, MemoryNamespace};
use beaker_session::{AccessPolicy, MergePolicy, Sessions};

use crate::browser::Browser;

/// More runs than any model here has.
const MAX_RUNS: usize = 50_000;

/// How the store is asked.
#[derive(Debug, Clone, Copy)]
enum Face {
    /// It makes nobody wait.
    Inline,
    /// By its asynchronous face, each of whose calls stops twice.
    Asynchronous,
}

struct World {
    sessions: Sessions,
    browser: Browser,
    /// How many handlers are at work.
    at_work: AtomicUsize,
    /// How many requests have ended.
    ended: AtomicUsize,
}

impl World {
    fn new(face: Face, merge: MergePolicy) -> Self {
        let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
        let builder = Sessions::builder().with_access(AccessPolicy::Never).with_merge(merge);
        let builder = match face {
            Face::Inline => builder.with_namespace(memory),
            Face::Asynchronous => builder.with_namespace(Arc::new(AsyncStore::new(memory))),
        };
        let sessions = builder.build().unwrap();
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("turn", 0)).unwrap();
        Self { sessions, browser, at_work: AtomicUsize::new(0), ended: AtomicUsize::new(0) }
    }

    fn turn(&self) -> usize {
        self.browser.sees(&self.sessions, "turn").unwrap().as_u64().unwrap() as usize
    }
}

/// Counts a handler that is at work, until it ends or is dropped.
struct AtWork<'a>(&'a AtomicUsize);

impl<'a> AtWork<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
        Self(count)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Lets others go on once.
async fn stop() {
    let mut has_stopped = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_stopped, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn request(world: &World) {
    let request = world.browser.begin(&world.sessions);
    let session = request.load_async().await.unwrap();
    let at_work = AtWork::begin(&world.at_work);
    let turn: usize = session.get("turn").unwrap().unwrap();
    stop().await;
    session.insert("turn", turn + 1).unwrap();
    drop(at_work);
    request.commit_async().await.unwrap();
    world.ended.fetch_add(1, Ordering::SeqCst);
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Task<'a> {
    future: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    is_woken: Arc<Flag>,
}

impl Task<'_> {
    fn poll(&mut self) {
        self.is_woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.is_woken));
        let Some(future) = &mut self.future else { return };
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.future = None;
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Move {
    Poll(usize),
    Drop(usize),
}

/// Plays `requests` in every order, each time in a new world, and checks it afterwards; the last one is dropped at each
/// of its stops, if `drops`. Says how many runs there were.
fn explore(
    world: impl Fn() -> World,
    requests: usize,
    drops: bool,
    check: impl Fn(&World),
) -> usize {
    let mut path: Vec<usize> = Vec::new();
    for run in 1..=MAX_RUNS {
        let world = world();
        let mut taken = Vec::new();
        let played = catch_unwind(AssertUnwindSafe(|| {
            play(&world, requests, drops, &path, &mut taken);
            check(&world);
        }));
        let orders: Vec<usize> = taken.iter().map(|(choice, _)| *choice).collect();
        if let Err(panic) = played {
            eprintln!("run {run}, the choices {orders:?}");
            resume_unwind(panic);
        }
        let Some(last) = taken.iter().rposition(|(choice, of)| choice + 1 < *of) else {
            return run;
        };
        path = orders[..=last].to_vec();
        path[last] += 1;
    }
    panic!("more than {MAX_RUNS} runs");
}

fn play(
    world: &World,
    requests: usize,
    drops: bool,
    path: &[usize],
    taken: &mut Vec<(usize, usize)>,
) {
    let begin = |_| Task {
        future: Some(Box::pin(request(world))),
        is_woken: Arc::new(Flag(AtomicBool::new(true))),
    };
    let mut tasks: Vec<Task<'_>> = (0..requests).map(begin).collect();
    while tasks.iter().any(|task| task.future.is_some()) {
        let alive = tasks.iter().enumerate().filter(|(_, task)| task.future.is_some());
        let woken = alive.filter(|(_, task)| task.is_woken.0.load(Ordering::SeqCst));
        let mut moves: Vec<Move> = woken.map(|(number, _)| Move::Poll(number)).collect();
        assert!(!moves.is_empty(), "they wait for each other");
        if drops && tasks.last().is_some_and(|last| last.future.is_some()) {
            moves.push(Move::Drop(requests - 1));
        }
        let choice = path.get(taken.len()).copied().unwrap_or(0);
        taken.push((choice, moves.len()));
        match moves[choice] {
            Move::Poll(number) => tasks[number].poll(),
            Move::Drop(number) => tasks[number].future = None,
        }
    }
}

fn each_saw_what_the_one_before_has_left(world: &World) {
    assert_eq!(world.turn(), world.ended.load(Ordering::SeqCst));
    assert_eq!((world.sessions.counts().conflicts, world.sessions.locked()), (0, 0));
}

#[test]
fn requests_in_tasks_come_one_after_the_other_in_any_order() {
    for face in [Face::Inline, Face::Asynchronous] {
        let world = |merge| move || World::new(face, merge);
        let check = each_saw_what_the_one_before_has_left;
        let runs = explore(world(MergePolicy::lock()), 2, false, check);
        assert!(runs >= 4, "{face:?}: {runs} runs");
        let control = || explore(world(MergePolicy::ThreeWayPerKey), 2, false, check);
        assert!(catch_unwind(AssertUnwindSafe(control)).is_err(), "{face:?}: control");
    }
    let inline = || World::new(Face::Inline, MergePolicy::lock());
    explore(inline, 3, false, each_saw_what_the_one_before_has_left);
}

/// Also one that was handed the lock, and dropped before it was polled.
#[test]
fn a_request_that_is_dropped_anywhere_leaves_the_lock_to_the_next() {
    for face in [Face::Inline, Face::Asynchronous] {
        let world = || World::new(face, MergePolicy::lock());
        let runs = explore(world, 2, true, |world| {
            let ended = world.ended.load(Ordering::SeqCst);
            // Its store may have carried out what it was told, or not.
            assert!((ended..=2).contains(&world.turn()), "{} of {ended}", world.turn());
            assert_eq!(world.sessions.locked(), 0);
            assert_eq!(world.sessions.counts().conflicts, 0);
        });
        assert!(runs > 10, "{face:?}: {runs} runs");
    }
}
