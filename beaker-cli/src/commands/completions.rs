//! `completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{OK, Outcome};
use crate::output;

pub(super) fn print(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "beaker", &mut script);
    output::print(&script)?;
    Ok(OK)
}
