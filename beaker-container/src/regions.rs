//! The regions of this process: where cached functions keep their values, and how long.
//!
//! A function made by `#[cached]` names a region when it is compiled; what the region is, is decided
//! when the program runs, before or after the function's first call. Until then every function has
//! its values in memory, and a region that nobody configured is an error.
//!
//! ```
//! use beaker_container::config::Config;
//! use beaker_container::regions;
//!
//! regions::on_error(|function, error| eprintln!("{function} is not cached: {error}"));
//! regions::configure(Config::from_pairs([
//!     ("cache.regions", "short_term, pages"),
//!     ("cache.short_term.expire", "60"),
//!     ("cache.pages.enabled", "false"),
//! ])?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Errors of the cache
//!
//! A cached function answers even if its cache cannot: if its region is not configured, or its
//! store fails, the function itself runs, and the error goes to [`on_error`]. The calls that are
//! about the cache, such as `load::invalidate(…)` and `load::cache()`, return the error instead.
//! With the feature `tracing` it is an event of level error too, whether or not somebody set a listener,
//! and [`errors`] counts it in any case. To find a misspelt region when the program starts, call
//! `load::cache()?` there: it returns the error.
//!
//! Of a region's policy everything holds for functions with `spawn`, which can outlive their call (the hard
//! time-out if their error can say so). Of others, the hard time-out and `on_cancel` do not, and the soft
//! time-out holds for those who wait.
//!
//! # Changing the configuration
//!
//! [`configure`] and [`install`] replace everything, for every function, from its next call on.
//! Calls that are running end with the store they began with, which stays open that long. While it is, a
//! memory namespace cannot be opened with another bound or clock: functions that need it so run
//! themselves meanwhile, and try again after a second.
//
// 1. The manager and the caches made from it are in STATE. EPOCH counts the managers; it is changed
//    under STATE's lock, after the manager.
// 2. A thread remembers the caches it used by weak references, so that the old manager's stores
//    close when it is replaced, whether or not the thread ever calls again.
// 3. A hit reads EPOCH (Acquire, with the Release of `install`) and takes the remembered cache.
//    Anything else goes to STATE, where a cache that was made from a manager of another epoch is
//    used for its own call only.
// 4. No lock is held while a store is opened or the listener runs.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::config::Config;
use crate::function::{Function, FunctionCache, Value};
use crate::values::is_surely;
use crate::watch::uncached;
use crate::{CacheManager, Error, ErrorKind};

/// How long the error of a cache that could not be made stands before it is tried again.
const RETRY: Duration = Duration::from_secs(1);

static EPOCH: AtomicU64 = AtomicU64::new(0);

static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);

static LISTENER: RwLock<Option<Listener>> = RwLock::new(None);

static ERRORS: AtomicU64 = AtomicU64::new(0);

type Listener = Arc<dyn Fn(&str, &Error) + Send + Sync>;

type Object = dyn Any + Send + Sync;

#[derive(Default)]
struct State {
    manager: CacheManager,
    /// What was made from the manager, by the function's type.
    made: HashMap<TypeId, Arc<Object>, ById>,
    failed: HashMap<TypeId, Failure, ById>,
    /// Whose the names are, for as long as the process lives.
    owners: HashMap<String, TypeId>,
}

struct Failure {
    error: Error,
    at: Instant,
}

/// Configures the regions, in place of what was configured before, with new stores.
///
/// # Errors
///
/// [`ErrorKind::Config`] if an option belongs to a region that is not declared; then nothing
/// changes. What a store refuses is found when a function needs it.
pub fn configure(config: Config) -> Result<(), Error> {
    install(CacheManager::new(config)?);
    Ok(())
}

/// Takes the regions and the stores of `manager`, in place of what was configured before.
///
/// The values of cached functions are then where the manager's other caches are.
pub fn install(manager: CacheManager) {
    let replaced = {
        let mut state = STATE.lock();
        let manager = std::mem::replace(&mut state.manager, manager);
        let made = std::mem::take(&mut state.made);
        state.failed.clear();
        EPOCH.fetch_add(1, Ordering::Release);
        (manager, made)
    };
    // Closing stores may take its time: not under the lock.
    drop(replaced);
}

