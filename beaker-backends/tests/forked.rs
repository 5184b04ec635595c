//! F6, F43: a process that has a store open is forked, and both go on.
//!
//! Over the table of stores in `tests/support/stores.rs`, as the other faults. The test starts a
//! child, which has the store and forks itself, so that no process of the test harness does.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "forked/fork.rs"]
mod fork;
#[path = "forked/handles.rs"]
mod handles;
#[path = "forked/locks.rs"]
mod locks;
mod support;

use support::children::given;

/// What plays the roles of this binary's children.
#[test]
fn plays_a_child() {
    let Some(given) = given() else { return };
    let (store, dir) = (given.store, &given.dir);
    match given.role.as_str() {
        "forker" => handles::fork_and_go_on(store, dir),
        "claimer" => locks::fork_and_let_go(store, dir),
        "bare unlocker" => locks::fork_and_unlock_in_the_child(dir),
        "bare closer" => locks::fork_and_close(dir),
        other => panic!("there is no role {other}"),
    }
}
