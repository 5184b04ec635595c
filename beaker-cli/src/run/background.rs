//! Runs that nobody waits for: a beaker of its own, in a session of its own.

use std::env;
use std::process::{Command, Stdio};

use beaker_namespace::{Key, Namespace, Wait};

use crate::exit::{Failure, RUN_FAILED};

/// The first argument of a beaker that runs in the background; the rest is an ordinary command line.
pub(crate) const WORD: &str = "__background";

/// Starts what this process was asked to do once more, detached: no terminal, no standard streams,
/// so that neither a closed terminal nor a reader of our output has to do with it.
pub(super) fn spawn() -> Result<(), Failure> {
    let fail = |error| Failure::new(RUN_FAILED, format!("cannot start in the background: {error}"));
    let mut command = Command::new(env::current_exe().map_err(fail)?);
    command.arg(WORD).args(env::args_os().skip(1));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(fail)
}

/// Starts the run anew in the background, unless somebody is at it.
///
/// The new process takes the claim for itself. Of several that are started at the same moment one
/// gets it; the others find the fresh result, or give up.
pub(super) fn refresh(namespace: &dyn Namespace, key: &Key) {
    let nobody_is_at_it = matches!(namespace.claim(key, Wait::Never), Ok(Some(_claim)));
    if nobody_is_at_it {
        // The stale result was served; the next caller tries again.
        let _ = spawn();
    }
}

/// Leaves the session of whoever started us.
pub(crate) fn detach() {
    // Fails only if we lead a session already.
    let _ = rustix::process::setsid();
}
