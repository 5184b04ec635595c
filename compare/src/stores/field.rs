//! Who is compared.

use std::path::Path;

use super::ours::{self, Cached, Store};
use super::raw;
use super::subject::{BATCH, Contestant, Counts, Operation, Outcome, Took};
use crate::args::Args;
use crate::python::Python;
use crate::report::Report;

pub(super) const RAW_SQLITE: &str = "raw rusqlite, NORMAL";
pub(super) const SQLITE: &str = "ours, sqlite";
/// With `kept_reads_bytes=0`: every hit asks SQLite, as those of raw rusqlite do.
pub(super) const SQLITE_ASKED: &str = "ours, sqlite, no reads kept";
pub(super) const CACHED_SQLITE: &str = "ours, Cache on sqlite";
pub(super) const DISKCACHE: &str = "diskcache";
const RAW_SQLITE_FULL: &str = "raw rusqlite, FULL";
const SQLITE_DURABLE: &str = "ours, sqlite, durable";
pub(super) const RAW_REDB: &str = "raw redb, Immediate";
pub(super) const REDB: &str = "ours, redb";
pub(super) const RAW_REDB_NONE: &str = "raw redb, None";
pub(super) const REDB_NONE: &str = "ours, redb, not durable";
pub(super) const CACHED_REDB: &str = "ours, Cache on redb, not durable";
pub(super) const RAW_DBM: &str = "raw gdbm-native, opened for each";
const RAW_DBM_KEPT: &str = "raw gdbm-native, kept open";
pub(super) const DBM: &str = "ours, dbm";
const RAW_SLED: &str = "raw sled";
const SLED: &str = "ours, sled";
const FILES: &str = "raw files, write and rename";
const FILE: &str = "ours, file";
const FILE_DURABLE: &str = "ours, file, durable";

/// What an acknowledged write survives, by contestant: the end of the process, and a power cut.
pub(super) const SURVIVES: &[(&str, &str, &str)] = &[
    (RAW_SQLITE, "yes", "the latest may be lost"),
    (SQLITE, "yes", "the latest may be lost"),
    (SQLITE_ASKED, "yes", "the latest may be lost"),
    (DISKCACHE, "yes", "the latest may be lost"),
    (RAW_SQLITE_FULL, "yes", "yes"),
    (SQLITE_DURABLE, "yes", "yes"),
    (RAW_REDB, "yes", "yes"),
    (REDB, "yes", "yes"),
    (RAW_REDB_NONE, "no", "no"),
    (REDB_NONE, "no", "no"),
    (RAW_DBM, "yes", "not if it falls into a write"),
    (DBM, "yes", "not if it falls into a write"),
    (RAW_DBM_KEPT, "no", "no; batches are synced"),
    (RAW_SLED, "all but the last half second", "promised to nobody"),
    (SLED, "all but the last half second", "promised to nobody"),
    (FILES, "yes", "the latest may be lost, or be empty"),
    (FILE, "yes", "the latest may be lost"),
    (FILE_DURABLE, "yes", "yes"),
];

/// Opens and loads all that are wanted; says what is left out.
pub(super) fn contestants(
    dir: &Path,
    entries: usize,
    args: &Args,
    report: &Report,
) -> Outcome<Vec<Contestant>> {
    let quick = [args.size(8_000, 320), args.size(500, 50), args.size(5, 2)];
    let synced = [0, args.size(40, 3), args.size(3, 1)];
    let mut all = Vec::new();
    let families: [(&str, Family); 5] =
        [("sqlite", sqlite), ("redb", redb), ("dbm", dbm), ("sled", sled), ("file", file)];
    for (name, family) in families {
        if args.wants(name) {
            all.extend(family(&Field { dir, entries, quick, synced })?);
        }
    }
    if !args.wants(DISKCACHE) {
        return Ok(all);
    }
    match diskcache(dir, entries, quick) {
        Ok((installed, contestant)) => {
            report.note(&installed);
            all.push(contestant);
        }
        Err(why) => report.skipped(&why),
    }
    Ok(all)
}

type Family = fn(&Field<'_>) -> Outcome<Vec<Contestant>>;

/// Where the contestants are, and how much they do in a round.
struct Field<'a> {
    dir: &'a Path,
    entries: usize,
    /// Where nothing waits for the disk.
    quick: Counts,
    /// Where each write does.
    synced: Counts,
}

impl Field<'_> {
    fn url(&self, scheme: &str, name: &str, options: &str) -> String {
        format!("{scheme}://{}/{name}{options}", self.dir.display())
    }

    fn ours(
        &self,
        name: &'static str,
        base: &'static str,
        counts: Counts,
        url: &str,
    ) -> Outcome<Contestant> {
        Contestant::loaded(name, base, counts, self.entries, Store(ours::open(url)?))
    }

    /// A cache has no batches.
    fn cached(&self, name: &'static str, base: &'static str, url: &str) -> Outcome<Contestant> {
        let [hits, sets, _] = self.quick;
        let cached = Cached::new(ours::open(url)?);
        Contestant::loaded(name, base, [hits, sets, 0], self.entries, cached)
    }
}