/// The manager that cached functions use now. Until one is given, it has no regions, and keeps
/// everything in memory for ever.
pub fn manager() -> CacheManager {
    STATE.lock().manager.clone()
}

/// Tells `listener` of every error that a cached function did not pass to its caller, with the name
/// under which the function's values are kept. It replaces the listener before it.
///
/// Such are: a cache that cannot be made (told once, until it is configured anew or was made), and
/// a store that cannot be read or written (told each time). See also [`errors`].
///
/// # Concurrency
///
/// `listener` runs in the thread of the call, under no lock. It may call cached functions. A panic in
/// it reaches the caller.
pub fn on_error(listener: impl Fn(&str, &Error) + Send + Sync + 'static) {
    *LISTENER.write() = Some(Arc::new(listener));
}

/// How many errors cached functions did not pass to their callers, whether or not somebody listens.
pub fn errors() -> u64 {
    ERRORS.load(Ordering::Relaxed)
}

pub(crate) fn report(name: &str, error: &Error) {
    ERRORS.fetch_add(1, Ordering::Relaxed);
    uncached(name, error);
    let listener = LISTENER.read().clone();
    if let Some(listener) = listener {
        listener(name, error);
    }
}

/// Whether an error was told to the listener, or is still to be.
pub(crate) struct Unmade {
    pub(crate) error: Error,
    pub(crate) is_new: bool,
}

/// The cache of `function`: the remembered one, or a new one.
#[inline]
pub(crate) fn cache_of<V: Value>(function: &Function<V>) -> Result<Arc<FunctionCache<V>>, Unmade> {
    match remembered(function.id()) {
        Some(cache) => Ok(cache),
        None => cache_of_slow(function),
    }
}

/// The same in a task: a store is opened on a thread that may block.
#[cfg(feature = "tokio")]
pub(crate) async fn cache_of_async<V: Value>(
    function: &'static Function<V>,
) -> Result<Arc<FunctionCache<V>>, Unmade> {
    if let Some(cache) = remembered(function.id()) {
        return Ok(cache);
    }
    match look_up(function.id())? {
        LookUp::Made(cache) => Ok(cache),
        LookUp::Absent { .. } => match crate::runtime::blocking(|| cache_of_slow(function)).await {
            Ok(made) => made,
            Err(error) => Err(Unmade { error, is_new: true }),
        },
    }
}

/// What a thread has used since the epoch began.
struct Seen {
    epoch: u64,
    /// The last one of each place, in front of them all.
    recent: [Option<(TypeId, Weak<Object>)>; PLACES],
    caches: HashMap<TypeId, Weak<Object>, ById>,
}

/// A power of two.
const PLACES: usize = 16;

impl Seen {
    const NOTHING: Self = Self {
        epoch: 0,
        recent: [const { None }; PLACES],
        caches: HashMap::with_hasher(ById::new()),
    };

    #[inline]
    fn place(id: TypeId) -> usize {
        ById::new().hash_one(id) as usize % PLACES
    }

    #[inline]
    fn get(&self, id: TypeId) -> Option<&Weak<Object>> {
        match &self.recent[Self::place(id)] {
            Some((other, cache)) if *other == id => Some(cache),
            _ => self.caches.get(&id),
        }
    }

    fn insert(&mut self, id: TypeId, cache: Weak<Object>) {
        self.recent[Self::place(id)] = Some((id, Weak::clone(&cache)));
        self.caches.insert(id, cache);
    }
}

thread_local! {
    static SEEN: RefCell<Seen> = const { RefCell::new(Seen::NOTHING) };
}

