//! Cache directories that are damaged, hostile, or made by older Beakers.

use std::fs;
use std::time::Duration;

use beaker_backends::compat::{BeakerCache, BeakerRecord, Value, pickle as reader};
use beaker_namespace::compat::{EncodedPathOptions, encoded_path_in};
use beaker_namespace::{ErrorKind, Timestamp};

use super::{pickle, pickles, write_file};

fn read(bytes: &[u8]) -> Vec<BeakerRecord> {
    let dir = tempfile::tempdir().expect("it is there");
    write_file(dir.path(), "n", bytes);
    BeakerCache::file(dir.path()).read("n").expect("it is there").collect()
}

fn error_of(bytes: &[u8]) -> ErrorKind {
    let dir = tempfile::tempdir().expect("it is there");
    write_file(dir.path(), "n", bytes);
    BeakerCache::file(dir.path()).read("n").expect_err("it cannot be read").kind()
}

#[test]
fn a_record_that_cannot_be_read_does_not_hide_the_others() {
    let records = read(&pickle(&pickles()["file"]));
    let found: Vec<(String, Result<Value, ErrorKind>)> = records
        .into_iter()
        .map(|record| {
            let key = record.key();
            (key, record.into_entry().map(|entry| entry.into_value()).map_err(|e| e.kind()))
        })
        .collect();
    assert_eq!(
        found,
        [
            ("plain".to_owned(), Ok(Value::Str("v".to_owned()))),
            ("when".to_owned(), Err(ErrorKind::Codec)),
            ("café".to_owned(), Err(ErrorKind::Codec)),
            ("old".to_owned(), Ok(Value::Str("w".to_owned()))),
        ]
    );
}

// CON-16.
#[test]
fn a_record_of_two_parts_is_one_of_an_old_beaker_and_does_not_expire() {
    let records = read(&pickle(&pickles()["file"]));
    let entry = records[3].entry().unwrap();
    assert_eq!(entry.stored_at(), Timestamp::from_micros(1_000_500_000));
    assert_eq!((entry.time_to_live(), entry.expires_at()), (None, Timestamp::NEVER));
}

// CON-4.
#[test]
fn the_moment_of_expiry_counts_as_expired() {
    let entry = |expire: &[u8]| {
        let bytes = [b"}C\x01k(J\xe8\x03\0\0".as_slice(), expire, b"NtS'x'\n0s."].concat();
        read(&bytes).remove(0).into_entry().unwrap()
    };
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    let minute = entry(b"K\x3c");
    assert_eq!(minute.time_to_live(), Some(Duration::from_secs(60)));
    assert_eq!([1_059, 1_060].map(|now| minute.is_expired(at(now))), [false, true]);
    assert!(entry(b"K\0").is_expired(at(1_000)), "zero is always expired");
    assert!(entry(b"J\xff\xff\xff\xff").is_expired(at(1_000)), "and so is less");
    assert!(!entry(b"N").is_expired(at(i64::MAX / 2_000_000)), "none never");
    assert_eq!(entry(b"F1e300\n").expires_at(), Timestamp::NEVER);
    assert_eq!(entry(b"F1.5\n").time_to_live(), Some(Duration::from_millis(1_500)));
}

#[test]
fn what_is_no_record_of_beakers_is_corrupt() {
    for record in [
        &b"N"[..],
        b")",
        b"(K\x01t",
        b"(K\x01K\x01K\x01K\x01t",
        b"(NNNt",
        b"(K\x01S'x'\nNt",
        b"(Fnan\nNNt",
        b"(Finf\nNNt",
        b"]",
    ] {
        let records = read(&[b"}C\x01k", record, b"s."].concat());
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].entry().unwrap_err().kind(), ErrorKind::Corrupt, "{record:?}");
    }
    let object = read(b"}C\x01kcm\nA\ns.");
    assert_eq!(object[0].entry().unwrap_err().kind(), ErrorKind::Codec);
}

#[test]
fn a_file_that_is_cut_short_or_something_else_is_corrupt() {
    let whole = pickle(&pickles()["file"]);
    for end in [0, 1, whole.len() / 2, whole.len() - 1] {
        assert_eq!(error_of(&whole[..end]), ErrorKind::Corrupt, "{end} bytes");
    }
    assert_eq!(error_of(b"K\x01."), ErrorKind::Corrupt, "no dictionary");
    assert_eq!(error_of(b"BEKR"), ErrorKind::Corrupt);
    // The control: the whole file is read.
    assert_eq!(read(&whole).len(), 4);
}

#[test]
fn an_error_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_file(dir.path(), "n", b"");
    let error = BeakerCache::file(dir.path()).read("n").unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

