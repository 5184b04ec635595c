//! The face of a namespace in an engine.

use std::hash::Hash;
use std::sync::{Arc, LazyLock};

use beaker_namespace::{
    Capabilities, Capability, Claim, Clock, Condition, ConditionalSet, Entry, Error, ErrorKind,
    Fulfilled, Inspection, Key, Latency, Lookup, Mark, Namespace, NamespaceId, Page, Scan, Scope,
    Stats, Swept, Wait,
};
use beaker_syncdict::{CreateError, WeakRegistry};

use super::engine::{Engine, Sharing};
use super::space::Space;
use super::version;

/// The namespaces that are open in this process.
static OPEN: LazyLock<WeakRegistry<NamespaceId, Space>> =
    LazyLock::new(|| WeakRegistry::weak_with_shards(1));

/// Returns what is open under `key` in this process already, or opens it.
pub(crate) fn find_or_open<K: Hash + Eq + Clone, T>(
    registry: &WeakRegistry<K, T>,
    key: &K,
    open: impl FnOnce() -> Result<Arc<T>, Error>,
) -> Result<Arc<T>, Error> {
    registry.get_or_try_create(key, open).map_err(|error| match error {
        CreateError::Create(error) => error,
        CreateError::Reentrant => {
            Error::new(ErrorKind::Unavailable, "open the store").with_source(error)
        }
    })
}

/// A namespace in an engine. The stores wrap it and forward to it.
#[derive(Debug, Clone)]
pub(crate) struct KvNamespace {
    id: NamespaceId,
    space: Arc<Space>,
    clock: Arc<dyn Clock>,
}

impl KvNamespace {
    /// The namespace `name` in `engine`, which is the store called `store` in ids. The engine is
    /// kept by whoever holds the namespace.
    pub(crate) fn open(
        store: &str,
        name: &str,
        engine: Arc<dyn Engine>,
        max_value_bytes: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let id = NamespaceId::new(store, name);
        let new = || {
            version::check_now(&*engine)?;
            Ok(Space::new(engine, name, max_value_bytes))
        };
        let space = find_or_open(&OPEN, &id, new)?;
        Ok(Self { id, space, clock })
    }
}

impl Namespace for KvNamespace {
    fn id(&self) -> &NamespaceId {
        &self.id
    }

    fn scope(&self) -> Scope {
        match self.space.engine.sharing() {
            Sharing::Process => Scope::Process,
            Sharing::Host { .. } => Scope::Host,
        }
    }

    fn capabilities(&self) -> Capabilities {
        use Capability::{Batch, Bytes, CompareAndSet, Expiry, Marks, Retains, Scan, Tags};
        Capabilities::new(&[Retains, Bytes, Expiry, Scan, CompareAndSet, Batch, Tags, Marks])
    }

    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.look_up(key).map(Lookup::into_entry)
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.space.set_many(vec![(key.clone(), entry)], self.clock.coarse())
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        let removed = self.space.remove_many(std::slice::from_ref(key), self.clock.coarse())?;
        Ok(removed > 0)
    }

    fn clear(&self) -> Result<(), Error> {
        self.space.clear()
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.space.claim(key, wait)
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        self.space.fulfil(key, entry, &claim, self.clock.coarse())
    }

    fn stats(&self) -> Stats {
        self.space.stats()
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        self.space.set_if(key, entry, condition, self.clock.coarse())
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        self.space.scan(scan, self.clock.coarse())
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        self.space.remove_tag(tag, self.clock.coarse())
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        self.space.mark(name, mark, &self.clock)
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        self.space.marks(names, &self.clock)
    }

    fn sweep(&self) -> Result<Swept, Error> {
        self.space.sweep(self.clock.now())
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        self.space.look_up(key, &*self.clock)
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        self.space.inspect(key, self.clock.coarse())
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        self.space.get_many(keys, self.clock.coarse())
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        self.space.set_many(entries, self.clock.coarse())
    }

    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        self.space.remove_many(keys, self.clock.coarse())
    }
}

