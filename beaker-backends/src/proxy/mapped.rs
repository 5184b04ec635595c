//! What the proxies that store values in another form have in common.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_namespace::{
    AsyncNamespace, Capabilities, Capability, Claim, Condition, ConditionalSet, Damage, Entry,
    Error, Fingerprint, Fulfilled, Inspection, Key, Listed, Lookup, Namespace, NamespaceId, Page,
    Scan, Stats, forward_namespace,
};

use super::inner::{Answer, Inner, ready};

// What cannot be read back is gone for the reader and counted, as in every store, but it is not
// dropped: it may be whole for a reader with another configuration (a newer key, a higher limit), as
// when the processes of a service are renewed one by one.

/// Why stored bytes cannot be read back.
pub(super) type Reason = Cow<'static, str>;

/// Another form of values, and the way back.
pub(super) trait Mapping: fmt::Debug + Send + Sync + 'static {
    /// The entry as it is stored under `key` in the namespace called `name`.
    fn close(&self, name: &str, key: &Key, entry: Entry) -> Result<Entry, Error>;

    /// The entry that was given to [`close`](Self::close).
    fn open(&self, name: &str, key: &Key, entry: Entry) -> Result<Entry, Reason>;
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

    fn blocking(&self) -> Inner<'_> {
        Inner::blocking(&self.inner)
    }

    fn in_task(&self) -> Inner<'_> {
        Inner::in_task(&self.inner)
    }

    fn close(&self, key: &Key, entry: Entry) -> Result<Entry, Error> {
        self.mapping.close(self.id.name(), key, entry)
    }

    fn open(&self, key: &Key, entry: Entry) -> Result<Entry, Reason> {
        self.mapping.open(self.id.name(), key, entry)
    }

    /// What a read found, as the reader gets it.
    fn read(&self, key: &Key, found: Lookup) -> Lookup {
        let Lookup::Found(entry) = found else { return found };
        let generation = entry.generation();
        match self.open(key, entry) {
            Ok(entry) => Lookup::Found(entry),
            Err(reason) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Lookup::Corrupt(damage(reason, generation))
            }
        }
    }

    fn read_many(&self, keys: &[Key], found: Vec<Option<Entry>>) -> Vec<Option<Entry>> {
        keys.iter()
            .zip(found)
            .map(|(key, found)| self.read(key, found.into()).into_entry())
            .collect()
    }

    /// What a look found, as the caller gets it.
    fn inspected(&self, key: &Key, found: Inspection) -> Inspection {
        let corrupt = |reason: Reason| Inspection::Corrupt(reason.into_owned());
        match found {
            Inspection::Present(entry) => {
                self.open(key, entry).map_or_else(corrupt, Inspection::Present)
            }
            Inspection::Dead(entry) => self.open(key, entry).map_or_else(corrupt, Inspection::Dead),
            other => other,
        }
    }

    fn inspected_many(&self, keys: &[Key], found: Vec<Inspection>) -> Vec<Inspection> {
        keys.iter().zip(found).map(|(key, found)| self.inspected(key, found)).collect()
    }

    async fn set_if_by(
        &self,
        inner: Inner<'_>,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        let entry = self.close(key, entry)?;
        let set = inner.set_if(key, entry.clone(), condition).await?;
        if set == ConditionalSet::Conflict
            && !matches!(condition, Condition::Generation(_))
            && let Inspection::Present(there) = inner.inspect(key).await?
        {
            let generation = there.generation();
            if let Err(reason) = self.open(key, there)
                && condition.holds_over(&damage(reason, generation))
            {
                return inner.set_if(key, entry, Condition::Generation(generation)).await;
            }
        }
        Ok(set)
    }

    async fn scan_by(&self, inner: Inner<'_>, scan: &Scan) -> Result<Page, Error> {
        let Page { entries, next } = inner.scan(scan).await?;
        let keys: Vec<Key> = entries.into_iter().map(|listed| listed.key).collect();
        let found = self.inspected_many(&keys, inner.inspect_many(&keys).await?);
        let listed = keys.into_iter().zip(found).filter_map(|(key, found)| match found {
            Inspection::Present(entry) => Some(Listed::new(key, &entry)),
            _ => None, // It went since, or cannot be read back.
        });
        Ok(Page { entries: listed.collect(), next })
    }

    async fn set_many_by(&self, inner: Inner<'_>, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        let mut closed = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            match self.close(&key, entry) {
                Ok(entry) => closed.push((key, entry)),
                // All or none in a batch; elsewhere what is before the error is stored.
                Err(error) if inner.capabilities().has(Capability::Batch) => return Err(error),
                Err(error) => return inner.set_many(closed).await.and(Err(error)),
            }
        }
        inner.set_many(closed).await
    }
}

