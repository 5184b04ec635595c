//! F32: every system call that touches a store's files fails once, and nothing is harmed.
//!
//! strace makes the calls fail; without it the test is skipped, loudly.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use beaker_namespace::{Condition, Error, Fulfilled, Key, Namespace, Scan, Wait};

use crate::support::children::{Role, possible};
use crate::support::report::{is_long, report, storm_time};
use crate::support::stores::{CONTROL, Store, any, on_every, sound};
use crate::support::values::{entry, value};

/// Files that do not exist; asking for one marks a place in the trace.
const BEGIN: &str = "/beaker-test-begins";
const END: &str = "/beaker-test-ends";

/// The calls that can fail in a disk's or a file system's way.
const CALLS: &str = "openat,read,pread64,write,pwrite64,fsync,fdatasync,sync_file_range,ftruncate,\
                     fallocate,rename,renameat,renameat2,unlink,unlinkat,mkdir,link,linkat,flock,\
                     fcntl,lseek,fstat,statx,newfstatat,getdents64";

/// What a child does.
pub(crate) fn work_between_marks(store: &Store, dir: &Path) {
    // strace counts the calls of each thread. The test harness's thread makes some too, fewer than
    // this one makes here; so those that are to fail have numbers of their own.
    for _ in 0..2 {
        let scratch = tempfile::tempdir().unwrap();
        work(store, &*prepared(store, scratch.path()));
    }
    let _ = fs::metadata(BEGIN);
    if let Ok(open) = store.open(dir) {
        work(store, &*open);
    }
    let _ = fs::metadata(END);
    // The harness is not to make any more calls.
    std::process::exit(0);
}

/// Uses the store in all ways. At most one call fails, so what the store says can be held to it.
fn work(store: &Store, open: &dyn Namespace) {
    let key = Key::new("replaced");
    let set = open.set(&key, entry("new"));
    if let Ok(found) = value(open, &key) {
        let expected = if set.is_ok() { b"new" } else { b"old" };
        let either = set.is_err() && found.as_deref() == Some(b"new");
        let either = either || may_lose(store, found.as_deref());
        assert!(either || found.as_deref() == Some(expected), "{found:?} after {set:?}");
    }
    let key = Key::new("created");
    if let Ok(Some(claim)) = open.claim(&key, Wait::Never) {
        let fulfilled = open.fulfil(&key, entry("new"), claim);
        if let (Ok(Fulfilled::Stored), Ok(found)) = (&fulfilled, value(open, &key)) {
            let there = found.is_some() || may_lose(store, None);
            assert!(there, "after {fulfilled:?}");
        }
    }
    let key = Key::new("removed");
    let removed = open.remove(&key);
    if let (Ok(_), Ok(found)) = (&removed, value(open, &key)) {
        assert!(found.is_none(), "after {removed:?}");
    }
    let _set = open.set_if(&Key::new("conditional"), entry("new"), Condition::Absent);
    let _page = open.scan(&Scan::new());
    let _swept = open.sweep();
}

/// Whether nothing was found, in a store that may lose what was acknowledged when a call fails: it is to
/// give no wrong value, to open again, and to work.
fn may_lose(store: &Store, found: Option<&[u8]>) -> bool {
    found.is_none() && !sound(store)
}

/// A store with entries in it.
fn prepared(store: &Store, dir: &Path) -> std::sync::Arc<dyn Namespace> {
    let open = store.open(dir).unwrap();
    open.clear().unwrap();
    for key in ["replaced", "removed", "kept"] {
        open.set(&Key::new(key), entry("old")).unwrap();
    }
    open
}

/// The state is that before or after each operation, and everything works again.
fn check(store: &Store, dir: &Path) -> Result<(), String> {
    let failed = |error: Error| error.to_string();
    let open = store.open(dir).map_err(failed)?;
    for (key, allowed) in [
        ("kept", [Some("old"), Some("old")]),
        ("replaced", [Some("old"), Some("new")]),
        ("removed", [Some("old"), None]),
        ("created", [Some("new"), None]),
        ("conditional", [Some("new"), None]),
    ] {
        let found = value(&*open, &Key::new(key)).map_err(failed)?;
        let is_allowed = allowed.map(|value| value.map(str::as_bytes)).contains(&found.as_deref());
        if !is_allowed && !may_lose(store, found.as_deref()) {
            return Err(format!("`{key}` is {found:?}"));
        }
    }
    if open.stats().corrupt != 0 {
        return Err("it left a damaged entry".to_owned());
    }
    for key in ["replaced", "removed", "created"].map(Key::new) {
        let claim = open.claim(&key, Wait::Never).map_err(failed)?.ok_or("it is still claimed")?;
        let fulfilled = open.fulfil(&key, entry("again"), claim).map_err(failed)?;
        if fulfilled != Fulfilled::Stored {
            return Err("a new value was not stored".to_owned());
        }
    }
    Ok(())
}

