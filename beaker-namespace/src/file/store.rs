use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use beaker_sync::CreationLock;

use super::claims::{self, FileClaim};
use super::config::{Durability, Settings};
use super::directories::{self, ATTEMPTS, Directories};
use super::format::Watch;
use super::layout::{Layout, Place};
use super::record::{Content, Record};
use super::registry::contradiction;
use super::trash::Trash;
use super::writers::Writers;
use crate::atomic_write::AtomicWrite;
use crate::envelope;
use crate::{
    Claim, Condition, ConditionalSet, Counts, Damage, Entry, Error, ErrorKind, Fingerprint,
    Fulfilled, Inspection, Key, Lookup, Stats, Timestamp, Wait, new_generation,
};

// How processes work on one namespace:
// 1. An entry's file gets its name when it is complete (rename) and is never written to again. So
//    readers take no lock.
// 2. What takes a file away or puts one in its place holds the key's writer lock: for checks and a
//    rename or unlink only, never while a value is written or while user code runs.
// 3. What replaces or removes a value voids the running claim first, under the same lock. Killed in
//    between, it has voided a claim for nothing; the other order could let an old value win. A claim
//    that begins in between forgets the mark; so who has taken a claim waits for the lock before he
//    reads, and finds the change done.
// 4. A file is removed as dead or damaged only if it is still the one that was looked at.
// 5. Once a newer version has taken the directory over, nothing in it is changed, and what cannot be read is an
//    error: see `format.rs`.

const MOVED: &str = "the file belongs to another key";

/// What all handles of one namespace in this process share.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) name: Box<str>,
    pub(super) directories: Directories,
    pub(super) writers: Writers,
    pub(super) counts: Counts,
    pub(super) settings: Settings,
    format: Watch,
    /// What is added to the number of a write before it says whose turn it is to sweep a little.
    pub(super) first_look: u64,
}

impl Store {
    /// Opens the namespace `name` below the existing directory `dir`.
    pub(super) fn open(dir: &Path, name: &str, settings: Settings) -> Result<Self, Error> {
        let layout = Layout::new(dir, name);
        let directories = Directories::new(layout, name, settings.durability);
        directories.prepare()?;
        let Settings { lock_timeout, network, .. } = settings;
        let writers = Writers::new(&directories.layout, lock_timeout, network);
        Ok(Self {
            name: name.into(),
            directories,
            writers,
            counts: Counts::default(),
            settings,
            format: Watch::default(),
            first_look: new_generation(),
        })
    }

