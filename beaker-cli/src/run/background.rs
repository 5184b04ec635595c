//! Runs that nobody waits for: a beaker of its own, in a session of its own.

use std::env;
use std::ffi::OsStr;
use std::process::Stdio;

use beaker_namespace::{Key, Namespace, Wait};

use crate::exit::{Failure, RUN_FAILED};
use crate::run::{Mode, shim};

/// The first argument of a beaker that runs in the background. The second is the generation of the
/// entry to be replaced, or `-`; the rest is an ordinary command line.
pub(crate) const WORD: &str = "__background";

const NONE: &str = "-";

/// Starts what this process was asked to do once more, detached: no terminal, no standard streams,
/// so that neither a closed terminal nor a reader of our output has to do with it.
pub(super) fn spawn(generation: Option<u64>) -> Result<(), Failure> {
    let fail = |error| Failure::new(RUN_FAILED, format!("cannot start in the background: {error}"));
    let generation =
        generation.map_or_else(|| NONE.to_owned(), |generation| generation.to_string());
    let mut command = shim::beaker().map_err(fail)?;
    command.arg(WORD).arg(generation).args(env::args_os().skip(1));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(fail)
}

/// What the second argument says.
pub(crate) fn mode(generation: &OsStr) -> Mode {
    match generation.to_str().and_then(|text| text.parse().ok()) {
        Some(generation) => Mode::Refresh { generation },
        None => Mode::Warm,
    }
}

/// Replaces the entry of `generation` in the background, unless somebody is at it.
///
/// The new process takes the claim for itself. Of several that are started at the same moment one
/// gets it; the others find the new entry, or give up.
pub(super) fn refresh(namespace: &dyn Namespace, key: &Key, generation: u64) {
    let nobody_is_at_it = matches!(namespace.claim(key, Wait::Never), Ok(Some(_claim)));
    if nobody_is_at_it {
        // The stale result was served; if this fails the next caller tries again.
        let _ = spawn(Some(generation));
    }
}

/// Leaves the session of whoever started us.
pub(crate) fn detach() {
    // Fails only if we lead a session already.
    let _ = rustix::process::setsid();
}
