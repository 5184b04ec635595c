//! A look at a database that was not opened.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace, glance};
use beaker_namespace::{Entry, Key, Namespace, Payload, StoreUrl};
use rusqlite::Connection;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::children::{Role, listen, say};
use super::{entry, open, put};

/// How far the child counts, and at what numbers it waits.
const LAST: u32 = 300;
const STOP: u32 = 20;

fn url(path: &Path) -> StoreUrl {
    StoreUrl::new("sqlite").with_path(path)
}

/// Says that the file, if it is there, was written at `at`. Not by an open file: to close that would take
/// the locks of a store.
fn set_written(path: &Path, at: SystemTime) {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let at = Timespec { tv_sec: since.as_secs() as i64, tv_nsec: since.subsec_nanos().into() };
    let times = Timestamps { last_access: at, last_modification: at };
    let _absent = utimensat(CWD, path, &times, AtFlags::empty());
}

/// As if the file had been written longer ago than a glance asks for.
fn set_quiet(path: &Path) {
    set_written(path, SystemTime::now() - Duration::from_secs(1));
}

/// The text that a glance at `key` sees.
fn seen(path: &Path, key: &str) -> Option<String> {
    set_quiet(path);
    look(path, key)
}

/// As [`seen`], of a file that may have been written just now.
fn look(path: &Path, key: &str) -> Option<String> {
    let entry = glance(&url(path), "n", &Key::new(key))?;
    match entry.into_payload() {
        Payload::Bytes { bytes, .. } => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        Payload::Object(_) => panic!("a database keeps no objects"),
    }
}

/// A database with one entry, `k`, that nobody has open.
fn closed(path: &Path) {
    put(&open(path), "k", "v");
}

#[test]
fn what_is_there_is_seen_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    closed(&path);
    assert_eq!(seen(&path, "k").as_deref(), Some("v"));
    assert_eq!(seen(&path, "other"), None);
    assert!(glance(&url(&path), "other", &Key::new("k")).is_none());
    open(&path).remove(&Key::new("k")).unwrap();
    assert_eq!(seen(&path, "k"), None);
    put(&open(&path), "k", "new");
    assert_eq!(seen(&path, "k").as_deref(), Some("new"));
    open(&path).clear().unwrap();
    assert_eq!(seen(&path, "k"), None);
}

/// What the child does: each number is in a database that is opened and closed for it.
pub(super) fn counting(path: &Path) {
    for number in 1..=LAST {
        let store = open(path);
        put(&store, "k", number.to_string());
        // It is in the log only, until the store is closed.
        say(&number.to_string());
        drop(store);
        if number.is_multiple_of(STOP) {
            listen();
        }
    }
}

#[test]
fn while_another_process_writes_nothing_older_is_seen_than_what_it_had_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let mut child = Role::start("count", &path);
    while let Some(written) = child.hear() {
        let written: u32 = written.parse().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        let (stops, mut looks) = (written.is_multiple_of(STOP), 0);
        // Where the child stops, until it has closed the database and the number is seen.
        while looks < 4 || stops {
            let number = look(&path, "k").map(|number| number.parse::<u32>().unwrap());
            assert!(number.is_none_or(|number| number >= written), "{number:?} after {written}");
            if number.is_some() && stops {
                child.tell("go on");
                break;
            }
            assert!(Instant::now() < until, "{written} is not seen");
            looks += 1;
        }
    }
}

/// A value of so many bytes that can be told from others.
fn value(bytes: usize) -> String {
    let numbers = (0_usize..).flat_map(|at| format!("{bytes}.{at} ").into_bytes());
    String::from_utf8(numbers.take(bytes).collect()).unwrap()
}

/// Makes a database whose pages have so many bytes.
fn with_pages(path: &Path, bytes: usize) {
    let sql = format!("PRAGMA page_size = {bytes}; PRAGMA journal_mode = WAL;");
    Connection::open(path).unwrap().execute_batch(&sql).unwrap();
}

