//! The regions belong to the process, so one test at a time has them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use beaker_cache::config::{CacheOptions, Config};
use beaker_cache::{CacheManager, ManualClock, Stores, Timestamp, regions};

static ONE_TEST: Mutex<()> = Mutex::new(());

/// The regions, as long as this is held.
pub(crate) struct Held {
    pub(crate) clock: Arc<ManualClock>,
    _guard: MutexGuard<'static, ()>,
}

/// Nothing is configured, and the clock stands still.
pub(crate) fn regions() -> Held {
    let guard = ONE_TEST.lock().unwrap_or_else(PoisonError::into_inner);
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
    let held = Held { clock, _guard: guard };
    held.configure(Config::default());
    held
}

impl Held {
    pub(crate) fn configure(&self, config: Config) {
        let stores = Stores::new().with_clock(self.clock.clone());
        regions::install(CacheManager::with_stores(config, stores).unwrap());
    }

    /// Configures one region.
    pub(crate) fn region(&self, name: &str, set: impl FnOnce(CacheOptions) -> CacheOptions) {
        self.configure(Config::default().region(name, set));
    }
}

/// Collects what is told to the listener.
pub(crate) fn listen() -> Arc<Mutex<Vec<String>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    regions::on_error(move |name, error| {
        let name = name.rsplit("::").next().unwrap_or_default();
        tell.lock().unwrap().push(format!("{name}: {error}"));
    });
    told
}

pub(crate) fn taken(told: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut *told.lock().unwrap())
}
