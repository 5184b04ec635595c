//! The `beaker` command: runs a slow command once and replays it from then on; keeps values in a
//! store for scripts.
//!
//! It is a program, not a library: to cache in a program of yours, use `beaker-cache`.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod duration;
mod exit;
mod marks;
mod output;
mod report;
mod run;
mod signals;
mod size;
mod store;

use std::env;
use std::ffi::OsString;
use std::iter;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::{Cli, quick};
use crate::exit::{Failure, OK, Outcome, USAGE};
use crate::run::{Mode, background, shim};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let outcome = match &arguments[..] {
        [word, rest @ ..] if word == shim::WORD => Ok(shim::main(rest)),
        [word, generation, rest @ ..] if word == background::WORD => {
            background::detach();
            obey(rest, background::mode(generation))
        }
        arguments => obey(arguments, Mode::Foreground),
    };
    ExitCode::from(outcome.unwrap_or_else(|failure| failure.report()))
}

/// Does what the command line, without the program's name, says.
fn obey(arguments: &[OsString], mode: Mode) -> Outcome {
    if let [word, rest @ ..] = arguments
        && word == "run"
        && let Some((store, args)) = quick::parse(rest)
    {
        return run::run(&args, &store, mode);
    }
    let program = OsString::from("beaker");
    match Cli::try_parse_from(iter::once(&program).chain(arguments)) {
        Ok(cli) => commands::dispatch(&cli.command, &cli.store, mode),
        Err(error) => explain(&error),
    }
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