#[test]
fn values_of_all_lengths_are_seen_whole_whatever_the_pages_are() {
    for page_bytes in [512, 1_024, 4_096, 65_536] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        with_pages(&path, page_bytes);
        // Around where a record leaves its page, and where it fills one page or many behind it.
        let around = [page_bytes / 8, page_bytes, 2 * page_bytes, 40 * page_bytes];
        let lengths: Vec<usize> =
            around.iter().flat_map(|&middle| middle.saturating_sub(150)..middle + 50).collect();
        let lengths = lengths.iter().step_by(if page_bytes > 4_096 { 60 } else { 9 });
        let lengths: Vec<usize> = lengths.copied().collect();
        let store = open(&path);
        let entries = lengths
            .iter()
            .map(|&bytes| (Key::new(&format!("{bytes:0200}")), entry(&store, value(bytes))));
        store.set_many(entries.collect()).unwrap();
        drop(store);
        // 65,536 has no room in two bytes, and is 1.
        let header = fs::read(&path).unwrap();
        let made = usize::from(header[16]) << 8 | usize::from(header[17]) << 16;
        assert_eq!(made, page_bytes, "the control");
        for bytes in lengths {
            let seen = seen(&path, &format!("{bytes:0200}"));
            assert!(seen == Some(value(bytes)), "{bytes} bytes in pages of {page_bytes}");
        }
    }
}

/// The longest key that there is.
fn longest() -> Key {
    let around = Key::new("").as_bytes().len();
    Key::new(&"k".repeat(Key::MAX_BYTES - around))
}

#[test]
fn each_of_many_keys_in_many_namespaces_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let names: Vec<String> = (0..60).map(|at| format!("{}{at}", "a name ".repeat(at))).collect();
    // The longest do not fit into a page of the index.
    let keys: Vec<Key> =
        (0..40).map(|at| Key::new(&"k".repeat(at * 40))).chain([longest()]).collect();
    for name in &names {
        let store = SqliteNamespace::open(name, SqliteConfig::new(&path)).unwrap();
        let entries = keys.iter().map(|key| (key.clone(), entry(&store, format!("{name} {key}"))));
        store.set_many(entries.collect()).unwrap();
    }
    set_quiet(&path);
    for name in &names {
        for key in &keys {
            let found = glance(&url(&path), name, key).unwrap();
            let Payload::Bytes { bytes, .. } = found.into_payload() else { panic!("bytes") };
            assert_eq!(bytes, format!("{name} {key}"));
        }
        assert!(glance(&url(&path), name, &Key::new("another")).is_none());
    }
}

#[test]
fn a_value_in_scattered_pages_is_seen_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    for at in 0..200 {
        put(&store, &at.to_string(), value(6_000));
    }
    for at in (0..200).step_by(2) {
        store.remove(&Key::new(&at.to_string())).unwrap();
    }
    // It goes into the holes.
    put(&store, "k", value(500_000));
    drop(store);
    assert!(seen(&path, "k") == Some(value(500_000)));
}

/// How often this process has the file at `path` open.
fn times_open(path: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let path = path.canonicalize().unwrap();
    links.filter(|link| fs::read_link(link.path()).is_ok_and(|open| open == path)).count()
}

#[test]
fn a_file_that_was_written_just_now_is_left_to_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    closed(&path);
    set_quiet(&path);
    assert_eq!(look(&path, "k").as_deref(), Some("v"), "the control");
    // So also if the clock was set back since.
    for at in [SystemTime::now(), SystemTime::now() + Duration::from_secs(3_600)] {
        set_written(&path, at);
        assert_eq!(look(&path, "k"), None);
    }
}

#[test]
fn where_times_are_whole_seconds_a_file_must_have_been_left_alone_for_longer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    closed(&path);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
    set_written(&path, second);
    assert_eq!(look(&path, "k"), None);
    set_written(&path, second - Duration::from_secs(4));
    assert_eq!(look(&path, "k").as_deref(), Some("v"));
}

#[test]
fn a_file_that_was_looked_at_is_not_closed_which_would_take_the_locks_of_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    closed(&path);
    assert_eq!(times_open(&path), 0, "the control");
    for _ in 0..3 {
        assert_eq!(seen(&path, "k").as_deref(), Some("v"));
        assert_eq!(times_open(&path), 1);
    }
    // Another file in its place is another one to look at.
    fs::rename(&path, dir.path().join("old.db")).unwrap();
    put(&open(&path), "k", "of the new one");
    assert_eq!(seen(&path, "k").as_deref(), Some("of the new one"));
}

