//! Trials: a store is damaged, opened, read and mended, in a child that may die of it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use beaker_namespace::{Capability, Error, ErrorKind, Key, Mark, Namespace, Scan, Timestamp};

use super::damage::{DAMAGES, values_hit};
use super::support::children::{Role, listen, say};
use super::support::files::copy_tree;
use super::support::stores::Store;
use super::support::values::{entry, value};

/// The entries of a store that is to be damaged.
pub(super) const ENTRIES: u64 = 40;

/// How many more there were that were removed, and how many in a namespace that was cleared.
pub(super) const GONE: u64 = 6;

/// The value of an entry, and what it begins with wherever it is found. Two have one length.
pub(super) fn good(number: u64) -> &'static [u8] {
    static ALL: LazyLock<Vec<Vec<u8>>> =
        LazyLock::new(|| (0..ENTRIES).map(|number| made("value", number)).collect());
    &ALL[number as usize]
}

/// The value that it had before. None of them has the length of a good one.
fn old(number: u64) -> Vec<u8> {
    [&made("older", number), &b" once>"[..]].concat()
}

fn made(word: &str, number: u64) -> Vec<u8> {
    let mut text = format!("<{word} {number:04} ");
    while text.len() < 60 + number as usize / 2 * 15 {
        text.push(char::from(b'a' + (text.len() as u64 * 7 + number) as u8 % 26));
    }
    text.push('>');
    text.into_bytes()
}

fn key(number: u64) -> Key {
    Key::new(&number)
}

/// The key of an entry that a mark invalidated.
fn marked_key() -> Key {
    Key::new("marked")
}

const MARKED: &str = "a marked name";

fn mark() -> Mark {
    Mark::hard(Timestamp::from_micros(1_000_000))
}

/// The namespace that was cleared.
const CLEARED: &str = "cleared";

/// How its store was left before it is damaged: closed, or by a process that was killed.
pub(super) const LEFT: [&str; 2] = ["closed", KILLED];
const KILLED: &str = "killed";

/// A store as it was before its entries were written anew, removed, cleared and marked. Whoever reads that
/// gets old values and none that is damaged: the control.
pub(super) const EARLIER: &str = "earlier";

/// What a child does: changes all entries, says so, and waits to be killed.
pub(super) fn write_and_wait(store: &Store, dir: &Path) {
    let open = [store.open(dir), store.open_name(dir, CLEARED)].map(|it| it.expect("it opens"));
    change_all(&open);
    if store.writes_later() {
        // sleep: until it has written by itself, so that there is something to damage.
        thread::sleep(Duration::from_millis(1_500));
    }
    say("written");
    listen();
}

fn write_all([main, cleared]: &[Arc<dyn Namespace>; 2]) {
    let set = |open: &dyn Namespace, key: &Key, number: u64| {
        open.set(key, entry(old(number))).expect("it is written");
    };
    for number in 0..ENTRIES + GONE {
        set(&**main, &key(number), number);
    }
    if keeps_marks(&**main) {
        set(&**main, &marked_key(), ENTRIES);
        (0..GONE).for_each(|number| set(&**cleared, &key(number), number));
    }
}

/// The second round: no value of the first one is to be found after it.
fn change_all([main, cleared]: &[Arc<dyn Namespace>; 2]) {
    for number in 0..ENTRIES {
        main.set(&key(number), entry(good(number))).expect("it is written");
    }
    for number in ENTRIES..ENTRIES + GONE {
        main.remove(&key(number)).expect("it is removed");
    }
    if keeps_marks(&**main) {
        main.mark(MARKED, mark()).expect("it is marked");
        // Last, because later writes would purge what it leaves.
        cleared.clear().expect("it is cleared");
    }
}

/// All but the control, whose namespaces are one, too.
fn keeps_marks(open: &dyn Namespace) -> bool {
    open.capabilities().has(Capability::Marks)
}