    /// Fails if `settings` are not those that the store was opened with.
    pub(super) fn agree(&self, settings: Settings) -> Result<(), Error> {
        let ours = self.settings;
        if ours.durability != settings.durability {
            Err(contradiction("durability"))
        } else if ours.lock_timeout != settings.lock_timeout {
            Err(contradiction("lock_timeout"))
        } else if ours.max_value_bytes != settings.max_value_bytes {
            Err(contradiction("max_value_bytes"))
        } else if ours.network != settings.network {
            Err(contradiction("network policy"))
        } else {
            Ok(())
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.directories.layout
    }

    pub(super) fn place(&self, key: &Key) -> Place {
        self.layout().place(key)
    }

    fn claim_lock(&self, place: &Place) -> CreationLock {
        claims::lock_of(self.layout(), place, self.settings.network)
    }

    /// Fails if another version has taken the directory over.
    pub(super) fn check_format(&self, operation: &'static str) -> Result<(), Error> {
        self.format.check(operation, &self.layout().format(), &self.name)
    }

    /// What is at `place`. An entry belongs there, if it is not that of `expected` itself.
    pub(super) fn read(
        &self,
        place: &Place,
        expected: Option<&Key>,
    ) -> Result<Option<Record>, Error> {
        let mut found = Record::read(place.path(), &self.name, self.settings.max_value_bytes)?;
        if let Some(record) = &mut found {
            let belongs = |key| expected == Some(key) || place.is_of(key);
            if let Content::Entry(key, entry) = &record.content
                && !belongs(key)
            {
                let is = [key.as_bytes(), &entry.generation().to_le_bytes()].concat();
                let damage = Damage::new(MOVED).with_fingerprint(Fingerprint::of(&is));
                record.content = Content::Corrupt(damage);
            }
            if matches!(record.content, Content::Corrupt(_)) {
                self.check_format("read an entry")?;
            }
        }
        Ok(found)
    }

    /// A read that drops what it finds damaged.
    pub(super) fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Entry>, Error> {
        let heal = |place: &Place, record: &Record| {
            let _met_again_if_not = self.drop_seen(place, record);
        };
        self.serve(key, now, heal).map(Lookup::into_entry)
    }

    /// A read that leaves what it finds damaged.
    pub(super) fn look_up(&self, key: &Key, now: Timestamp) -> Result<Lookup, Error> {
        self.serve(key, now, |_, _| ())
    }

    fn serve(
        &self,
        key: &Key,
        now: Timestamp,
        damaged: impl FnOnce(&Place, &Record),
    ) -> Result<Lookup, Error> {
        let found = self.find(key, now, damaged)?;
        let is_hit = matches!(found, Lookup::Found(_));
        if is_hit { &self.counts.hits } else { &self.counts.misses }.add(1);
        Ok(found)
    }

    /// The living entry under `key`. A dead one is dropped on the way, a damaged one counted and shown.
    fn find(
        &self,
        key: &Key,
        now: Timestamp,
        damaged: impl FnOnce(&Place, &Record),
    ) -> Result<Lookup, Error> {
        let place = self.place(key);
        let Some(record) = self.read(&place, Some(key))? else { return Ok(Lookup::Absent) };
        Ok(match record.content {
            // Two keys have one hash, and this is the other's entry.
            Content::Entry(ref found, _) if found != key => Lookup::Absent,
            Content::Entry(_, ref entry) if entry.is_dead(now) => {
                self.drop_dead(&place, &record);
                Lookup::Absent
            }
            Content::TooLong(ref found) if found.is_dead(now) => {
                self.drop_dead(&place, &record);
                Lookup::Absent
            }
            Content::Entry(_, entry) => Lookup::Found(self.within_limit(&place, entry)?),
            Content::TooLong(found) => return Err(self.too_large(&place, found.bytes)),
            Content::Corrupt(ref damage) => {
                self.counts.corrupt.add(1);
                damaged(&place, &record);
                Lookup::Corrupt(damage.clone())
            }
        })
    }

    pub(super) fn inspect(&self, key: &Key, now: Timestamp) -> Result<Inspection, Error> {
        let place = self.place(key);
        let Some(record) = self.read(&place, Some(key))? else { return Ok(Inspection::Absent) };
        Ok(match record.content {
            Content::Entry(found, entry) if found == *key => {
                let entry = self.within_limit(&place, entry)?;
                if entry.is_dead(now) {
                    Inspection::Dead(entry)
                } else {
                    Inspection::Present(entry)
                }
            }
            Content::Entry(..) => Inspection::Absent,
            Content::TooLong(found) => return Err(self.too_large(&place, found.bytes)),
            Content::Corrupt(damage) => Inspection::Corrupt(damage.reason().to_owned()),
        })
    }

    /// `entry`, if its value is one that may be read. Its file may be longer, by key and tags.
    fn within_limit(&self, place: &Place, entry: Entry) -> Result<Entry, Error> {
        match entry.payload().len_bytes().unwrap_or_default() as u64 {
            bytes if bytes > self.settings.max_value_bytes => Err(self.too_large(place, bytes)),
            _ => Ok(entry),
        }
    }

    #[cold]
    fn too_large(&self, place: &Place, bytes: u64) -> Error {
        Error::new(ErrorKind::TooLarge, "read an entry").with_detail(format!(
            "{} has {bytes} bytes, and max_value_bytes is {}; raise it or remove the file",
            place.path().display(),
            self.settings.max_value_bytes
        ))
    }

    pub(super) fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        let place = self.place(key);
        let (record, _) = self.encode(key, entry)?;
        let void = || self.void_claim(&place);
        self.write(&place, &record, || void().map(|()| true))?;
        Ok(())
    }

