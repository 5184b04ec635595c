//! `beaker run`: replays a result that is fresh, or runs the command once and keeps what it did.
//
// The rules:
// 1. A fresh result is replayed; nothing else happens. Fresh is what neither its own time to live,
//    as it was stored, nor the one asked for now has ended, nor a mark of one of its tags.
// 2. A result that `--stale` admits is replayed, and then made anew in the background.
// 3. Otherwise the namespace's claim on the key is taken: of all processes of the host one has it.
//    The kernel takes it back when its holder dies, so a waiter goes on at once.
// 4. Who has waited looks again: the result may be there.
// 5. The command runs. What is stored is stamped with the moment before, and is not stored if
//    somebody removed or replaced the entry meanwhile.
// 6. A store that fails never keeps the command from running; a note says that it failed.

pub(crate) mod background;
mod capture;
mod key;
mod pump;
mod recording;
pub(crate) mod shim;

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Claim, Clock, Entry, Error, Key, Namespace, SystemClock, Timestamp, Wait};

use crate::args::{RunArgs, StoreArgs};
use crate::exit::{self, COMMAND_TIMED_OUT, Failure, Outcome, chain, note};
use crate::marks;
use crate::store::{RUN_NAMESPACE, Store};

use self::capture::{Finished, NotKept, Spec};
use self::recording::Recording;

/// Who waits for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A caller, for output and exit code.
    Foreground,
    /// Nobody: the result is to be there when somebody asks.
    Warm,
    /// Nobody: the entry of this generation was served stale, and is to be replaced.
    Refresh { generation: u64 },
}

/// How long a run in the background waits for another one that is at it.
const BACKGROUND_WAIT: Duration = Duration::from_secs(1);

/// Replays or runs the command.
pub(crate) fn run(args: &RunArgs, store: &StoreArgs, mode: Mode) -> Outcome {
    let key = key::key_of(args)?;
    let name = store.namespace.as_deref().unwrap_or(RUN_NAMESPACE);
    if args.warm && mode == Mode::Foreground {
        return background::spawn(None).map(|()| exit::OK);
    }
    match Store::from_args(store) {
        Err(failure) if failure.code() == exit::USAGE => Err(failure),
        Err(failure) => uncached(args, mode, failure.message()),
        Ok(store) => {
            if let Some(recording) = glance(&store, name, &key, args, mode) {
                return recording.replay();
            }
            match store.open(name) {
                Ok(namespace) => Caller { store, namespace, key, args, mode }.answer(),
                Err(error) => uncached(args, mode, &chain(&error)),
            }
        }
    }
}

/// The result that a caller waits for, if it is fresh and can be had without opening the store.
fn glance(store: &Store, name: &str, key: &Key, args: &RunArgs, mode: Mode) -> Option<Recording> {
    if args.force || mode != Mode::Foreground {
        return None;
    }
    let entry = as_asked(store.glance(name, key)?, args, None);
    Recording::decode(&entry).filter(|_| entry.is_fresh(SystemClock.now()))
}

/// The entry with the times that apply to this caller: it expires when its own time to live or
/// the one asked for has ended, or when a soft mark ended it, and may then be served for as long
/// as `--stale` says.
fn as_asked(entry: Entry, args: &RunArgs, expired_until: Option<Timestamp>) -> Entry {
    let asked = args.ttl.0.map_or(Timestamp::NEVER, |ttl| entry.began().saturating_add(ttl));
    let marked = expired_until.filter(|&until| entry.began() <= until);
    let expires = entry.expires().min(asked).min(marked.unwrap_or(Timestamp::NEVER));
    entry.times(expires, expires.saturating_add(args.stale.unwrap_or_default()))
}

/// One call, on a store that could be opened.
struct Caller<'a> {
    store: Store,
    namespace: Arc<dyn Namespace>,
    key: Key,
    args: &'a RunArgs,
    mode: Mode,
}

/// What the store has.
enum Found {
    Fresh(Recording),
    Stale(Recording, u64),
    Nothing,
}

