//! Claims and sweeps, which need not outlive the power, among entries that must.

use std::path::Path;

use beaker_namespace::{Key, Wait};

use super::disk::{Disk, Op, Recording};
use super::{CONTROL_IMAGES, Level, images, is_possible, is_seen, record, room};
use crate::support::children::say;
use crate::support::files::Random;
use crate::support::report::report;
use crate::support::stores::{Store, on_every, sound};
use crate::support::values::entry;

/// Enough for some buckets of a dbm file, which the rows of as many claims make grow.
const ENTRIES: u64 = 300;
const CLAIMS: u64 = 100;

/// What a child does. It says when its entries are stored, and what it has done to others.
pub(crate) fn claim_among_entries(store: &Store, dir: &Path) {
    let open = Level::Power.open(store, dir).unwrap();
    open.set_many(keys().map(|key| (key, entry("kept"))).collect()).unwrap();
    // Its journal, if a power cut brings that back, puts back what leads to other entries.
    open.set(&Key::new("last"), entry("kept")).unwrap();
    say("stored all");
    for number in 0..CLAIMS {
        let claim = open.claim(&Key::new(&("claimed", number)), Wait::Never).unwrap();
        assert!(claim.is_some(), "nobody else claims");
    }
    open.sweep().unwrap();
    say("swept all");
    drop(open);
    std::process::exit(0);
}

fn keys() -> impl Iterator<Item = Key> {
    (0..ENTRIES).map(|number| Key::new(&("entry", number)))
}

/// The images of a power cut among the claims, or in the sweep, in which an entry is lost or the store damaged.
fn harmed(store: &Store, recording: &Recording, disk: Disk, images: u64) -> Vec<String> {
    let safe = recording.safe_after(disk);
    let said = |word: &str| {
        let is_it = |op: &Op| matches!(op, Op::Said(said) if said == word);
        recording.ops.iter().position(is_it).expect("the child says so")
    };
    let (from, to) = (said("stored all"), said("swept all"));
    let mut random = Random::new(39);
    let mut harmed = Vec::new();
    for image in 0..images {
        let cut = from + 1 + random.below((to - from) as u64) as usize;
        let room = room();
        recording.image(cut, &safe, &mut random, room.path());
        let keys: Vec<Key> = keys().collect();
        let found = Level::Power.open(store, room.path()).and_then(|open| open.get_many(&keys));
        match found.map(|found| found.iter().filter(|entry| entry.is_none()).count()) {
            Ok(0) => {}
            Ok(lost) => harmed.push(format!("image {image}, after {cut} operations: {lost} lost")),
            Err(error) => harmed.push(format!("image {image}, after {cut} operations: {error}")),
        }
    }
    harmed
}

fn check(store: &'static Store) {
    let recording = record(store, "unplugged among claims", 2);
    if !is_seen(store, &recording) {
        return;
    }
    let images = images();
    let harmed_ones = harmed(store, &recording, Disk::Honest, images);
    let caught = harmed(store, &recording, Disk::Lies, CONTROL_IMAGES).len();
    let holds = harmed_ones.is_empty();
    let measured = format!(
        "images={images} harmed={}, on a disk that lies: images={CONTROL_IMAGES} harmed={caught}",
        harmed_ones.len()
    );
    report("F38 power cut among claims", store.name, &measured, holds && caught > 0);
    assert!(holds, "{}: {harmed_ones:#?}", store.name);
    assert!(caught > 0, "{}: a disk that lies must lose: {measured}", store.name);
}

#[test]
fn f38_storm_claims_and_sweeps_take_no_durable_entry_with_them() {
    if is_possible() {
        on_every(|store| sound(store) && store.has_durable, check);
    }
}
