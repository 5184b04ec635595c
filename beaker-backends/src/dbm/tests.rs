//! What a killed or failed writer leaves, and what becomes of it.

mod doubled;
mod meanwhile;
mod rebuilt;
mod reorganized;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use beaker_namespace::{Durability, ErrorKind};
use bytes::Bytes;

use super::deadline::Deadline;
use super::error::Fault;
use super::file::File;
use super::images::Images;
use super::journal::{Found, Journal};
use super::plan::Plan;
use super::rows::{Changes, Rows};
use crate::kv::{Reader, Writer};
use crate::place;

pub(super) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

pub(super) fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

pub(super) fn open(dir: &Path) -> File {
    let path = dir.join("x.dbm");
    File::new(&path, &place::beside(&path, ".locks")).expect("it opens")
}

pub(super) fn journal(dir: &Path) -> Journal {
    Journal::of(&dir.join("x.dbm"))
}

pub(super) fn put(file: &File, rows: &[(&[u8], &[u8])]) -> Result<(), beaker_namespace::Error> {
    file.write(soon(), |mut writer| {
        for (key, value) in rows {
            writer.put(key, value).map_err(Fault::ours)?;
        }
        Ok(((), writer.into_changes(), Durability::None))
    })
}

pub(super) fn get(file: &File, key: &[u8]) -> Option<Bytes> {
    file.read("read", soon(), |rows: &Rows<'_>| rows.get(key).map_err(Fault::ours))
        .expect("it is read")
}

/// What is in the directory beside the file and its locks.
pub(super) fn others(dir: &Path) -> Vec<String> {
    let list = fs::read_dir(dir).expect("a list");
    let names = list.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name != "x.dbm" && name != "x.dbm.locks").collect();
    names.sort();
    names
}

pub(super) fn changes(rows: &[(&str, Option<&[u8]>)]) -> Changes {
    let row = |(key, value): &(&str, Option<&[u8]>)| {
        (format!("beaker:{key}").into_bytes(), value.map(Bytes::copy_from_slice))
    };
    rows.iter().map(row).collect()
}

#[test]
fn what_a_killed_writer_wrote_down_is_done_by_the_next_reader() {
    let dir = quick_dir();
    let file = open(dir.path());
    put(&file, &[(b"kept", b"1"), (b"deleted", b"2")]).unwrap();
    let left = changes(&[("deleted", None), ("new", Some(b"3"))]);
    journal(dir.path()).write(&Images::default(), &left, Durability::None).unwrap();
    assert_eq!(get(&file, b"new").as_deref(), Some(&b"3"[..]));
    assert_eq!(get(&file, b"deleted"), None);
    assert_eq!(get(&file, b"kept").as_deref(), Some(&b"1"[..]));
    assert_eq!(others(dir.path()), [""; 0], "the journal is gone");
}

#[test]
fn what_a_killed_writer_wrote_down_is_done_before_the_next_write() {
    let dir = quick_dir();
    let file = open(dir.path());
    journal(dir.path())
        .write(&Images::default(), &changes(&[("k", Some(b"old"))]), Durability::None)
        .unwrap();
    put(&file, &[(b"k", b"new")]).unwrap();
    assert_eq!(get(&file, b"k").as_deref(), Some(&b"new"[..]));
    assert_eq!(others(dir.path()), [""; 0]);
}

/// A file of many rows, of which one bucket is lost.
fn break_a_bucket(dir: &Path, file: &File) -> usize {
    const ROWS: usize = 1_000;
    let keys: Vec<Vec<u8>> = (0..ROWS).map(|number| number.to_string().into_bytes()).collect();
    let rows: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &b"value"[..])).collect();
    put(file, &rows).expect("they are put");
    let path = dir.join("x.dbm");
    let mut bytes = fs::read(&path).expect("the file");
    // The directory begins at the place in bytes 8 to 16 of the header; its first entry leads to the
    // first bucket.
    let word = |bytes: &[u8], at: usize| {
        let word = bytes[at..at + 8].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(word)).expect("a place in the file")
    };
    let bucket = word(&bytes, word(&bytes, 8));
    bytes[bucket..bucket + 64].fill(0xff);
    fs::write(path, bytes).expect("the file");
    ROWS
}

