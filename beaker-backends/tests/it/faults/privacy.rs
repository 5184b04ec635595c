//! What a store keeps is for the user that it belongs to, whatever the umask says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use beaker_namespace::Key;
use rustix::fs::Mode;
use rustix::process::{Signal, umask};

use super::support::children::{Role, say};
use super::support::files::all_files;
use super::support::stores::{CONTROL, Store, any, on_every};
use super::support::values::entry;

/// Which permissions are those of others.
const OTHERS: u32 = 0o077;

/// How often a writer is stopped to find it in the middle of a write.
const STOPS: usize = 2_000;

/// What a child does: writes until it is killed, in a process whose files are for everybody.
pub(super) fn write_for_everybody(store: &Store, dir: &Path) {
    umask(Mode::empty());
    let open = store.open(dir).expect("it opens");
    for number in 0_u64.. {
        // Some of them longer than what a store keeps with its keys.
        let long = if number % 4 == 0 { 200_000 } else { 20 };
        let value = vec![b'v'; long];
        open.set(&Key::new(&(number % 8)), entry(value)).expect("it is written");
        if number == 16 {
            say("written");
        }
    }
}

/// The files below `dir` that others can reach: by their own permissions, and those of the directories that the
/// store made around them.
fn reachable(dir: &Path) -> Vec<PathBuf> {
    let closed = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|it| it.permissions().mode() & OTHERS == 0)
    };
    let mut files = all_files(dir);
    files.retain(|file| {
        let mut around = file.ancestors().take_while(|path| *path != dir);
        // What has gone meanwhile is nobody's.
        fs::symlink_metadata(file).is_ok() && !around.any(closed)
    });
    files
}

/// Starts a writer in `dir`, and stops it; where the store has a journal beside its file, while that is there.
fn stopped_writer(store: &Store, dir: &Path) -> Role {
    let mut writer = Role::start("writes for everybody", store, dir);
    assert_eq!(writer.hear().as_deref(), Some("written"), "{}", store.name);
    writer.signal(Signal::STOP);
    let journal = dir.join("cache.dbm-journal");
    for _ in 0..STOPS {
        if store.name != "dbm" || journal.exists() {
            return writer;
        }
        writer.signal(Signal::CONT);
        std::thread::yield_now();
        writer.signal(Signal::STOP);
    }
    panic!("no write was met in the middle");
}

#[test]
fn nobody_else_reads_what_a_store_writes_nor_what_a_killed_one_leaves() {
    on_every(any, |store| {
        let dir = tempfile::tempdir().unwrap();
        let writer = stopped_writer(store, dir.path());
        let none: [PathBuf; 0] = [];
        assert_eq!(reachable(dir.path()), none, "{}: in use", store.name);
        drop(writer); // kill -9
        assert!(!all_files(dir.path()).is_empty());
        assert_eq!(reachable(dir.path()), none, "{}: left by a killed process", store.name);
        drop(store.open(dir.path()).unwrap().get(&Key::new(&1_u64)).unwrap());
        assert_eq!(reachable(dir.path()), none, "{}: closed", store.name);
    });
    let dir = tempfile::tempdir().unwrap();
    drop(stopped_writer(&CONTROL, dir.path()));
    assert!(!reachable(dir.path()).is_empty(), "the check has no teeth");
}
