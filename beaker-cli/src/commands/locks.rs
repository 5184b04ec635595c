//! `locks`: what is being created, and what killed creators left.

use std::path::PathBuf;

use beaker_sync::{LockFileStatus, LockState};

use crate::args::{LocksAction, LocksArgs, StoreArgs};
use crate::exit::{self, CONFIG, Failure, OK, Outcome, UNAVAILABLE, chain};
use crate::output;
use crate::report::table;
use crate::store::Store;

pub(super) fn locks(args: &LocksArgs, store: &StoreArgs) -> Outcome {
    let store = Store::from_args(store)?;
    let Some(directory) = store.directory().map(PathBuf::from) else {
        return Err(Failure::new(CONFIG, "only a file store has lock files; give --store file:…"));
    };
    match args.action {
        None => {
            let rows: Vec<_> = beaker_sync::list(directory)?.iter().map(cells).collect();
            let text =
                if rows.is_empty() { String::new() } else { table(["STATE", "BY", "FILE"], &rows) };
            output::print(text.as_bytes())?;
            Ok(OK)
        }
        Some(LocksAction::Clean) => clean(directory),
    }
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

fn clean(directory: PathBuf) -> Outcome {
    let report = beaker_sync::clean(directory)?;
    for error in &report.failed {
        exit::note(chain(error));
    }
    let text = format!("removed {} left over, {} in use\n", report.removed, report.in_use);
    output::print(text.as_bytes())?;
    Ok(if report.failed.is_empty() { OK } else { UNAVAILABLE })
}
