//! Between beaker and the command: makes the command end with beaker, then becomes the command.
//
// 1. A runner that is killed with SIGKILL cannot end its command, but gives up its claim, so that a
//    waiter takes over: two would run at once. The kernel ends a process with its parent if the
//    process asks for that, and the wish outlives an exec. So beaker starts itself, asks, and
//    executes the command. What the command itself has started is not ended.
// 2. If the exec fails, the message goes to standard error behind a mark, by which the runner knows
//    that it is not the command's output.
// 3. Where the kernel has no such wish, or beaker cannot find itself, the command is started directly.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, id};

use crate::exit::{self, Failure};
use crate::output;

/// The first argument of a beaker that is to become a command.
pub(crate) const WORD: &str = "__exec";

/// What stands before the message of a failed exec.
const MARK: &[u8] = b"\0beaker-exec\0";

/// This program, even if its file was replaced meanwhile.
const ITSELF: &str = "/proc/self/exe";

/// A command that starts this program again.
pub(super) fn beaker() -> io::Result<Command> {
    let path = Path::new(ITSELF);
    let mut command =
        Command::new(if path.exists() { path.to_owned() } else { env::current_exe()? });
    command.arg0("beaker");
    Ok(command)
}

/// The command that starts `words` as a child that ends with us.
pub(super) fn command(words: &[OsString]) -> Command {
    match beaker() {
        Ok(mut command) if cfg!(target_os = "linux") => {
            command.arg(WORD).arg(id().to_string()).args(words);
            command
        }
        _ => plain(words),
    }
}

/// The command itself, without anything between.
fn plain(words: &[OsString]) -> Command {
    let mut command = Command::new(words.first().map_or(OsStr::new(""), OsString::as_os_str));
    command.args(words.get(1..).unwrap_or_default());
    command
}

/// Becomes the command: `__exec PARENT COMMAND [ARG…]`. Returns only if that fails.
pub(crate) fn main(arguments: &[OsString]) -> u8 {
    let Some((parent, words)) = arguments.split_first() else { return exit::USAGE };
    if !end_with(parent) {
        return exit::RUN_FAILED;
    }
    let failure = become_command(words);
    let _ = output::write_all(io::stderr(), MARK);
    failure.report()
}

/// Becomes the command, in place of this process. Returns only if that fails.
pub(super) fn become_command(words: &[OsString]) -> Failure {
    let error = plain(words).exec();
    not_started(words, &error)
}

/// Asks the kernel to end this process with `parent`; `false` if that is gone already.
fn end_with(parent: &OsStr) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        // Where it is refused, the command just outlives a killed runner.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        getppid().is_some_and(|pid| *pid.as_raw_nonzero().to_string() == *parent)
    }
    #[cfg(not(target_os = "linux"))]
    {
        !parent.is_empty()
    }
}

/// Why the command was not started, with the exit code that shells give.
pub(super) fn not_started(words: &[OsString], error: &io::Error) -> Failure {
    let program = words.first().map_or(OsStr::new(""), OsString::as_os_str);
    let program = Path::new(program).display();
    match error.kind() {
        io::ErrorKind::NotFound if env::var_os("PATH").is_none() => Failure::new(
            exit::NOT_FOUND,
            format!("cannot run {program}: not found, and PATH is not set; give its full path"),
        ),
        io::ErrorKind::NotFound => Failure::new(
            exit::NOT_FOUND,
            format!("cannot run {program}: not found; check its name and PATH"),
        ),
        _ => Failure::new(exit::NOT_EXECUTABLE, format!("cannot run {program}: {error}")),
    }
}

/// The message behind the mark, if these are the first bytes of a failed exec.
pub(super) fn strip_mark(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(MARK)
}
