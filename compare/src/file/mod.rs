//! The file store beside other stores of files.

pub(crate) mod floor;
mod ours;
mod python;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use crate::args::Args;
use crate::load::{BenchKey, Rng};
use crate::measure::{Rounds, quantile};
use crate::report::{Report, Table, figure};

/// What is done to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Gets,
    Sets,
}

/// A loaded store: does so many operations and says what each took, in microseconds.
struct Store {
    name: String,
    /// How many of each operation in a round.
    gets: usize,
    sets: usize,
    run: Run,
}

type Run = Box<dyn FnMut(Operation, usize) -> Result<Vec<f64>, Box<dyn Error>>>;

const OURS: &str = "Cache, file";
const FLOOR: &str = "FLOOR open + read; write + rename";

/// Entries where Beaker's file store, one pickle for all, is at home.
const SMALL: usize = 100;

/// The bytes of the shortest value and of the longest.
const LENGTHS: (usize, usize) = (100, 256);

pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let entries = args.size(50_000, 500);
    report
        .heading(&format!("file: {entries} entries of 100 to 256 bytes, one caller, microseconds"));
    report.note(
        "Gets of present keys and overwriting sets, no fsync, keys drawn evenly. The p50 and p99 of \
         each round: median (min) over the rounds.",
    );
    let dir = tempfile::tempdir()?;
    report.note(&format!("in {} ({})", dir.path().display(), filesystem(dir.path())));
    let mut stores =
        vec![floor::store(dir.path(), entries, args)?, ours::store(dir.path(), entries, args)?];
    match python::stores(dir.path(), entries, args) {
        Ok((installed, python)) => {
            report.note(&installed);
            stores.extend(python);
        }
        Err(why) => report.skipped(&why),
    }
    let measured = measure(&mut stores, args.rounds)?;
    print(&measured, report);
    judge(&measured, report);
    Ok(())
}

/// p50 and p99 of gets, then of sets.
fn measure(stores: &mut [Store], rounds: usize) -> Result<[Rounds; 4], Box<dyn Error>> {
    let mut samples: [Vec<(String, Vec<f64>)>; 4] = Default::default();
    for kind in &mut samples {
        *kind = stores.iter().map(|store| (store.name.clone(), Vec::new())).collect();
    }
    for round in 0..rounds {
        for position in 0..stores.len() {
            let back = round % 2 == 1;
            let index = if back { stores.len() - 1 - position } else { position };
            let store = &mut stores[index];
            for (offset, operation, count) in
                [(0, Operation::Gets, store.gets), (2, Operation::Sets, store.sets)]
            {
                let took = (store.run)(operation, count)?;
                samples[offset][index].1.push(quantile(&took, 0.5));
                samples[offset + 1][index].1.push(quantile(&took, 0.99));
            }
        }
    }
    Ok(samples.map(Rounds::from_samples))
}

fn print(measured: &[Rounds; 4], report: &Report) {
    let names = ["store", "get p50", "get p99", "set p50", "set p99", "get x ours", "set x ours"];
    let mut table = Table::new(&names);
    for name in measured[0].names() {
        let cells = measured.iter().map(|rounds| rounds.cell(name));
        let times = [0, 2].map(|kind: usize| figure(measured[kind].ratio(name, OURS)));
        table.row(std::iter::once(name.clone()).chain(cells).chain(times));
    }
    report.table(&table);
}

fn judge(measured: &[Rounds; 4], report: &mut Report) {
    let [get, get_p99, set, set_p99] = measured;
    let aside = |p99: &Rounds, p50: &Rounds| {
        format!("p99 {}; {} x the floor", figure(p99.median(OURS)), figure(p50.ratio(OURS, FLOOR)))
    };
    report.at_most("file: hit, p50", get.median(OURS), 15.0, " us", &aside(get_p99, get));
    report.at_most("file: set, p50", set.median(OURS), 300.0, " us", &aside(set_p99, set));
}

/// The type of the file system that `path` is on.
pub(crate) fn filesystem(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    // The innermost mount point; of two on one place, the later.
    let here = mounts.filter(|(place, _)| path.starts_with(place));
    here.max_by_key(|(place, _)| place.len())
        .map_or("unknown file system", |(_, kind)| kind)
        .to_owned()
}

fn key(number: usize) -> String {
    String::of_rank(number)
}

fn value(rng: &mut Rng) -> String {
    let (shortest, longest) = LENGTHS;
    "v".repeat(shortest + rng.below(longest + 1 - shortest))
}

/// Draws keys and values, and times `get` and `set` one by one.
fn timed(
    name: &str,
    entries: usize,
    args: &Args,
    get: impl Fn(&str) -> Result<bool, Box<dyn Error>> + 'static,
    set: impl Fn(&str, String) -> Result<(), Box<dyn Error>> + 'static,
) -> Result<Store, Box<dyn Error>> {
    let mut rng = Rng::new(1);
    for number in 0..entries {
        set(&key(number), value(&mut rng))?;
    }
    let run = move |operation, count| {
        let mut took = Vec::with_capacity(count);
        for _ in 0..count {
            let (key, value) = (key(rng.below(entries)), value(&mut rng));
            let start = Instant::now();
            match operation {
                Operation::Gets if !get(&key)? => return Err("a present key was not found".into()),
                Operation::Gets => {}
                Operation::Sets => set(&key, value)?,
            }
            took.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(took)
    };
    let (gets, sets) = (args.size(5_000, 200), args.size(1_000, 50));
    Ok(Store { name: name.to_owned(), gets, sets, run: Box::new(run) })
}
