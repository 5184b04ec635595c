//! Runs the command once: its output passed on as it comes and kept, signals passed to it, its time
//! limited.
//
// Who does what:
// 1. This thread starts the command, since the command ends with the thread that started it. Then
//    it waits for events, and is the only one that signals and reaps the command. So a process
//    number is never used for another process that got it later.
// 2. One thread for each stream copies it (`pump`).
// 3. One thread waits until the command has ended, without reaping it.
// 4. One thread waits for signals to us.
//
// The run is over when the command has ended and both streams are closed, as in a shell's `$(…)`. One
// that was interrupted is over when the command has ended, whatever it started and left behind.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use crate::exit::{self, Failure};
use crate::run::pump::{Budget, Drained, pump};
use crate::run::recording::Recording;
use crate::run::shim;
use crate::signals::{self, Inbox, Meaning, Received, Target};

/// How long a command that is out of time may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// How long the output of an interrupted command may take to arrive once the command has ended.
const DRAIN: Duration = Duration::from_millis(100);

/// What is to be run, and how.
#[derive(Debug)]
pub(super) struct Spec<'a> {
    pub(super) words: &'a [OsString],
    pub(super) timeout: Option<Duration>,
    /// The bytes of output that are kept; more is only passed on.
    pub(super) max_output: u64,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct Finished {
    /// The command's exit code, or 128 and its signal.
    pub(super) exit_code: u8,
    /// What to keep, or why not.
    pub(super) kept: Result<Recording, NotKept>,
}

/// Why a run cannot be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotKept {
    /// A signal came to us or ended the command, or our output was closed.
    Interrupted,
    /// There was more output than may be kept.
    TooLarge,
    /// The command could not be executed.
    NotExecuted,
    /// It was killed when its time was over.
    TimedOut,
}

/// Runs the command to its end.
pub(super) fn execute(spec: &Spec<'_>) -> Result<Finished, Failure> {
    let inbox =
        Inbox::open(spec.timeout.is_some()).map_err(|error| failed("catch signals", &error))?;
    let deadline = spec.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let (mut child, target) = spawn(spec)?;
    let budget = Arc::new(Budget::new(spec.max_output));
    let (sender, events) = mpsc::channel();
    let streams = watch(&mut child, inbox, &budget, &sender)
        .map_err(|error| failed("start a thread", &error))?;
    let mut run = Run::new(target, events, streams);
    if run.until(deadline) == Wake::Deadline {
        run.kill();
        let _ = child.wait();
        return Ok(Finished { exit_code: exit::COMMAND_TIMED_OUT, kept: Err(NotKept::TimedOut) });
    }
    let status = child.wait().map_err(|error| failed("wait for the command", &error))?;
    Ok(Finished { exit_code: code_of(status), kept: run.recording(status, &budget) })
}

