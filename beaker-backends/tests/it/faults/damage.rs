//! F34, F35, F47: the bytes in a store's files are not those that were written.

use std::fs;
use std::path::{Path, PathBuf};

use super::support::files::Random;
use super::support::report::{is_long, report};
use super::support::stores::{CONTROL, Store, TurnsBack, any, each_once, on_every};
use super::trials::{EARLIER, ENTRIES, GONE, LEFT, Tally, good, prepare, run};

/// Damages the store in a directory, in a way that a number chooses.
type Damage = fn(&Store, &Path, u64);

/// The kinds of damage.
pub(super) const DAMAGES: &[(&str, Damage)] = &[
    ("nothing", |_, _, _| {}),
    ("flips", flip_bits),
    ("page", zero_a_page),
    ("garbage", replace_a_file),
    ("cut", cut_a_file),
    ("swap", swap_two_records),
    ("record", replace_a_record),
    ("lengths", lie_about_lengths),
    ("version", raise_the_version),
];

/// How many bits of a store are flipped in a trial.
const FLIPS: u64 = 8;

fn flip_bits(store: &Store, dir: &Path, number: u64) {
    let mut random = Random::new(number);
    for _ in 0..FLIPS {
        change(&pick(store, dir, &mut random), |bytes| {
            let bit = random.below(bytes.len() as u64 * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        });
    }
}

fn zero_a_page(store: &Store, dir: &Path, number: u64) {
    const PAGE: usize = 4_096;
    let mut random = Random::new(number);
    change(&pick(store, dir, &mut random), |bytes| {
        let page = random.below(bytes.len().div_ceil(PAGE) as u64) as usize * PAGE;
        let end = bytes.len().min(page + PAGE);
        bytes[page..end].fill(0);
    });
}

/// Half of the times its length stays.
fn replace_a_file(store: &Store, dir: &Path, number: u64) {
    let mut random = Random::new(number);
    let file = pick(store, dir, &mut random);
    let length = match number % 2 {
        0 => fs::metadata(&file).expect("it is there").len(),
        _ => random.below(20_000),
    };
    fs::write(file, random.bytes(length as usize)).expect("it is written");
}

/// Where a number for a cut has the file's place in the list, above the length that is left.
const FILE_SHIFT: u32 = 40;

fn cut_a_file(store: &Store, dir: &Path, number: u64) {
    let file = &store.data_files(dir)[(number >> FILE_SHIFT) as usize];
    change(file, |bytes| bytes.truncate((number & ((1 << FILE_SHIFT) - 1)) as usize));
}

/// A record in a store's files: the file, where it begins, and its bytes.
type Record = (PathBuf, usize, Vec<u8>);

/// Every envelope in the files, which begin alike. Where there is none, each file counts as a record.
fn records(store: &Store, dir: &Path) -> Vec<Record> {
    let mut found = Vec::new();
    let files = store.data_files(dir);
    for file in &files {
        let bytes = fs::read(file).expect("it is there");
        let starts = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"BEKR"));
        for at in starts {
            let length = match bytes.get(at + 4) {
                Some(1) => length_of(&bytes[at..]),
                Some(2) => length_of_compact(&bytes[at..]),
                _ => None,
            };
            if let Some(record) = length.and_then(|length| bytes.get(at..at + length)) {
                found.push((file.clone(), at, record.to_vec()));
            }
        }
    }
    if found.is_empty() {
        let whole = |file: PathBuf| (file.clone(), 0, fs::read(file).expect("it is there"));
        found.extend(files.into_iter().map(whole));
    }
    found
}

/// The length that an envelope says of itself.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let length_at = |field: usize| {
        let field = bytes.get(field..field + 4)?;
        Some(u32::from_le_bytes(field.try_into().expect("four bytes")) as usize)
    };
    Some(64 + length_at(44)? + length_at(48)? + length_at(52)?)
}

