//! F38: the power is cut at any moment, and the disk has forgotten some of what was not synced.
//!
//! A child works on a store under strace. Its trace says what it did to the files, from which images
//! are built of what a disk may have had at any moment; each is opened as a store.

pub(crate) mod claims;
mod disk;
mod history;
pub(crate) mod steps;
mod trace;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_namespace::{Capability, Error, ErrorKind, Key, Namespace};

use self::disk::{Disk, Node, Op, Recording};
use self::history::History;
use self::steps::{KEYS, MARKS, STEPS, key, mark_name};
use crate::support::children::{Role, possible};
use crate::support::files::Random;
use crate::support::report::{is_long, report};
use crate::support::stores::{CONTROL, Store, any, on_every, sound};
use crate::support::values::{entry, value};

/// A store that takes longer to open than this is not back.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an acknowledged write is to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The end of the process: a power cut may take the latest writes, and never makes a wrong value.
    Process,
    /// A power cut.
    Power,
}

impl Level {
    fn role(self) -> &'static str {
        match self {
            Self::Process => "unplugged",
            Self::Power => "unplugged, durable",
        }
    }

    fn open(self, store: &Store, dir: &Path) -> Result<Arc<dyn Namespace>, Error> {
        store.open_url(&store.url_durable(dir, self == Self::Power))
    }
}