/// Makes what the trials in `dir` begin with.
pub(super) fn prepare(store: &'static Store, dir: &Path) {
    let [closed, killed] = LEFT.map(|left| dir.join(left));
    let earlier = dir.join(EARLIER);
    fs::create_dir(&earlier).expect("a directory");
    let open = |dir: &Path| {
        [store.open(dir), store.open_name(dir, CLEARED)].map(|it| it.expect("it opens"))
    };
    write_all(&open(&earlier));
    for dir in [&closed, &killed] {
        copy_tree(&earlier, dir);
    }
    change_all(&open(&closed));
    let mut child = Role::start("template", store, &killed);
    assert_eq!(child.hear().as_deref(), Some("written"));
    drop(child);
}

/// What trials found, in numbers.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    /// Trials.
    pub(super) trials: u64,
    /// Values in the store's files that the damage hit: what a reader without a check gets wrong.
    pub(super) hit: u64,
    pub(super) right: u64,
    pub(super) wrong: u64,
    /// Values that the entry had before.
    pub(super) stale: u64,
    /// Values that were removed, cleared or invalidated by a mark.
    pub(super) revived: u64,
    pub(super) missing: u64,
    /// Reads that failed.
    pub(super) failed: u64,
    /// Trials in which the store did not open.
    pub(super) refused: u64,
    /// Errors of another kind than `Corrupt`, `Config` or `TooLarge`, or that do not name the place.
    pub(super) unclear: u64,
    pub(super) panics: u64,
    /// Trials that ended the process.
    pub(super) signals: u64,
    /// Trials that did not end.
    pub(super) stuck: u64,
    /// Trials after which all could be written again, at once or once cleared.
    pub(super) healed: u64,
    /// Trials after which the store was refused as one that does not say that it is ours, or that a newer
    /// version wrote: what is damaged in that way is left to a person.
    pub(super) foreign: u64,
    /// The outdated values of stores whose process was killed.
    pub(super) outdated_though_killed: u64,
    /// Which trials were bad.
    pub(super) bad: Vec<String>,
}

