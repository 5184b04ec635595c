//! The signals that beaker passes on to the command it runs.

use std::fs;
use std::io;

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};
use signal_hook::consts::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;

/// Those that are passed on, and what each means for the run.
const PASSED_ON: [(i32, Signal, Meaning); 10] = [
    (SIGHUP, Signal::HUP, Meaning::End),
    (SIGINT, Signal::INT, Meaning::End),
    (SIGQUIT, Signal::QUIT, Meaning::End),
    (SIGTERM, Signal::TERM, Meaning::End),
    (SIGALRM, Signal::ALARM, Meaning::Message),
    (SIGUSR1, Signal::USR1, Meaning::Message),
    (SIGUSR2, Signal::USR2, Meaning::Message),
    (SIGTSTP, Signal::TSTP, Meaning::Stop),
    (SIGCONT, Signal::CONT, Meaning::Nothing),
    (SIGWINCH, Signal::WINCH, Meaning::Nothing),
];

/// What a signal means for the run that it comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The command is to end.
    End,
    /// Something that the command knows; its output may be another by it.
    Message,
    /// The command and we are to stop until a CONT.
    Stop,
    /// Nothing that its output shows.
    Nothing,
}

/// One signal that came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    signal: Signal,
    meaning: Meaning,
    /// The terminal sent it, to every process of the group at once.
    from_terminal: bool,
}

/// The signals that come from now on, instead of ending this process.
#[derive(Debug)]
pub(crate) struct Inbox(SignalsInfo<WithRawSiginfo>);

impl Inbox {
    /// Catches what is passed on, except what was ignored when this process began: under `nohup`
    /// the command is to ignore it too, and a caught signal would be reset in the command.
    ///
    /// A stop is caught only if the command has a group of its own: else the terminal stops both.
    pub(crate) fn open(has_own_group: bool) -> io::Result<Self> {
        let ignored = ignored_mask();
        let caught = PASSED_ON.iter().filter(|(number, _, meaning)| {
            ignored & (1 << (number - 1)) == 0 && (has_own_group || *meaning != Meaning::Stop)
        });
        SignalsInfo::new(caught.map(|(number, ..)| number)).map(Self)
    }

    /// Waits for signals for ever, and hands each to `receive`.
    pub(crate) fn each(mut self, mut receive: impl FnMut(Received)) {
        for info in &mut self.0 {
            let signal = PASSED_ON.iter().find(|(number, ..)| *number == info.si_signo);
            let Some(&(number, signal, meaning)) = signal else { continue };
            let from_terminal = is_from_terminal(number, info.si_code);
            receive(Received { signal, meaning, from_terminal });
        }
    }
}

impl Received {
    /// The number of the signal.
    pub(crate) fn number(self) -> i32 {
        self.signal.as_raw()
    }

    pub(crate) fn meaning(self) -> Meaning {
        self.meaning
    }
}

/// Stops this process until somebody continues it.
pub(crate) fn stop() {
    let _ = kill_process(getpid(), Signal::STOP);
}

/// On Linux the kernel says so; elsewhere these two come from a terminal as a rule.
fn is_from_terminal(number: i32, code: i32) -> bool {
    if cfg!(target_os = "linux") { code > 0 } else { matches!(number, SIGINT | SIGQUIT | SIGWINCH) }
}

/// The signals that this process ignores, as bits; none where the system does not tell.
fn ignored_mask() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Whom a signal for the command reaches.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// The command alone. It is in our process group, so that the terminal reaches it by itself.
    Process(Pid),
    /// The command's own process group, with what it started.
    Group(Pid),
}

impl Target {
    /// Passes `received` on, unless the terminal has sent it there already.
    pub(crate) fn pass_on(self, received: Received) {
        match self {
            Self::Process(_) if received.from_terminal => {}
            _ => self.send(received.signal),
        }
    }

    /// Sends `signal`. Who is gone already needs none.
    pub(crate) fn send(self, signal: Signal) {
        let _ = match self {
            Self::Process(pid) => kill_process(pid, signal),
            Self::Group(pid) => kill_process_group(pid, signal),
        };
    }
}