#[inline]
fn remembered<V: Value>(id: TypeId) -> Option<Arc<FunctionCache<V>>> {
    let epoch = EPOCH.load(Ordering::Acquire);
    let cache = SEEN.try_with(|seen| {
        let seen = seen.try_borrow().ok()?;
        if seen.epoch != epoch {
            return None;
        }
        seen.get(id)?.upgrade()
    });
    // A thread that ends has forgotten already.
    let cache = cache.ok().flatten()?;
    match is_surely::<FunctionCache<V>>(&cache) {
        true => cache.downcast().ok(),
        false => after_all(cache),
    }
}

#[cold]
fn after_all<V: Value>(cache: Arc<Object>) -> Option<Arc<FunctionCache<V>>> {
    cache.downcast().ok()
}

fn remember(epoch: u64, id: TypeId, cache: Weak<Object>) {
    let _ended = SEEN.try_with(|seen| {
        let mut seen = seen.borrow_mut();
        if seen.epoch != epoch {
            *seen = Seen { epoch, ..Seen::NOTHING };
        }
        seen.insert(id, cache);
    });
}

#[cold]
fn cache_of_slow<V: Value>(function: &Function<V>) -> Result<Arc<FunctionCache<V>>, Unmade> {
    let id = function.id();
    let (epoch, manager) = match look_up(id)? {
        LookUp::Made(cache) => return Ok(cache),
        LookUp::Absent { epoch, manager } => (epoch, manager),
    };
    let name = function.namespace_name();
    let made = own(id, &name).and_then(|()| function.open(&manager, &name));
    keep(epoch, id, made)
}

enum LookUp<V> {
    Made(Arc<FunctionCache<V>>),
    /// To be made from this manager.
    Absent {
        epoch: u64,
        manager: CacheManager,
    },
}

fn look_up<V: Value>(id: TypeId) -> Result<LookUp<V>, Unmade> {
    let state = STATE.lock();
    // It changes under the lock only.
    let epoch = EPOCH.load(Ordering::Relaxed);
    if let Some(made) = state.made.get(&id)
        && let Ok(cache) = Arc::clone(made).downcast()
    {
        remember(epoch, id, Arc::downgrade(made));
        return Ok(LookUp::Made(cache));
    }
    match state.failed.get(&id) {
        Some(failure) if failure.at.elapsed() < RETRY => {
            Err(Unmade { error: failure.error.clone(), is_new: false })
        }
        _ => Ok(LookUp::Absent { epoch, manager: state.manager.clone() }),
    }
}

/// Takes the name for the function; another's is refused, since they would share their values.
fn own(id: TypeId, name: &str) -> Result<(), Error> {
    let owner = *STATE.lock().owners.entry(name.to_owned()).or_insert(id);
    if owner == id {
        return Ok(());
    }
    let detail = format!("two cached functions are called {name}; give one another `name`");
    Err(Error::new(ErrorKind::Config, detail))
}

/// Keeps what was made, or the error, for the others; the first to come wins.
fn keep<V: Value>(
    epoch: u64,
    id: TypeId,
    made: Result<FunctionCache<V>, Error>,
) -> Result<Arc<FunctionCache<V>>, Unmade> {
    let mut state = STATE.lock();
    let is_current = EPOCH.load(Ordering::Relaxed) == epoch;
    match made {
        Ok(cache) if !is_current => Ok(Arc::new(cache)),
        Ok(cache) => {
            let object = state.made.entry(id).or_insert_with(|| Arc::new(cache.clone()));
            remember(epoch, id, Arc::downgrade(object));
            let kept = Arc::clone(object).downcast();
            state.failed.remove(&id);
            Ok(kept.unwrap_or_else(|_| Arc::new(cache)))
        }
        Err(error) if !is_current => Err(Unmade { error, is_new: true }),
        Err(error) => {
            let failure = Failure { error: error.clone(), at: Instant::now() };
            let before = state.failed.insert(id, failure);
            Err(Unmade { error, is_new: before.is_none() })
        }
    }
}

/// Hashes a [`TypeId`], which is a hash already.
#[derive(Default)]
struct TypeIdHasher(u64);

type ById = BuildHasherDefault<TypeIdHasher>;

impl Hasher for TypeIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
