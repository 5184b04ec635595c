//! Our stores beside the engines below them, used by themselves.

mod field;
mod ours;
mod processes;
mod raw;
mod subject;

use std::error::Error;

use self::field::{
    CACHED_REDB, CACHED_SQLITE, DBM, DISKCACHE, RAW_DBM, RAW_REDB, RAW_REDB_NONE, RAW_SQLITE, REDB,
    REDB_NONE, SQLITE, SQLITE_ASKED, SURVIVES,
};
pub(crate) use self::processes::child;
use self::subject::{Contestant, Figures, VALUE_BYTES};
use crate::args::Args;
use crate::file::filesystem;
use crate::report::{Report, Table, figure};

pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    one_caller(args, report)?;
    if args.wants("processes") { processes::run(args, report) } else { Ok(()) }
}

fn one_caller(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let entries = args.size(10_000, 500);
    let dir = tempfile::tempdir()?;
    let mut contestants = field::contestants(dir.path(), entries, args, report)?;
    if contestants.is_empty() {
        return Ok(());
    }
    report.heading(&format!(
        "stores: {entries} entries of {VALUE_BYTES} bytes, 24-byte text keys, one caller, microseconds"
    ));
    report.note(
        "Hits and overwriting sets of keys drawn evenly, and batches of 1,000 sets, for each set. \
         Wall time of one thread: the p50 of each round, median (min) over the rounds. `x raw` is \
         the median of the rounds' ratios, in brackets that of processor time.",
    );
    report.note(&format!("in {} ({})", dir.path().display(), filesystem(dir.path())));
    let measured = subject::measure(&mut contestants, args.rounds)?;
    print(&contestants, &measured, report);
    judge(&measured, report);
    Ok(())
}

fn print(contestants: &[Contestant], measured: &[Figures; 3], report: &Report) {
    let [hits, sets, batches] = measured;
    let noise = measured.each_ref().map(|figures| figure(figures.p50.noise() * 100.0));
    report
        .note(&format!("noise: hits {} %, sets {} %, batches {} %", noise[0], noise[1], noise[2]));
    let ratio = |figures: &Figures, ours: &Contestant| {
        let times = figures.p50.ratio(ours.name, ours.base);
        let processor = figures.processor.ratio(ours.name, ours.base);
        format!("{} ({})", figure(times), figure(processor))
    };
    let mut table = Table::new(&["store", "hit", "x raw", "set", "x raw", "batch", "x raw"]);
    for contestant in contestants {
        let columns = [hits, sets, batches].into_iter();
        let cells = columns.flat_map(|figures| {
            let cell = figures.p50.cell(contestant.name);
            let times = if cell == "-" || contestant.base == contestant.name {
                "-".to_owned()
            } else {
                ratio(figures, contestant)
            };
            [cell, times]
        });
        table.row(std::iter::once(contestant.name.to_owned()).chain(cells));
    }
    report.table(&table);
    report.note("\nWhat an acknowledged write survives, and what it takes:\n");
    let names = ["store", "end of the process", "power cut", "set p50", "set p99", "batch"];
    let mut table = Table::new(&names);
    for (name, process, power) in SURVIVES {
        if contestants.iter().any(|contestant| contestant.name == *name) {
            let took = [&sets.p50, &sets.p99, &batches.p50].map(|rounds| rounds.cell(name));
            let told = [*name, process, power].map(str::to_owned);
            table.row(told.into_iter().chain(took));
        }
    }
    report.table(&table);
}

fn judge([hits, sets, batches]: &[Figures; 3], report: &mut Report) {
    // What was not asked for, or has no Python, is not there to be judged.
    let mut at_most = |what: &str, figures: &Figures, ours: &str, raw: &str, limit: f64| {
        let times = figures.p50.ratio(ours, raw);
        if times.is_nan() {
            return;
        }
        let aside = format!(
            "mins {}; processor time {}",
            figure(figures.p50.ratio_of_mins(ours, raw)),
            figure(figures.processor.ratio(ours, raw))
        );
        report.at_most(&format!("stores: {what}, {ours} / {raw}"), times, limit, "x", &aside);
    };
    at_most("hit", hits, SQLITE, RAW_SQLITE, 1.25);
    at_most("hit", hits, SQLITE_ASKED, RAW_SQLITE, 1.25);
    at_most("hit", hits, CACHED_SQLITE, RAW_SQLITE, 1.25);
    at_most("hit", hits, REDB, RAW_REDB, 1.5);
    at_most("hit", hits, CACHED_REDB, RAW_REDB_NONE, 1.5);
    at_most("batch", batches, SQLITE, RAW_SQLITE, 1.15);
    at_most("batch", batches, REDB, RAW_REDB, 1.15);
    at_most("batch", batches, REDB_NONE, RAW_REDB_NONE, 1.15);
    at_most("batch", batches, DBM, RAW_DBM, 1.15);
    for (what, figures) in [("hit", hits), ("set", sets)] {
        let times = figures.p50.ratio(DISKCACHE, CACHED_SQLITE);
        if times.is_finite() {
            let mins = figure(figures.p50.ratio_of_mins(DISKCACHE, CACHED_SQLITE));
            let name = format!("stores: {what}, {DISKCACHE} / {CACHED_SQLITE}");
            report.at_least(&name, times, 3.0, "x", &format!("mins {mins}"));
        }
    }
}
