//! The engines by themselves, used as one would who has no need of a cache: a key, a value, and
//! nothing else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::{ReadableDatabase, TableDefinition};
use rusqlite::{Connection, OptionalExtension};

use super::subject::{Outcome, Subject};
use crate::file::floor::Floor;

/// Keys and values as they come.
macro_rules! plain {
    () => {
        type Key = String;
        type Value = Vec<u8>;

        fn key(&self, key: String) -> String {
            key
        }

        fn value(&self, value: Vec<u8>) -> Vec<u8> {
            value
        }
    };
}

pub(super) struct Sqlite(Connection);

const PUT: &str = "INSERT OR REPLACE INTO kv (k, v) VALUES (?1, ?2)";

impl Sqlite {
    /// With the settings of our store, its 16 MiB of cache too: `synchronous` is NORMAL or FULL.
    pub(super) fn open(path: &Path, synchronous: &str) -> Outcome<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(&format!(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
             PRAGMA synchronous = {synchronous}; PRAGMA mmap_size = 0;
             PRAGMA cache_size = -16384;
             PRAGMA wal_autocheckpoint = 3000; PRAGMA journal_size_limit = 12582912;
             CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB)"
        ))?;
        Ok(Self(connection))
    }
}

impl Subject for Sqlite {
    plain!();

    fn get(&mut self, key: &String) -> Outcome<Option<usize>> {
        let mut find = self.0.prepare_cached("SELECT v FROM kv WHERE k = ?1")?;
        let value = find.query_row([key.as_bytes()], |row| row.get::<_, Vec<u8>>(0)).optional()?;
        Ok(value.map(|value| value.len()))
    }

    fn set(&mut self, key: &String, value: Vec<u8>) -> Outcome<()> {
        self.0.prepare_cached(PUT)?.execute((key.as_bytes(), value))?;
        Ok(())
    }

    fn set_many(&mut self, entries: Vec<(String, Vec<u8>)>) -> Outcome<()> {
        let behaviour = rusqlite::TransactionBehavior::Immediate;
        let transaction = self.0.transaction_with_behavior(behaviour)?;
        {
            let mut put = transaction.prepare_cached(PUT)?;
            for (key, value) in &entries {
                put.execute((key.as_bytes(), value))?;
            }
        }
        Ok(transaction.commit()?)
    }
}

pub(super) struct Redb {
    database: redb::Database,
    durability: redb::Durability,
}

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("kv");

/// What our stores take of memory by default.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

impl Redb {
    pub(super) fn open(path: &Path, durability: redb::Durability) -> Outcome<Self> {
        let database = redb::Builder::new().set_cache_size(CACHE_BYTES).create(path)?;
        Ok(Self { database, durability })
    }
}

impl Subject for Redb {
    plain!();

    fn get(&mut self, key: &String) -> Outcome<Option<usize>> {
        let value = self.database.begin_read()?.open_table(ROWS)?.get(key.as_bytes())?;
        Ok(value.map(|value| value.value().to_vec().len()))
    }

    fn set(&mut self, key: &String, value: Vec<u8>) -> Outcome<()> {
        self.set_many(vec![(key.clone(), value)])
    }

    fn set_many(&mut self, entries: Vec<(String, Vec<u8>)>) -> Outcome<()> {
        let mut write = self.database.begin_write()?;
        write.set_durability(self.durability)?;
        {
            let mut rows = write.open_table(ROWS)?;
            for (key, value) in &entries {
                rows.insert(key.as_bytes(), &**value)?;
            }
        }
        Ok(write.commit()?)
    }
}

/// A GNU dbm file that stays open. Nobody else can use it meanwhile.
pub(super) struct DbmKept(gdbm_native::Gdbm);

impl DbmKept {
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        Ok(Self(gdbm_native::OpenOptions::new().create(true).open(path)?))
    }
}

impl Subject for DbmKept {
    plain!();

    fn get(&mut self, key: &String) -> Outcome<Option<usize>> {
        let value: Option<Vec<u8>> = self.0.get(key)?;
        Ok(value.map(|value| value.len()))
    }

    fn set(&mut self, key: &String, value: Vec<u8>) -> Outcome<()> {
        self.0.insert(key, &value)?;
        Ok(())
    }

    fn set_many(&mut self, entries: Vec<(String, Vec<u8>)>) -> Outcome<()> {
        entries.into_iter().try_for_each(|(key, value)| self.set(&key, value))?;
        Ok(self.0.sync()?)
    }
}

/// A GNU dbm file that is opened for each operation, so that processes can share it.
pub(super) struct DbmOpened(PathBuf);

impl DbmOpened {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Subject for DbmOpened {
    plain!();

    fn get(&mut self, key: &String) -> Outcome<Option<usize>> {
        let file = gdbm_native::OpenOptions::new().open(&self.0)?;
        let value: Option<Vec<u8>> = file.get(key)?;
        Ok(value.map(|value| value.len()))
    }

    fn set(&mut self, key: &String, value: Vec<u8>) -> Outcome<()> {
        self.set_many(vec![(key.clone(), value)])
    }

    fn set_many(&mut self, entries: Vec<(String, Vec<u8>)>) -> Outcome<()> {
        let mut file = gdbm_native::OpenOptions::new().create(true).open(&self.0)?;
        for (key, value) in &entries {
            file.insert(key, value)?;
        }
        Ok(file.close()?)
    }
}

pub(super) struct Sled(sled::Db);

impl Sled {
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        Ok(Self(sled::Config::new().path(path).cache_capacity(CACHE_BYTES as u64).open()?))
    }
}

impl Subject for Sled {
    plain!();

    fn get(&mut self, key: &String) -> Outcome<Option<usize>> {
        Ok(self.0.get(key)?.map(|value| value.to_vec().len()))
    }

    fn set(&mut self, key: &String, value: Vec<u8>) -> Outcome<()> {
        self.0.insert(key, value)?;
        Ok(())
    }

    fn set_many(&mut self, entries: Vec<(String, Vec<u8>)>) -> Outcome<()> {
        let mut batch = sled::Batch::default();
        entries.into_iter().for_each(|(key, value)| batch.insert(key.as_bytes(), value));
        Ok(self.0.apply_batch(batch)?)
    }
}

pub(super) struct Files(Floor);

impl Files {
    pub(super) fn new(dir: &Path) -> Outcome<Self> {
        Ok(Self(Floor::new(dir)?))
    }
}

impl Subject for Files {
    plain!();

    fn get(&mut self, key: &String) -> Outcome<Option<usize>> {
        Ok(Some(self.0.read(key)?.len()))
    }

    fn set(&mut self, key: &String, value: Vec<u8>) -> Outcome<()> {
        Ok(self.0.write(key, &value)?)
    }
}
