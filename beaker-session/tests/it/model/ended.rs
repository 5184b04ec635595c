//! Who waits for a session's end beside what ends it, in every order of the store's calls.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use beaker_namespace::{
    Error as StoreError, Key, Lookup, MemoryConfig, MemoryNamespace, Namespace, forward_namespace,
};
use beaker_session::{Error, Session, Sessions};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

use super::explorer::{Actor, Gate, Gated, explore};
use crate::browser::Browser;

/// Nobody looks again in the meantime.
const EVERY: Duration = Duration::from_secs(3_600);

type Wait = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Counts how often the wait is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    /// Whether this thread's request waits for the end.
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

/// A namespace at whose looks who waits stops once more, with the answer on its way: he may listen before it or after.
#[derive(Debug)]
struct Answering<N> {
    inner: N,
    gate: Arc<Gate>,
}

impl<N: Namespace> Namespace for Answering<N> {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, get, set, set_if, remove, clear, claim, fulfil, stats,
    );

    fn look_up(&self, key: &Key) -> Result<Lookup, StoreError> {
        let found = self.inner.look_up(key);
        if WAITS.get() {
            self.gate.stop();
        }
        found
    }
}

struct World {
    /// The sessions of whoever ends it.
    theirs: Sessions,
    browser: Browser,
    socket: Session,
    woken: Arc<Woken>,
    /// What waits still after its first look.
    waits: Mutex<Option<Wait>>,
    /// For timers alone.
    runtime: Runtime,
}

/// Who else has the store.
#[derive(Clone, Copy)]
enum Beside {
    /// A request to the same sessions.
    Request,
    /// Another process, which tells nobody here.
    Process,
}

impl World {
    fn new(gate: &Arc<Gate>, beside: Beside) -> Self {
        let inner = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
        let inner = Answering { inner, gate: Arc::clone(gate) };
        let store = Arc::new(Gated { inner, gate: Arc::clone(gate) });
        let build = || Sessions::builder().with_namespace(store.clone()).build().unwrap();
        let sessions = build();
        let theirs = match beside {
            Beside::Request => sessions.clone(),
            Beside::Process => build(),
        };
        let mut browser = Browser::new();
        let login = |session: &Session| session.set_subject("ada", None);
        browser.visit(&sessions, login).unwrap();
        let socket = browser.begin(&sessions).load().unwrap().detach().unwrap();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let (woken, waits) = Default::default();
        Self { theirs, browser, socket, woken, waits, runtime }
    }

    fn poll(&self, wait: &mut Wait) -> Poll<Result<(), Error>> {
        let _timers = self.runtime.enter();
        wait.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.woken))))
    }

    /// Begins to wait, and looks once.
    fn wait(&self) {
        WAITS.set(true);
        let socket = self.socket.clone();
        let mut wait: Wait = Box::pin(async move { socket.wait_ended_async(EVERY).await });
        match self.poll(&mut wait) {
            Poll::Ready(ended) => ended.unwrap(),
            Poll::Pending => *self.waits.lock() = Some(wait),
        }
    }

    /// Whatever came first, the wait has ended: by its own look, or by being woken.
    fn check(&self) {
        let Some(mut wait) = self.waits.lock().take() else { return };
        assert!(self.woken.0.load(Ordering::SeqCst) > 0, "a wait was not ended");
        assert!(matches!(self.poll(&mut wait), Poll::Ready(Ok(()))), "woken too early");
    }
}

fn wait(world: &World) {
    world.wait();
}

fn log_out(world: &World) {
    world.browser.clone().visit(&world.theirs, Session::delete).unwrap();
}

fn renew(world: &World) {
    world.browser.clone().visit(&world.theirs, Session::renew).unwrap();
}

fn revoke(world: &World) {
    world.theirs.revoke(&world.socket.key().unwrap()).unwrap();
}

fn revoke_all(world: &World) {
    world.theirs.revoke_all("ada").unwrap();
}

const ENDS: [Actor<'_, World>; 4] = [&log_out, &renew, &revoke, &revoke_all];

#[test]
fn who_waits_beside_an_end_sees_it_or_is_woken() {
    let here = |gate: &Arc<Gate>| World::new(gate, Beside::Request);
    let mut runs = 0;
    for end in ENDS {
        runs += explore(here, &[&wait, end], &[], World::check);
    }
    assert!(runs > 50, "{runs}");
}

#[test]
fn control_who_is_told_nothing_of_another_process_misses_its_end_in_some_order() {
    for end in ENDS {
        let there = |gate: &Arc<Gate>| World::new(gate, Beside::Process);
        let explored = || explore(there, &[&wait, end], &[], World::check);
        assert!(catch_unwind(AssertUnwindSafe(explored)).is_err());
    }
}
