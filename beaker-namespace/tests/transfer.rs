//! Exports and imports: what comes back, what is left out, and what is never taken for a value.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::transfer::{self, Existing};
use beaker_namespace::{
    CodecId, Entry, Error, ErrorKind, Key, ManualClock, Mark, Namespace, NullNamespace, Payload,
    Scan, StoreUrl, Stores, Timestamp,
};
use tempfile::TempDir;

const START: Timestamp = Timestamp::from_micros(1_000_000_000);

/// Two stores in one time: files, to export from, and memory, to import into.
struct Bench {
    files: Arc<dyn Namespace>,
    memory: Arc<dyn Namespace>,
    clock: Arc<ManualClock>,
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let stores = Stores::new().with_clock(clock.clone());
        let files = StoreUrl::new("file").with_path(dir.path().join("store"));
        let files = stores.open(&files, "the files").unwrap();
        // Of its own: a memory is shared by its name in this process.
        let own = dir.path().display().to_string();
        let memory = stores.open(&StoreUrl::new("memory"), &own).unwrap();
        Self { files, memory, clock, dir }
    }

    fn export(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        transfer::export(&*self.files, Scan::new(), &mut bytes).unwrap();
        bytes
    }

    fn import(&self, mut bytes: &[u8]) -> Result<transfer::Imported, Error> {
        transfer::import(&*self.memory, Existing::Replace, &mut bytes)
    }
}

fn entry(value: &str) -> Entry {
    Entry::new(Payload::raw(value.to_owned()), START)
}

fn set(store: &dyn Namespace, key: &str, entry: Entry) {
    store.set(&Key::new(key), entry).unwrap();
}

