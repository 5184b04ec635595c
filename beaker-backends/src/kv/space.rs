//! One namespace in an engine: what all handles of it in this process share.

use std::sync::{Arc, Weak};

use beaker_namespace::{
    Claim, Clock, Condition, ConditionalSet, Counts, Cursor, Damage, Entry, Error, ErrorKind,
    Fingerprint, Fulfilled, Inspection, Key, Listed, Lookup, Page, Scan, Stats, Timestamp, Wait,
    envelope, new_generation,
};

use super::arrivals::Arrivals;
use super::claims::{self, Claims, KvClaim};
use super::engine::{Engine, Reader, Sharing, Sync, Writer, update, view};
use super::place::Place;
use super::rows::{self, Home};
use super::sweep::Progress;
use super::version::{self, Standing};
use crate::common::AROUND_VALUE_BYTES;

#[derive(Debug)]
pub(super) struct Space {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) name: Box<str>,
    pub(super) claims: Claims,
    pub(super) counts: Counts,
    pub(super) progress: Progress,
    pub(super) place: Place,
    pub(super) max_value_bytes: u64,
    me: Weak<Self>,
}

/// What is under a key.
pub(super) enum Found {
    Nothing,
    Entry(Entry),
    /// It cannot be read back.
    Corrupt(Damage),
    /// It is longer than may be read, and dies then.
    TooLarge(Timestamp),
}

impl Found {
    /// Whether it is an entry that is dead at some time.
    fn dies(&self) -> bool {
        match self {
            Self::Entry(entry) => !entry.dies().is_never(),
            Self::TooLarge(dies) => !dies.is_never(),
            Self::Nothing | Self::Corrupt(_) => false,
        }
    }

    /// Whether it lives, and is longer than may be read.
    fn is_unread(&self, now: Timestamp) -> bool {
        matches!(self, Self::TooLarge(dies) if dies.is_never() || now < *dies)
    }

    /// Whether `condition` holds where it is, which is not unread.
    fn admits(self, condition: Condition, now: Timestamp) -> bool {
        match self {
            Self::Corrupt(damage) => condition.holds_over(&damage),
            found => condition.holds(found.living(now).map(|entry| entry.generation())),
        }
    }

    /// The entry, unless it is dead or damaged.
    fn living(self, now: Timestamp) -> Option<Entry> {
        match self {
            Self::Entry(entry) if !entry.is_dead(now) => Some(entry),
            _ => None,
        }
    }
}

