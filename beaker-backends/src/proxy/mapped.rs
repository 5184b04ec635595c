//! What the proxies that store values in another form have in common.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_namespace::{
    Capabilities, Capability, Claim, Condition, ConditionalSet, Entry, Error, Fulfilled,
    Inspection, Key, Listed, Namespace, NamespaceId, Page, Scan, Stats, forward_namespace,
};

// What cannot be read back is gone for the reader and counted, as in every store, but it is not
// dropped: it may be whole for a reader with another configuration (a newer key, a higher limit), as
// when the processes of a service are renewed one by one.

/// Why stored bytes cannot be read back.
pub(super) type Damage = Cow<'static, str>;

/// Another form of values, and the way back.
pub(super) trait Mapping: fmt::Debug + Send + Sync + 'static {
    /// The entry as it is stored under `key` in the namespace called `name`.
    fn close(&self, name: &str, key: &Key, entry: Entry) -> Result<Entry, Error>;

    /// The entry that was given to [`close`](Self::close).
    fn open(&self, name: &str, key: &Key, entry: Entry) -> Result<Entry, Damage>;
}

/// A namespace whose values are stored in another form.
#[derive(Debug)]
pub(super) struct Mapped<N, M> {
    pub(super) id: NamespaceId,
    pub(super) inner: N,
    pub(super) mapping: M,
    /// Reads that found something that could not be read back.
    refused: AtomicU64,
}

impl<N: Namespace, M: Mapping> Mapped<N, M> {
    /// `kind` is put in front of the inner namespace's store to make an id.
    pub(super) fn new(kind: &str, inner: N, mapping: M) -> Self {
        let id = NamespaceId::new(&format!("{kind}:{}", inner.id().store()), inner.id().name());
        Self { id, inner, mapping, refused: AtomicU64::new(0) }
    }

    fn close(&self, key: &Key, entry: Entry) -> Result<Entry, Error> {
        self.mapping.close(self.id.name(), key, entry)
    }

    fn open(&self, key: &Key, entry: Entry) -> Result<Entry, Damage> {
        self.mapping.open(self.id.name(), key, entry)
    }

    /// What a read found, as the reader gets it.
    fn read(&self, key: &Key, found: Option<Entry>) -> Option<Entry> {
        let opened = self.open(key, found?);
        if opened.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        opened.ok()
    }

    /// The condition under which to store over what is under `key`, if it cannot be read back.
    fn over_damage(&self, key: &Key) -> Result<Option<Condition>, Error> {
        let Inspection::Present(entry) = self.inner.inspect(key)? else { return Ok(None) };
        let generation = entry.generation();
        Ok(self.open(key, entry).is_err().then_some(Condition::Generation(generation)))
    }

    /// What a listing says of the entry under `key`, unless it went or cannot be read back.
    fn list(&self, key: &Key) -> Result<Option<Listed>, Error> {
        Ok(match self.inspect(key)? {
            Inspection::Present(entry) => Some(Listed::new(key.clone(), &entry)),
            _ => None,
        })
    }
}

impl<N: Namespace, M: Mapping> Namespace for Mapped<N, M> {
    forward_namespace!(
        self => self.inner;
        scope, latency, clock, remove, clear, claim, remove_tag, mark, marks, sweep, remove_many,
        on_departure,
    );

    fn id(&self) -> &NamespaceId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().without(Capability::Objects)
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        Ok(self.read(key, self.inner.get(key)?))
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.inner.set(key, self.close(key, entry)?)
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        self.inner.fulfil(key, self.close(key, entry)?, claim)
    }

    fn stats(&self) -> Stats {
        let (mut stats, refused) = (self.inner.stats(), self.refused.load(Ordering::Relaxed));
        stats.hits = stats.hits.saturating_sub(refused);
        stats.misses += refused;
        stats.corrupt += refused;
        stats
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        let entry = self.close(key, entry)?;
        let set = self.inner.set_if(key, entry.clone(), condition)?;
        if set == ConditionalSet::Conflict
            && condition == Condition::Absent
            && let Some(condition) = self.over_damage(key)?
        {
            return self.inner.set_if(key, entry, condition);
        }
        Ok(set)
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        let Page { entries, next } = self.inner.scan(scan)?;
        let listed = entries.iter().map(|listed| self.list(&listed.key));
        Ok(Page { entries: listed.filter_map(Result::transpose).collect::<Result<_, _>>()?, next })
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        let corrupt = |damage: Damage| Inspection::Corrupt(damage.into_owned());
        Ok(match self.inner.inspect(key)? {
            Inspection::Present(entry) => {
                self.open(key, entry).map_or_else(corrupt, Inspection::Present)
            }
            Inspection::Dead(entry) => self.open(key, entry).map_or_else(corrupt, Inspection::Dead),
            other => other,
        })
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        let found = self.inner.get_many(keys)?;
        Ok(keys.iter().zip(found).map(|(key, found)| self.read(key, found)).collect())
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        let mut closed = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            match self.close(&key, entry) {
                Ok(entry) => closed.push((key, entry)),
                // All or none in a batch; elsewhere what is before the error is stored.
                Err(error) if self.capabilities().has(Capability::Batch) => return Err(error),
                Err(error) => return self.inner.set_many(closed).and(Err(error)),
            }
        }
        self.inner.set_many(closed)
    }
}

/// Implements [`Namespace`] for a proxy by its field `mapped`.
macro_rules! namespace_by_mapped {
    ($type:ident) => {
        impl<N: beaker_namespace::Namespace> beaker_namespace::Namespace for $type<N> {
            beaker_namespace::forward_namespace!(self => self.mapped; ..);
        }
    };
}
