//! One look at a database, without a store.
//
// A program that starts, reads one entry and ends spends most of its time at the database on the index
// of the log, which the first process to open a database makes anew, and on the start of SQLite. A
// glance leaves both alone:
//
// 1. The log is empty, so at that moment all that was ever committed is in the database's file. It is
//    read as one that does not change, without locks.
// 2. If somebody writes meanwhile after all, pages of different moments may be read. So a record is
//    believed only if its checksum is right, for this namespace and key; then it was current at the
//    moment of 1 or later, unless it was left in a page that was free at that moment and is used again.
//    So the file's time has to be the same at the end: what a log is emptied into gets a new one, which
//    differs unless both are of one tick of the clock by which files are timed. Whatever else is found,
//    an error too, means that the store is to be asked.
// 3. A process that has the database open does not look so: its own connections may have changed it.
// 4. The file is never closed. To close one takes all locks on it from the whole process, also those
//    that SQLite has if the store is opened, or still being closed, at the same time.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use beaker_namespace::{Entry, Key, StoreUrl, envelope};
use beaker_sync::NetworkPolicy;
use bytes::Bytes;
use parking_lot::Mutex;

use super::config::SqliteConfig;
use super::file::{Pages, Value, find_blob, find_entry, root_of};
use super::{registry, row, schema};
use crate::place;

/// The files that are kept open, by device and inode.
static KEPT: Mutex<BTreeMap<(u64, u64), &'static File>> = Mutex::new(BTreeMap::new());

/// The most of them.
const MAX_KEPT: usize = 64;

/// No kernel's clock for the times of files stands still for longer.
const LONGEST_TICK: Duration = Duration::from_millis(20);

/// Some file systems keep whole seconds of them, or every other one: vfat, and ext4 with small inodes.
const LONGEST_SECOND: Duration = Duration::from_secs(2);

/// Reads the entry under `key` in the namespace called `name` of the database at `url`, which is not
/// opened as a store: for a program that starts, reads one entry, and ends.
///
/// `None` says nothing: open the store and ask it. So it is if there is no living entry; if the
/// database's log is not empty, as while another process writes, or was emptied within the last 20 ms
/// (2 s where files have whole seconds); if this process has the database open; and if anything is wrong.
/// An entry with tags is judged by its caller, who opens the store for the
/// [`marks`](beaker_namespace::Namespace::marks).
///
/// Nothing is made, written or counted. The database's file stays open until the process ends; of more
/// than 64 files in one process the rest are not looked at.
pub fn glance(url: &StoreUrl, name: &str, key: &Key) -> Option<Entry> {
    let SqliteConfig { path, clock, settings } = SqliteConfig::from_url(url).ok()?;
    // Only so is it sure that the file system is a local one, where an empty log is one for all.
    let is_there = || fs::metadata(&path).is_ok_and(|found| found.is_file());
    if settings.common.network != NetworkPolicy::Refuse || !is_there() {
        return None;
    }
    let path = place::canonical(&path, settings.common.network).ok()?;
    if registry::is_known(&path) {
        return None;
    }
    let max_value_bytes = settings.common.max_value_bytes;
    let limit = usize::try_from(row::limit(max_value_bytes)).ok()?;
    let file = kept(&path)?;
    let begun = written(file, &path).filter(|&at| is_past(at))?;
    let record = find(&Pages::of(file)?, name, key, limit)?;
    if written(file, &path) != Some(begun) {
        return None;
    }
    let entry = envelope::decode(name, key, &record).ok()?;
    let may_be_read = !row::exceeds(&entry, max_value_bytes);
    (may_be_read && !entry.is_dead(clock.coarse())).then_some(entry)
}

/// When the database's file was written, if the log is empty.
fn written(file: &File, path: &Path) -> Option<SystemTime> {
    let has_content =
        |ending| fs::metadata(place::beside(path, ending)).is_ok_and(|file| file.len() > 0);
    // Who empties the log has written the file before.
    if has_content("-wal") || has_content("-journal") {
        return None;
    }
    file.metadata().ok()?.modified().ok()
}

/// Whether what is written now gets a later time than `at`.
fn is_past(at: SystemTime) -> bool {
    let is_whole = at.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|it| it.subsec_nanos() == 0);
    let tick = if is_whole { LONGEST_SECOND } else { LONGEST_TICK };
    at.elapsed().is_ok_and(|ago| ago > tick)
}

/// The file at `path`, opened or open already, and never closed.
fn kept(path: &Path) -> Option<&'static File> {
    let id = |file: &Metadata| (file.dev(), file.ino());
    let mut kept = KEPT.lock();
    if !kept.is_empty()
        && let Some(file) = kept.get(&id(&fs::metadata(path).ok()?))
    {
        return Some(file);
    }
    if kept.len() == MAX_KEPT {
        return None;
    }
    // Where it became another file meanwhile, that one is kept.
    let file: &'static File = Box::leak(Box::new(File::open(path).ok()?));
    kept.insert(id(&file.metadata().ok()?), file);
    Some(file)
}

/// The record under `key`, if it has at most `limit` bytes.
fn find(pages: &Pages<'_>, name: &str, key: &Key, limit: usize) -> Option<Bytes> {
    let (application, version) = (pages.application_id()?, pages.user_version()?);
    if (application, version) != (schema::APPLICATION_ID, schema::VERSION) {
        return None;
    }
    let root = |name| root_of(pages, name);
    let name = [Value::Text(name.as_bytes())];
    let namespace = find_entry(pages, root("sqlite_autoindex_namespaces_1")?, &name)?;
    let place = [Value::Integer(namespace), Value::Blob(key.as_bytes())];
    let row = find_entry(pages, root("entries_by_key")?, &place)?;
    find_blob(pages, root("entries")?, row, schema::RECORD_COLUMN, limit)
}
