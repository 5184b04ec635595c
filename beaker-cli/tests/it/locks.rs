//! `locks`: held and left over, and cleaning.

use std::process::{Child, Command};

use crate::support::{Bench, code, finish, start, text};

fn gated(bench: &Bench, name: &str) -> Command {
    let script = format!("echo > started-{name}; read line < gate-{name}; echo {name}");
    bench.run(&[], &script)
}

fn left_over(mut beaker: Child) {
    beaker.kill().unwrap();
    beaker.wait().unwrap();
}

/// How many lock files there are below the store's directory, whatever they lock.
fn lock_files(bench: &Bench) -> usize {
    let (mut found, mut dirs) = (0, vec![bench.path("")]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            if entry.path().is_dir() {
                dirs.push(entry.path());
            }
            found += usize::from(entry.path().extension().is_some_and(|end| end == "lock"));
        }
    }
    found
}

#[test]
fn locks_tells_what_is_held_and_what_is_left_over() {
    let bench = Bench::new();
    let gates = ["a", "b"]
        .map(|name| (bench.gate(&format!("started-{name}")), bench.gate(&format!("gate-{name}"))));
    assert_eq!(bench.ok(&["locks"]), "");
    let [killed, running] = ["a", "b"].map(|name| start(&mut gated(&bench, name)));
    gates.iter().for_each(|(started, _)| drop(started.wait()));
    left_over(killed);

    let listing = bench.ok(&["locks"]);
    assert_eq!(listing.matches("left over").count(), 1, "{listing}");
    let held = listing.lines().find(|line| line.contains("held")).expect(&listing);
    // Where the file system numbers its devices in two ways, nobody can say who holds it.
    assert!(held.contains(&running.id().to_string()) || held.contains(" -  "), "{listing}");

    assert_eq!(bench.ok(&["locks", "clean"]), "removed 1 left over, 1 in use\n");
    assert_eq!(bench.ok(&["locks", "clean"]), "removed 0 left over, 1 in use\n");
    gates[1].1.open();
    assert_eq!(text(finish(running).stdout), "b\n");
    assert_eq!(bench.ok(&["locks"]), "");
    // Those of the writers are kept, and go too.
    assert!(lock_files(&bench) > 0);
    assert_eq!(bench.ok(&["locks", "clean"]), "removed 0 left over, 0 in use\n");
    assert_eq!(lock_files(&bench), 0);
}

#[test]
fn only_a_store_in_files_has_lock_files() {
    let output = Bench::new().beaker(["locks", "--store", "null:"]).output().unwrap();
    assert_eq!(code(&output), 78);
}
