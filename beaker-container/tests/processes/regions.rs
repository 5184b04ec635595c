//! A region that one process invalidates, as the others see it: each has a manager of its own.

use std::path::Path;
use std::thread;

use beaker_container::config::Config;
use beaker_container::{Cache, CacheManager};

use crate::children::{Me, Other};

fn manager(dir: &Path) -> CacheManager {
    let data_dir = dir.join("data").display().to_string();
    let pairs = [
        ("cache.type", "file"),
        ("cache.data_dir", data_dir.as_str()),
        ("cache.regions", "short, long"),
    ];
    CacheManager::new(Config::from_pairs(pairs).unwrap()).unwrap()
}

fn users(manager: &CacheManager) -> Cache<u32, u32> {
    manager.get_cache_region("users", "short").unwrap()
}

/// How a caller reads and creates.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Caller {
    Thread,
    #[cfg(feature = "tokio")]
    Task,
}

impl Caller {
    const ALL: &[Self] = &[
        Self::Thread,
        #[cfg(feature = "tokio")]
        Self::Task,
    ];

    fn parse(word: &str) -> Self {
        let called = |caller: &&Self| format!("{caller:?}") == word;
        *Self::ALL.iter().find(called).unwrap()
    }

    fn get(self, cache: &Cache<u32, u32>, key: u32) -> Option<u32> {
        match self {
            Self::Thread => cache.get(&key).unwrap(),
            #[cfg(feature = "tokio")]
            Self::Task => block_on(cache.get_async(&key)).unwrap(),
        }
    }

    fn create(self, cache: &Cache<u32, u32>, key: u32, create: impl FnOnce() -> u32) -> u32 {
        match self {
            Self::Thread => cache.get_or_create(&key, create).unwrap(),
            #[cfg(feature = "tokio")]
            Self::Task => block_on(cache.get_or_create_async(&key, || async { create() })).unwrap(),
        }
    }
}

#[cfg(feature = "tokio")]
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// Not a test by itself: what the child process runs.
#[test]
fn child_does_as_told() {
    let Some(me) = Me::as_child() else { return };
    let manager = manager(&me.dir);
    let (users, caller) = (users(&manager), Caller::parse(&me.words));
    while let Some(line) = Me::hears() {
        match line.as_str() {
            "invalidate" => manager.invalidate_region("short").unwrap(),
            "invalidate another" => manager.invalidate_region("long").unwrap(),
            "expire" => users.expire_region().unwrap(),
            _ => {
                let value = caller.create(&users, 1, || {
                    Me::tell("creates");
                    Me::await_line("go on");
                    1
                });
                assert_eq!(value, 1, "its call began before");
            }
        }
        Me::tell("done");
    }
}

fn other(dir: &Path, caller: Caller) -> Other {
    Other::start("regions::child_does_as_told", dir, &format!("{caller:?}"))
}

#[test]
fn another_process_s_invalidation_of_a_region_is_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(dir.path());
    let (users, plain) = (users(&manager), manager.get_cache::<u32, u32>("users").unwrap());
    let elsewhere = manager.get_cache_region::<u32, u32>("pages", "long").unwrap();
    let mut other = other(dir.path(), Caller::Thread);
    for (line, left) in [("invalidate another", Some(1)), ("invalidate", None), ("expire", None)] {
        for &caller in Caller::ALL {
            users.insert(&1, 1).unwrap();
            assert_eq!(caller.get(&users, 1), Some(1));
            elsewhere.insert(&1, 1).unwrap();
            other.say(line);
            other.await_line("done");
            assert_eq!(caller.get(&users, 1), left, "{line}, {caller:?}");
            assert_eq!(caller.get(&plain, 1), Some(1), "outside of any region");
            assert_eq!(caller.get(&elsewhere, 1), left.is_none().then_some(1));
            assert_eq!(caller.create(&users, 1, || 2), left.unwrap_or(2));
        }
    }
    other.end();
}

/// A creation in another process, with `meanwhile` here, and what a caller after that gets and what
/// is there at the end.
fn while_another_creates(
    caller: Caller,
    meanwhile: impl FnOnce(&CacheManager),
) -> (u32, Option<u32>) {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(dir.path());
    let users = users(&manager);
    let mut other = other(dir.path(), caller);
    other.say("create");
    other.await_line("creates");
    meanwhile(&manager);
    let later = thread::scope(|scope| {
        let later = scope.spawn(|| caller.create(&users, 1, || 2));
        other.say("go on");
        later.join().unwrap()
    });
    other.await_line("done");
    other.end();
    (later, caller.get(&users, 1))
}

#[test]
fn a_region_s_invalidation_wins_over_a_creation_in_another_process() {
    for &caller in Caller::ALL {
        let invalidated = |manager: &CacheManager| manager.invalidate_region("short").unwrap();
        assert_eq!(while_another_creates(caller, invalidated), (2, Some(2)), "{caller:?}");
        let expired = |manager: &CacheManager| users(manager).expire_region().unwrap();
        assert_eq!(while_another_creates(caller, expired), (2, Some(2)), "{caller:?}");
        // The control: another region's mark is nothing to it.
        let another = |manager: &CacheManager| manager.invalidate_region("long").unwrap();
        assert_eq!(while_another_creates(caller, another), (1, Some(1)), "{caller:?}");
    }
}
