//! F32: every system call that the file store makes fails once, and nothing is harmed.
//!
//! strace makes the calls fail; without it the test is skipped, loudly. Short by default;
//! `BEAKER_STORM_SECS=60` is enough for all of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod children;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use beaker_namespace::{
    Condition, Entry, Error, FileConfig, FileNamespace, Fulfilled, Key, Mark, Namespace, Payload,
    Scan, Timestamp, Wait,
};
use children::{Role, given_role};

/// Files that do not exist; asking for one marks a place in the trace.
const BEGIN: &str = "/beaker-test-begins";
const END: &str = "/beaker-test-ends";

/// Calls that do not concern the store, or whose failure no program survives.
const SPARED: [&str; 13] = [
    "close",
    "brk",
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "madvise",
    "futex",
    "getpid",
    "gettid",
    "clock_gettime",
    "sched_yield",
    "exit_group",
];

#[test]
fn child() {
    let Some((_, dir)) = given_role() else { return };
    // strace counts the calls of each thread. The test harness's thread makes some too, fewer than
    // this one makes here; so those that are to fail have numbers of their own.
    for _ in 0..3 {
        let scratch = tempfile::tempdir().unwrap();
        work(&prepared(scratch.path()));
    }
    let _ = fs::metadata(BEGIN);
    if let Ok(store) = FileNamespace::open("n", FileConfig::new(&dir)) {
        work(&store);
    }
    let _ = fs::metadata(END);
    // The harness is not to make any more calls.
    std::process::exit(0);
}

fn entry(value: &'static str) -> Entry {
    Entry::new(Payload::raw(value), Timestamp::from_micros(1))
}

fn text(entry: &Entry) -> String {
    let Payload::Bytes { bytes, .. } = entry.payload() else { panic!("a file holds bytes") };
    String::from_utf8_lossy(bytes).into_owned()
}

/// Uses the store in all ways. At most one call fails, so what the store says can be held to it.
fn work(store: &FileNamespace) {
    let key = Key::new("replaced");
    let set = store.set(&key, entry("new"));
    if let Ok(found) = store.get(&key) {
        let expected = if set.is_ok() { "new" } else { "old" };
        assert_eq!(found.as_ref().map(text).as_deref(), Some(expected), "after {set:?}");
    }
    let key = Key::new("created");
    if let Ok(Some(claim)) = store.claim(&key, Wait::Never) {
        let fulfilled = store.fulfil(&key, entry("new"), claim);
        if let Ok(found) = store.get(&key) {
            let stored = matches!(fulfilled, Ok(Fulfilled::Stored));
            assert_eq!(found.is_some(), stored, "after {fulfilled:?}");
        }
    }
    let key = Key::new("removed");
    let removed = store.remove(&key);
    if let (Ok(_), Ok(found)) = (&removed, store.get(&key)) {
        assert!(found.is_none(), "after {removed:?}");
    }
    let _set = store.set_if(&Key::new("conditional"), entry("new"), Condition::Absent);
    // Later than any that an earlier run has made.
    let mark = Mark::hard(store.clock().now());
    let marked = store.mark("name", mark);
    if let (Ok(holds), Ok(found)) = (&marked, found_mark(store)) {
        assert_eq!((*holds, found), (mark, mark));
    }
    let _page = store.scan(&Scan::new());
    let _swept = store.sweep();
}

fn found_mark(store: &FileNamespace) -> Result<Mark, Error> {
    store.marks(&mut ["name"].into_iter())
}

/// A store with entries in it.
fn prepared(dir: &Path) -> FileNamespace {
    let store = FileNamespace::open("n", FileConfig::new(dir)).unwrap();
    store.clear().unwrap();
    for key in ["replaced", "removed", "kept"] {
        store.set(&Key::new(key), entry("old")).unwrap();
    }
    store
}

/// The state is that before or after each operation, and everything works again.
fn check(store: &FileNamespace, what: &str) {
    let value = |key: &str| store.get(&Key::new(key)).unwrap().as_ref().map(text);
    for (key, allowed) in [
        ("kept", [Some("old"), Some("old")]),
        ("replaced", [Some("old"), Some("new")]),
        ("removed", [Some("old"), None]),
        ("created", [Some("new"), None]),
        ("conditional", [Some("new"), None]),
    ] {
        let found = value(key);
        assert!(allowed.contains(&found.as_deref()), "{what}: `{key}` is {found:?}");
    }
    let mark = Mark::hard(store.clock().now());
    assert_eq!(store.mark("name", mark).unwrap(), mark, "{what}");
    assert_eq!(found_mark(store).unwrap(), mark, "{what}");
    assert_eq!(store.stats().corrupt, 0, "{what} left a damaged entry or mark");
    for key in ["replaced", "removed", "created"] {
        let claim = store.claim(&Key::new(key), Wait::Never).unwrap();
        let claim = claim.unwrap_or_else(|| panic!("{what}: `{key}` is still claimed"));
        assert_eq!(store.fulfil(&Key::new(key), entry("again"), claim).unwrap(), Fulfilled::Stored);
        assert_eq!(value(key).as_deref(), Some("again"), "{what}");
    }
}