/// A compact envelope ends eight bytes after its value.
fn length_of_compact(bytes: &[u8]) -> Option<usize> {
    let values = || (0..ENTRIES).map(good);
    (23..60).find_map(|at| {
        let rest = bytes.get(at..)?;
        values().find(|value| rest.starts_with(value)).map(|value| at + value.len() + 8)
    })
}

fn put((file, at, _): &Record, record: &[u8]) {
    change(file, |bytes| bytes[*at..at + record.len()].copy_from_slice(record));
}

/// Exchanges two records of one length: both are whole, under each other's key.
fn swap_two_records(store: &Store, dir: &Path, number: u64) {
    let records = records(store, dir);
    let pairs: Vec<_> = records
        .iter()
        .flat_map(|one| records.iter().map(move |other| (one, other)))
        .filter(|(one, other)| one.2.len() == other.2.len() && one.2 < other.2)
        .collect();
    if let Some((one, other)) = pairs.get((number % pairs.len().max(1) as u64) as usize) {
        put(one, &other.2);
        put(other, &one.2);
    }
}

fn replace_a_record(store: &Store, dir: &Path, number: u64) {
    let records = records(store, dir);
    let record = &records[(number % records.len() as u64) as usize];
    put(record, &Random::new(number).bytes(record.2.len()));
}

/// The lengths of key, labels and payload; in a compact envelope, that there are labels, and theirs.
fn lie_about_lengths(store: &Store, dir: &Path, number: u64) {
    let records = records(store, dir);
    let mut record = records[(number % records.len() as u64) as usize].clone();
    let lie = [u32::MAX, u32::MAX - 1, 1 << 31, 6, 0][(number / 3 % 5) as usize].to_le_bytes();
    let at = match record.2[4] {
        2 => {
            record.2[6] |= 8;
            23
        }
        _ => [44, 48, 52][(number % 3) as usize],
    };
    if let Some(field) = record.2.get_mut(at..at + 4) {
        field.copy_from_slice(&lie);
    }
    put(&record, &record.2);
}

/// Makes a record one of a version to come.
fn raise_the_version(store: &Store, dir: &Path, number: u64) {
    let records = records(store, dir);
    let mut record = records[(number % records.len() as u64) as usize].clone();
    record.2[4] = 255;
    put(&record, &record.2);
}

/// One of the store's files, the larger the likelier.
fn pick(store: &Store, dir: &Path, random: &mut Random) -> PathBuf {
    let files = store.data_files(dir);
    let length = |file: &PathBuf| fs::metadata(file).expect("it is there").len();
    let mut at = random.below(files.iter().map(length).sum());
    for file in &files {
        match at.checked_sub(length(file)) {
            Some(rest) => at = rest,
            None => return file.clone(),
        }
    }
    unreachable!("the number is below the sum")
}

fn change(file: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).expect("it is there");
    how(&mut bytes);
    fs::write(file, bytes).expect("it is written");
}

/// How many values are in no file any more, as they were written, but were.
pub(super) fn values_hit(store: &Store, dir: &Path) -> u64 {
    let mut intact = [false; ENTRIES as usize];
    for file in store.data_files(dir) {
        let bytes = fs::read(file).expect("it is there");
        for at in (0..bytes.len()).filter(|&at| bytes[at] == b'<') {
            let whole = (0..ENTRIES).find(|&number| bytes[at..].starts_with(good(number)));
            if let Some(number) = whole {
                intact[number as usize] = true;
            }
        }
    }
    intact.iter().filter(|intact| !**intact).count() as u64
}

/// Lets a run be of one trial, as a failed test names it: `BEAKER_FAULTS_TRIAL="flips 17 closed"`.
const ONE: &str = "BEAKER_FAULTS_TRIAL";