fn count(file: &File) -> usize {
    let mut rows = 0;
    let walk = |reader: &Rows<'_>| {
        let mut visit = |_: &[u8], value: &[u8]| {
            assert_eq!(value, b"value");
            rows += 1;
            std::ops::ControlFlow::Continue(())
        };
        reader.walk(b"", None, &mut visit).map_err(Fault::ours)
    };
    file.read("read", soon(), walk).expect("it is read");
    rows
}

#[test]
fn a_file_that_a_killed_writer_left_broken_is_rebuilt_from_what_can_be_read() {
    let dir = quick_dir();
    let file = open(dir.path());
    let all = break_a_bucket(dir.path(), &file);
    journal(dir.path())
        .write(&Images::default(), &changes(&[("new", Some(b"value"))]), Durability::None)
        .unwrap();
    let left = count(&file);
    assert!((all / 2..all).contains(&left), "{left} of {all} are left");
    assert_eq!(get(&file, b"new").as_deref(), Some(&b"value"[..]));
    assert_eq!(others(dir.path()), [""; 0]);
}

#[test]
fn the_parts_of_a_broken_file_are_not_put_into_the_one_that_takes_its_place() {
    let dir = quick_dir();
    let file = open(dir.path());
    break_a_bucket(dir.path(), &file);
    let path = dir.path().join("x.dbm");
    let rows = changes(&[("new", Some(b"value"))]);
    let images = Images {
        length: fs::metadata(&path).unwrap().len(),
        blocks: vec![(0, fs::read(&path).unwrap()[..512].to_vec())],
    };
    journal(dir.path()).write(&images, &rows, Durability::None).unwrap();
    // It ends here, as if whoever rebuilds it were killed.
    let draft = dir.path().join("x.dbm.locks/draft");
    fs::create_dir_all(draft.join("in the way")).unwrap();
    file.read("read", soon(), |_| Ok(())).unwrap_err();
    assert_eq!(journal(dir.path()).read().unwrap(), Found::Write(Images::default(), rows));
    fs::remove_dir_all(draft).unwrap();
    assert_eq!(get(&file, b"new").as_deref(), Some(&b"value"[..]));
    assert_eq!(others(dir.path()), [""; 0]);
}

#[test]
fn a_file_that_is_broken_without_a_journal_is_set_aside() {
    let dir = quick_dir();
    let file = open(dir.path());
    break_a_bucket(dir.path(), &file);
    let walked = file.read("read", soon(), |rows| {
        let mut all = |_: &[u8], _: &[u8]| std::ops::ControlFlow::Continue(());
        let walked = rows.walk(b"", None, &mut all).map_err(Fault::ours);
        rows.take_fault().map_or(walked, Err)
    });
    let error = walked.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("is damaged, and is set aside"), "{error}");
    let aside = others(dir.path());
    assert!(aside.len() == 1 && aside[0].starts_with("x.dbm.damaged-"), "{aside:?}");
    assert_eq!(get(&file, b"1"), None);
    put(&file, &[(b"1", b"again")]).unwrap();
    assert_eq!(get(&file, b"1").as_deref(), Some(&b"again"[..]));
}