    pub(super) fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
        now: Timestamp,
    ) -> Result<ConditionalSet, Error> {
        let place = self.place(key);
        let (record, generation) = self.encode(key, entry)?;
        let void = || self.void_claim(&place);
        let admit = || {
            let admitted = match self.current(key, &place, now) {
                Err(error) if is_too_large(&error) && condition == Condition::TooLarge => true,
                there => match there? {
                    Lookup::Corrupt(damage) => condition.holds_over(&damage),
                    there => condition.holds(there.as_entry().map(Entry::generation)),
                },
            };
            if admitted {
                void()?;
            }
            Ok(admitted)
        };
        let stored = self.write(&place, &record, admit)?;
        Ok(if stored { ConditionalSet::Stored { generation } } else { ConditionalSet::Conflict })
    }

    /// As a look-up, without counting or dropping anything: what lives and is longer than may be read is an error.
    pub(super) fn current(
        &self,
        key: &Key,
        place: &Place,
        now: Timestamp,
    ) -> Result<Lookup, Error> {
        Ok(match self.read(place, Some(key))?.map(|record| record.content) {
            Some(Content::Entry(found, entry)) if found == *key && !entry.is_dead(now) => {
                Lookup::Found(self.within_limit(place, entry)?)
            }
            Some(Content::TooLong(found)) if !found.is_dead(now) => {
                return Err(self.too_large(place, found.bytes));
            }
            Some(Content::Corrupt(damage)) => Lookup::Corrupt(damage),
            _ => Lookup::Absent,
        })
    }

    pub(super) fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.check_format("claim a key")?;
        let began = Instant::now();
        let place = self.place(key);
        let lock = self.claim_lock(&place);
        let Some(claim) = FileClaim::take(&lock, &self.directories, wait)? else {
            return Ok(None);
        };
        // Rule 3: a change that is under way may have voided the claim before this one.
        let left = match wait {
            Wait::AtMost(limit) => Wait::AtMost(limit.saturating_sub(began.elapsed())),
            Wait::Never | Wait::Forever => wait,
        };
        let no_change_runs = self.writers.lock_within(place.stripe(), left)?.is_some();
        // While it waited a newer version may have come.
        self.check_format("claim a key")?;
        Ok(no_change_runs.then(|| Claim::with_guard(new_generation(), claim)))
    }

    pub(super) fn fulfil(
        &self,
        key: &Key,
        entry: Entry,
        claim: &Claim,
    ) -> Result<Fulfilled, Error> {
        let place = self.place(key);
        let held = claim
            .guard::<FileClaim>()
            .filter(|held| held.is_on(&self.claim_lock(&place)))
            .ok_or_else(foreign_claim)?;
        let (record, _) = self.encode(key, entry)?;
        let admit = || held.is_void(self.layout()).map(|void| !void);
        if self.write(&place, &record, admit)? {
            Ok(Fulfilled::Stored)
        } else {
            self.counts.superseded.add(1);
            Ok(Fulfilled::Superseded)
        }
    }

    pub(super) fn remove(&self, key: &Key, now: Timestamp) -> Result<bool, Error> {
        let place = self.place(key);
        let mut lived = false;
        self.remove_where(&place, || {
            lived = match self.current(key, &place, now) {
                Err(error) if is_too_large(&error) => true,
                current => current?.as_entry().is_some(),
            };
            Ok(true)
        })?;
        if lived {
            self.counts.removes.add(1);
        }
        Ok(lived)
    }

    /// Removes what is at `place`, and voids the claim on it, if `admit`, called under the writer
    /// lock, says so.
    pub(super) fn remove_where(
        &self,
        place: &Place,
        admit: impl FnOnce() -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let _writer = self.writers.lock(place.stripe())?;
        self.check_format("remove an entry")?;
        if !admit()? {
            return Ok(false);
        }
        // On a full disk the first mark may need the space that the entry has. Then the second one
        // is all there is; if it fails too, so does the removal.
        let _marked = self.void_claim(place);
        self.unlink(place)?;
        self.void_claim(place)?;
        Ok(true)
    }

    pub(super) fn clear(&self) -> Result<(), Error> {
        if let Some(trash) = self.clear_into_trash()? {
            trash.delete_behind();
        }
        Ok(())
    }

    /// Clears, in a time that does not grow with the entries. Gives what is still to be deleted.
    pub(super) fn clear_into_trash(&self) -> Result<Option<Trash>, Error> {
        let writers = self.writers.lock_all()?;
        self.check_format("clear the namespace")?;
        let trash = self.directories.replace_entries()?;
        drop(writers);
        Ok(trash.and_then(|trash| Trash::new(trash).delete_a_little()))
    }

    pub(super) fn stats(&self) -> Stats {
        self.counts.stats()
    }

    /// The file's content, and the generation in it.
    pub(super) fn encode(&self, key: &Key, entry: Entry) -> Result<(Vec<u8>, u64), Error> {
        let generation = new_generation();
        let entry = entry.with_generation(generation);
        let record =
            envelope::encode_within(&self.name, key, &entry, self.settings.max_value_bytes)?;
        Ok((record, generation))
    }

    /// Puts `record` in its place if `admit`, called under the writer lock, says so.
    pub(super) fn write(
        &self,
        place: &Place,
        record: &[u8],
        mut admit: impl FnMut() -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        // A `clear` takes the directory away once. Whoever clears without pause may do so for as long
        // as a writer waits for other writers.
        let began = Instant::now();
        let mut attempts = 0..ATTEMPTS;
        while attempts.next().is_some() || began.elapsed() < self.settings.lock_timeout {
            let Some(temporary) = self.write_temporary(place, record)? else { continue };
            let _writer = self.writers.lock(place.stripe())?;
            self.check_format("write an entry")?;
            if !admit()? {
                return Ok(false);
            }
            match self.commit(temporary) {
                Ok(()) => {
                    self.counts.sets.add(1);
                    return Ok(true);
                }
                // `clear` or somebody else took the directory away with the temporary file in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("write an entry", place.path(), error)),
            }
        }
        Err(directories::vanishes(directories::parent(place.path())))
    }

    /// `None` if the directory was absent; it is there now.
    fn write_temporary(&self, place: &Place, record: &[u8]) -> Result<Option<AtomicWrite>, Error> {
        let written = AtomicWrite::new(place.path()).and_then(|mut temporary| {
            temporary.write_all(record)?;
            Ok(temporary)
        });
        match written {
            Ok(temporary) => Ok(Some(temporary)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.directories.prepare_leaf(place).map(|()| None)
            }
            Err(error) => Err(Error::io("write an entry", place.path(), error)),
        }
    }

    pub(super) fn commit(&self, temporary: AtomicWrite) -> io::Result<()> {
        match self.settings.durability {
            Durability::None => temporary.commit(),
            Durability::Durable => temporary.commit_synced(),
        }
    }

    pub(super) fn void_claim(&self, place: &Place) -> Result<(), Error> {
        claims::void(&self.claim_lock(place))
    }

    /// Removes what is at `place`; the writer lock is held.
    fn unlink(&self, place: &Place) -> Result<(), Error> {
        match fs::remove_file(place.path()) {
            Ok(()) => self.directories.sync(directories::parent(place.path())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("remove an entry", place.path(), error)),
        }
    }

    pub(super) fn drop_dead(&self, place: &Place, record: &Record) -> bool {
        let dropped = self.drop_seen(place, record);
        if dropped {
            self.counts.expirations.add(1);
        }
        dropped
    }

    pub(super) fn drop_corrupt(&self, place: &Place, record: &Record) -> bool {
        self.counts.corrupt.add(1);
        self.drop_seen(place, record)
    }

    /// Removes the file that `record` was read from, if it is still there and nobody is writing.
    ///
    /// This is housekeeping in the course of something else, so it neither waits nor fails: what
    /// stays is met again.
    fn drop_seen(&self, place: &Place, record: &Record) -> bool {
        let Ok(Some(_writer)) = self.writers.try_lock(place.stripe()) else { return false };
        self.check_format("remove an entry").is_ok()
            && record.is_still_at(place.path())
            && fs::remove_file(place.path()).is_ok()
    }
}

/// Whether something lives there that is longer than may be read.
fn is_too_large(error: &Error) -> bool {
    error.kind() == ErrorKind::TooLarge
}

#[cold]
fn foreign_claim() -> Error {
    Error::new(ErrorKind::Config, "fulfil a claim")
        .with_detail("the claim is on another key, namespace or store")
}