/// Does the trials on `store` and reports them; what must be so of every store is asserted.
fn check(row: &str, store: &'static Store, trials: impl Fn(&Path) -> Vec<String>) -> Tally {
    let dir = tempfile::tempdir().expect("a directory");
    let templates = dir.path().join("templates");
    fs::create_dir(&templates).expect("a directory");
    prepare(store, &templates);
    let trials = match std::env::var(ONE) {
        Ok(trial) => vec![trial],
        Err(_) => trials(&templates),
    };
    let tally = run(store, dir.path(), trials.into_iter());
    let is_control = store.name == CONTROL.name;
    let holds = if is_control {
        !tally.is_harmless()
    } else {
        let whole = tally.healed + tally.foreign == tally.trials;
        let turned_back = match store.turns_back {
            TurnsBack::Never => tally.outdated(),
            TurnsBack::Closed => tally.outdated_though_killed,
            TurnsBack::Always => 0,
        };
        tally.is_harmless() && turned_back == 0 && tally.unclear == 0 && tally.right > 0 && whole
    };
    report(row, store.name, &tally.line(), holds);
    assert!(holds, "{}: {row}: {} {:?}", store.name, tally.line(), tally.bad);
    tally
}

/// Trials that found a fault once, in a long run: redb ended the process, and brought back an entry; dbm wrote where it
/// did not read; sled did not open.
const FOUND_ONCE: &[&str] = &[
    "flips 453 killed",
    "flips 525 killed",
    "flips 885 killed",
    "flips 934 closed",
    "garbage 603 killed",
    "garbage 735 killed",
];

/// As many trials of one kind as `count`, half of them on a store that was closed, and those that found a fault.
fn numbered(damage: &str, count: u64) -> Vec<String> {
    let trials =
        (0..count).map(|number| format!("{damage} {number} {}", LEFT[number as usize % 2]));
    let again = FOUND_ONCE.iter().filter(|trial| trial.starts_with(damage));
    trials.chain(again.map(|trial| (*trial).to_owned())).collect()
}

/// `short` in a short run, and at least 200 in a long one.
fn times(short: u64) -> u64 {
    if is_long() { (short * 5).max(200) } else { short }
}

/// The same, and in a long run as many as the study asks for.
fn thousand(short: u64) -> u64 {
    if is_long() { 1_000 } else { short }
}

#[test]
fn f34_f35_storm_control_undamaged_stores_are_read_whole() {
    on_every(each_once, |store| {
        let tally = check("F34 F35 control: no damage", store, |_| numbered("nothing", 4));
        assert_eq!(tally.healed, 4, "{}", store.name);
        // What a killed process wrote last may be gone, where a store says so.
        let whole = (tally.right, tally.missing, tally.outdated()) == (4 * ENTRIES, 0, 0);
        assert!(whole || store.loses_at_none, "{}: {}", store.name, tally.line());
    });
}

#[test]
fn f34_f35_storm_control_a_store_that_was_put_back_is_full_of_old_values() {
    on_every(each_once, |store| {
        let dir = tempfile::tempdir().expect("a directory");
        let templates = dir.path().join("templates");
        fs::create_dir(&templates).expect("a directory");
        prepare(store, &templates);
        let tally = run(store, dir.path(), [format!("nothing 0 {EARLIER}")].into_iter());
        // What is read and what is listed: of the removed too, and of the cleared and the marked only read.
        assert_eq!(tally.stale, 2 * ENTRIES, "{}: {}", store.name, tally.line());
        assert_eq!(tally.revived, 3 * GONE + 1, "{}: {}", store.name, tally.line());
        assert_eq!(tally.wrong, 0, "{}: {}", store.name, tally.line());
    });
}

const FLIP_ROW: &str = "F35 8 bits flipped";

#[test]
fn f35_storm_flipped_bits_never_become_a_value() {
    on_every(each_once, |store| {
        let tally = check(FLIP_ROW, store, |_| numbered("flips", thousand(200)));
        assert!(tally.hit > 0, "{}: the flips hit no value", store.name);
    });
    let tally = check(FLIP_ROW, &CONTROL, |_| numbered("flips", 20));
    assert!(tally.wrong > 20, "the check has no teeth");
}

#[test]
fn f35_storm_a_zeroed_page_never_becomes_a_value() {
    const ROW: &str = "F35 a zeroed page";
    on_every(each_once, |store| drop(check(ROW, store, |_| numbered("page", thousand(10)))));
    check(ROW, &CONTROL, |_| numbered("page", 10));
}