/// Runs the child under strace with `options`, and returns the trace.
fn trace(dir: &Path, log: &Path, options: &[&str]) -> Vec<String> {
    let log = log.to_str().unwrap();
    let wrapper = [&["strace", "-f", "-qq", "-o", log][..], options].concat();
    let child = Role::start_in_shell(&wrapper, "exec \"$@\"", "worker", dir);
    assert!(child.finish().success(), "the child failed under {options:?}");
    fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

/// The name of the call in a line of a trace: `1234 openat(…`.
fn call(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    let (name, _) = rest.trim_start().split_once('(')?;
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(name)
}

/// For each name of a call made between the marks, the number of the first and of the last one,
/// counted in the thread that makes them.
fn calls_between(trace: &[String]) -> BTreeMap<String, (usize, usize)> {
    let at = |mark| trace.iter().position(|line| line.contains(mark)).expect("the mark");
    let (begin, end) = (at(BEGIN), at(END));
    let thread = trace[begin].split(' ').next();
    let mut counts = BTreeMap::new();
    for (number, line) in trace.iter().enumerate().take(end) {
        let Some(name) = call(line).filter(|_| line.split(' ').next() == thread) else { continue };
        let (before, all) = counts.entry(name.to_owned()).or_insert((0, 0));
        *all += 1;
        *before += usize::from(number <= begin);
    }
    counts.retain(|name, (before, all)| before < all && !SPARED.contains(&name.as_str()));
    counts.into_iter().map(|(name, (before, all))| (name, (before + 1, all))).collect()
}

/// The calls to fail: the first of each name, the second of each, and so on.
fn in_turn(counts: &BTreeMap<String, (usize, usize)>) -> Vec<(&str, usize)> {
    let longest = counts.values().map(|(first, last)| last - first).max().unwrap_or_default();
    let turn = |turn: usize| {
        let calls = counts.iter().map(move |(name, (first, last))| (name, first + turn, *last));
        calls.filter(|(_, number, last)| number <= last)
    };
    (0..=longest).flat_map(turn).map(|(name, number, _)| (name.as_str(), number)).collect()
}

/// The calls that fail at least, however slow the machine is.
const FEWEST: usize = 20;

/// How long to go on beyond that: five times `BEAKER_STORM_SECS` seconds, or 15 seconds.
fn time_limit() -> Duration {
    let seconds = std::env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(5.0 * seconds.unwrap_or(3.0))
}

#[test]
fn f32_storm_every_system_call_may_fail_once_without_harm() {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        // Not by a macro: the harness would keep that to itself.
        let line = "\nSKIPPED F32 at system calls: there is no strace, or it may not trace\n";
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        return;
    }
    let (dir, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = logs.path().join("trace");
    drop(prepared(dir.path()));
    let counts = calls_between(&trace(dir.path(), &log, &[]));
    let calls = in_turn(&counts);
    let (began, mut failed, mut missed) = (Instant::now(), 0, 0);
    for (name, number) in &calls {
        if failed >= FEWEST && began.elapsed() > time_limit() {
            break;
        }
        let store = prepared(dir.path());
        let inject = format!("inject={name}:error=EIO:when={number}");
        let trace = trace(dir.path(), &log, &["-e", &inject]);
        let hit = trace.iter().any(|line| line.contains("(INJECTED)"));
        failed += usize::from(hit);
        missed += usize::from(!hit);
        check(&store, &format!("EIO from {name}, call {number} of its thread"));
    }
    let holds = failed >= FEWEST.min(calls.len()) && missed * 4 < failed;
    let (of, verdict) = (calls.len(), if holds { "ok" } else { "FAILED" });
    println!(
        "STORM|F32 a system call fails|file|failed={failed} of={of} missed={missed}|{verdict}"
    );
    assert!(holds, "{failed} of {of} calls failed, {missed} did not");
}
