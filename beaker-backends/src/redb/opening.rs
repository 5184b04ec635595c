//! How the file is opened, and made.
//
// redb makes a file in steps, and one of which it was killed in the midst is no database. So:
// 1. Who finds no file takes the lock of `database.rs`, rule 4, and looks again.
// 2. He makes it as a draft, in the directory of that lock, where no other store's file is, and gives that the file's
//    name when it is a database: while it is open, so that where one process has a file, nobody else gets in between.
//    If there is a file by then, of somebody who takes no such lock (a copy that is put back), that one is opened.
// 3. A draft that is there is a killed maker's, since its lock is free; it is replaced.
// So who is killed while he makes it leaves no file, or a whole one.

use std::fs;
use std::io;
use std::time::Duration;

use beaker_namespace::{Error, ErrorKind};
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadableDatabase, StorageError,
    TableDefinition, TableHandle, UntypedTableHandle,
};

use super::backend::{self, Limit, Opened};
use super::database::{File, Open, PAUSE};
use super::error::Fault;
use super::snapshot::Snapshot;
use crate::owner;
use crate::place;

/// All rows of all namespaces. The number is the version of the format.
pub(super) const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("beaker-2");

/// The same in version 1, whose records this one reads.
const ROWS_1: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("beaker-1");

/// Whose tables are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tables {
    Ours,
    /// Those of version 1.
    Older,
    Newer,
    /// None of this program.
    None,
}

impl Tables {
    fn among(names: impl Iterator<Item = UntypedTableHandle>) -> Self {
        let names: Vec<String> = names.map(|table| table.name().to_owned()).collect();
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        match () {
            () if has(ROWS.name()) => Self::Ours,
            () if has(ROWS_1.name()) => Self::Older,
            () if names.iter().any(|name| name.starts_with("beaker-")) => Self::Newer,
            () => Self::None,
        }
    }
}

impl File {
    pub(super) fn try_open(&self, operation: &'static str) -> Result<Open, Fault> {
        let (database, id) = match self.open_or_make(operation)? {
            Ok(opened) => opened,
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(Fault::ours(self.held(operation)));
            }
            Err(error) => return Err(Fault::of(operation, &self.path, error)),
        };
        self.prepare(operation, &database)?;
        if !self.settings.shared {
            owner::sign(&self.path);
        }
        Ok(Open { snapshot: Snapshot::default(), database, id })
    }

    /// What the operating system says of the file.
    fn failed(&self, operation: &'static str, error: io::Error) -> Fault {
        Fault::ours(Error::io(operation, &self.path, error))
    }

    fn open_or_make(
        &self,
        operation: &'static str,
    ) -> Result<Result<Opened, DatabaseError>, Fault> {
        let mut builder = Builder::new();
        builder.set_cache_size(self.settings.cache_bytes);
        if self.settings.shared {
            builder.set_concurrency_mode(ConcurrencyMode::MultiWriter);
        }
        match self.open_there(&builder) {
            Err(error) if is_absent(&error) => {}
            opened => return Ok(opened),
        }
        if let Some(dir) = self.path.parent() {
            // Somebody may have removed it.
            place::make_directory(dir).map_err(|error| self.failed(operation, error))?;
        }
        let _alone = self.alone(operation).map_err(Fault::ours)?;
        match self.open_there(&builder) {
            Err(error) if is_absent(&error) => Ok(self.make(&builder)),
            opened => Ok(opened),
        }
    }

    /// Opens the file that is there.
    fn open_there(&self, builder: &Builder) -> Result<Opened, DatabaseError> {
        self.wait_for(|| backend::open(builder, &self.path, self.settings.shared))
    }

    /// Makes the file, which is absent, or opens the one that has come; the lock is held.
    fn make(&self, builder: &Builder) -> Result<Opened, DatabaseError> {
        let draft = place::locks_of(&self.path).join("draft");
        let mut has_come = false;
        let made = place::new_file(&draft)
            .map_err(DatabaseError::from)
            .and_then(|_empty| backend::open(builder, &draft, self.settings.shared))
            .and_then(|opened| {
                place::name(&draft, &self.path)
                    .inspect_err(|error| has_come = error.kind() == io::ErrorKind::AlreadyExists)?;
                // It is made and has its name. If that may not outlive a power cut, to fail helps nobody: the next
                // one to open it would not even ask.
                let _synced = place::sync_directory_of(&self.path);
                Ok(opened)
            });
        made.or_else(|error| {
            // On a full disk it would be in the way.
            let _gone = fs::remove_file(&draft);
            match has_come {
                true => self.open_there(builder),
                false => Err(error),
            }
        })
    }

    /// Tries again for a while if somebody has the file: in shared mode only one process at a time
    /// is let in to open it.
    fn wait_for(
        &self,
        mut open: impl FnMut() -> Result<Opened, DatabaseError>,
    ) -> Result<Opened, DatabaseError> {
        loop {
            match open() {
                Err(DatabaseError::DatabaseAlreadyOpen)
                    if self.settings.shared && Limit::left() != Some(Duration::ZERO) =>
                {
                    std::thread::sleep(PAUSE);
                }
                opened => return opened,
            }
        }
    }

    /// Another process has the file alone.
    #[cold]
    fn held(&self, operation: &'static str) -> Error {
        match self.settings.shared && self.is_looked_through(operation) {
            true => self.looked_through(operation),
            false => owner::held(&self.path, self.ways_out()),
        }
    }

    fn ways_out(&self) -> &'static str {
        if self.settings.shared {
            "that process does not share it: open it with `shared=true` everywhere"
        } else {
            "close it there, open it with `shared=true` everywhere (experimental), or use a store \
             that processes share, such as `sqlite:`"
        }
    }

    /// Makes the table, unless it is there, or takes it over from version 1; refuses what a newer
    /// version made.
    fn prepare(&self, operation: &'static str, database: &Database) -> Result<(), Fault> {
        let fault = |error: redb::Error| Fault::of(operation, &self.path, error);
        let tables = {
            let read = database.begin_read().map_err(|error| fault(error.into()))?;
            Tables::among(read.list_tables().map_err(|error| fault(error.into()))?)
        };
        if tables == Tables::Ours {
            return Ok(());
        }
        let write = self.begin_write(operation, database)?;
        // Another process may have done it by now.
        match Tables::among(write.list_tables().map_err(|error| fault(error.into()))?) {
            Tables::Newer => return Err(Fault::ours(self.newer(operation))),
            Tables::Older => {
                write.rename_table(ROWS_1, ROWS).map_err(|error| fault(error.into()))?
            }
            Tables::Ours | Tables::None => {
                drop(write.open_table(ROWS).map_err(|error| fault(error.into()))?);
            }
        }
        write.commit().map_err(|error| fault(error.into()))
    }

    /// Fails if a newer program has taken the file over since it was opened, which only one that shares it can.
    pub(super) fn check_tables<T: Iterator<Item = UntypedTableHandle>>(
        &self,
        operation: &'static str,
        list: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<(), Fault> {
        if !self.settings.shared {
            return Ok(());
        }
        let tables = list().map_err(|error| Fault::of(operation, &self.path, error))?;
        match Tables::among(tables) {
            Tables::Newer => Err(Fault::ours(self.newer(operation))),
            Tables::Ours | Tables::Older | Tables::None => Ok(()),
        }
    }

    #[cold]
    fn newer(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::Config, operation).with_detail(format!(
            "a newer version of this program wrote {}; update this one, or name another file",
            self.path.display()
        ))
    }
}