/// What a child in this role does, which says so many words.
fn record(store: &Store, role: &str, words: u64) -> Recording {
    let (room, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = logs.path().join("trace");
    let calls = format!("trace={}", trace::CALLS);
    let limit = (4 << 20).to_string();
    let log_path = log.to_str().unwrap();
    let wrapper = [
        "strace",
        "-f",
        "-qq",
        "-xx",
        "-s",
        &limit,
        "-e",
        &calls,
        "-e",
        "signal=none",
        "-o",
        log_path,
    ];
    let role = Role::start_in_shell(&wrapper, ":", role, store, room.path());
    let status = role.finish();
    assert!(status.success(), "the child of {} failed by {status}", store.name);
    let recording = trace::read(&fs::read_to_string(&log).unwrap(), room.path());
    let done = recording.ops.iter().filter(|op| matches!(op, Op::Said(_))).count();
    assert_eq!(done as u64, words, "{}: the trace is whole", store.name);
    recording
}

/// What the images of one recording came to.
#[derive(Debug, Default)]
struct Tally {
    images: u64,
    wrong: Vec<String>,
    lost: Vec<String>,
    /// A batch of which one part is there and another is not, in a store that keeps them whole.
    torn: Vec<String>,
    /// A mark that could not be read back, and counts as one of now.
    unread: Vec<String>,
    /// The store was damaged, said so once, and went on with a new one.
    set_aside: Vec<String>,
    failed: Vec<String>,
}

impl Tally {
    fn of(store: &Store, level: Level, recording: &Recording, disk: Disk, images: u64) -> Self {
        let safe = recording.safe_after(disk);
        let mut random = Random::new(38);
        let mut tally = Self { images, ..Self::default() };
        for image in 0..images {
            let cut = random.below(recording.ops.len() as u64 + 1) as usize;
            let room = room();
            recording.image(cut, &safe, &mut random, room.path());
            tally.check(store, level, room.path(), &recording.ops[..cut], image);
        }
        tally
    }

    fn check(&mut self, store: &Store, level: Level, dir: &Path, ops: &[Op], image: u64) {
        let what = format!("image {image}, after {} operations", ops.len());
        let began = Instant::now();
        let Some(open) = self.insist(&what, || level.open(store, dir)) else { return };
        if began.elapsed() > PATIENCE {
            self.failed.push(format!("{what}: it opened after {:?}", began.elapsed()));
        }
        let history = History::of(ops);
        let mut there = Vec::new();
        for number in 0..KEYS {
            if let Some(found) = self.insist(&what, || value(&*open, &key(number))) {
                self.judge(&history, number, found.as_deref(), &what);
                there.push((number, found));
            }
        }
        if open.capabilities().has(Capability::Batch) {
            let torn = history.torn(&there).map(|step| format!("{what}: step {step}"));
            self.torn.extend(torn);
        }
        if open.capabilities().has(Capability::Marks) {
            for number in 0..MARKS {
                self.check_mark(&*open, &history, number, &what);
            }
        }
        let again = Key::new("again");
        let works = open.set(&again, entry("again")).and_then(|()| value(&*open, &again));
        if !matches!(&works, Ok(Some(found)) if found == b"again") {
            self.failed.push(format!("{what}: it does not work again: {works:?}"));
        }
    }

    /// Calls once more if the first call says that the store is damaged.
    fn insist<T>(&mut self, what: &str, call: impl Fn() -> Result<T, Error>) -> Option<T> {
        let mut outcome = call();
        if matches!(&outcome, Err(error) if error.kind() == ErrorKind::Corrupt) {
            self.set_aside.push(what.to_owned());
            outcome = call();
        }
        outcome.map_err(|error| self.failed.push(format!("{what}: {error:?}"))).ok()
    }

    fn judge(&mut self, history: &History, number: u64, found: Option<&[u8]>, what: &str) {
        match history.latest(number, found) {
            None => self.wrong.push(format!("{what}: key {number}")),
            Some(step) if step < history.done(number) => {
                self.lost.push(format!("{what}: key {number} is of step {step:?}"));
            }
            Some(_) => {}
        }
    }

    fn check_mark(&mut self, open: &dyn Namespace, history: &History, number: u64, what: &str) {
        let name = mark_name(number);
        let ask = || open.marks(&mut std::iter::once(&*name));
        let Some(found) = self.insist(what, ask) else { return };
        let found = found.gone_until().map(|at| at.as_micros().unsigned_abs());
        let what = format!("{what}: mark {number} is {found:?}");
        match found {
            found if found < history.marked(number) => self.lost.push(what),
            Some(step) if step > STEPS => self.unread.push(what),
            Some(step) if !history.began_to_mark(number, step) => self.wrong.push(what),
            _ => {}
        }
    }

    fn line(&self) -> String {
        let Self { images, wrong, lost, torn, unread, set_aside, failed } = self;
        let counts = [wrong, lost, torn, unread, set_aside, failed].map(Vec::len);
        let [wrong, lost, torn, unread, aside, failed] = counts;
        format!(
            "images={images} wrong={wrong} lost={lost} torn={torn} unread-marks={unread} \
             set-aside={aside} failed={failed}"
        )
    }
}

/// Enough for a control to be caught.
const CONTROL_IMAGES: u64 = 30;

/// A directory for one image: in memory, where there is such a place, since nobody cuts the power again.
fn room() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn images() -> u64 {
    if is_long() { 1_000 } else { 60 }
}

/// Whether all that the store writes was seen. SQLite maps the index of its log, which the first to
/// open the database makes anew; it may hold anything.
fn is_seen(store: &Store, recording: &Recording) -> bool {
    let indexes = if store.name.starts_with("sqlite") { 1 } else { 0 };
    let mapped = recording.nodes.iter().filter(|node| **node == Node::Mapped).count();
    // Closed and opened again in the middle, it makes a second one.
    let seen = mapped <= 2 * indexes;
    if !seen {
        let why = "it maps its files, and strace sees no memory";
        // Not by a macro: the harness would keep that to itself.
        let line = format!("\nSKIPPED F38 for {}: {why}\n", store.name);
        std::io::stdout().write_all(line.as_bytes()).expect("somebody reads it");
    }
    seen
}

fn check_process(store: &'static Store) {
    let recording = record(store, Level::Process.role(), 2 * STEPS);
    if !is_seen(store, &recording) {
        return;
    }
    let tally = Tally::of(store, Level::Process, &recording, Disk::Honest, images());
    // A GNU dbm file has no protection of its own; its journal is, if it is durable.
    let protected = store.name != "dbm";
    let whole = tally.set_aside.is_empty() && tally.torn.is_empty();
    let holds = tally.wrong.is_empty() && tally.failed.is_empty() && (whole || !protected);
    report("F38 power cut", store.name, &tally.line(), holds);
    assert!(holds, "{}: {tally:#?}", store.name);
}

fn check_power(store: &'static Store) {
    let recording = record(store, Level::Power.role(), 2 * STEPS);
    if !is_seen(store, &recording) {
        return;
    }
    let tally = Tally::of(store, Level::Power, &recording, Disk::Honest, images());
    let lied_to = Tally::of(store, Level::Power, &recording, Disk::Lies, CONTROL_IMAGES);
    let Tally { images: _, wrong, lost, torn, unread, set_aside, failed } = &tally;
    let harm = [wrong, lost, torn, unread, set_aside, failed];
    let holds = harm.iter().all(|found| found.is_empty());
    let caught = !lied_to.lost.is_empty() && lied_to.wrong.is_empty();
    let measured = format!("{}, on a disk that lies: {}", tally.line(), lied_to.line());
    report("F38 power cut, durable", store.name, &measured, holds && caught);
    assert!(holds, "{}: {tally:#?}", store.name);
    assert!(
        caught,
        "{}: a disk that lies must lose, and make no wrong value: {measured}",
        store.name
    );
}

fn is_possible() -> bool {
    possible("F38 power cuts", &["strace", "-o", "/dev/null", "true"])
}

#[test]
fn f38_storm_a_power_cut_never_makes_a_wrong_value() {
    if is_possible() {
        on_every(any, check_process);
    }
}

#[test]
fn f38_storm_a_durable_write_survives_a_power_cut() {
    if is_possible() {
        on_every(|store| sound(store) && store.has_durable, check_power);
    }
}

#[test]
fn f38_storm_a_store_without_checksums_has_wrong_values_after_a_power_cut() {
    if is_possible() {
        let recording = record(&CONTROL, Level::Process.role(), 2 * STEPS);
        let tally = Tally::of(&CONTROL, Level::Process, &recording, Disk::Honest, CONTROL_IMAGES);
        report("F38 power cut", CONTROL.name, &tally.line(), !tally.wrong.is_empty());
        assert!(!tally.wrong.is_empty(), "{}", tally.line());
    }
}
