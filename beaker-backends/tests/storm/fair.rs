//! Writers of many processes come to write in turn: nobody is left behind, and nobody waits for long.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::Key;

use crate::support::children::{Role, listen, say};
use crate::support::report::{report, storm_time};
use crate::support::stores::{Store, on_every};
use crate::support::values::entry;

const WRITERS: usize = 8;

/// What a child does: writes for as long as it is told, with a pause after each write, and says how often
/// it did and how long it waited at most.
pub(crate) fn write_in_turn(store: &Store, dir: &Path, pause: Duration) {
    let open = store.open(dir).unwrap();
    say("ready");
    let time = Duration::from_micros(listen().parse().unwrap());
    let key = Key::new(&u64::from(std::process::id()));
    let (began, mut writes, mut longest) = (Instant::now(), 0_u64, Duration::ZERO);
    while began.elapsed() < time {
        let asked = Instant::now();
        open.set(&key, entry("v")).unwrap();
        longest = longest.max(asked.elapsed());
        writes += 1;
        if !pause.is_zero() {
            // sleep: who writes seldom has a small share, whatever the others do.
            thread::sleep(pause);
        }
    }
    say(&format!("{writes} {}", longest.as_micros()));
}

/// The writes of the one that wrote least, in percent of the mean, and the longest wait of all.
fn shares(store: &'static Store, roles: [&str; WRITERS], time: Duration) -> (u64, Duration, u64) {
    let dir = tempfile::tempdir().unwrap();
    drop(store.open(dir.path()).unwrap());
    let start = |role| Role::start(role, store, dir.path());
    let mut writers: Vec<_> = roles.into_iter().map(start).collect();
    writers.iter_mut().for_each(|writer| assert_eq!(writer.hear().as_deref(), Some("ready")));
    writers.iter_mut().for_each(|writer| writer.tell(&time.as_micros().to_string()));
    let said = writers.iter_mut().map(|writer| writer.hear().expect("it writes to the end"));
    let numbers = said.map(|said| {
        let (writes, longest) = said.split_once(' ').expect("two numbers");
        (writes.parse::<u64>().unwrap(), longest.parse::<u64>().unwrap())
    });
    let (writes, waits): (Vec<u64>, Vec<u64>) = numbers.unzip();
    let sum: u64 = writes.iter().sum();
    let least = writes.iter().min().copied().unwrap_or_default();
    let longest = waits.into_iter().max().unwrap_or_default();
    (least * 100 * WRITERS as u64 / sum.max(1), Duration::from_micros(longest), sum)
}

#[test]
fn storm_eight_writers_of_sqlite_each_come_to_write_and_none_waits_for_long() {
    // Generous: other programs have the processors too. Without its locks it was seconds.
    const LONGEST: Duration = Duration::from_secs(1);
    const LEAST: u64 = 25;
    on_every(
        |store| store.name == "sqlite",
        |store| {
            let (least, longest, sum) = shares(store, ["fair writer"; WRITERS], storm_time());
            let measured = format!("writes={sum} least={least}%_of_the_mean longest={longest:.1?}");
            let holds = least >= LEAST && longest < LONGEST;
            report("eight writers in turn", store.name, &measured, holds);
            assert!(holds, "{measured}");
            // The control: who writes seldom is seen.
            let mut roles = ["fair writer"; WRITERS];
            roles[0] = "seldom writer";
            let (least, ..) = shares(store, roles, Duration::from_millis(300));
            assert!(least < LEAST, "the check has no teeth: {least}");
        },
    );
}
