//! The same work on Beaker and on its peers, in one run.
//!
//! Figures of one machine mean little; ratios taken in the same run mean something. So every table
//! is measured in rounds that go through all contestants and, the next time, back again, and every
//! target is a ratio to a peer, or a bound with the peer's figure beside it.

mod allocations;
mod args;
mod file;
mod hits;
mod load;
mod measure;
mod memory;
mod miss;
mod peers;
mod python;
mod races;
mod report;
mod sessions;
mod stall;
mod stores;
mod tasks;

use std::error::Error;
use std::process::ExitCode;

use crate::args::{Args, Part};
use crate::report::Report;

fn main() -> ExitCode {
    if let Some(code) = stores::child(std::env::args().skip(1)) {
        return code;
    }
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("error: {problem}\n\n{}", args::HELP);
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(report) if args.check && report.missed() > 0 => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::new(args.markdown);
    report.note(&measure::machine());
    for part in &args.parts {
        match part {
            Part::Memory => memory::run(args, &mut report),
            Part::Miss => miss::run(args, &mut report),
            Part::Stall => stall::run(args, &mut report),
            Part::File => file::run(args, &mut report)?,
            Part::Stores => stores::run(args, &mut report)?,
            Part::Tasks => tasks::run(args, &mut report)?,
            Part::Hits => hits::run(args, &mut report)?,
            Part::Sessions => sessions::run(args, &mut report)?,
            Part::Races => races::run(&mut report)?,
        }
    }
    report.note(&measure::machine());
    report.print_targets();
    Ok(report)
}