#[test]
fn f35_storm_garbage_in_a_file_s_place_never_becomes_a_value() {
    const ROW: &str = "F35 a file of garbage";
    on_every(any, |store| {
        check_if_all_may_be_lost(ROW, store, |_| numbered("garbage", thousand(10)));
    });
    check(ROW, &CONTROL, |_| numbered("garbage", 10));
}

#[test]
fn f35_storm_a_record_under_another_s_key_never_becomes_its_value() {
    const ROW: &str = "F35 two records exchanged";
    on_every(each_once, |store| drop(check(ROW, store, |_| numbered("swap", times(10)))));
    check(ROW, &CONTROL, |_| numbered("swap", 10));
}

#[test]
fn f47_storm_any_bytes_in_a_record_s_place_never_become_a_value() {
    const ROW: &str = "F47 a record of any bytes";
    on_every(each_once, |store| drop(check(ROW, store, |_| numbered("record", times(10)))));
    check(ROW, &CONTROL, |_| numbered("record", 10));
}

#[test]
fn f47_storm_lengths_that_lie_never_become_a_value() {
    const ROW: &str = "F47 lengths that lie";
    on_every(each_once, |store| drop(check(ROW, store, |_| numbered("lengths", times(15)))));
    check(ROW, &CONTROL, |_| numbered("lengths", 30));
}

#[test]
fn f39_storm_a_record_of_a_version_to_come_never_becomes_a_value() {
    const ROW: &str = "F39 a record of version 255";
    on_every(each_once, |store| drop(check(ROW, store, |_| numbered("version", times(10)))));
    check(ROW, &CONTROL, |_| numbered("version", 10));
}

#[test]
fn f34_storm_a_file_cut_off_anywhere_never_becomes_a_value() {
    const ROW: &str = "F34 cut off";
    on_every(each_once, |store| {
        check_if_all_may_be_lost(ROW, store, |templates| cuts(store, templates));
    });
    check_if_all_may_be_lost(ROW, &CONTROL, |templates| cuts(&CONTROL, templates));
}

/// [`check`], where the damage may take all values, so that it is no sign of anything if it does.
fn check_if_all_may_be_lost(
    row: &str,
    store: &'static Store,
    trials: impl Fn(&Path) -> Vec<String>,
) {
    let with_a_whole_one = |templates: &Path| {
        let mut trials = trials(templates);
        trials.push("nothing 0 closed".to_owned());
        trials
    };
    check(row, store, with_a_whole_one);
}

/// Whether it is SQLite's log. An empty one has been taken into the database, as far as anybody can tell: see the
/// store's page.
fn is_log(file: &Path) -> bool {
    file.to_string_lossy().ends_with("-wal")
}

/// Lengths to cut the files of `store` to: around every boundary, each of the first ones, and some
/// by chance. Of many files alike a few are enough.
fn cuts(store: &Store, templates: &Path) -> Vec<String> {
    let (by_chance, around) = if is_long() { (500, [-1, 0, 1]) } else { (10, [0, 0, 0]) };
    let mut random = Random::new(34);
    let mut cuts = Vec::new();
    for left in LEFT {
        let files = store.data_files(&templates.join(left));
        for (place, file) in files.iter().enumerate().take(4) {
            let length = fs::metadata(file).expect("it is there").len();
            let step = if is_long() { 512 } else { 4_096 };
            let boundaries = (0..=length / step).map(|number| number * step);
            let mut lengths: Vec<u64> = boundaries
                .flat_map(|at| around.map(|by| at.saturating_add_signed(by)))
                .chain([1, 15, 16, 17, 99, 100, 101])
                .chain((0..by_chance).map(|_| random.below(length)))
                .filter(|&at| at < length && (at > 0 || !is_log(file)))
                .collect();
            lengths.sort_unstable();
            lengths.dedup();
            let cut = |at: u64| format!("cut {} {left}", (place as u64) << FILE_SHIFT | at);
            cuts.extend(lengths.into_iter().map(cut));
        }
    }
    cuts
}