// NS-13.
#[test]
fn a_namespace_that_was_never_written_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(BeakerCache::file(dir.path()).read("n").unwrap().count(), 0);
    assert_eq!(BeakerCache::dbm(dir.path()).read("n").unwrap().count(), 0);
    let absent = dir.path().join("absent");
    assert_eq!(BeakerCache::file(&absent).read("n").unwrap().count(), 0);
    assert!(!absent.exists() && fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn directories_of_their_own_are_used() {
    let dir = tempfile::tempdir().unwrap();
    write_file(dir.path(), "n", &pickle(&pickles()["file"]));
    let cache = BeakerCache::file("/nowhere")
        .directory(dir.path().join("container_file"))
        .lock_directory(dir.path().join("locks"));
    assert_eq!(cache.read("n").unwrap().count(), 4);
    let path = beaker_sync::lock_path(dir.path().join("locks"), "n");
    let holder = beaker_sync::CreationLock::at(path).lock().unwrap();
    let error = cache.lock_timeout(Duration::ZERO).read("n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    drop(holder);
}

#[test]
fn a_file_beyond_the_limit_is_not_read_into_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_file(dir.path(), "n", b"");
    // A terabyte that takes no space.
    fs::File::options().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
    let limits = reader::Limits::new().max_bytes(1 << 20);
    let error = BeakerCache::file(dir.path()).limits(limits).read("n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn references_do_not_multiply_over_the_records_of_a_file() {
    // A thousand records, each of them one list of a thousand.
    let list = [&b"](K\x01"[..], &b"2".repeat(999), b"e\x94"].concat();
    let record = b"C\x01k(K\x01Nh\0t";
    let bytes = [&list[..], b"0}(", &record.repeat(1_000), b"u."].concat();
    let dir = tempfile::tempdir().unwrap();
    write_file(dir.path(), "n", &bytes);
    let limits = reader::Limits::new().max_values(100_000);
    let records: Vec<BeakerRecord> =
        BeakerCache::file(dir.path()).limits(limits).read("n").unwrap().collect();
    assert_eq!(records.len(), 1_000);
    let read = records.iter().filter(|record| record.entry().is_ok()).count();
    assert_eq!(read, 99);
    assert_eq!(records[500].entry().unwrap_err().kind(), ErrorKind::TooLarge);
}

/// Writes the files of a dbm namespace where Beaker has them.
fn write_dbm(dir: &std::path::Path, files: &[(&str, &[u8])]) {
    for (extension, bytes) in files {
        let options = EncodedPathOptions::new().extension(extension);
        let path =
            encoded_path_in(&dir.join("container_dbm"), &["n"], &options).expect("it is there");
        fs::write(path, bytes).expect("it is there");
    }
}

fn dbm_error(files: &[(&str, &[u8])]) -> beaker_namespace::Error {
    let dir = tempfile::tempdir().expect("it is there");
    write_dbm(dir.path(), files);
    BeakerCache::dbm(dir.path()).read("n").expect_err("it cannot be read")
}

#[test]
fn a_dbm_file_that_cannot_be_read_is_named() {
    let error = dbm_error(&[(".dbm.dir", b"'k', (0, 1)\nx\n"), (".dbm.dat", b"")]);
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("line 2 of"), "{error}");
    for files in [&[(".dbm.dat", &b"x"[..])][..], &[(".dbm.db", b"x")], &[(".dbm", b"something")]] {
        let error = dbm_error(files);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("dbm.gnu"), "{error}");
    }
}

#[test]
fn a_dumb_dbm_whose_values_are_cut_short_gives_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let index = b"'a', (0, 6)\n'b', (512, 6)\n'c', (18446744073709551615, 18446744073709551615)\n";
    write_dbm(dir.path(), &[(".dbm.dir", index), (".dbm.dat", b"K\x01NN\x87.")]);
    let records: Vec<BeakerRecord> = BeakerCache::dbm(dir.path()).read("n").unwrap().collect();
    assert_eq!(records.iter().map(BeakerRecord::key).collect::<String>(), "abc");
    assert_eq!(records[0].entry().unwrap().value(), &Value::None);
    for record in &records[1..] {
        assert_eq!(record.entry().unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[cfg(feature = "dbm")]
#[test]
fn a_file_of_gnu_dbm_is_read() {
    let dir = tempfile::tempdir().unwrap();
    write_dbm(dir.path(), &[]);
    let options = EncodedPathOptions::new().extension(".dbm");
    let path = encoded_path_in(&dir.path().join("container_dbm"), &["n"], &options).unwrap();
    let mut file = gdbm_native::OpenOptions::new().create(true).open(&path).unwrap();
    for (key, number) in [("a", 1), ("caf\\xe9", 2)] {
        file.insert(key, &[b"K\x01N".as_slice(), &[b'K', number], b"\x87."].concat()).unwrap();
    }
    file.close().unwrap();
    let before = fs::read(&path).unwrap();
    let cache = BeakerCache::dbm(dir.path());
    let mut found: Vec<(String, Option<i64>)> = cache
        .read("n")
        .unwrap()
        .map(|record| (record.key(), record.entry().unwrap().value().as_i64()))
        .collect();
    found.sort();
    assert_eq!(found, [("a".to_owned(), Some(1)), ("café".to_owned(), Some(2))]);
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::write(&path, &before[..100]).unwrap();
    assert_eq!(cache.read("n").unwrap_err().kind(), ErrorKind::Corrupt);
    fs::write(&path, "SQLite format 3").unwrap();
    assert_eq!(cache.read("n").unwrap_err().kind(), ErrorKind::Config);
}