#[test]
fn a_row_that_was_cut_off_is_in_the_way_of_one_write_only() {
    let dir = quick_dir();
    let file = open(dir.path());
    put(&file, &[(b"1", b"first")]).unwrap();
    put(&file, &[(b"long", &[b'x'; 10_000])]).unwrap();
    let path = dir.path().join("x.dbm");
    let bytes = fs::read(&path).unwrap();
    let value = bytes.windows(10_000).position(|part| part.iter().all(|byte| *byte == b'x'));
    fs::write(&path, &bytes[..value.expect("the value") + 5_000]).unwrap();
    // The other row is written in its place before the failure, and is put back.
    let error = put(&file, &[(b"1", b"other"), (b"long", b"anew")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(get(&file, b"1").as_deref(), Some(&b"first"[..]));
    put(&file, &[(b"long", b"anew")]).unwrap();
    assert_eq!(get(&file, b"long").as_deref(), Some(&b"anew"[..]));
    assert_eq!(get(&file, b"1").as_deref(), Some(&b"first"[..]));
    assert_eq!(others(dir.path()), [""; 0]);
}

#[test]
fn a_spoilt_journal_costs_no_rows() {
    let dir = quick_dir();
    let file = open(dir.path());
    put(&file, &[(b"k", b"value")]).unwrap();
    for spoilt in [&b""[..], b"BKRDBMJ1", b"BKRDBMJ2", &[0; 4_096]] {
        fs::write(dir.path().join("x.dbm-journal"), spoilt).unwrap();
        assert_eq!(count(&file), 1);
        assert_eq!(others(dir.path()), [""; 0]);
    }
}

#[test]
fn f39_the_journal_of_a_version_to_come_is_refused_and_stays() {
    let dir = quick_dir();
    let file = open(dir.path());
    put(&file, &[(b"k", b"value")]).unwrap();
    let path = dir.path().join("x.dbm-journal");
    fs::write(&path, b"BKRDBMJ3 in a way that nobody knows yet").unwrap();
    let read = file.read("read", soon(), |rows| rows.get(b"k").map_err(Fault::ours));
    let wrote = put(&file, &[(b"k", b"other")]);
    for error in [read.unwrap_err(), wrote.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().ends_with("update this program"), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"BKRDBMJ3 in a way that nobody knows yet");
    fs::remove_file(path).unwrap();
    assert_eq!(get(&file, b"k").as_deref(), Some(&b"value"[..]));
}

#[test]
fn a_write_that_fails_leaves_the_rows_as_they_were() {
    let dir = quick_dir();
    let file = open(dir.path());
    // Where the new file is to be made, something is in the way.
    let draft = dir.path().join("x.dbm.locks/draft");
    fs::create_dir_all(draft.join("in the way")).unwrap();
    put(&file, &[(b"k", b"value")]).unwrap_err();
    assert_eq!(get(&file, b"k"), None);
    assert_eq!(others(dir.path()), [""; 0], "no journal is left to do it later");
    fs::remove_dir_all(draft).unwrap();
    assert_eq!(get(&file, b"k"), None);
    put(&file, &[(b"k", b"value")]).unwrap();
    assert_eq!(count(&file), 1);
}

#[test]
fn no_store_beside_it_is_taken_for_a_draft() {
    let dir = quick_dir();
    let names = ["x.dbm-new", "x.dbm-draft", "x.dbm-journal-draft"];
    for name in names {
        fs::write(dir.path().join(name), "another store").unwrap();
    }
    let file = open(dir.path());
    for value in [&b"made"[..], b"in place", b"of another length"] {
        put(&file, &[(b"k", value)]).unwrap();
    }
    for name in names {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"another store", "{name}");
    }
}

#[test]
fn the_draft_that_an_earlier_version_left_is_removed_and_another_file_in_its_place_is_not() {
    let dir = quick_dir();
    let file = open(dir.path());
    let old = dir.path().join("x.dbm-journal-draft");
    fs::write(&old, b"BKRDBMJ2, as far as it came").unwrap();
    file.look_over("open", soon()).unwrap();
    assert!(!old.exists());
    for other in [&b"another store"[..], b"BKRDBM", b""] {
        fs::write(&old, other).unwrap();
        file.look_over("open", soon()).unwrap();
        assert_eq!(fs::read(&old).unwrap(), other);
    }
}

#[test]
fn a_store_in_the_place_of_the_journal_is_named_and_left() {
    let dir = quick_dir();
    let other = File::new(&dir.path().join("x.dbm-journal"), &dir.path().join("other.locks"));
    put(&other.unwrap(), &[(b"k", b"another's")]).unwrap();
    let before = fs::read(dir.path().join("x.dbm-journal")).unwrap();
    let file = open(dir.path());
    let read = file.read("read", soon(), |rows| rows.get(b"k").map_err(Fault::ours));
    let wrote = put(&file, &[(b"k", b"value")]);
    for error in [read.unwrap_err(), wrote.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().ends_with("give one of them another name"), "{error}");
    }
    assert_eq!(fs::read(dir.path().join("x.dbm-journal")).unwrap(), before);
}