impl Caller<'_> {
    fn answer(&self) -> Outcome {
        let claim = match self.look_then_claim() {
            Ok(Step::Replay(recording)) => {
                self.store.leave_open(&self.namespace);
                return recording.replay();
            }
            Ok(Step::ReplayStale(recording, generation)) => {
                return self.replay_stale(&recording, generation);
            }
            Ok(Step::Run(claim)) => claim,
            Ok(Step::Busy) => return self.busy(),
            Err(error) => return uncached(self.args, self.mode, &chain(&error)),
        };
        let began = self.namespace.clock().now();
        let finished = capture::execute(&spec(self.args))?;
        let exit_code = finished.exit_code;
        self.keep(finished, began, claim);
        Ok(exit_code)
    }

    fn look_then_claim(&self) -> Result<Step, Error> {
        if !self.args.force {
            match self.look()? {
                Found::Fresh(recording) => return Ok(Step::Replay(recording)),
                Found::Stale(recording, generation) => {
                    return Ok(Step::ReplayStale(recording, generation));
                }
                Found::Nothing => {}
            }
        }
        let Some(claim) = self.namespace.claim(&self.key, self.wait())? else {
            return Ok(Step::Busy);
        };
        if !self.args.force
            && let Found::Fresh(recording) = self.look()?
        {
            return Ok(Step::Replay(recording));
        }
        Ok(Step::Run(claim))
    }

    fn look(&self) -> Result<Found, Error> {
        let Some(entry) = self.namespace.get(&self.key)? else { return Ok(Found::Nothing) };
        let mark = marks::of(&*self.namespace, &entry)?;
        if mark.gone_until().is_some_and(|until| entry.began() <= until) {
            return Ok(Found::Nothing);
        }
        let now = self.namespace.clock().now();
        let entry = as_asked(entry, self.args, mark.expired_until());
        let is_good = match self.mode {
            Mode::Foreground | Mode::Warm => entry.is_fresh(now),
            // Of several that were started for one stale entry, one runs the command.
            Mode::Refresh { generation } => entry.generation() != generation,
        };
        let is_stale = self.mode == Mode::Foreground && entry.staleness(now).is_some();
        let generation = entry.generation();
        Ok(match Recording::decode(&entry) {
            Some(recording) if is_good => Found::Fresh(recording),
            Some(recording) if is_stale => Found::Stale(recording, generation),
            _ => Found::Nothing,
        })
    }

    fn wait(&self) -> Wait {
        match (self.mode, self.args.wait) {
            (Mode::Warm | Mode::Refresh { .. }, _) if !self.args.force => {
                Wait::AtMost(BACKGROUND_WAIT)
            }
            (_, Some(limit)) => Wait::AtMost(limit),
            (_, None) => Wait::Forever,
        }
    }

    fn replay_stale(&self, recording: &Recording, generation: u64) -> Outcome {
        let outcome = recording.replay();
        background::refresh(&self.namespace, &self.key, generation);
        outcome
    }

    fn busy(&self) -> Outcome {
        if self.mode != Mode::Foreground {
            return Ok(exit::OK);
        }
        Err(Failure::new(
            exit::TIMEOUT,
            "another process is running this command for longer than --wait; wait longer",
        ))
    }

    fn keep(&self, finished: Finished, began: Timestamp, claim: Claim) {
        let recording = match finished.kept {
            Ok(recording) => recording,
            Err(reason) => return explain(reason, self.args),
        };
        if self.args.discard_failures && recording.exit_code != 0 {
            return;
        }
        let grace = self.args.stale.unwrap_or_default();
        let entry = Entry::new(recording.encode(), began).ttl(self.args.ttl.0).grace(grace);
        let entry = entry.tags(self.args.tag.clone());
        let stored = self.namespace.fulfil(&self.key, entry, claim);
        if let Err(error) = stored {
            note(format!("the result was not kept: {}", chain(&error)));
        }
    }
}

/// What to do for a caller.
enum Step {
    Replay(Recording),
    ReplayStale(Recording, u64),
    Run(Claim),
    Busy,
}

fn spec(args: &RunArgs) -> Spec<'_> {
    Spec { words: &args.command, timeout: args.timeout, max_output: args.max_output }
}

fn explain(reason: NotKept, args: &RunArgs) {
    match reason {
        NotKept::TooLarge => note(format!(
            "the output has more than {} bytes and was not kept; raise --max-output",
            args.max_output
        )),
        NotKept::TimedOut => tell_timeout(args),
        NotKept::Interrupted | NotKept::NotExecuted => {}
    }
}

fn tell_timeout(args: &RunArgs) {
    let limit = args.timeout.map(crate::duration::display).unwrap_or_default();
    note(format!("the command ran longer than {limit} and was killed; raise --timeout"));
}

/// Runs the command without the store, which failed because of `reason`.
///
/// Where nothing has to be watched this process becomes the command.
fn uncached(args: &RunArgs, mode: Mode, reason: &str) -> Outcome {
    if mode != Mode::Foreground {
        return Err(Failure::new(exit::UNAVAILABLE, reason));
    }
    note(format!("running without the store: {reason}"));
    if args.timeout.is_none() {
        return Err(shim::become_command(&args.command));
    }
    let finished = capture::execute(&Spec { max_output: 0, ..spec(args) })?;
    if finished.exit_code == COMMAND_TIMED_OUT && matches!(finished.kept, Err(NotKept::TimedOut)) {
        tell_timeout(args);
    }
    Ok(finished.exit_code)
}
