use std::path::{Path, PathBuf};

use beaker_namespace::{
    Claim, Entry, Error, ErrorKind, Fulfilled, Key, Timestamp, Wait, new_generation,
};
use beaker_sync::{CreationGuard, CreationLock, lock_path};
use rusqlite::params;

use super::change::Change;
use super::housekeeping::Room;
use super::row::Row;
use super::space::Space;

/// Claims that are read at a time to find those that are left over.
const CLAIMS_PER_LOOK: i64 = 1_000;

/// Some claims in the order of their keys, after one of them. What is no blob is before all that are, so it finds
/// the first ones where there is none. In this form the index leads to them: a page is found without those before.
const CLAIMS_AFTER: &str = "SELECT key, token FROM claims
     WHERE ns = (SELECT id FROM namespaces WHERE name = ?1) AND key > coalesce(?2, '')
     ORDER BY key LIMIT ?3";

/// What a claim on one key of one namespace holds; rule 3 in store.rs.
#[derive(Debug)]
struct SqliteClaim {
    path: PathBuf,
    _guard: CreationGuard,
}

impl Space {
    pub(super) fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.database().check_process()?;
        let lock = self.claim_lock(key.as_bytes());
        let guard = match wait {
            Wait::Never => lock.try_lock(),
            Wait::AtMost(limit) => lock.try_lock_for(limit),
            Wait::Forever => lock.lock().map(Some),
        };
        let Some(guard) = guard.map_err(|error| Error::lock("claim a key", error))? else {
            return Ok(None);
        };
        let token = new_generation();
        self.change("claim a key", Room::NONE, |change| change.claim(key.as_bytes(), token))?;
        let held = SqliteClaim { path: lock.path().to_owned(), _guard: guard };
        Ok(Some(Claim::with_guard(token, held)))
    }

    pub(super) fn fulfil(
        &self,
        key: &Key,
        entry: Entry,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Fulfilled, Error> {
        let place = self.claim_lock(key.as_bytes());
        if claim.guard::<SqliteClaim>().is_none_or(|held| held.path != place.path()) {
            return Err(foreign_claim());
        }
        let row = self.row(key, entry)?;
        let stored = self.change("fulfil a claim", Room::of(row.room(), now), |change| {
            change.fulfil(&row, claim.token())
        })?;
        if !stored {
            self.counts.superseded.add(1);
            return Ok(Fulfilled::Superseded);
        }
        self.counts.sets.add(1);
        self.tidy(1, now);
        Ok(Fulfilled::Stored)
    }

    /// The lock on creating the value of `key`.
    fn claim_lock(&self, key: &[u8]) -> CreationLock {
        CreationLock::at(claim_path(self.database().locks(), &self.name, key))
            .network(self.database().settings.common.network)
    }

    /// Removes what dead claimers left in the table (rule 7), and says how many.
    pub(super) fn drop_dead_claims(&self) -> Result<u64, Error> {
        self.drop_dead_claims_by(CLAIMS_PER_LOOK)
    }

    fn drop_dead_claims_by(&self, per_look: i64) -> Result<u64, Error> {
        let (mut dropped, mut after) = (0, None);
        loop {
            let claims = self.claims_after(after.as_deref(), per_look)?;
            let Some((last, _)) = claims.last() else { return Ok(dropped) };
            after = Some(last.clone());
            for (key, token) in claims {
                let Ok(Some(_held)) = self.claim_lock(&key).try_lock() else { continue };
                let delete = "DELETE FROM claims WHERE ns = ?1 AND key = ?2 AND token = ?3";
                dropped += self.change("sweep the claims", Room::NONE, |change| {
                    change.run(delete, params![change.space, key, token])
                })? as u64;
            }
        }
    }

    /// At most `limit` claims, with their tokens, in the order of their keys.
    fn claims_after(&self, after: Option<&[u8]>, limit: i64) -> Result<Vec<(Vec<u8>, i64)>, Error> {
        self.database().read("sweep the claims", |connection| {
            let mut statement = connection.prepare_cached(CLAIMS_AFTER)?;
            let rows = statement.query_map(params![&*self.name, after, limit], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect()
        })
    }
}

impl Change<'_> {
    /// Writes down who may create the value of `key`.
    fn claim(&self, key: &[u8], token: u64) -> rusqlite::Result<()> {
        let claim = "INSERT OR REPLACE INTO claims (ns, key, token) VALUES (?1, ?2, ?3)";
        self.run(claim, params![self.space, key, token.cast_signed()]).map(drop)
    }

    /// Stores `row` if the claim with `token` still stands (rule 5), and says whether it did.
    fn fulfil(&self, row: &Row, token: u64) -> rusqlite::Result<bool> {
        let token = token.cast_signed();
        let mut stands = true;
        for tag in &row.tags {
            let find = "SELECT NOT EXISTS (SELECT 1 FROM barred WHERE token = ?1 AND tag = ?2)";
            stands &= self.number(find, params![token, tag])? != 0;
        }
        let end = "DELETE FROM claims WHERE ns = ?1 AND key = ?2 AND token = ?3";
        stands &= self.run(end, params![self.space, row.key.as_bytes(), token])? > 0;
        if stands {
            self.put(std::slice::from_ref(row))?;
        }
        Ok(stands)
    }

    /// Bars `tag` for what is being created now (rule 6).
    pub(super) fn bar(&self, tag: &str) -> rusqlite::Result<()> {
        let bar = "INSERT OR IGNORE INTO barred (token, tag)
                   SELECT token, ?2 FROM claims WHERE ns = ?1";
        self.run(bar, params![self.space, tag]).map(drop)
    }
}

