//! The demo: a site to click at, on an embedded store.
//!
//! It is a program for one person at one machine, not an example to deploy: who logs in gives a name
//! and no password, so it listens on the loopback address alone. `cargo xtask demo` starts it.

#![forbid(unsafe_code)]

mod answer;
mod app;
mod args;
mod burst;
mod cookie;
mod error;
mod guard;
mod html;
mod page;
mod place;
mod reports;
mod samples;
mod secret;
mod server;
mod status;
mod stop;
mod visitor;

use std::process::ExitCode;

use crate::args::Command;
use crate::error::Error;

fn main() -> ExitCode {
    match obey() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn obey() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match args::parse(&words, std::env::var("BEAKER_URL").ok())? {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(())
        }
        Command::Serve(options) => server::run(&options),
    }
}