/// That of an entry which is whole in the namespace inside: known by its generation there.
fn damage(reason: Reason, generation: u64) -> Damage {
    Damage::new(reason).with_fingerprint(Fingerprint::of(&generation.to_le_bytes()))
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

    fn asynchronous(&self) -> Option<&dyn AsyncNamespace> {
        self.inner.asynchronous().map(|_| self as _)
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        Ok(self.read(key, self.inner.get(key)?.into()).into_entry())
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
        ready(self.set_if_by(self.blocking(), key, entry, condition))
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        ready(self.scan_by(self.blocking(), scan))
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        Ok(self.inspected(key, self.inner.inspect(key)?))
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        Ok(self.read(key, self.inner.look_up(key)?))
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        Ok(self.read_many(keys, self.inner.get_many(keys)?))
    }

    fn inspect_many(&self, keys: &[Key]) -> Result<Vec<Inspection>, Error> {
        Ok(self.inspected_many(keys, self.inner.inspect_many(keys)?))
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        ready(self.set_many_by(self.blocking(), entries))
    }
}

impl<N: Namespace, M: Mapping> AsyncNamespace for Mapped<N, M> {
    forward_in_task!(
        self => self.in_task();
        remove, clear, claim, remove_tag, mark, marks, sweep, remove_many,
    );

    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Entry>> {
        Box::pin(
            async move { Ok(self.read(key, self.in_task().get(key).await?.into()).into_entry()) },
        )
    }

    fn set<'a>(&'a self, key: &'a Key, entry: Entry) -> Answer<'a, ()> {
        Box::pin(async move { self.in_task().set(key, self.close(key, entry)?).await })
    }

    fn fulfil<'a>(&'a self, key: &'a Key, entry: Entry, claim: Claim) -> Answer<'a, Fulfilled> {
        Box::pin(async move { self.in_task().fulfil(key, self.close(key, entry)?, claim).await })
    }

    fn set_if<'a>(
        &'a self,
        key: &'a Key,
        entry: Entry,
        condition: Condition,
    ) -> Answer<'a, ConditionalSet> {
        Box::pin(self.set_if_by(self.in_task(), key, entry, condition))
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Answer<'a, Page> {
        Box::pin(self.scan_by(self.in_task(), scan))
    }

    fn inspect<'a>(&'a self, key: &'a Key) -> Answer<'a, Inspection> {
        Box::pin(async move { Ok(self.inspected(key, self.in_task().inspect(key).await?)) })
    }

    fn look_up<'a>(&'a self, key: &'a Key) -> Answer<'a, Lookup> {
        Box::pin(async move { Ok(self.read(key, self.in_task().look_up(key).await?)) })
    }

    fn get_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        Box::pin(async move { Ok(self.read_many(keys, self.in_task().get_many(keys).await?)) })
    }

    fn inspect_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Inspection>> {
        Box::pin(
            async move { Ok(self.inspected_many(keys, self.in_task().inspect_many(keys).await?)) },
        )
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Answer<'_, ()> {
        Box::pin(self.set_many_by(self.in_task(), entries))
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