fn spawn(spec: &Spec<'_>) -> Result<(Child, Target), Failure> {
    let mut command = shim::command(spec.words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if spec.timeout.is_some() {
        separate(&mut command);
    }
    let child = command.spawn().map_err(|error| shim::not_started(spec.words, &error))?;
    let pid = pid_of(&child);
    let target = if spec.timeout.is_some() { Target::Group(pid) } else { Target::Process(pid) };
    Ok((child, target))
}

/// A process group of its own, to be killed with all that is in it. Such a group is in the
/// background of a terminal, and would be stopped if it read from there.
fn separate(command: &mut Command) {
    command.process_group(0);
    if io::stdin().is_terminal() {
        command.stdin(Stdio::null());
    }
}

fn pid_of(child: &Child) -> Pid {
    // A child's number is always positive; the fallback is never reached.
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap_or(Pid::INIT)
}

/// What the threads report.
#[derive(Debug)]
enum Event {
    Drained(Stream, Drained),
    Ended,
    Signal(Received),
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

/// Starts the threads that report what happens.
fn watch(
    child: &mut Child,
    inbox: Inbox,
    budget: &Arc<Budget>,
    events: &Sender<Event>,
) -> io::Result<Streams> {
    let mut streams = Streams::default();
    if let Some(stdout) = child.stdout.take() {
        let (budget, events) = (Arc::clone(budget), events.clone());
        streams.open += 1;
        start(move || {
            let drained = pump(stdout, io::stdout(), &budget);
            let _ = events.send(Event::Drained(Stream::Stdout, drained));
        })?;
    }
    if let Some(stderr) = child.stderr.take() {
        let (budget, events) = (Arc::clone(budget), events.clone());
        streams.open += 1;
        start(move || {
            let drained = pump(stderr, io::stderr(), &budget);
            let _ = events.send(Event::Drained(Stream::Stderr, drained));
        })?;
    }
    watch_end(pid_of(child), events.clone())?;
    watch_signals(inbox, events.clone())?;
    Ok(streams)
}

fn watch_end(pid: Pid, events: Sender<Event>) -> io::Result<()> {
    start(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
        let _ = events.send(Event::Ended);
    })
}

/// Once the run is over and nobody listens any more, a signal does to this process what it usually does.
fn watch_signals(inbox: Inbox, events: Sender<Event>) -> io::Result<()> {
    start(move || {
        inbox.each(|received| {
            if events.send(Event::Signal(received)).is_ok() {
                return;
            }
            match received.meaning() {
                Meaning::End | Meaning::Message => {
                    process::exit(exit::of_signal(received.number()).into());
                }
                Meaning::Stop => signals::stop(),
                Meaning::Nothing => {}
            }
        });
    })
}

fn start(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().spawn(work).map(drop)
}

/// The streams that are still open, and what came of the others.
#[derive(Debug, Default)]
struct Streams {
    open: u8,
    stdout: Option<Drained>,
    stderr: Option<Drained>,
}

/// A command that runs.
#[derive(Debug)]
struct Run {
    target: Target,
    events: Receiver<Event>,
    streams: Streams,
    ended: bool,
    /// The command was asked to end.
    interrupted: bool,
    /// The command was told something, by which its output may be another.
    disturbed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Wake {
    Over,
    Deadline,
}

impl Run {
    fn new(target: Target, events: Receiver<Event>, streams: Streams) -> Self {
        Self { target, events, streams, ended: false, interrupted: false, disturbed: false }
    }

    /// Handles events until the run is over or `deadline` has come.
    fn until(&mut self, deadline: Option<Instant>) -> Wake {
        while !(self.ended && self.streams.open == 0) {
            match self.next_event(deadline) {
                Ok(Event::Ended) => self.ended = true,
                Ok(Event::Drained(stream, drained)) => self.drained(stream, drained),
                Ok(Event::Signal(received)) => self.received(received),
                Err(RecvTimeoutError::Timeout) if self.is_left_behind() => return Wake::Over,
                Err(RecvTimeoutError::Timeout) => return Wake::Deadline,
                Err(RecvTimeoutError::Disconnected) => return Wake::Over,
            }
        }
        Wake::Over
    }

    fn received(&mut self, received: Received) {
        self.target.pass_on(received);
        match received.meaning() {
            Meaning::End => self.interrupted = true,
            Meaning::Message => self.disturbed = true,
            Meaning::Stop => signals::stop(),
            Meaning::Nothing => {}
        }
    }

    fn next_event(&self, deadline: Option<Instant>) -> Result<Event, RecvTimeoutError> {
        let now = Instant::now();
        let deadline = match (self.is_left_behind(), now.checked_add(DRAIN)) {
            (true, Some(soon)) => Some(deadline.map_or(soon, |deadline| deadline.min(soon))),
            _ => deadline,
        };
        match deadline {
            None => self.events.recv().map_err(RecvTimeoutError::from),
            Some(deadline) => self.events.recv_timeout(deadline.saturating_duration_since(now)),
        }
    }

    /// Whether only what an interrupted command has left behind keeps a stream open: nobody waits
    /// for that.
    fn is_left_behind(&self) -> bool {
        self.ended && self.interrupted
    }

    fn drained(&mut self, stream: Stream, drained: Drained) {
        self.streams.open -= 1;
        match stream {
            Stream::Stdout => self.streams.stdout = Some(drained),
            Stream::Stderr => self.streams.stderr = Some(drained),
        }
    }

    /// Ends the command and all of its group: first as it may handle, then as it may not. It is not
    /// reaped before, so that the number of its group stays its own.
    fn kill(&mut self) {
        self.target.send(Signal::TERM);
        self.target.send(Signal::CONT);
        let _ = self.until(Instant::now().checked_add(GRACE));
        self.target.send(Signal::KILL);
    }

    fn recording(self, status: ExitStatus, budget: &Budget) -> Result<Recording, NotKept> {
        let (stdout, stderr) = match (self.streams.stdout, self.streams.stderr) {
            (_, Some(Drained::NotExecuted)) => return Err(NotKept::NotExecuted),
            (Some(Drained::Whole(stdout)), Some(Drained::Whole(stderr))) => (stdout, stderr),
            _ => return Err(NotKept::Interrupted),
        };
        if self.interrupted || self.disturbed || status.signal().is_some() {
            return Err(NotKept::Interrupted);
        }
        if budget.is_exceeded() {
            return Err(NotKept::TooLarge);
        }
        Ok(Recording { exit_code: code_of(status), stdout: stdout.into(), stderr: stderr.into() })
    }
}

fn code_of(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => exit::of_signal(signal),
        (None, None) => exit::RUN_FAILED,
    }
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new(exit::RUN_FAILED, format!("cannot {what}: {error}"))
}