impl Tally {
    fn numbers(&mut self) -> [(&'static str, &mut u64); 15] {
        [
            ("trials", &mut self.trials),
            ("hit", &mut self.hit),
            ("right", &mut self.right),
            ("wrong", &mut self.wrong),
            ("stale", &mut self.stale),
            ("revived", &mut self.revived),
            ("missing", &mut self.missing),
            ("failed", &mut self.failed),
            ("refused", &mut self.refused),
            ("unclear", &mut self.unclear),
            ("panics", &mut self.panics),
            ("signals", &mut self.signals),
            ("stuck", &mut self.stuck),
            ("healed", &mut self.healed),
            ("foreign", &mut self.foreign),
        ]
    }

    /// All numbers, as `wrong=0 …`.
    pub(super) fn line(&self) -> String {
        let mut copy = self.clone();
        copy.numbers().map(|(name, number)| format!("{name}={number}")).join(" ")
    }

    fn add(&mut self, line: &str) {
        for ((_, number), word) in self.numbers().into_iter().zip(line.split(' ')) {
            let (_, more) = word.split_once('=').expect("a line of a tally");
            *number += more.parse::<u64>().expect("a number");
        }
    }

    /// How many values were given out that had been replaced or taken away.
    pub(super) fn outdated(&self) -> u64 {
        self.stale + self.revived
    }

    /// Whether no value was wrong and nobody came to harm.
    pub(super) fn is_harmless(&self) -> bool {
        self.wrong + self.panics + self.signals + self.stuck == 0
    }
}

/// Does trials in a child, each named by its damage, a number for it, and how the store was left.
pub(super) fn run(store: &Store, dir: &Path, trials: impl Iterator<Item = String>) -> Tally {
    let mut sum = Tally::default();
    let mut child = Role::start_quietly("trials", store, dir);
    for trial in trials {
        child.tell(&trial);
        let seen = |sum: &Tally| {
            // A trial that ends well heals, or is refused as foreign.
            let unhealed = sum.trials - sum.healed - sum.foreign;
            (sum.wrong, sum.outdated(), sum.panics, sum.unclear, unhealed)
        };
        let (before, outdated) = (seen(&sum), sum.outdated());
        if let Some(line) = child.hear() {
            sum.add(&line);
        } else {
            sum.trials += 1;
            let next = Role::start_quietly("trials", store, dir);
            let ended = std::mem::replace(&mut child, next).finish();
            let stuck = ended.code() == Some(STUCK);
            sum.stuck += u64::from(stuck);
            sum.signals += u64::from(!stuck);
            sum.bad.push(format!("{trial}: {ended}"));
        }
        if trial.ends_with(KILLED) {
            sum.outdated_though_killed += sum.outdated() - outdated;
        }
        if before != seen(&sum) {
            sum.bad.push(trial);
        }
    }
    sum
}

/// How a child ends that is in one trial for too long.
const STUCK: i32 = 99;
const PATIENCE: Duration = Duration::from_secs(20);

/// What a child does: one trial for each line it is told.
pub(super) fn play(store: &'static Store, dir: &Path) {
    let done = Arc::new(AtomicU64::new(0));
    watch(Arc::clone(&done));
    // In memory, if that can be: what is on the disk is damaged already, and syncing takes long.
    let room = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let room = room.expect("a directory");
    loop {
        let line = listen();
        let place = room.path().join(done.load(Ordering::SeqCst).to_string());
        say(&trial(store, &dir.join("templates"), &place, &line).line());
        done.fetch_add(1, Ordering::SeqCst);
    }
}

fn watch(done: Arc<AtomicU64>) {
    thread::spawn(move || {
        let mut before = u64::MAX;
        loop {
            let now = done.load(Ordering::SeqCst);
            if now == before {
                std::process::exit(STUCK);
            }
            before = now;
            // sleep: only what takes far too long is to be found.
            thread::sleep(PATIENCE);
        }
    });
}

fn trial(store: &'static Store, templates: &Path, place: &Path, line: &str) -> Tally {
    let words: Vec<&str> = line.split(' ').collect();
    let [damage, number, left] = words[..] else { panic!("a trial is three words") };
    copy_tree(&templates.join(left), place);
    let (_, apply) = DAMAGES.iter().find(|(name, _)| *name == damage).expect("a damage");
    apply(store, place, number.parse().expect("a number"));
    let mut tally = Tally { trials: 1, hit: values_hit(store, place), ..Tally::default() };
    for step in [read, mend] {
        let outcome = catch_unwind(AssertUnwindSafe(|| step(store, place, &mut tally)));
        if outcome.is_err() {
            tally.panics += 1;
            eprintln!("the panic came out of the store: {line}");
        }
    }
    let _ = fs::remove_dir_all(place);
    tally
}

/// Opens the store and reads all that was in it.
fn read(store: &'static Store, place: &Path, tally: &mut Tally) {
    let open = match store.open(place) {
        Ok(open) => open,
        Err(error) => {
            tally.refused += 1;
            return judge(&error, place, tally);
        }
    };
    for number in 0..ENTRIES {
        match value(&*open, &key(number)) {
            Ok(Some(found)) if found == good(number) => tally.right += 1,
            Ok(Some(found)) if found == old(number) => tally.stale += 1,
            Ok(Some(_)) => tally.wrong += 1,
            Ok(None) => tally.missing += 1,
            Err(error) => {
                tally.failed += 1;
                judge(&error, place, tally);
            }
        }
    }
    list(&*open, place, tally);
    look_for_the_gone(&*open, place, tally);
    match store.open_name(place, CLEARED) {
        Ok(cleared) if keeps_marks(&*cleared) => {
            (0..GONE).for_each(|number| expect_none(&*cleared, &key(number), place, tally));
        }
        Ok(_) => {}
        Err(error) => judge(&error, place, tally),
    }
    if let Err(error) = open.sweep() {
        judge(&error, place, tally);
    }
}

/// What was removed, or is marked, is not to be found.
fn look_for_the_gone(open: &dyn Namespace, place: &Path, tally: &mut Tally) {
    (ENTRIES..ENTRIES + GONE).for_each(|number| expect_none(open, &key(number), place, tally));
    if !keeps_marks(open) {
        return;
    }
    match open.marks(&mut [MARKED].into_iter()) {
        Ok(found) if found.merge(mark()) == found => {}
        Ok(_) => expect_none(open, &marked_key(), place, tally),
        Err(error) => judge(&error, place, tally),
    }
}

fn expect_none(open: &dyn Namespace, key: &Key, place: &Path, tally: &mut Tally) {
    match value(open, key) {
        Ok(None) => {}
        Ok(Some(_)) => tally.revived += 1,
        Err(error) => judge(&error, place, tally),
    }
}

/// What is listed is something that was written.
fn list(open: &dyn Namespace, place: &Path, tally: &mut Tally) {
    let mut scan = Scan::new().limit(7);
    for _ in 0..ENTRIES {
        match open.scan(&scan) {
            Ok(page) => {
                for listed in &page.entries {
                    if let Some(count) = listed_as(&listed.key, listed.size_bytes) {
                        *count(tally) += 1;
                    }
                }
                let Some(next) = page.next else { return };
                scan = scan.after(next);
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => return,
            Err(error) => return judge(&error, place, tally),
        }
    }
}

/// What is wrong with an entry of that key and size, if anything is.
fn listed_as(key: &Key, bytes: Option<u64>) -> Option<fn(&mut Tally) -> &mut u64> {
    let is =
        |number: u64, value: &[u8]| *key == self::key(number) && bytes == Some(value.len() as u64);
    if *key == marked_key() || (0..ENTRIES).any(|number| is(number, good(number))) {
        return None;
    }
    Some(match (0..ENTRIES + GONE).find(|&number| is(number, &old(number))) {
        Some(number) if number < ENTRIES => |tally| &mut tally.stale,
        Some(_) => |tally| &mut tally.revived,
        None => |tally| &mut tally.wrong,
    })
}

/// Writes everything anew: at once, or after it was cleared, or opened again and cleared.
fn mend(store: &'static Store, place: &Path, tally: &mut Tally) {
    let new = |number: u64| format!("new {number}").into_bytes();
    let rewrite = |open: &dyn Namespace| {
        let entries = (0..ENTRIES).map(|number| (key(number), entry(new(number))));
        let is_new = |number| {
            let found = value(open, &key(number));
            let is_new = matches!(&found, Ok(found) if *found == Some(new(number)));
            if !is_new {
                eprintln!("not mended: entry {number} is {found:?}");
            }
            is_new
        };
        let set = open.set_many(entries.collect());
        set.inspect_err(|error| eprintln!("not mended: {error:?}")).is_ok()
            && (0..ENTRIES).all(is_new)
    };
    let open = match store.open(place) {
        Ok(open) => open,
        Err(error) => {
            eprintln!("not mended: {error:?}");
            tally.foreign += u64::from(error.kind() == ErrorKind::Config);
            return;
        }
    };
    let clear = |open: &dyn Namespace| {
        open.clear().inspect_err(|error| eprintln!("not cleared: {error:?}")).is_ok()
    };
    let mut healed = rewrite(&*open) || (clear(&*open) && rewrite(&*open));
    drop(open);
    if !healed {
        let again = store.open(place);
        healed = again.is_ok_and(|open| clear(&*open) && rewrite(&*open));
    }
    tally.healed += u64::from(healed);
}

/// An error is to say what is wrong, and where.
fn judge(error: &Error, place: &Path, tally: &mut Tally) {
    let kinds = [ErrorKind::Corrupt, ErrorKind::Config, ErrorKind::TooLarge];
    let named = error.to_string().contains(&place.display().to_string());
    if !named || !kinds.contains(&error.kind()) {
        tally.unclear += 1;
        eprintln!("unclear: {error:?}");
    }
}
