//! The table of stores: each is a line, and every row of faults runs over all lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use beaker_namespace::{Clock, Error, Namespace, Scope, StoreUrl, Stores};

use super::bare;

/// One store, opened by its URL alone.
#[derive(Debug)]
pub(crate) struct Store {
    /// Its name in the report and in the environment of children.
    pub(crate) name: &'static str,
    scheme: &'static str,
    /// Its file or directory, from the directory that a test gives it.
    place: &'static str,
    options: &'static [(&'static str, &'static str)],
    /// Whether processes share it.
    pub(crate) scope: Scope,
    /// The size of a disk that it fits on and fills soon, in KiB.
    pub(crate) disk_kib: u32,
    /// Whether values can be read while the disk is full. sled closes itself when a write fails, and
    /// writes when it opens.
    pub(crate) reads_when_full: bool,
    /// Whether `remove` or `clear` works on a full disk. A database writes a copy of what it changes.
    pub(crate) makes_room: bool,
    /// Whether it has the option `durable`.
    pub(crate) has_durable: bool,
    /// Whether it may lose, with a process, what that process wrote a moment ago, unless
    /// `durable` is on.
    pub(crate) loses_at_none: bool,
    /// When damage to its files may bring back what was replaced, removed, cleared or marked. Its page
    /// says so.
    pub(crate) turns_back: TurnsBack,
    /// Whether readers wait for a writer.
    pub(crate) one_or_many: bool,
    /// How many lock files stay though nobody creates, with names as those of claims have.
    pub(crate) writer_locks: usize,
    /// Which of the files in its directory hold something of the store's, locks aside.
    holds: fn(&Path) -> bool,
}

/// Which damaged files may bring back what was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnsBack {
    Never,
    /// Those that were closed, and not those of a process that was killed.
    Closed,
    Always,
}

/// What most of the stores are.
const PLAIN: Store = Store {
    name: "",
    scheme: "",
    place: "",
    options: &[],
    scope: Scope::Host,
    disk_kib: 1_024,
    reads_when_full: true,
    makes_room: false,
    has_durable: true,
    loses_at_none: false,
    turns_back: TurnsBack::Never,
    one_or_many: false,
    writer_locks: 0,
    holds: is_no_lock,
};

/// The stores. A new one is a line here, and the golden files of its format.
const STORES: &[Store] = &[
    Store {
        name: "file",
        scheme: "file",
        place: "store",
        makes_room: true,
        holds: |path| path.components().any(|part| part.as_os_str() == "entries"),
        ..PLAIN
    },
    #[cfg(feature = "sqlite")]
    Store { name: "sqlite", scheme: "sqlite", place: "cache.db", ..PLAIN },
    // With reads that are kept in memory from the first one on.
    #[cfg(feature = "sqlite")]
    Store {
        name: "sqlite-kept",
        scheme: "sqlite",
        place: "cache.db",
        options: &[("kept_reads_after", "0")],
        ..PLAIN
    },
    #[cfg(feature = "redb")]
    Store {
        name: "redb",
        scheme: "redb",
        place: "cache.redb",
        scope: Scope::Process,
        disk_kib: 8_192,
        loses_at_none: true,
        turns_back: TurnsBack::Always,
        ..PLAIN
    },
    #[cfg(feature = "redb")]
    Store {
        name: "redb-shared",
        scheme: "redb",
        place: "cache.redb",
        options: &[("shared", "true")],
        disk_kib: 8_192,
        loses_at_none: true,
        turns_back: TurnsBack::Closed,
        ..PLAIN
    },
    #[cfg(feature = "sled")]
    Store {
        name: "sled",
        scheme: "sled",
        place: "store",
        scope: Scope::Process,
        disk_kib: 8_192,
        reads_when_full: false,
        has_durable: false,
        loses_at_none: true,
        turns_back: TurnsBack::Always,
        ..PLAIN
    },
    #[cfg(feature = "dbm")]
    Store {
        name: "dbm",
        scheme: "dbm",
        place: "cache.dbm",
        turns_back: TurnsBack::Always,
        one_or_many: true,
        writer_locks: 1,
        ..PLAIN
    },
];

/// The store that does everything wrong: every check must find that it does.
pub(crate) const CONTROL: Store = Store {
    name: "control",
    scheme: "bare",
    place: "store",
    makes_room: true,
    holds: |_| true,
    ..PLAIN
};

/// The control with plain file locks, as who needs no time-outs would take them: it waits for ever for a
/// claim and for a writer.
pub(crate) const BLOCKING: Store =
    Store { name: "blocking control", options: &[("blocking", "true")], ..CONTROL };

/// Locks, and the note of who has a file: no value comes from them.
fn is_no_lock(path: &Path) -> bool {
    !path.iter().any(|part| part.to_str().is_some_and(|name| name.ends_with("locks")))
}

/// Lets a run be of one store: `BEAKER_FAULTS_STORE=sled`.
const ONLY: &str = "BEAKER_FAULTS_STORE";

/// The stores that can be opened here.
pub(crate) fn stores() -> impl Iterator<Item = &'static Store> {
    let table = table();
    let only = std::env::var(ONLY).ok();
    STORES.iter().filter(move |store| {
        let wanted = only.as_deref().is_none_or(|only| only == store.name);
        wanted && table.schemes().any(|scheme| scheme == store.scheme)
    })
}