#[test]
fn a_path_of_any_letters_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b?c#d%41&é'.db");
    closed(&path);
    assert_eq!(seen(&path, "k").as_deref(), Some("v"));
}

#[test]
fn what_is_only_in_the_log_is_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    closed(&path);
    // As another process would have it open: ours would not look at all.
    let other = Connection::open(&path).unwrap();
    other.execute("DELETE FROM entries", []).unwrap();
    assert_eq!(seen(&path, "k"), None);
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    assert_eq!(seen(&path, "k"), None);
    drop(other);
    let left = open(&path);
    put(&left, "k", "again");
    drop(left);
    assert_eq!(seen(&path, "k").as_deref(), Some("again"));
}

#[test]
fn a_process_that_has_it_open_does_not_glance() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    closed(&path);
    let held = open(&path);
    assert_eq!(seen(&path, "k"), None);
    drop(held);
    assert_eq!(seen(&path, "k").as_deref(), Some("v"));
}

#[test]
fn a_record_of_another_key_and_a_flipped_one_are_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    put(&open(&path), "k", "of k");
    put(&open(&path), "m", "of m");
    let change =
        |sql: &str| assert_eq!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 1);
    let other = "(SELECT record FROM entries WHERE key = CAST(x'01' || 'm' AS BLOB))";
    change(&format!("UPDATE entries SET record = {other} WHERE key = CAST(x'01' || 'k' AS BLOB)"));
    assert_eq!((seen(&path, "k"), seen(&path, "m").as_deref()), (None, Some("of m")));
    change("UPDATE entries SET record = zeroblob(40) WHERE key = CAST(x'01' || 'm' AS BLOB)");
    assert_eq!(seen(&path, "m"), None);
}

#[test]
fn a_file_cut_or_filled_with_anything_is_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    closed(&path);
    let whole = fs::read(&path).unwrap();
    for cut in (0..whole.len()).step_by(509) {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(matches!(seen(&path, "k").as_deref(), None | Some("v")), "cut at {cut}");
    }
    for at in (0..whole.len()).step_by(97) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, flipped).unwrap();
        assert!(matches!(seen(&path, "k").as_deref(), None | Some("v")), "flipped at {at}");
    }
}

#[test]
fn what_is_not_ours_or_not_there_is_no_answer_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("below/cache.db");
    assert_eq!(seen(&path, "k"), None);
    assert!(!dir.path().join("below").exists());

    let foreign = dir.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE entries (record)").unwrap();
    assert_eq!(seen(&foreign, "k"), None);

    let newer = dir.path().join("newer.db");
    closed(&newer);
    Connection::open(&newer).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert_eq!(seen(&newer, "k"), None);
    assert_eq!(seen(dir.path(), "k"), None);
    let wrong: StoreUrl = "sqlite:///x.db?no_such_option=1".parse().unwrap();
    assert!(glance(&wrong, "n", &Key::new("k")).is_none());
}

#[test]
fn what_is_dead_or_too_long_is_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = SqliteNamespace::open("n", SqliteConfig::new(&path)).unwrap();
    // A glance's clock is coarse.
    let before = store.clock().now().saturating_sub(Duration::from_secs(1));
    let dead = Entry::new(Payload::raw("v"), before);
    store.set(&Key::new("dead"), dead.ttl(Some(Duration::ZERO))).unwrap();
    put(&store, "long", "x".repeat(200_000));
    drop(store);
    assert_eq!(seen(&path, "dead"), None);
    assert!(seen(&path, "long").is_some());
    // By far, and by a byte.
    for (limit, is_read) in [(1_000, false), (199_999, false), (200_000, true)] {
        let limited = url(&path).with_option("max_value_bytes", limit);
        assert_eq!(glance(&limited, "n", &Key::new("long")).is_some(), is_read, "{limit}");
    }
}