fn get(store: &dyn Namespace, key: &str) -> Option<String> {
    let entry = store.get(&Key::new(key)).unwrap()?;
    let Payload::Bytes { bytes, .. } = entry.into_payload() else { panic!("bytes were stored") };
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

fn second() -> Duration {
    Duration::from_secs(1)
}

#[test]
fn everything_about_an_entry_comes_back() {
    let bench = Bench::new();
    let full = Entry::new(Payload::Bytes { codec: CodecId::JSON, bytes: "[1]".into() }, START)
        .ttl(Some(60 * second()))
        .grace(30 * second())
        .cost(7)
        .tags(vec!["red".to_owned(), String::new()])
        .etag(Some("W/1".to_owned()));
    set(&*bench.files, "full", full.clone());
    set(&*bench.files, "plain", entry(""));

    let imported = bench.import(&bench.export()).unwrap();
    assert_eq!((imported.entries, imported.kept, imported.left_out), (2, 0, 0));
    let found = bench.memory.get(&Key::new("full")).unwrap().unwrap();
    assert_eq!(
        format!("{:?}", found.clone().with_generation(0)),
        format!("{full:?}"),
        "codec, times, cost and tags"
    );
    assert_eq!(found.entity_tag(), Some("W/1"));
    assert_eq!(get(&*bench.memory, "full").as_deref(), Some("[1]"));
    assert_eq!(get(&*bench.memory, "plain").as_deref(), Some(""));
}

#[test]
fn many_entries_and_large_ones_come_back() {
    let bench = Bench::new();
    let large = "x".repeat(5 << 20);
    for number in 0..600 {
        set(&*bench.files, &format!("key {number}"), entry(&number.to_string()));
    }
    set(&*bench.files, "large", entry(&large));
    assert_eq!(bench.import(&bench.export()).unwrap().entries, 601);
    for number in 0..600 {
        assert_eq!(get(&*bench.memory, &format!("key {number}")), Some(number.to_string()));
    }
    assert_eq!(get(&*bench.memory, "large").as_deref(), Some(&large[..]));
}

#[test]
fn an_empty_namespace_is_a_whole_export() {
    let bench = Bench::new();
    assert_eq!(bench.import(&bench.export()).unwrap(), transfer::Imported::default());
}

#[test]
fn a_value_lives_no_longer_for_having_been_exported() {
    let bench = Bench::new();
    set(&*bench.files, "short", entry("1").ttl(Some(10 * second())));
    let bytes = bench.export();
    bench.clock.advance(9 * second());
    bench.import(&bytes).unwrap();
    let fresh = |key: &str| {
        let entry = bench.memory.get(&Key::new(key)).unwrap();
        entry.is_some_and(|entry| entry.is_fresh(bench.memory.clock().now()))
    };
    assert!(fresh("short"), "the control");
    bench.clock.advance(second());
    assert!(!fresh("short"));
}

#[test]
fn what_is_expired_or_invalidated_is_left_out() {
    let bench = Bench::new();
    set(&*bench.files, "fresh", entry("1").tags(vec!["other".to_owned()]));
    set(&*bench.files, "stale", entry("1").ttl(Some(second())).grace(60 * second()));
    for (tag, mark) in [("hard", Mark::hard(START)), ("soft", Mark::soft(START))] {
        set(&*bench.files, tag, entry("1").tags(vec![tag.to_owned()]));
        bench.files.mark(tag, mark).unwrap();
    }
    bench.clock.advance(2 * second());
    let mut bytes = Vec::new();
    let exported = transfer::export(&*bench.files, Scan::new(), &mut bytes).unwrap();
    assert_eq!((exported.entries, exported.left_out), (1, 3));
    bench.import(&bytes).unwrap();
    assert!(get(&*bench.memory, "fresh").is_some());
    for key in ["stale", "hard", "soft"] {
        assert_eq!(get(&*bench.memory, key), None, "{key}");
    }
}

#[test]
fn an_import_brings_back_nothing_that_expired_or_was_invalidated_since() {
    let bench = Bench::new();
    set(&*bench.files, "tagged", entry("1").tags(vec!["tag".to_owned()]));
    set(&*bench.files, "short", entry("1").ttl(Some(second())));
    set(&*bench.files, "kept", entry("1"));
    let bytes = bench.export();
    bench.clock.advance(second());
    bench.memory.mark("tag", Mark::hard(bench.memory.clock().now())).unwrap();
    let imported = bench.import(&bytes).unwrap();
    assert_eq!((imported.entries, imported.left_out), (1, 2));
    assert_eq!(get(&*bench.memory, "tagged"), None);
    assert_eq!(get(&*bench.memory, "kept").as_deref(), Some("1"));
}

#[test]
fn what_a_scan_lists_is_exported_and_nothing_else() {
    let bench = Bench::new();
    for key in ["user/1", "user/2", "other"] {
        set(&*bench.files, key, entry(key));
    }
    let mut bytes = Vec::new();
    let scan = Scan::new().prefix(&Key::new("user/"));
    transfer::export(&*bench.files, scan, &mut bytes).unwrap();
    assert_eq!(bench.import(&bytes).unwrap().entries, 2);
    assert_eq!(get(&*bench.memory, "other"), None);
}

#[test]
fn entries_that_are_there_are_replaced_or_kept() {
    let bench = Bench::new();
    for key in ["a", "b"] {
        set(&*bench.files, key, entry("imported"));
    }
    let bytes = bench.export();
    set(&*bench.memory, "a", entry("own"));
    let kept = transfer::import(&*bench.memory, Existing::Keep, &mut &bytes[..]).unwrap();
    assert_eq!((kept.entries, kept.kept), (1, 1));
    assert_eq!(get(&*bench.memory, "a").as_deref(), Some("own"));
    assert_eq!(get(&*bench.memory, "b").as_deref(), Some("imported"));
    assert_eq!(bench.import(&bytes).unwrap().entries, 2);
    assert_eq!(get(&*bench.memory, "a").as_deref(), Some("imported"));
}

#[test]
fn a_file_of_an_export_is_private_and_replaces_its_predecessor_whole() {
    use std::os::unix::fs::PermissionsExt;

    let bench = Bench::new();
    let path = bench.dir.path().join("export");
    fs::write(&path, "what was there before").unwrap();
    set(&*bench.memory, "object", Entry::new(Payload::Object(Arc::new(1)), START));
    transfer::export_to_file(&*bench.memory, Scan::new(), &path).unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "what was there before");
    let names = fs::read_dir(bench.dir.path()).unwrap().count();
    assert_eq!(names, 2, "the store, the export, and nothing left over");

    set(&*bench.files, "key", entry("value"));
    let exported = transfer::export_to_file(&*bench.files, Scan::new(), &path).unwrap();
    assert_eq!(exported.entries, 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    bench.memory.clear().unwrap();
    transfer::import_from_file(&*bench.memory, Existing::Replace, &path).unwrap();
    assert_eq!(get(&*bench.memory, "key").as_deref(), Some("value"));
}

#[test]
fn live_objects_are_not_exported_and_the_error_says_why() {
    let bench = Bench::new();
    set(&*bench.memory, "key", Entry::new(Payload::Object(Arc::new(1)), START));
    let error = transfer::export(&*bench.memory, Scan::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("live objects"), "{error}");
}

#[test]
fn a_store_without_a_listing_is_not_exported() {
    let null = NullNamespace::new("n");
    let error = transfer::export(&null, Scan::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

// F34, F35: a file that was cut off or changed.

/// Imports damaged bytes, which must fail, and looks at what came of it.
fn damaged(bench: &Bench, bytes: &[u8], what: &str) {
    bench.memory.clear().unwrap();
    let error = bench.import(bytes).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Config), "{what}: {error:?}");
    assert_eq!(error.operation(), transfer::READ, "{what}");
    let page = bench.memory.scan(&Scan::new()).unwrap();
    for listed in page.entries {
        let key = listed.key.as_text().unwrap().to_owned();
        assert_eq!(get(&*bench.memory, &key), Some(format!("value of {key}")), "{what}");
    }
}

fn three(bench: &Bench) -> Vec<u8> {
    for key in ["a", "b", "c"] {
        let entry = entry(&format!("value of {key}")).tags(vec!["t".to_owned()]);
        set(&*bench.files, key, entry.ttl(Some(60 * second())));
    }
    bench.export()
}

#[test]
fn f34_an_export_cut_off_at_any_length_is_an_error_and_no_wrong_value() {
    let bench = Bench::new();
    let whole = three(&bench);
    for length in 0..whole.len() {
        damaged(&bench, &whole[..length], &format!("{length} bytes"));
    }
    assert_eq!(bench.import(&whole).unwrap().entries, 3, "the control");
}

#[test]
fn f35_a_flipped_bit_anywhere_is_an_error_and_no_wrong_value() {
    let bench = Bench::new();
    let whole = three(&bench);
    for bit in 0..8 * whole.len() {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        damaged(&bench, &flipped, &format!("bit {bit}"));
    }
}

#[test]
fn f35_records_that_are_missing_doubled_or_swapped_are_found() {
    let bench = Bench::new();
    let whole = three(&bench);
    // The beginning is 12 bytes, the name and its checksum; the three records have one length.
    let first = 12 + "the files".len() + 8;
    let length = 4 + u32::from_le_bytes(*whole[first..].first_chunk().unwrap()) as usize;
    let record = |number: usize| &whole[first + number * length..first + (number + 1) * length];
    let (head, end) = (&whole[..first], &whole[first + 3 * length..]);
    let with = |records: &[usize]| {
        let records: Vec<u8> = records.iter().flat_map(|&number| record(number).to_vec()).collect();
        [head, &records, end].concat()
    };
    assert_eq!(bench.import(&with(&[0, 1, 2])).unwrap().entries, 3, "the control");
    for records in [&[][..], &[0, 1], &[0, 2, 1], &[0, 1, 1], &[0, 1, 2, 2]] {
        damaged(&bench, &with(records), &format!("{records:?}"));
    }
    damaged(&bench, &[&whole[..], b"x"].concat(), "more after the end");
    damaged(&bench, &[&whole[..], &whole[..]].concat(), "twice");
}

#[test]
fn f34_a_damaged_file_stores_nothing() {
    let bench = Bench::new();
    // More than are stored together.
    for number in 0..300 {
        set(&*bench.files, &number.to_string(), entry(""));
    }
    let mut whole = three(&bench);
    let last = whole.len() - 1;
    whole[last] ^= 1;
    let path = bench.dir.path().join("export");
    fs::write(&path, &whole).unwrap();
    let import = || transfer::import_from_file(&*bench.memory, Existing::Replace, &path);
    assert_eq!(import().unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(bench.memory.scan(&Scan::new()).unwrap().entries.is_empty());
    whole[last] ^= 1;
    fs::write(&path, &whole).unwrap();
    assert_eq!(import().unwrap().entries, 303, "the control");
}

#[test]
fn a_newer_version_is_named() {
    let bench = Bench::new();
    let mut bytes = three(&bench);
    bytes[4] = 2;
    let error = bench.import(&bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn what_is_no_export_is_told() {
    let bench = Bench::new();
    let error = bench.import(b"a text of somebody else").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("does not begin as an export"), "{error}");
}

/// A stream that fails.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_that_fails_is_an_error_of_its_own() {
    let bench = Bench::new();
    let error = transfer::export(&*bench.files, Scan::new(), &mut Broken).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Full, transfer::WRITE));
    let error = transfer::import(&*bench.memory, Existing::Replace, &mut Broken).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, transfer::READ));
}
