//! The `beaker` command: runs a slow command once and replays it from then on; keeps values in a
//! store for scripts.
//!
//! It is a program, not a library: to cache in a program of yours, use `beaker-cache`.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod duration;
mod exit;
mod output;
mod report;
mod run;
mod signals;
mod size;
mod store;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::exit::{Failure, OK, Outcome, USAGE};
use crate::run::{Mode, background, shim};

fn main() -> ExitCode {
    let outcome = match env::args_os().nth(1) {
        Some(word) if word == shim::WORD => Ok(shim::main(env::args_os().skip(2))),
        Some(word) if word == background::WORD => {
            background::detach();
            obey(env::args_os().take(1).chain(env::args_os().skip(2)), Mode::Background)
        }
        _ => obey(env::args_os(), Mode::Foreground),
    };
    ExitCode::from(outcome.unwrap_or_else(|failure| failure.report()))
}

fn obey(arguments: impl Iterator<Item = OsString>, mode: Mode) -> Outcome {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    commands::dispatch(&cli.command, &cli.store, mode)
}

/// Help and version are answers; anything else is told on one line.
fn explain(error: &clap::Error) -> Outcome {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::print(text.as_bytes()).map(|()| OK)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(Failure::new(USAGE, "a command is missing; see `beaker --help`"))
        }
        _ => Err(Failure::new(USAGE, one_line(&text))),
    }
}

/// The message and the tip, without the usage.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let words: Vec<&str> = lines.map(|line| line.trim_start_matches("error: ")).collect();
    words.join(" ").replace(" tip:", ";") + "; see `beaker --help`"
}
