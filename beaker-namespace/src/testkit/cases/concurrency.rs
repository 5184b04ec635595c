//! Many threads at once.

use std::sync::Barrier;
use std::thread;

use super::case;
use crate::testkit::bench::{Bench, Handle, Numbers};
use crate::testkit::suite::Case;
use crate::{Key, Wait};

pub(super) const CASES: &[Case] = &[
    case!(
        every_value_was_written_whole,
        "each value that is read was written whole, under its \
          key, by some thread",
        [Retains]
    ),
    case!(
        a_thread_reads_its_own_writes,
        "a thread that alone writes a key reads what it wrote",
        [Retains]
    ),
    case!(
        nothing_is_older_than_a_finished_clear,
        "after a clear no earlier value comes back",
        [Retains]
    ),
    case!(
        claims_keep_creations_apart,
        "threads that create under claims store no value twice",
        [Retains]
    ),
];

const THREADS: u64 = 4;
const ROUNDS: u64 = 150;

/// A value that says which key and writer it is of, of a length that differs, with a check at its
/// end.
fn sealed(key: u64, writer: u64, round: u64) -> String {
    let filling = "x".repeat(((writer * 7919 + round * 104_729) % 9_000) as usize);
    let text = format!("{key}|{writer}|{round}|{filling}|");
    format!("{text}{}", text.len())
}

/// What `sealed` made the value of, or why it is not whole.
fn unsealed(value: &str) -> Result<(u64, u64, u64), String> {
    let damaged = || format!("a damaged value of {} bytes", value.len());
    let (text, length) = value.rsplit_once('|').ok_or_else(damaged)?;
    let mut parts = text.split('|').map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().flatten().ok_or_else(damaged);
    let found = (next()?, next()?, next()?);
    if length.parse() != Ok(text.len() + 1) || sealed(found.0, found.1, found.2) != value {
        return Err(damaged());
    }
    Ok(found)
}

/// Runs `work` in threads that share two handles of one namespace.
fn in_threads(bench: &Bench<'_>, work: impl Fn(&Handle, u64) + Sync) -> Handle {
    let handles = [bench.open(""), bench.open_again("")];
    // On a fast store the first thread would be done before the last one begins.
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for id in 0..THREADS {
            let (store, work, start) = (&handles[(id % 2) as usize], &work, &start);
            scope.spawn(move || {
                start.wait();
                work(store, id);
            });
        }
    });
    let [store, _] = handles;
    store
}

fn every_value_was_written_whole(bench: &Bench<'_>) {
    in_threads(bench, |store, id| {
        let mut numbers = Numbers(id);
        for round in 0..ROUNDS {
            let number = numbers.below(3);
            let key = Key::new(&number);
            match numbers.below(8) {
                0 => {
                    store.remove(&key).expect("remove");
                }
                1 if round % 16 == 0 => store.clear().expect("clear"),
                _ => store.put(&key, sealed(number, id, round)),
            }
            if let Some(value) = store.text(&key) {
                let (found, ..) = unsealed(&value).unwrap_or_else(|damage| panic!("{damage}"));
                assert_eq!(found, number, "the value of another key");
            }
        }
    });
}

fn a_thread_reads_its_own_writes(bench: &Bench<'_>) {
    in_threads(bench, |store, id| {
        for round in 0..ROUNDS {
            let key = Key::new(&(id, round % 3));
            let value = sealed(round % 3, id, round);
            store.put(&key, &value);
            assert_eq!(store.text(&key), Some(value), "thread {id}, round {round}");
            if round % 5 == 0 {
                assert!(store.remove(&key).expect("remove"));
                assert_eq!(store.text(&key), None, "thread {id}, round {round}");
            }
        }
    });
}

fn nothing_is_older_than_a_finished_clear(bench: &Bench<'_>) {
    let keys: Vec<_> = (0..10).map(|number| Key::new(&number)).collect();
    let store = in_threads(bench, |store, id| {
        for round in 0..ROUNDS / 3 {
            store.put(&keys[((id + round) % 10) as usize], "v");
            if round % 8 == 0 {
                store.clear().expect("clear");
            }
        }
    });
    store.clear().expect("clear");
    for key in &keys {
        assert_eq!(store.text(key), None, "{key} came back");
    }
}

fn claims_keep_creations_apart(bench: &Bench<'_>) {
    let key = Key::new("counter");
    let store = in_threads(bench, |store, _| {
        for _ in 0..25 {
            add_one(store, &key);
        }
    });
    assert_eq!(store.text(&key), Some((THREADS * 25).to_string()));
}

/// Reads the number, and stores the next one under a claim; again, until it was stored.
fn add_one(store: &Handle, key: &Key) {
    loop {
        let Some(claim) = store.claim(key, Wait::Forever).expect("claim") else { continue };
        let entry = store.get(key).expect("get");
        let count = entry.map_or(0, |entry| store.number_in(&entry));
        thread::yield_now(); // Others may come in between now; if they can, they will.
        if store.fulfilled(key, &(count + 1).to_string(), claim) {
            return;
        }
    }
}