/// What comes of a read and a write of `file` in another thread, which wait for nobody.
fn at_once(file: &File) -> (Result<Option<Bytes>, ErrorKind>, Result<(), ErrorKind>) {
    let now = || Deadline::after(Duration::ZERO);
    let both = || {
        let read = file.read("read", now(), |rows| rows.get(b"k").map_err(Fault::ours));
        let wrote = file.write(now(), |rows| Ok(((), rows.into_changes(), Durability::None)));
        (read.map_err(|error| error.kind()), wrote.map_err(|error| error.kind()))
    };
    std::thread::scope(|scope| scope.spawn(both).join().unwrap())
}

#[test]
fn readers_share_the_file_and_a_writer_has_it_alone() {
    let dir = quick_dir();
    // As two processes have it.
    let [file, other] = [(); 2].map(|()| open(dir.path()));
    put(&file, &[(b"k", b"value")]).unwrap();
    let value = Some(Bytes::from_static(b"value"));
    assert_eq!(at_once(&other), (Ok(value.clone()), Ok(())), "the control");
    let beside_a_reader = file.read("read", soon(), |_| Ok(at_once(&other))).unwrap();
    assert_eq!(beside_a_reader, (Ok(value), Err(ErrorKind::Timeout)));
    let write = |rows: Rows<'_>| Ok((at_once(&other), rows.into_changes(), Durability::None));
    let beside_a_writer = file.write(soon(), write).unwrap();
    assert_eq!(beside_a_writer, (Err(ErrorKind::Timeout), Err(ErrorKind::Timeout)));
}

#[test]
fn a_driver_that_panics_counts_as_damage() {
    let dir = quick_dir();
    let file = open(dir.path());
    put(&file, &[(b"k", b"value")]).unwrap();
    let panicked: Result<(), _> = file.read("read", soon(), |_| panic!("as the driver might"));
    assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Corrupt);
    // The file is looked through, and is sound.
    assert_eq!(count(&file), 1);
    assert_eq!(others(dir.path()), [""; 0]);
}

#[test]
fn rows_come_in_order_whatever_the_number() {
    let dir = quick_dir();
    let file = open(dir.path());
    let keys: Vec<Vec<u8>> =
        (0..3_000_u32).map(|number| format!("{number:05}").into_bytes()).collect();
    let rows: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &b"value"[..])).collect();
    put(&file, &rows).unwrap();
    put(&file, &[(b"1", b"another prefix")]).unwrap();
    let mut seen = Vec::new();
    file.read("read", soon(), |rows| {
        let mut visit = |key: &[u8], _: &[u8]| {
            seen.push(key.to_vec());
            std::ops::ControlFlow::Continue(())
        };
        rows.walk(b"0", Some(b"00009"), &mut visit).map_err(Fault::ours)
    })
    .unwrap();
    assert_eq!(seen, keys[10..]);
}

#[test]
fn each_shows_every_row_once_with_what_a_change_has_done() {
    let dir = quick_dir();
    let file = open(dir.path());
    put(&file, &[(b"kept", b"1"), (b"deleted", b"2"), (b"replaced", b"3")]).unwrap();
    let path = dir.path().join("x.dbm");
    let mut others = gdbm_native::OpenOptions::new().write(true).open(path).unwrap();
    others.insert("somebody else's", "4").unwrap();
    others.close().unwrap();
    let mut seen = BTreeMap::new();
    file.write(soon(), |mut rows| {
        rows.delete(b"deleted").map_err(Fault::ours)?;
        rows.put(b"replaced", b"new").map_err(Fault::ours)?;
        rows.put(b"another", b"5").map_err(Fault::ours)?;
        let mut visit = |key: &[u8], value: &[u8]| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(seen.insert(text(key), text(value)), None, "it comes twice");
            std::ops::ControlFlow::Continue(())
        };
        rows.each(&mut visit).map_err(Fault::ours)?;
        Ok(((), Changes::new(), Durability::None))
    })
    .unwrap();
    let expected = [("another", "5"), ("kept", "1"), ("replaced", "new")];
    assert_eq!(seen, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

/// A file with rows of the numbers to 300.
fn numbered(dir: &Path) -> File {
    let file = open(dir);
    put_numbers(&file, 0..300, b"value");
    file
}

fn put_numbers(file: &File, numbers: Range<u32>, value: &[u8]) {
    let keys: Vec<Vec<u8>> = numbers.map(|key| key.to_be_bytes().to_vec()).collect();
    let rows: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], value)).collect();
    put(file, &rows).expect("they are put");
}