/// Makes a public type that holds a [`KvNamespace`] a namespace.
macro_rules! forward_to_kv {
    ($type:ident) => {
        impl beaker_namespace::Namespace for $type {
            fn id(&self) -> &beaker_namespace::NamespaceId {
                self.0.id()
            }

            fn scope(&self) -> beaker_namespace::Scope {
                self.0.scope()
            }

            fn capabilities(&self) -> beaker_namespace::Capabilities {
                self.0.capabilities()
            }

            fn latency(&self) -> beaker_namespace::Latency {
                self.0.latency()
            }

            fn clock(&self) -> &std::sync::Arc<dyn beaker_namespace::Clock> {
                self.0.clock()
            }

            fn get(
                &self,
                key: &beaker_namespace::Key,
            ) -> Result<Option<beaker_namespace::Entry>, beaker_namespace::Error> {
                self.0.get(key)
            }

            fn set(
                &self,
                key: &beaker_namespace::Key,
                entry: beaker_namespace::Entry,
            ) -> Result<(), beaker_namespace::Error> {
                self.0.set(key, entry)
            }

            fn remove(&self, key: &beaker_namespace::Key) -> Result<bool, beaker_namespace::Error> {
                self.0.remove(key)
            }

            fn clear(&self) -> Result<(), beaker_namespace::Error> {
                self.0.clear()
            }

            fn claim(
                &self,
                key: &beaker_namespace::Key,
                wait: beaker_namespace::Wait,
            ) -> Result<Option<beaker_namespace::Claim>, beaker_namespace::Error> {
                self.0.claim(key, wait)
            }

            fn fulfil(
                &self,
                key: &beaker_namespace::Key,
                entry: beaker_namespace::Entry,
                claim: beaker_namespace::Claim,
            ) -> Result<beaker_namespace::Fulfilled, beaker_namespace::Error> {
                self.0.fulfil(key, entry, claim)
            }

            fn stats(&self) -> beaker_namespace::Stats {
                self.0.stats()
            }

            fn set_if(
                &self,
                key: &beaker_namespace::Key,
                entry: beaker_namespace::Entry,
                condition: beaker_namespace::Condition,
            ) -> Result<beaker_namespace::ConditionalSet, beaker_namespace::Error> {
                self.0.set_if(key, entry, condition)
            }

            fn scan(
                &self,
                scan: &beaker_namespace::Scan,
            ) -> Result<beaker_namespace::Page, beaker_namespace::Error> {
                self.0.scan(scan)
            }

            fn remove_tag(&self, tag: &str) -> Result<u64, beaker_namespace::Error> {
                self.0.remove_tag(tag)
            }

            fn mark(
                &self,
                name: &str,
                mark: beaker_namespace::Mark,
            ) -> Result<beaker_namespace::Mark, beaker_namespace::Error> {
                self.0.mark(name, mark)
            }

            fn marks(
                &self,
                names: &mut dyn Iterator<Item = &str>,
            ) -> Result<beaker_namespace::Mark, beaker_namespace::Error> {
                self.0.marks(names)
            }

            fn sweep(&self) -> Result<beaker_namespace::Swept, beaker_namespace::Error> {
                self.0.sweep()
            }

            fn inspect(
                &self,
                key: &beaker_namespace::Key,
            ) -> Result<beaker_namespace::Inspection, beaker_namespace::Error> {
                self.0.inspect(key)
            }

            fn get_many(
                &self,
                keys: &[beaker_namespace::Key],
            ) -> Result<Vec<Option<beaker_namespace::Entry>>, beaker_namespace::Error> {
                self.0.get_many(keys)
            }

            fn set_many(
                &self,
                entries: Vec<(beaker_namespace::Key, beaker_namespace::Entry)>,
            ) -> Result<(), beaker_namespace::Error> {
                self.0.set_many(entries)
            }

            fn remove_many(
                &self,
                keys: &[beaker_namespace::Key],
            ) -> Result<u64, beaker_namespace::Error> {
                self.0.remove_many(keys)
            }
        }
    };
}
pub(crate) use forward_to_kv;
