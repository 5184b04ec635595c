//! The memory namespaces of this process, by name.

use std::any::Any;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use beaker_syncdict::WeakRegistry;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::MemoryNamespace;
use super::budget::Budget;
use super::claims::RemovedTags;
use super::config::MemoryConfig;
use super::counters::Counters;
use super::idle;
use super::listeners::Listeners;
use super::marks::Marks;
use super::shard::Shard;
use crate::{Clock, Error, ErrorKind, Namespace, NamespaceId, StoreUrl, SystemClock};

/// A shard holds at least about this many entries.
const MIN_SHARE: u64 = 64;

/// Each namespace numbers its entries from its own start, so that a generation of a namespace that
/// was freed means nothing to its successor.
const GENERATIONS_PER_LIFE: u64 = 1 << 40;

static LIVES: AtomicU64 = AtomicU64::new(0);

static OPEN: LazyLock<WeakRegistry<NamespaceId, MemoryNamespace>> =
    LazyLock::new(WeakRegistry::default);

pub(crate) fn open(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    Ok(MemoryNamespace::open(name, MemoryConfig::from_url(url, clock)?)?)
}

/// The number of a namespace's life, which no other has.
fn next_life() -> u64 {
    LIVES.fetch_add(1, Ordering::Relaxed)
}

impl MemoryNamespace {
    /// Opens the namespace called `name`, which all holders in this process share.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the bound is zero, or if somebody holds
    /// the namespace with another bound or clock.
    pub fn open(name: &str, config: MemoryConfig) -> Result<Arc<Self>, Error> {
        config.check()?;
        let id = config.id(name);
        let make = || Self::make(next_life(), id.clone(), config.clone());
        let namespace = OPEN.get_or_create(&id, make).map_err(|reentrant| {
            Error::new(ErrorKind::Unavailable, "open the memory namespace").with_source(reentrant)
        })?;
        namespace.config.agrees_with(&config)?;
        Ok(namespace)
    }

    /// A namespace that nobody else can open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the bound is zero.
    pub fn anonymous(config: MemoryConfig) -> Result<Arc<Self>, Error> {
        config.check()?;
        let life = next_life();
        Ok(Self::make(life, NamespaceId::new("memory:anonymous", &life.to_string()), config))
    }

    fn make(life: u64, id: NamespaceId, config: MemoryConfig) -> Arc<Self> {
        let limit = config.bound.limit();
        let shards = shard_count(limit);
        let first = life.wrapping_mul(GENERATIONS_PER_LIFE).wrapping_add(1);
        let shard = |index: u64| Shard::new(first.wrapping_add(index), shards);
        let namespace = Arc::new_cyclic(|me| Self {
            id,
            life,
            has_system_clock: is_system(&*config.clock),
            clock: Arc::clone(&config.clock),
            config,
            hasher: RandomState::default(),
            shards: (0..shards).map(shard).collect(),
            budget: Budget::new(limit),
            crowding: Mutex::new(()),
            due: Arc::new(AtomicI64::new(i64::MAX)),
            counters: Counters::default(),
            removed_tags: RemovedTags::default(),
            marks: Marks::default(),
            listeners: Listeners::default(),
            next_token: AtomicU64::new(1),
            me: me.clone(),
        });
        idle::enter(&namespace);
        namespace
    }
}

fn is_system(clock: &dyn Clock) -> bool {
    let clock: &dyn Any = clock;
    clock.is::<SystemClock>()
}

/// A power of two: four a core, but few where each would hold little.
fn shard_count(limit: u64) -> u64 {
    let cores = std::thread::available_parallelism().map_or(4, usize::from) as u64;
    let most = (cores * 4).next_power_of_two().min(256);
    let largest = (limit / MIN_SHARE).max(1);
    most.min(1 << largest.ilog2())
}

impl MemoryConfig {
    fn id(&self, name: &str) -> NamespaceId {
        let store = if self.group.is_empty() {
            "memory:".to_owned()
        } else {
            format!("memory://{}", self.group)
        };
        NamespaceId::new(&store, name)
    }
}