fn check_numbers(file: &File, numbers: Range<u32>, value: &[u8]) {
    for number in numbers {
        assert_eq!(get(file, &number.to_be_bytes()).as_deref(), Some(value), "{number}");
    }
}

fn numbers_put(numbers: Range<u32>, value: &'static [u8]) -> Changes {
    let row = |key: u32| ([b"beaker:", &key.to_be_bytes()[..]].concat(), Some(value.into()));
    numbers.map(row).collect()
}

pub(super) fn driver(dir: &Path) -> gdbm_native::Gdbm {
    gdbm_native::OpenOptions::new().write(true).open(dir.join("x.dbm")).expect("it opens")
}

#[test]
fn rows_of_the_same_length_stay_in_their_places_and_nothing_else_changes() {
    let dir = quick_dir();
    let file = numbered(dir.path());
    let before = fs::read(dir.path().join("x.dbm")).unwrap();
    put_numbers(&file, 100..300, b"other");
    let after = fs::read(dir.path().join("x.dbm")).unwrap();
    assert_eq!(after.len(), before.len());
    let changed = before.iter().zip(&after).filter(|(old, new)| old != new).count();
    assert_eq!(changed, 200 * 5, "the values, of which each byte is another");
    check_numbers(&file, 0..100, b"value");
    check_numbers(&file, 100..300, b"other");
    driver(dir.path()).verify().expect("it is sound");
}

#[test]
fn rows_of_another_length_and_deleted_and_new_ones_go_through_the_driver() {
    let dir = quick_dir();
    let file = numbered(dir.path());
    let mut mixed = numbers_put(0..10, b"other");
    mixed.append(&mut numbers_put(10..20, b"longer than it was"));
    mixed.append(&mut numbers_put(20..30, b""));
    mixed.append(&mut numbers_put(300..310, b"value"));
    mixed.extend((30..40_u32).map(|key| ([b"beaker:", &key.to_be_bytes()[..]].concat(), None)));
    let opened = driver(dir.path());
    let plan = Plan::make(&opened, &dir.path().join("x.dbm"), &mixed).unwrap();
    assert_eq!(plan.others.len(), 40, "all but the first ten");
    assert!(plan.images.blocks.len() > 2, "the header, the directory, and buckets");
    drop((plan, opened));
    file.write(soon(), |_| Ok(((), mixed, Durability::None))).unwrap();
    check_numbers(&file, 0..10, b"other");
    check_numbers(&file, 10..20, b"longer than it was");
    check_numbers(&file, 20..30, b"");
    for number in 30..40_u32 {
        assert_eq!(get(&file, &number.to_be_bytes()), None);
    }
    check_numbers(&file, 40..310, b"value");
    driver(dir.path()).verify().expect("it is sound");
}

#[test]
fn a_row_that_is_not_its_keys_any_more_is_not_written_over() {
    let dir = quick_dir();
    let file = numbered(dir.path());
    let path = dir.path().join("x.dbm");
    let mut bytes = fs::read(&path).unwrap();
    let row = [b"beaker:", &7_u32.to_be_bytes()[..]].concat();
    let at = bytes.windows(row.len()).position(|part| part == row).expect("it is there");
    // As if a bucket led to a row of another key.
    bytes[at] = b'B';
    fs::write(&path, &bytes).unwrap();
    put_numbers(&file, 7..8, b"other");
    check_numbers(&file, 7..8, b"other");
    let after = fs::read(&path).unwrap();
    assert_eq!(after[at..at + row.len() + 5], bytes[at..at + row.len() + 5]);
}