/// The lock file of one key in one namespace, whatever characters they have.
fn claim_path(locks: &Path, name: &str, key: &[u8]) -> PathBuf {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut identifier = format!("{}:{name}:", name.len());
    for byte in key {
        identifier.push(char::from(DIGITS[usize::from(byte >> 4)]));
        identifier.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    lock_path(locks, &identifier)
}

#[cold]
fn foreign_claim() -> Error {
    Error::new(ErrorKind::Config, "fulfil a claim")
        .with_detail("the claim is on another key, namespace or store")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rusqlite::{Connection, StatementStatus};

    use super::super::config::SqliteConfig;
    use super::super::store::Store;
    use super::*;

    #[test]
    fn claims_that_are_held_do_not_hide_those_that_were_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let store = Arc::new(Store::open(&path, SqliteConfig::new(&path).settings).unwrap());
        let space = store.space("n").unwrap();
        let claim = |number: u64| space.claim(&Key::new(&number), Wait::Never).unwrap().unwrap();
        let held: Vec<Claim> = (0..7).map(claim).collect();
        // What a killed process leaves: its locks are free, and its rows are there.
        let leave = |number: u64| {
            space.change("claim", Room::NONE, |change| {
                change.claim(Key::new(&number).as_bytes(), number)
            })
        };
        (7..11).for_each(|number| leave(number).unwrap());
        assert_eq!(space.drop_dead_claims_by(3).unwrap(), 4);
        assert_eq!(space.drop_dead_claims_by(3).unwrap(), 0);
        assert_eq!(space.claims_after(None, 100).unwrap().len(), held.len());
    }

    #[test]
    fn a_sweep_reads_each_claim_once_however_many_pages_they_are() {
        const CLAIMS: u64 = 600;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.db");
        let store = Arc::new(Store::open(&path, SqliteConfig::new(&path).settings).unwrap());
        let space = store.space("n").unwrap();
        let claim = |change: &Change<'_>| {
            change.claim(&[], 0)?;
            (1..CLAIMS).try_for_each(|number| change.claim(&number.to_be_bytes(), number))
        };
        space.change("claim", Room::NONE, claim).unwrap();
        let steps_by = |per_look| {
            let (mut tokens, mut after) = (Vec::new(), None);
            loop {
                let claims = space.claims_after(after.as_deref(), per_look).unwrap();
                let Some((last, _)) = claims.last() else { break };
                after = Some(last.clone());
                tokens.extend(claims.iter().map(|(_, token)| token.cast_unsigned()));
            }
            assert!(tokens.into_iter().eq(0..CLAIMS));
            let steps = |connection: &Connection| {
                Ok(connection.prepare_cached(CLAIMS_AFTER)?.reset_status(StatementStatus::VmStep))
            };
            space.database().read("count steps", steps).unwrap()
        };
        let (at_once, in_pages) = (steps_by(1_000), steps_by(10));
        // SQLite's virtual machine takes some steps for each row, and some more to begin each page.
        assert!(at_once >= 600, "{at_once}");
        assert!(in_pages < 3 * at_once, "{in_pages} steps where {at_once} do");
    }

    #[test]
    fn name_and_key_do_not_run_together_in_a_lock_path() {
        let path = |name, key: &[u8]| claim_path(Path::new("/l"), name, key);
        assert_ne!(path("a", b"b"), path("ab", b""));
        assert_ne!(path("a:", b""), path("a", b":"));
        assert_ne!(path("", b"\x01"), path("", b"\x10"));
        assert_eq!(path("a", b"b"), path("a", b"b"));
    }
}
