//! `cargo xtask ci`: the gates in order, cheap ones first, and the table of their times.

use crate::alone::Part;
use crate::built::Build;
use crate::deny::Tool;
use crate::error::{Error, Result};
use crate::metadata::Workspace;
use crate::report::{self, Gap, Section, Spent};
use crate::slow::Miri;
use crate::{alone, crates, deny, gates, install, msrv, slow, storm};

/// The preemption bound of the loom models here; `cargo xtask loom` takes another.
const LOOM_PREEMPTIONS: u32 = 2;

/// Seconds a row of the storm here; `cargo xtask storm` takes another.
const STORM_SECONDS: u32 = 3;

/// A gate of `ci`. The order is the order of running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Fmt,
    Lint,
    Doc,
    Test,
    Msrv,
    Features,
    Deny,
    Alone,
    Crates,
    Install,
    Loom,
    Miri,
    Storm,
}

impl Step {
    pub(crate) const ALL: [Self; 13] = [
        Self::Fmt,
        Self::Lint,
        Self::Doc,
        Self::Test,
        Self::Msrv,
        Self::Features,
        Self::Deny,
        Self::Alone,
        Self::Crates,
        Self::Install,
        Self::Loom,
        Self::Miri,
        Self::Storm,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Lint => "lint",
            Self::Doc => "doc",
            Self::Test => "test",
            Self::Deny => "deny",
            Self::Msrv => "msrv",
            Self::Features => "features",
            Self::Alone => "alone",
            Self::Crates => "crates",
            Self::Install => "install",
            Self::Loom => "loom",
            Self::Miri => "miri",
            Self::Storm => "storm",
        }
    }

    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Fmt => "the formatting of every file",
            Self::Lint => "clippy on all targets with every feature",
            Self::Doc => "the documentation, broken links and warnings denied",
            Self::Test => "what `cargo xtask test` runs, but for the storms, which `storm` runs",
            Self::Deny => {
                "licences, bans, version floors, sources, advisories; what each crate pulls in"
            }
            Self::Msrv => "the stated Rust version is true",
            Self::Features => {
                "each crate with no feature and with each feature alone, under clippy"
            }
            Self::Alone => "the tests of each store and proxy, with its feature alone",
            Self::Crates => {
                "each crate alone with its default features compiles, its tests and benchmarks too; \
                 `cargo xtask crates` runs them"
            }
            Self::Install => "the command links as `cargo xtask install` does it, and replays",
            Self::Loom => "the lock and flight models: loom at 2 preemptions, shuttle at random",
            Self::Miri => "the lock that has unsafe code, under Miri, where nightly has it",
            Self::Storm => "processes killed at random, 3 seconds a row",
        }
    }

    fn run(self, workspace: &Workspace, ahead: &mut Ahead) -> Result<Vec<Gap>> {
        match self {
            Self::Fmt => gates::fmt(),
            Self::Lint => gates::lint(),
            Self::Doc => gates::doc(workspace),
            Self::Test => gates::test_without_storms(workspace),
            Self::Deny => deny::run(workspace, ahead.tool(workspace)),
            Self::Msrv => msrv::run(workspace),
            Self::Features => gates::features(workspace),
            Self::Alone => alone::run(workspace, Part::Named),
            Self::Crates => crates::short(workspace),
            Self::Install => install::short(workspace),
            Self::Loom => slow::models(workspace, LOOM_PREEMPTIONS),
            Self::Miri => ahead.miri(workspace)?.end(),
            Self::Storm => storm::run(workspace, STORM_SECONDS, Build::Shared),
        }
    }
}

/// What was begun before its step, so that no processor is idle.
#[derive(Debug, Default)]
struct Ahead {
    tool: Option<Result<Tool>>,
    miri: Option<Result<Miri>>,
}

impl Ahead {
    /// To lint a crate at a time leaves a processor idle, and no test runs meanwhile whose numbers
    /// are times.
    fn begin(&mut self, step: Step, steps: &[Step], workspace: &Workspace) {
        if step != Step::Features {
            return;
        }
        if steps.contains(&Step::Deny) {
            self.tool = Some(Tool::find_or_begin(workspace));
        }
        if steps.contains(&Step::Miri) {
            self.miri = Some(Miri::begin(workspace));
        }
    }

    fn tool(&mut self, workspace: &Workspace) -> Result<Tool> {
        self.tool.take().unwrap_or_else(|| Tool::find_or_begin(workspace))
    }

    fn miri(&mut self, workspace: &Workspace) -> Result<Miri> {
        self.miri.take().unwrap_or_else(|| Miri::begin(workspace))
    }
}

/// Runs the steps and prints their times; stops at the first that fails.
///
/// # Errors
///
/// The error of the failed step, with the command that goes on from there.
pub(crate) fn run(workspace: &Workspace, steps: &[Step]) -> Result<Vec<Gap>> {
    let mut gaps = Vec::new();
    let mut rows = Vec::new();
    let mut failure = None;
    let mut ahead = Ahead::default();
    for step in steps {
        let section = Section::open(format!("ci: {}", step.name()));
        ahead.begin(*step, steps, workspace);
        let result = step.run(workspace, &mut ahead);
        rows.push(row(*step, &result, section.spent()));
        match result {
            Ok(found) => gaps.extend(found),
            Err(error) => {
                failure = Some(at(*step, &error));
                break;
            }
        }
    }
    println!("\n{}", report::table(&["step", "result", "time", "processor"], &rows));
    report::print_gaps(&gaps);
    failure.map_or(Ok(gaps), Err)
}

fn row(step: Step, result: &Result<Vec<Gap>>, spent: Spent) -> Vec<String> {
    let result = match result {
        Ok(gaps) if gaps.is_empty() => "ok",
        Ok(_) => "ok, with gaps",
        Err(_) => "FAILED",
    };
    let [time, processor] = spent.cells();
    vec![step.name().to_owned(), result.to_owned(), time, processor]
}

fn at(step: Step, error: &Error) -> Error {
    let name = step.name();
    Error::failed(format!("{name}: {error}\nto go on from here: cargo xtask ci --from {name}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn steps_are_listed_in_the_order_of_running() {
        assert!(Step::ALL.is_sorted());
    }

    #[test]
    fn a_row_says_whether_something_was_left_out() {
        let gap = vec![Gap::say("the database")];
        let spent = Spent { time: Duration::from_secs(2), processor: Some(Duration::from_secs(3)) };
        let shown = |step, result| row(step, &result, spent);
        assert_eq!(shown(Step::Deny, Ok(gap)), ["deny", "ok, with gaps", "2.0 s", "3.0 s"]);
        assert_eq!(shown(Step::Fmt, Ok(Vec::new())), ["fmt", "ok", "2.0 s", "3.0 s"]);
        let failed = Err(Error::failed("x"));
        assert_eq!(shown(Step::Fmt, failed), ["fmt", "FAILED", "2.0 s", "3.0 s"]);
    }

    #[test]
    fn a_failure_says_how_to_go_on() {
        let error = at(Step::Loom, &Error::failed("a deadlock"));
        assert_eq!(
            error.to_string(),
            "loom: a deadlock\nto go on from here: cargo xtask ci --from loom"
        );
    }
}
