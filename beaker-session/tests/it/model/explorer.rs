//! Plays every order in which several requests can reach the store.
//
// 1. Each request runs on a thread of its own, and stops at each call of the namespace. When all
//    of them have stopped or ended, one is let go on to its next stop. So there is one running at
//    a time, and a run is told whole by whom was let go when.
// 2. The runs are a tree: the first takes the first choice everywhere, the next one differs in the
//    last choice that has another left. When none has, every order was played.
// 3. A request that may be killed can also be killed instead of let go: it unwinds there.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use beaker_namespace::{
    Condition, ConditionalSet, Entry, Error, Key, Lookup, Namespace, Swept, forward_namespace,
};
use parking_lot::{Condvar, Mutex};

/// More runs than any model here has: a mistake ends there.
const MAX_RUNS: usize = 200_000;

thread_local! {
    static ACTOR: Cell<Option<usize>> = const { Cell::new(None) };
}

#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// For each request, where it is.
    actors: Vec<At>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Running,
    Stopped,
    Killed,
    Ended,
}

/// The death of a request.
struct Death;

impl Gate {
    /// Stops a request until it is let go. Other threads pass.
    pub(super) fn stop(&self) {
        let Some(actor) = ACTOR.get() else { return };
        let mut state = self.state.lock();
        state.actors[actor] = At::Stopped;
        self.changed.notify_all();
        self.changed.wait_while(&mut state, |state| state.actors[actor] == At::Stopped);
        if state.actors[actor] == At::Killed {
            drop(state);
            resume_unwind(Box::new(Death));
        }
    }

    fn set(&self, actor: usize, at: At) {
        self.state.lock().actors[actor] = at;
        self.changed.notify_all();
    }

    /// Waits until nobody runs, and says who has stopped.
    fn stopped(&self) -> Vec<usize> {
        let mut state = self.state.lock();
        let moves = |at: &At| matches!(at, At::Running | At::Killed);
        self.changed.wait_while(&mut state, |state| state.actors.iter().any(moves));
        let stopped = |(actor, at): (usize, &At)| (*at == At::Stopped).then_some(actor);
        state.actors.iter().enumerate().filter_map(stopped).collect()
    }
}

/// What a request does.
pub(crate) type Actor<'a, W> = &'a (dyn Fn(&W) + Sync);

/// Plays `actors` in every order, each time in a new world, and then `check`s the world. Those
/// whose numbers are in `mortal` are also killed at each of their stops. Says how many runs there
/// were.
pub(crate) fn explore<W: Sync>(
    world: impl Fn(&Arc<Gate>) -> W,
    actors: &[Actor<'_, W>],
    mortal: &[usize],
    check: impl Fn(&W),
) -> usize {
    let mut path: Vec<usize> = Vec::new();
    for run in 1..=MAX_RUNS {
        let gate = Arc::new(Gate::default());
        let world = world(&gate);
        let taken = play(&gate, &world, actors, mortal, &path);
        let orders: Vec<usize> = taken.iter().map(|(choice, _)| *choice).collect();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&world))) {
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

/// One run: at each step the choice that was taken, and of how many.
fn play<W: Sync>(
    gate: &Gate,
    world: &W,
    actors: &[Actor<'_, W>],
    mortal: &[usize],
    path: &[usize],
) -> Vec<(usize, usize)> {
    gate.state.lock().actors = vec![At::Running; actors.len()];
    let mut taken = Vec::new();
    thread::scope(|scope| {
        for (number, actor) in actors.iter().enumerate() {
            scope.spawn(move || {
                ACTOR.set(Some(number));
                let result = catch_unwind(AssertUnwindSafe(|| actor(world)));
                gate.set(number, At::Ended);
                if let Err(panic) = result
                    && !panic.is::<Death>()
                {
                    resume_unwind(panic);
                }
            });
        }
        loop {
            let stopped = gate.stopped();
            if stopped.is_empty() {
                break;
            }
            let kills = stopped.iter().filter(|actor| mortal.contains(actor));
            let options: Vec<(usize, At)> = (stopped.iter().map(|actor| (*actor, At::Running)))
                .chain(kills.map(|actor| (*actor, At::Killed)))
                .collect();
            let choice = path.get(taken.len()).copied().unwrap_or(0);
            taken.push((choice, options.len()));
            let (actor, at) = options[choice];
            gate.set(actor, at);
        }
    });
    taken
}

/// A namespace at whose calls requests stop.
#[derive(Debug)]
pub(crate) struct Gated<N> {
    pub(crate) inner: N,
    pub(crate) gate: Arc<Gate>,
}

impl<N: Namespace> Namespace for Gated<N> {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, clear, claim, fulfil, stats,
    );

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.gate.stop();
        self.inner.get(key)
    }
    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        self.gate.stop();
        self.inner.look_up(key)
    }
    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.gate.stop();
        self.inner.set(key, entry)
    }
    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        self.gate.stop();
        self.inner.set_if(key, entry, condition)
    }
    fn remove(&self, key: &Key) -> Result<bool, Error> {
        self.gate.stop();
        self.inner.remove(key)
    }
    fn sweep(&self) -> Result<Swept, Error> {
        self.gate.stop();
        self.inner.sweep()
    }
}