/// Runs the child under strace with `options`; the trace, or how the child ended.
fn trace(
    store: &Store,
    dir: &Path,
    log: &Path,
    options: &[&str],
) -> Result<Vec<String>, std::process::ExitStatus> {
    let log_path = log.to_str().unwrap();
    let wrapper = [&["strace", "-f", "-qq", "-o", log_path][..], options].concat();
    let status = Role::start_in_shell(&wrapper, "exec 2>/dev/null", "traced", store, dir).finish();
    let lines = || fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect();
    if status.success() { Ok(lines()) } else { Err(status) }
}

/// Whether the trace in `log` came to the first mark.
fn has_begun(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|trace| trace.contains(BEGIN))
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
    counts
        .retain(|name, (before, all)| before < all && CALLS.split(',').any(|it| it.trim() == name));
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

/// How many calls are to fail, however slow strace is.
const FEWEST: usize = 6;

fn check_calls(store: &'static Store) {
    let (room, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, log) = (room.path(), logs.path().join("trace"));
    drop(prepared(store, dir));
    let counts = calls_between(&trace(store, dir, &log, &[]).expect("it works without a fault"));
    let calls = in_turn(&counts);
    let (began, mut failed, mut missed, mut harmed) = (Instant::now(), 0, 0, Vec::new());
    for (name, number) in &calls {
        // In the long form all of them fail, which takes minutes.
        if !is_long() && failed >= FEWEST && began.elapsed() > storm_time() * 2 {
            break;
        }
        drop(prepared(store, dir));
        let inject = format!("inject={name}:error=EIO:when={number}");
        let outcome = match trace(store, dir, &log, &["-e", &inject]) {
            Ok(trace) => {
                let hit = trace.iter().any(|line| line.contains("(INJECTED)"));
                failed += usize::from(hit);
                missed += usize::from(!hit);
                check(store, dir)
            }
            // It failed before there was a program, whose loader's calls are counted too; or before the
            // store was used, where the store has a thread of its own, which makes its first calls then.
            Err(status) if status.code() == Some(127) || !has_begun(&log) => {
                missed += 1;
                continue;
            }
            Err(status) => Err(format!("the child ended by {status}")),
        };
        if let Err(harm) = outcome {
            harmed.push(format!("EIO from {name}, call {number} of its thread: {harm}"));
        }
    }
    let is_control = store.name == CONTROL.name;
    let holds = harmed.is_empty();
    let measured =
        format!("failed={failed} of={} missed={missed} harmed={}", calls.len(), harmed.len());
    report("F32 a system call fails", store.name, &measured, holds != is_control);
    assert_eq!(holds, !is_control, "{}: {measured} {harmed:#?}", store.name);
    assert!(failed >= FEWEST.min(calls.len()), "{}: {measured}", store.name);
    // Who runs after whom differs a little from run to run, and with it the number of a call.
    let all = failed + missed == calls.len() && missed <= calls.len() / 10;
    assert!(!is_long() || is_control || all, "{}: {measured}", store.name);
}

#[test]
fn f32_storm_every_system_call_may_fail_once_without_harm() {
    if possible("F32 at system calls", &["strace", "-o", "/dev/null", "true"]) {
        on_every(any, check_calls);
        check_calls(&CONTROL);
    }
}

// As in a directory that may be written and not read, but root may read it all the same.
#[cfg(feature = "redb")]
#[test]
fn f32_what_redb_has_made_is_opened_though_its_directory_does_not_sync() {
    if !possible("F32 at a directory", &["strace", "-o", "/dev/null", "true"]) {
        return;
    }
    let (room, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = fs::canonicalize(room.path()).unwrap();
    let only = ["-P", dir.to_str().unwrap(), "-e", "inject=fsync:error=EIO"];
    let store = crate::support::stores::named("redb");
    let trace = trace(store, &dir, &logs.path().join("trace"), &only).expect("it ends well");
    assert!(trace.iter().any(|line| line.contains("(INJECTED)")), "{trace:?}");
    let replaced = value(&*store.open(&dir).unwrap(), &Key::new("replaced")).unwrap();
    assert_eq!(replaced.as_deref(), Some(&b"new"[..]));
}