/// The store of that name in the table, or the control.
pub(crate) fn named(name: &str) -> &'static Store {
    let controls = [&BLOCKING];
    let mut stores = STORES.iter().chain(controls);
    stores.find(|store| store.name == name).unwrap_or(&CONTROL)
}

fn table() -> Stores {
    beaker_backends::stores().with_store("bare", bare::open)
}

/// Runs `check` over the stores that are `wanted`, and fails with all that failed.
#[track_caller]
pub(crate) fn on_every(wanted: fn(&Store) -> bool, check: fn(&'static Store)) {
    let failed: Vec<_> = stores()
        .filter(|store| wanted(store))
        .filter(|store| std::panic::catch_unwind(|| check(store)).is_err())
        .map(|store| store.name)
        .collect();
    assert!(failed.is_empty(), "it does not hold for {}", failed.join(", "));
}

/// Every store that is to be relied on. sled never makes a wrong value either, and is held to that in every
/// row; but it leaves files behind when it is killed (F36), drops the end of a damaged log with the marks in
/// it, and may lose what was acknowledged when a system call fails (F32) or the power (F38, where it has no
/// durable mode to be held to). Its page says so, and what to use instead.
pub(crate) fn sound(store: &Store) -> bool {
    store.scheme != "sled"
}

/// For [`on_every`]: all of them.
pub(crate) fn any(_: &Store) -> bool {
    true
}

/// For [`on_every`]: each, but for variants that differ in what they keep of earlier reads: it makes no
/// difference to a store that was damaged before it was opened, unless it has to be set aside.
pub(crate) fn each_once(store: &Store) -> bool {
    store.name != "sqlite-kept"
}

/// For [`on_every`]: those that processes share.
pub(crate) fn shared(store: &Store) -> bool {
    store.scope == Scope::Host
}

/// For [`on_every`]: those of one process.
pub(crate) fn unshared(store: &Store) -> bool {
    store.scope == Scope::Process
}

impl Store {
    /// Whether each check must find something in it.
    #[allow(dead_code, reason = "not each row has a second control")]
    pub(crate) fn is_control(&self) -> bool {
        self.scheme == CONTROL.scheme
    }

    /// Whether readers may time out while a writer is stopped: always, or in the moment in which redb notes a
    /// commit where processes share the file.
    #[allow(dead_code, reason = "only the storms stop processes")]
    pub(crate) fn keeps_readers(&self) -> bool {
        self.one_or_many || self.name == "redb-shared"
    }

    /// Whether a write that was acknowledged may not have come to the files yet, whatever is asked for.
    pub(crate) fn writes_later(&self) -> bool {
        self.loses_at_none && !self.has_durable
    }

    /// The file or the directory of the store, in `dir`.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.place)
    }

    pub(crate) fn url(&self, dir: &Path) -> StoreUrl {
        self.url_of(&self.path(dir))
    }

    /// The URL of the store at `path` itself.
    pub(crate) fn url_of(&self, path: &Path) -> StoreUrl {
        let url = StoreUrl::new(self.scheme).with_path(path);
        self.options.iter().fold(url, |url, (name, value)| url.with_option(name, value))
    }

    /// Opens the namespace `n` in `dir`.
    pub(crate) fn open(&self, dir: &Path) -> Result<Arc<dyn Namespace>, Error> {
        self.open_name(dir, "n")
    }

    pub(crate) fn open_name(&self, dir: &Path, name: &str) -> Result<Arc<dyn Namespace>, Error> {
        table().open(&self.url(dir), name)
    }

    pub(crate) fn open_url(&self, url: &StoreUrl) -> Result<Arc<dyn Namespace>, Error> {
        table().open(url, "n")
    }

    /// With the option `durable`, where the store has it: whether a power cut may take a write that
    /// was acknowledged.
    pub(crate) fn url_durable(&self, dir: &Path, durable: bool) -> StoreUrl {
        let url = self.url(dir);
        if self.has_durable { url.with_option("durable", durable) } else { url }
    }

    pub(crate) fn open_at(
        &self,
        dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn Namespace>, Error> {
        self.open_url_at(&self.url(dir), clock)
    }

    pub(crate) fn open_url_at(
        &self,
        url: &StoreUrl,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn Namespace>, Error> {
        table().with_clock(clock).open(url, "n")
    }

    /// The files in `dir` that hold something of the store's, in order.
    pub(crate) fn data_files(&self, dir: &Path) -> Vec<PathBuf> {
        let mut files = super::files::all_files(dir);
        files.retain(|file| {
            let below = file.strip_prefix(dir).unwrap_or(file);
            (self.holds)(below) && file.metadata().is_ok_and(|metadata| metadata.len() > 0)
        });
        files
    }
}

#[test]
fn every_store_that_can_be_opened_is_in_the_table() {
    let others = ["memory", "null"];
    let missing: Vec<_> = beaker_backends::stores()
        .schemes()
        .filter(|scheme| !others.contains(scheme))
        .filter(|scheme| !STORES.iter().any(|store| store.scheme == *scheme))
        .collect();
    assert_eq!(missing, [""; 0]);
}