fn sqlite(field: &Field<'_>) -> Outcome<Vec<Contestant>> {
    let Field { dir, entries, quick, synced } = *field;
    let raw = raw::Sqlite::open(&dir.join("raw.db"), "NORMAL")?;
    let full = raw::Sqlite::open(&dir.join("raw-full.db"), "FULL")?;
    let url = |name, options| field.url("sqlite", name, options);
    Ok(vec![
        Contestant::loaded(RAW_SQLITE, RAW_SQLITE, quick, entries, raw)?,
        field.ours(SQLITE, RAW_SQLITE, quick, &url("ours.db", ""))?,
        field.ours(SQLITE_ASKED, RAW_SQLITE, quick, &url("asked.db", "?kept_reads_bytes=0"))?,
        field.cached(CACHED_SQLITE, RAW_SQLITE, &url("cache.db", ""))?,
        Contestant::loaded(RAW_SQLITE_FULL, RAW_SQLITE_FULL, synced, entries, full)?,
        field.ours(SQLITE_DURABLE, RAW_SQLITE_FULL, synced, &url("full.db", "?durable=true"))?,
    ])
}

fn redb(field: &Field<'_>) -> Outcome<Vec<Contestant>> {
    let Field { dir, entries, quick, synced } = *field;
    let [hits, ..] = quick;
    let synced = [hits, synced[1], synced[2]];
    let raw = raw::Redb::open(&dir.join("raw.redb"), redb::Durability::Immediate)?;
    let none = raw::Redb::open(&dir.join("raw-none.redb"), redb::Durability::None)?;
    let url = |name, options| field.url("redb", name, options);
    let lax = "?durable=false";
    Ok(vec![
        Contestant::loaded(RAW_REDB, RAW_REDB, synced, entries, raw)?,
        field.ours(REDB, RAW_REDB, synced, &url("ours.redb", ""))?,
        Contestant::loaded(RAW_REDB_NONE, RAW_REDB_NONE, quick, entries, none)?,
        field.ours(REDB_NONE, RAW_REDB_NONE, quick, &url("none.redb", lax))?,
        field.cached(CACHED_REDB, RAW_REDB_NONE, &url("cache.redb", lax))?,
    ])
}

fn dbm(field: &Field<'_>) -> Outcome<Vec<Contestant>> {
    let Field { dir, entries, quick, synced } = *field;
    let [hits, sets, _] = quick;
    let (some, kept) = ([hits / 4, synced[1], synced[2]], [hits, sets, synced[2]]);
    let opened = raw::DbmOpened::new(&dir.join("raw.dbm"));
    let kept_open = raw::DbmKept::open(&dir.join("kept.dbm"))?;
    Ok(vec![
        Contestant::loaded(RAW_DBM_KEPT, RAW_DBM_KEPT, kept, entries, kept_open)?,
        Contestant::loaded(RAW_DBM, RAW_DBM, some, entries, opened)?,
        field.ours(DBM, RAW_DBM, some, &field.url("dbm", "ours.dbm", ""))?,
    ])
}

fn sled(field: &Field<'_>) -> Outcome<Vec<Contestant>> {
    let raw = raw::Sled::open(&field.dir.join("raw.sled"))?;
    Ok(vec![
        Contestant::loaded(RAW_SLED, RAW_SLED, field.quick, field.entries, raw)?,
        field.ours(SLED, RAW_SLED, field.quick, &field.url("sled", "ours.sled", ""))?,
    ])
}

/// Entries where each is put in with a wait for the disk.
const FEW: usize = 50;

/// Files have no transactions, so their batches are sets one by one, and fewer.
fn file(field: &Field<'_>) -> Outcome<Vec<Contestant>> {
    let Field { dir, entries, quick, synced } = *field;
    let [hits, sets, _] = quick;
    let some = [hits, sets, 1];
    let url = |name, options| field.url("file", name, options);
    let durable = ours::open(&url("durable", "?durable=true"))?;
    Ok(vec![
        Contestant::loaded(FILES, FILES, some, entries, raw::Files::new(&dir.join("floor"))?)?,
        field.ours(FILE, FILES, some, &url("ours", ""))?,
        // Few entries: each waits for the disk when it is put in.
        Contestant::loaded(FILE_DURABLE, FILES, [0, synced[1], 0], FEW, Store(durable))?,
    ])
}

fn diskcache(dir: &Path, entries: usize, counts: Counts) -> Result<(String, Contestant), String> {
    let lengths = (super::VALUE_BYTES, super::VALUE_BYTES);
    let python = Python::start(&dir.join("python"), lengths, &[("diskcache", entries)])?;
    let installed = python.installed().to_owned();
    let run = move |operation, count| {
        let (name, parts) = match operation {
            Operation::Hits => ("gets", 1),
            Operation::Sets => ("sets", 1),
            Operation::Batches => ("batches", BATCH),
        };
        let mut each = python.ask("diskcache", name, count)?;
        each.iter_mut().for_each(|micros| *micros /= parts as f64);
        Ok(Took { each, processor: f64::NAN })
    };
    Ok((installed, Contestant::new(DISKCACHE, RAW_SQLITE, counts, run)))
}
