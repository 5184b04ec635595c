//! Test programs side by side.
//
// Cargo runs them one after the other, and many spend most of their time waiting: for other processes,
// for a lock, for a disk. What a program says is printed as a whole when it has ended.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::built;
use crate::error::{Error, Result};
use crate::metadata::Workspace;
use crate::report::{self, Gap};
use crate::shell::{Background, Cmd};

/// The tests with every feature, doc tests too, that `args` of the test programs choose.
///
/// # Errors
///
/// Fails if a build or a test fails; the others are run first.
pub(crate) fn tests(workspace: &Workspace, args: &[String]) -> Result<Vec<Gap>> {
    let programs = built::programs(workspace, built::all_tests())?;
    let args = || args.iter().cloned();
    let doc_tests = built::all_tests().args(["--doc", "--"]).args(args());
    let programs = programs.iter().map(|program| program.call_as_cargo().args(args()));
    let calls: Vec<Cmd> = std::iter::once(doc_tests).chain(programs).collect();
    outcome(each(&calls, &workspace.target.join("test-logs"))?)
}

/// Which failed, or what those that did not could not check.
fn outcome(ended: Vec<Ended>) -> Result<Vec<Gap>> {
    let failures: Vec<String> =
        ended.iter().filter_map(|ended| Some(ended.result.as_ref().err()?.to_string())).collect();
    if !failures.is_empty() {
        return Err(Error::failed(failures.join("\n")));
    }
    let lines = ended.iter().flat_map(|ended| ended.said.lines());
    Ok(report::gaps_of(&lines.filter_map(report::skipped).map(str::to_owned).collect()))
}

/// What a call wrote, to both of its outputs, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) said: String,
    pub(crate) result: Result<()>,
}

/// Runs the calls, as many at a time as there are processors, and tells of each, in their order. What
/// they say is also in `logs`.
///
/// # Errors
///
/// Fails if there can be no such folder.
pub(crate) fn each(calls: &[Cmd], logs: &Path) -> Result<Vec<Ended>> {
    std::fs::create_dir_all(logs)
        .map_err(|error| Error::failed(format!("cannot make {}: {error}", logs.display())))?;
    let next = AtomicUsize::new(0);
    let ended = Mutex::new(Vec::new());
    let work = || {
        while let Some((index, call)) = taken(calls, &next) {
            let log = log_of(logs, index);
            let result = call.clone().begin(log.clone()).and_then(Background::end);
            if let Err(error) = &result {
                println!("{error}");
            }
            let said = std::fs::read(log).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).into_owned();
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push((index, Ended { said, result }));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.sort_by_key(|(index, _)| *index);
    Ok(ended.into_iter().map(|(_, ended)| ended).collect())
}

fn log_of(logs: &Path, index: usize) -> PathBuf {
    logs.join(format!("{index}.log"))
}

/// The next call that nobody has taken.
fn taken<'a>(calls: &'a [Cmd], next: &AtomicUsize) -> Option<(usize, &'a Cmd)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    calls.get(index).map(|call| (index, call))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn run(calls: &[Cmd], logs: &Path) -> Result<Vec<Gap>> {
        outcome(each(calls, logs)?)
    }

    fn shell(script: String) -> Cmd {
        Cmd::new("sh").args(["-c".to_owned(), script])
    }

    #[test]
    fn all_are_run_though_one_fails_and_the_error_names_it() {
        let folder = folder("failing");
        let touch = |name: &str| shell(format!("touch {}", folder.join(name).display()));
        let calls = [touch("one"), shell("exit 3".into()), touch("two"), touch("three")];
        let error = run(&calls, &folder).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'exit 3'` ended with exit status: 3");
        for name in ["one", "two", "three"] {
            assert!(folder.join(name).exists(), "{name} was not run");
        }
        assert_eq!(run(&calls[..1], &folder), Ok(Vec::new()));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_a_test_skips_is_not_lost_in_a_run_without_failures() {
        let folder = folder("skipping");
        let says = |text: &str| shell(format!("echo 'test a ... {text}' >&2"));
        let gaps = run(&[says("SKIPPED F31: no"), says("ok"), says("SKIPPED F31: no")], &folder);
        assert_eq!(gaps.unwrap(), report::gaps_of(&["SKIPPED F31: no".to_owned()].into()));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_each_said_is_told_in_the_order_of_the_calls() {
        let folder = folder("order");
        let calls = ["sleep 0.2; echo one", "echo two; echo more >&2; exit 4"];
        let ended = each(&calls.map(|script| shell(script.to_owned())), &folder).unwrap();
        let told: Vec<_> = ended.iter().map(|it| (it.said.as_str(), it.result.is_ok())).collect();
        assert_eq!(told, [("one\n", true), ("two\nmore\n", false)]);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn two_run_at_a_time() {
        if thread::available_parallelism().map_or(1, usize::from) < 2 {
            return;
        }
        // Each waits for the other, for a minute at most.
        let folder = folder("waiting");
        let path = |name: &str| folder.join(name).display().to_string();
        let wait = |mine: &str, other: &str| {
            let (mine, other) = (path(mine), path(other));
            let wait = format!("for i in $(seq 600); do [ -e {other} ] && exit 0; sleep 0.1; done");
            shell(format!("touch {mine}; {wait}; exit 1"))
        };
        assert_eq!(run(&[wait("a", "b"), wait("b", "a")], &folder), Ok(Vec::new()));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
