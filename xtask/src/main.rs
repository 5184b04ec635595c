//! The project's own commands: `cargo xtask help`.
//!
//! Each command is a function that prints what it runs. What could not be checked is said aloud
//! and again at the end; it is never passed over in silence.
//!
//! The shape (one binary, sections with their times, tidy rules as tests) follows `xtask` of
//! once_cell and the cargo-xtask convention.
#![forbid(unsafe_code)]

mod alone;
mod args;
mod beside;
mod built;
mod ci;
mod crates;
mod demo;
mod deny;
mod error;
mod fuzz;
mod gates;
mod graph;
mod install;
mod metadata;
mod msrv;
mod report;
mod shell;
mod slow;
mod storm;

use std::process::ExitCode;

use crate::alone::Part;
use crate::args::Command;
use crate::built::Build;
use crate::error::{Error, Result};
use crate::metadata::Workspace;
use crate::report::Gap;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args::parse(&args).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<()> {
    if command == Command::Help {
        println!("{}", args::help());
        return Ok(());
    }
    let workspace = Workspace::load()?;
    // Paths in the commands are relative to the root, wherever this was called from.
    std::env::set_current_dir(&workspace.root).map_err(|error| {
        Error::failed(format!("cannot go to {}: {error}", workspace.root.display()))
    })?;
    let gaps = match &command {
        Command::Help => Ok(Vec::<Gap>::new()),
        Command::Test { args, .. } => gates::test(&workspace, args),
        Command::Ci { steps, .. } => ci::run(&workspace, steps),
        Command::Alone => alone::run(&workspace, Part::Whole),
        Command::Crates => crates::whole(&workspace),
        Command::Doc => gates::doc(&workspace),
        Command::Bench { packages, args } => slow::bench(&workspace, packages, args),
        Command::Compare(args) => slow::compare(&workspace, args),
        Command::Storm { seconds } => storm::run(&workspace, *seconds, Build::Release),
        Command::Loom { preemptions } => slow::models(&workspace, *preemptions),
        Command::Miri => slow::miri(&workspace),
        Command::Demo(args) => demo::run(&workspace, args),
        Command::Install(args) => install::run(args),
        Command::Fuzz { seconds, targets } => fuzz::run(&workspace, *seconds, targets),
    };
    // Each gap was printed when it was met, and `ci` lists them once more.
    command.gaps().judge(&gaps?)
}