pub(super) fn is_absent(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Storage(StorageError::Io(error)) if error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::config::{RedbConfig, Settings};
    use super::super::database::Access;
    use super::*;

    fn open(path: &Path, settings: Settings) -> File {
        File::open(path, settings).unwrap()
    }

    fn put(file: &File, value: &[u8]) {
        let put = |open: &Open| {
            let write = open.database.begin_write().unwrap();
            write.open_table(ROWS).unwrap().insert(&b"k"[..], value).unwrap();
            write.commit().unwrap();
            Ok(())
        };
        file.work("write", Access::Write, put).unwrap();
    }

    fn found(file: &File) -> Vec<u8> {
        let find = |open: &Open| Ok(row(&open.database));
        file.work("read", Access::Read, find).unwrap()
    }

    fn row(database: &Database) -> Vec<u8> {
        let table = database.begin_read().unwrap().open_table(ROWS).unwrap();
        table.get(&b"k"[..]).unwrap().unwrap().value().to_vec()
    }

    #[test]
    fn what_came_while_a_file_was_made_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.redb");
        let settings = RedbConfig::new(&path).settings;
        let file = open(&path, settings);
        drop(open(&dir.path().join("restored"), settings));
        put(&open(&dir.path().join("restored"), settings), b"restored");
        let (maker, _alone) = (&file, file.alone("make").unwrap());
        fs::rename(dir.path().join("restored"), &path).unwrap();
        assert_eq!(row(&maker.make(&Builder::new()).unwrap().0), b"restored");
    }

    /// How often this process has the file at `path` open.
    #[cfg(target_os = "linux")]
    fn times_open(path: &Path) -> usize {
        let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
        links.filter(|link| fs::read_link(link.path()).is_ok_and(|open| open == path)).count()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_was_replaced_while_it_was_opened_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        let (path, next) = (dir.join("cache.redb"), dir.join("next.redb"));
        let settings = RedbConfig::new(&path).shared(true).settings;
        drop(open(&next, settings));
        fs::write(&path, "").unwrap();
        // Who opens it makes the table, and waits for another writer.
        let mut builder = Builder::new();
        builder.set_concurrency_mode(ConcurrencyMode::MultiWriter);
        let other = builder.create(&path).unwrap();
        let writes = other.begin_write().unwrap();
        let file = std::thread::scope(|scope| {
            let opens = scope.spawn(|| open(&path, settings));
            while times_open(&path) < 2 {
                assert!(!opens.is_finished());
                std::thread::yield_now();
            }
            fs::rename(&next, &path).unwrap();
            drop(writes);
            opens.join().unwrap()
        });
        put(&file, b"v");
        drop(file);
        assert_eq!(found(&open(&path, settings)), b"v");
    }
}