impl Space {
    pub(super) fn new(engine: Arc<dyn Engine>, name: &str, max_value_bytes: u64) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            claims: Claims::new(engine.sharing()),
            engine,
            name: name.into(),
            counts: Counts::default(),
            progress: Progress::default(),
            place: Place::default(),
            max_value_bytes,
            me: me.clone(),
        })
    }

    /// Itself, for a change to take along.
    pub(super) fn shared(&self) -> Result<Arc<Self>, Error> {
        // It is in an `Arc` from the beginning, and whoever calls holds that.
        self.me.upgrade().ok_or_else(|| Error::new(ErrorKind::Unavailable, "use the store"))
    }

    /// Runs `change` on this namespace, all or nothing.
    pub(super) fn update<T: Send + 'static>(
        &self,
        sync: Sync,
        change: impl FnOnce(&Self, &mut dyn Writer) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let space = self.shared()?;
        let (done, writes) = update(&*self.engine, sync, move |writer| {
            // Changes run alone, so what is begun from here on is this one's.
            let before = space.place.begun();
            let done = space.change_by(change, writer);
            let writes = space.place.begun() - before;
            // What fails here is not kept.
            let done = done.inspect_err(|_| space.place.end(writes))?;
            Ok((done, writes))
        })?;
        self.place.end(writes);
        Ok(done)
    }

    fn change_by<T>(
        &self,
        change: impl FnOnce(&Self, &mut dyn Writer) -> Result<T, Error>,
        writer: &mut dyn Writer,
    ) -> Result<T, Error> {
        let standing = self.check_version(writer)?;
        let done = change(self, writer)?;
        let raises = match standing {
            Standing::Current => false,
            Standing::Lower => true,
            Standing::Unsaid => Home::find(writer, &self.name)?.is_some(),
        };
        if raises {
            version::note(&*self.engine, writer)?;
        }
        Ok(done)
    }

    /// Fails if a newer program has raised the store's version since it was opened.
    fn check_version<R: Reader + ?Sized>(&self, reader: &R) -> Result<Standing, Error> {
        match self.engine.sharing() {
            Sharing::Process => Ok(Standing::Current),
            Sharing::Host { .. } => version::check(&*self.engine, reader),
        }
    }

    /// The namespace, made if it is absent.
    fn find_or_make(&self, writer: &mut dyn Writer) -> Result<Home, Error> {
        match Home::find(writer, &self.name)? {
            Some(home) => Ok(home),
            None => {
                let home = Home::new(self.new_ledger());
                self.settle(writer, None, home).map(|()| home)
            }
        }
    }

    /// What a read must know before its view of the store begins; see `place.rs`.
    fn stamp(&self) -> Option<u64> {
        match self.engine.sharing() {
            Sharing::Process => self.place.stamp(),
            Sharing::Host { .. } => None,
        }
    }

    /// The namespace as `reader` shows it, whose view began after `stamp` was taken.
    fn home(&self, reader: &dyn Reader, stamp: Option<u64>) -> Result<Option<Home>, Error> {
        let stamp = stamp.filter(|stamp| self.place.begun() == *stamp);
        if let Some(home) = stamp.and_then(|stamp| self.place.known(stamp)) {
            return Ok(Some(home));
        }
        let home = Home::find(reader, &self.name)?;
        if let (Some(stamp), Some(home)) = (stamp, home) {
            self.place.remember(stamp, home);
        }
        Ok(home)
    }

    pub(super) fn look_up(&self, key: &Key, clock: &dyn Clock) -> Result<Lookup, Error> {
        let stamp = self.stamp();
        let found = view(&*self.engine, |reader| self.find(reader, key, stamp))?;
        // The time says nothing of an entry that never dies, and takes as long to ask for as a lock.
        let now = if found.dies() { clock.coarse() } else { Timestamp::NEVER };
        self.counted(found, now)
    }

    pub(super) fn get_many(
        &self,
        keys: &[Key],
        now: Timestamp,
    ) -> Result<Vec<Option<Entry>>, Error> {
        let stamp = self.stamp();
        let found: Vec<Found> = view(&*self.engine, |reader| {
            let Some(home) = self.home(reader, stamp)? else {
                return Ok(keys.iter().map(|_| Found::Nothing).collect());
            };
            keys.iter().map(|key| self.find_at(reader, home, key)).collect()
        })?;
        found.into_iter().map(|found| Ok(self.counted(found, now)?.into_entry())).collect()
    }

    fn counted(&self, found: Found, now: Timestamp) -> Result<Lookup, Error> {
        let lookup = match found {
            found if found.is_unread(now) => return Err(self.too_large()),
            Found::Corrupt(damage) => {
                self.counts.corrupt.add(1);
                Lookup::Corrupt(damage)
            }
            found => found.living(now).into(),
        };
        let is_hit = matches!(lookup, Lookup::Found(_));
        if is_hit { &self.counts.hits } else { &self.counts.misses }.add(1);
        Ok(lookup)
    }

    fn find(&self, reader: &dyn Reader, key: &Key, stamp: Option<u64>) -> Result<Found, Error> {
        match self.home(reader, stamp)? {
            Some(home) => self.find_at(reader, home, key),
            None => Ok(Found::Nothing),
        }
    }

    fn find_at<R: Reader + ?Sized>(
        &self,
        reader: &R,
        home: Home,
        key: &Key,
    ) -> Result<Found, Error> {
        let mut found = Found::Nothing;
        home.at_entry(key.as_bytes(), |row| {
            reader.look(row, &mut |record| found = self.decode(key, record))
        })?;
        if let Found::Corrupt(_) = found {
            self.check_version(reader)?;
        }
        Ok(found)
    }

    fn decode(&self, key: &Key, record: &[u8]) -> Found {
        // Before anything is hashed or copied: it has more bytes than any that is within the limit. When it dies
        // it says itself; if that is wrong it is damaged, and nobody's loss either.
        if record.len() as u64 > self.max_value_bytes.saturating_add(AROUND_VALUE_BYTES) {
            return Found::TooLarge(envelope::says_it_dies(record).unwrap_or(Timestamp::NEVER));
        }
        let entry = match envelope::decode_from(&self.name, key, record) {
            Ok(entry) => entry,
            Err(error) => {
                let damage = Damage::new(error.to_string());
                return Found::Corrupt(damage.with_fingerprint(Fingerprint::of(record)));
            }
        };
        let length = entry.payload().len_bytes().unwrap_or_default() as u64;
        if length <= self.max_value_bytes {
            Found::Entry(entry)
        } else {
            Found::TooLarge(entry.dies())
        }
    }

    #[cold]
    fn too_large(&self) -> Error {
        Error::new(ErrorKind::TooLarge, "read an entry").with_detail(format!(
            "an entry in {} is longer than max_value_bytes, which is {}; raise it or remove the \
             entry",
            self.engine.path().display(),
            self.max_value_bytes
        ))
    }

    pub(super) fn inspect(&self, key: &Key, now: Timestamp) -> Result<Inspection, Error> {
        let stamp = self.stamp();
        Ok(match view(&*self.engine, |reader| self.find(reader, key, stamp))? {
            Found::Nothing => Inspection::Absent,
            Found::Entry(entry) if entry.is_dead(now) => Inspection::Dead(entry),
            Found::Entry(entry) => Inspection::Present(entry),
            Found::TooLarge(_) => return Err(self.too_large()),
            Found::Corrupt(damage) => Inspection::Corrupt(damage.reason().to_owned()),
        })
    }

    pub(super) fn set_many(&self, entries: Vec<(Key, Entry)>, now: Timestamp) -> Result<(), Error> {
        let arrivals = Arrivals::new(&self.name, entries, self.max_value_bytes)?;
        self.update(Sync::Configured, move |space, writer| {
            let home = space.find_or_make(writer)?;
            let home = space.put(writer, home, &arrivals)?;
            space.sweep_now_and_then(writer, home, now, arrivals.len())
        })
    }

    /// Stores what arrives, and voids the claims on its keys. Says what is known of the namespace then.
    fn put(&self, writer: &mut dyn Writer, home: Home, arrivals: &Arrivals) -> Result<Home, Error> {
        let after = self.claims.void(writer, home, arrivals.keys())?.due_at(arrivals.dies());
        let mut row = home.entry(&[]);
        let head = row.len();
        for (key, record) in arrivals.iter() {
            row.truncate(head);
            row.extend_from_slice(key);
            writer.put(&row, record)?;
        }
        self.settle(writer, Some(home), after)?;
        self.progress.wrote(arrivals.dies());
        self.counts.sets.add(arrivals.len() as u64);
        Ok(after)
    }

    pub(super) fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
        now: Timestamp,
    ) -> Result<ConditionalSet, Error> {
        let (arrival, generation) = Arrivals::one(&self.name, key, entry, self.max_value_bytes)?;
        let key = key.clone();
        self.update(Sync::Configured, move |space, writer| {
            let home = space.find_or_make(writer)?;
            let holds = match space.find_at(writer, home, &key)? {
                found if found.is_unread(now) && condition == Condition::TooLarge => true,
                found if found.is_unread(now) => return Err(space.too_large()),
                found => found.admits(condition, now),
            };
            if !holds {
                return Ok(ConditionalSet::Conflict);
            }
            space.put(writer, home, &arrival)?;
            Ok(ConditionalSet::Stored { generation })
        })
    }

    pub(super) fn remove_many(&self, keys: &[Key], now: Timestamp) -> Result<u64, Error> {
        let keys = keys.to_vec();
        self.update(Sync::Configured, move |space, writer| {
            let Some(home) = Home::find(writer, &space.name)? else { return Ok(0) };
            let bytes = keys.iter().map(Key::as_bytes);
            let after = space.claims.void(writer, home, bytes)?;
            space.settle(writer, Some(home), after)?;
            let mut lived = 0;
            for key in &keys {
                lived += u64::from(space.take(writer, home, key, now)?);
            }
            space.counts.removes.add(lived);
            Ok(lived)
        })
    }

    /// Removes what is under `key`. Says whether an entry lived there.
    fn take(
        &self,
        writer: &mut dyn Writer,
        home: Home,
        key: &Key,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let lived = match self.find_at(writer, home, key)? {
            Found::Nothing => return Ok(false),
            found => found.is_unread(now) || found.living(now).is_some(),
        };
        writer.delete(&home.entry(key.as_bytes()))?;
        Ok(lived)
    }

    pub(super) fn clear(&self) -> Result<(), Error> {
        self.update(Sync::Configured, |space, writer| {
            if let Some(home) = Home::find(writer, &space.name)? {
                let after = home.replaced(writer, space.new_ledger())?;
                space.settle(writer, Some(home), after)?;
            }
            Ok(())
        })
    }

    pub(super) fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        let guard = match self.engine.sharing() {
            Sharing::Process => None,
            Sharing::Host { locks } => {
                let lock = claims::lock_of(locks, &self.name, key.as_bytes());
                let Some(guard) = claims::take(&lock, wait)? else { return Ok(None) };
                Some(guard)
            }
        };
        let (token, bytes) = (new_generation(), Box::<[u8]>::from(key.as_bytes()));
        let home = self.update(Sync::Relaxed, {
            let key = bytes.clone();
            move |space, writer| {
                let home = space.find_or_make(writer)?;
                let after = space.claims.begin(writer, home, &key, token)?;
                space.settle(writer, Some(home), after).map(|()| home)
            }
        })?;
        let claim = KvClaim { space: self.me.clone(), home, key: bytes, token, _guard: guard };
        Ok(Some(Claim::with_guard(token, claim)))
    }

    pub(super) fn fulfil(
        &self,
        key: &Key,
        entry: Entry,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Fulfilled, Error> {
        let space = self.shared()?;
        let held = claim
            .guard::<KvClaim>()
            .filter(|held| held.is_on(&space, key.as_bytes()))
            .ok_or_else(foreign_claim)?;
        let (began_in, token) = (held.home, held.token);
        let (arrival, _) = Arrivals::one(&self.name, key, entry, self.max_value_bytes)?;
        let key = key.clone();
        self.update(Sync::Configured, move |space, writer| {
            let home = space.find_or_make(writer)?;
            let key = key.as_bytes();
            if home.continues(began_in) && space.claims.stands(writer, home, key, token)? {
                let home = space.put(writer, home, &arrival)?;
                space.sweep_now_and_then(writer, home, now, 1)?;
                return Ok(Fulfilled::Stored);
            }
            let after = space.claims.end(writer, home, began_in, key, token)?;
            space.settle(writer, Some(home), after)?;
            space.counts.superseded.add(1);
            Ok(Fulfilled::Superseded)
        })
    }

    pub(super) fn scan(&self, scan: &Scan, now: Timestamp) -> Result<Page, Error> {
        view(&*self.engine, |reader| {
            let mut page = Page::default();
            self.check_version(reader)?;
            let Some(home) = Home::find(reader, &self.name)? else { return Ok(page) };
            let prefix = home.entry(scan.prefix_bytes());
            let after = scan.cursor().map(|cursor| home.entry(cursor));
            self.for_each_living(reader, &prefix, after.as_deref(), now, |key, entry, size| {
                if page.entries.len() == scan.page_limit() {
                    let last = page.entries.last().map(|listed| listed.key.as_bytes().to_vec());
                    page.next = last.map(Cursor::new);
                    return std::ops::ControlFlow::Break(());
                }
                let mut listed = Listed::new(key, &entry);
                listed.size_bytes = Some(size);
                page.entries.push(listed);
                std::ops::ControlFlow::Continue(())
            })?;
            Ok(page)
        })
    }

    /// Shows the entries that live under keys beginning with `prefix` to `visit`, without their values but
    /// with the lengths of these, until it breaks.
    fn for_each_living<R: Reader + ?Sized>(
        &self,
        reader: &R,
        prefix: &[u8],
        after: Option<&[u8]>,
        now: Timestamp,
        mut visit: impl FnMut(Key, Entry, u64) -> std::ops::ControlFlow<()>,
    ) -> Result<(), Error> {
        reader.walk(prefix, after, &mut |row, record| match self.decode_row(row, record) {
            Ok((key, entry, size)) if !entry.is_dead(now) => visit(key, entry, size),
            _ => std::ops::ControlFlow::Continue(()),
        })
    }

    /// The key of a row that a walk came by, its entry without the value, and the length of that.
    /// Nothing is copied, so whatever the limit says of the value it can be listed, removed and swept.
    pub(super) fn decode_row(&self, row: &[u8], record: &[u8]) -> Result<(Key, Entry, u64), Error> {
        let key = Key::from_encoded(rows::key_in(row)).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "decode an entry").with_detail("the key is malformed")
        })?;
        let (entry, value) = envelope::decode_head(&self.name, &key, record)?;
        Ok((key, entry, value.len() as u64))
    }

    pub(super) fn remove_tag(&self, tag: &str, now: Timestamp) -> Result<u64, Error> {
        let tag = tag.to_owned();
        self.update(Sync::Configured, move |space, writer| {
            let Some(home) = Home::find(writer, &space.name)? else { return Ok(0) };
            let mut tagged = Vec::new();
            space.for_each_living(writer, &home.entry(&[]), None, now, |key, entry, _| {
                if entry.tag_list().contains(&tag) {
                    tagged.push(home.entry(key.as_bytes()));
                }
                std::ops::ControlFlow::Continue(())
            })?;
            space.settle(writer, Some(home), home.with_next_epoch())?;
            for row in &tagged {
                writer.delete(row)?;
            }
            space.counts.removes.add(tagged.len() as u64);
            Ok(tagged.len() as u64)
        })
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.counts.stats();
        stats.size_bytes = self.engine.size_bytes();
        stats
    }
}

#[cold]
fn foreign_claim() -> Error {
    Error::new(ErrorKind::Config, "fulfil a claim")
        .with_detail("the claim is on another key, namespace or store")
}
