//! `locks`: what is being created, and what killed creators left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use beaker_sync::{LockFileStatus, LockState};

use crate::args::{LocksAction, LocksArgs, StoreArgs};
use crate::exit::{self, CONFIG, Failure, OK, Outcome, UNAVAILABLE, chain};
use crate::output;
use crate::report::table;
use crate::store::{Locks, Store};

/// What a namespace's directory calls the directory of its claims.
const CLAIMS: &str = "claims";

/// And that of its writers' locks, which stay when nobody holds them.
const WRITERS: &str = "writers";

pub(super) fn locks(args: &LocksArgs, store: &StoreArgs) -> Outcome {
    let store = Store::from_args(store)?;
    let directories = match store.locks() {
        None => {
            return Err(Failure::new(CONFIG, "only a store in files has lock files; see --store"));
        }
        Some(Locks::In(directory)) => {
            if directory.is_dir() {
                vec![directory]
            } else {
                Vec::new()
            }
        }
        Some(Locks::InNamespaces(directory)) => {
            let kinds: &[&str] = if args.action.is_some() { &[CLAIMS, WRITERS] } else { &[CLAIMS] };
            lock_directories(&directory, kinds).map_err(|error| {
                Failure::new(UNAVAILABLE, format!("cannot list {}: {error}", directory.display()))
            })?
        }
    };
    match args.action {
        None => list(&directories),
        Some(LocksAction::Clean) => clean(&directories),
    }
}

/// Those of all namespaces of the store. A store that nobody used yet has none.
fn lock_directories(store: &Path, kinds: &[&str]) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(store) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let namespace = entry?.path();
        found.extend(kinds.iter().map(|kind| namespace.join(kind)));
    }
    found.retain(|locks| locks.is_dir());
    found.sort();
    Ok(found)
}

fn list(directories: &[PathBuf]) -> Outcome {
    let mut rows = Vec::new();
    for directory in directories {
        rows.extend(beaker_sync::list(directory)?.iter().map(cells));
    }
    let text = if rows.is_empty() { String::new() } else { table(["STATE", "BY", "FILE"], &rows) };
    output::print(text.as_bytes())?;
    Ok(OK)
}

fn cells(status: &LockFileStatus) -> [String; 3] {
    let state = match status.state {
        LockState::Free => "left over",
        LockState::Shared | LockState::Exclusive => "held",
        _ => "unknown",
    };
    let holders = beaker_sync::holders(&status.path);
    let by = holders.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let by = if by.is_empty() { "-".to_owned() } else { by };
    [state.to_owned(), by, status.path.display().to_string()]
}

fn clean(directories: &[PathBuf]) -> Outcome {
    let (mut removed, mut in_use, mut failed) = (0, 0, 0);
    for directory in directories {
        let report = beaker_sync::clean(directory)?;
        report.failed.iter().for_each(|error| exit::note(chain(error)));
        failed += report.failed.len();
        // The writers' are for the next one: nobody left them behind.
        if !directory.ends_with(WRITERS) {
            removed += report.removed;
            in_use += report.in_use;
        }
    }
    output::print(format!("removed {removed} left over, {in_use} in use\n").as_bytes())?;
    Ok(if failed == 0 { OK } else { UNAVAILABLE })
}