#[test]
fn a_row_that_its_bucket_does_not_know_any_more_is_written_where_it_is_read() {
    let dir = quick_dir();
    let file = numbered(dir.path());
    let path = dir.path().join("x.dbm");
    let mut bytes = fs::read(&path).unwrap();
    let position = |bytes: &[u8], wanted: &[u8]| {
        bytes.windows(wanted.len()).position(|part| part == wanted).expect("it is there")
    };
    let row = position(&bytes, &[b"beaker:", &7_u32.to_be_bytes()[..]].concat());
    // A bucket has the first four bytes of a key, and then where the row is.
    let known = position(&bytes, &[b"beak", &(row as u64).to_le_bytes()[..]].concat());
    bytes[known] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(get(&file, &7_u32.to_be_bytes()), None, "the control");
    put_numbers(&file, 7..8, b"other");
    check_numbers(&file, 7..8, b"other");
}

/// Cuts a write of `changes` short at a state on the disk, as a kill does: the file as it was, with some of its
/// 512-byte pieces as they are after the write, those that `take` takes. Gives the file as the next one finds
/// it.
fn cut_short(dir: &Path, changes: &Changes, take: impl Fn(usize, usize) -> bool) -> File {
    let file = numbered(dir);
    let path = dir.join("x.dbm");
    let before = fs::read(&path).expect("the file");
    let opened = driver(dir);
    let images = Plan::make(&opened, &path, changes).expect("they are read").images;
    drop(opened);
    file.write(soon(), |_| Ok(((), changes.clone(), Durability::None))).expect("they are put");
    let after = fs::read(&path).expect("the file");

    let mut torn = before.clone();
    torn.resize(after.len(), 0);
    let pieces = after.len().div_ceil(512);
    for piece in (0..pieces).filter(|&piece| take(piece, pieces)) {
        let piece = piece * 512..after.len().min(piece * 512 + 512);
        torn[piece.clone()].copy_from_slice(&after[piece]);
    }
    fs::write(&path, torn).expect("the file");
    journal(dir).write(&images, changes, Durability::None).expect("it is written");
    file
}

const CUTS: [fn(usize, usize) -> bool; 6] = [
    |_, _| false,
    |_, _| true,
    |piece, pieces| piece > pieces / 2, // rows and new buckets, but no header
    |piece, pieces| piece <= pieces / 2,
    |piece, _| piece % 2 == 0,
    |piece, _| piece % 7 < 3,
];

#[test]
fn a_write_cut_short_anywhere_is_ended_and_loses_no_row() {
    // More rows than the buckets have room for, some that are replaced where they are, and some that are not.
    let mut changes = numbers_put(200..700, b"other");
    changes.append(&mut numbers_put(100..200, b"longer"));
    for (number, cut) in CUTS.into_iter().enumerate() {
        let dir = quick_dir();
        let file = cut_short(dir.path(), &changes, cut);
        check_numbers(&file, 0..100, b"value");
        check_numbers(&file, 100..200, b"longer");
        check_numbers(&file, 200..700, b"other");
        assert_eq!(others(dir.path()), [""; 0], "cut {number}: nothing is set aside");
    }
}

#[test]
fn a_write_in_place_cut_short_anywhere_is_ended_though_there_are_no_images() {
    let changes = numbers_put(100..300, b"other");
    for (number, cut) in CUTS.into_iter().enumerate() {
        let dir = quick_dir();
        let file = cut_short(dir.path(), &changes, cut);
        let Found::Write(images, _) = journal(dir.path()).read().unwrap() else {
            panic!("no journal")
        };
        assert_eq!(images, Images::default());
        check_numbers(&file, 0..100, b"value");
        check_numbers(&file, 100..300, b"other");
        driver(dir.path()).verify().expect("it is sound");
        assert_eq!(others(dir.path()), [""; 0], "cut {number}: nothing is set aside");
    }
}
