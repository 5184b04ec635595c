//! What the stores do when files, disks, clocks and callers are hostile: a module for each kind of
//! fault, over the table in `tests/support/stores.rs`. The storms are in `tests/storm.rs`.
//!
//! Each test runs over every store it concerns, and then over the control, a store that does
//! everything wrong, in which the same check must find something.
//!
//! Rows that are not here: F11-F23 concern what makes values, above a store. F25-F30 and F45 concern
//! stores on a network. F37 concerns LMDB, which is not offered. F6 and F43 need a fork without exec and
//! are in `tests/forked.rs`. F7 and F8 are the locks' own and are tested with them; a store adds nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod batches;
mod damage;
mod disk;
mod handles;
mod input;
mod limits;
mod longer;
mod marks;
mod privacy;
#[path = "../../support/mod.rs"]
mod support;
mod trials;
mod versions;

use support::children::{given, say};

/// What plays the roles of this binary's children.
#[test]
fn plays_a_child() {
    let Some(given) = given() else { return };
    let (store, dir) = (given.store, &given.dir);
    match given.role.as_str() {
        "template" => trials::write_and_wait(store, dir),
        "trials" => trials::play(store, dir),
        "full" => disk::on_a_full_disk(store, dir),
        "read-only" => disk::on_a_read_only_disk(store, dir),
        "stranger" => disk::without_permission(store, dir),
        "small-files" => limits::with_a_limit_on_file_sizes(store, dir),
        "few-files" => limits::with_few_descriptors(store, dir),
        "marker" => marks::go_on_marking(store, dir),
        "racer" => marks::race(store, dir),
        "writes for everybody" => privacy::write_for_everybody(store, dir),
        "holder" => handles::hold(store, dir),
        "holder of another setting" => handles::hold_differently(store, dir),
        other => panic!("there is no role {other}"),
    }
    say("done");
}
