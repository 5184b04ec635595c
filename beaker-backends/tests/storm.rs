//! The stores while their processes are killed and stopped, and while their system calls fail, and
//! after the power was cut.
//!
//! Short by default; `BEAKER_STORM_SECS=60 cargo test --test storm -- --nocapture` makes it long,
//! and `BEAKER_FAULTS_STORE=sqlite` makes it of one store. Each row runs over the table of stores in
//! `tests/support/stores.rs`, and over a control that the same check must catch.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "storm/creators.rs"]
mod creators;
#[path = "storm/fair.rs"]
mod fair;
#[path = "storm/kills.rs"]
mod kills;
#[path = "storm/log.rs"]
mod log;
#[path = "storm/power/mod.rs"]
mod power;
#[path = "storm/stopped.rs"]
mod stopped;
mod support;
#[path = "storm/syscalls.rs"]
mod syscalls;

use std::time::Duration;

use support::children::given;

/// What plays the roles of this binary's children.
#[test]
fn plays_a_child() {
    let Some(given) = given() else { return };
    let (store, dir) = (given.store, &given.dir);
    match given.role.as_str() {
        "mixed" => kills::read_and_write(store, dir),
        "growing" => kills::grow(dir, &*kills::open_to_grow(store, dir, false)),
        "durable" => kills::grow(dir, &*kills::open_to_grow(store, dir, true)),
        "opener" => kills::open_when_told(store, dir),
        "maker" => creators::make(store, dir, creators::PATIENT),
        "hasty maker" => creators::make(store, dir, creators::HASTY),
        "claimer" => creators::hold_a_claim(store, dir),
        "creator" => stopped::create_when_told(store, dir),
        "writer" => stopped::write_for_ever(store, dir),
        "fair writer" => fair::write_in_turn(store, dir, Duration::ZERO),
        "seldom writer" => fair::write_in_turn(store, dir, Duration::from_millis(50)),
        "traced" => syscalls::work_between_marks(store, dir),
        "unplugged" => power::steps::take_steps(store, dir, power::Level::Process),
        "unplugged, durable" => power::steps::take_steps(store, dir, power::Level::Power),
        "unplugged among claims" => power::claims::claim_among_entries(store, dir),
        other => panic!("there is no role {other}"),
    }
}
