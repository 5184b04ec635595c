//! The spans and events that a subscriber of `tracing` is told.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use beaker_container::config::{CacheOptions, Config};
use beaker_container::{Cache, CacheManager, Created, Policy, Stale, Workers};
use beaker_namespace::testkit::{Fault, FaultStore};
use beaker_namespace::{ErrorKind, MemoryConfig, MemoryNamespace};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, dispatcher};
use tracing_core::span::Current;

use crate::harness::{HANG, Lab};

/// Keeps what it is told, each as one line.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    spans: Vec<String>,
    events: Vec<String>,
    entered: HashMap<std::thread::ThreadId, Vec<u64>>,
    names: HashMap<u64, (&'static str, &'static Metadata<'static>)>,
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        match field.name() {
            "message" => self.0 = format!("{value:?}{}", self.0),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

impl Told {
    fn current(&self) -> Option<u64> {
        self.entered.get(&std::thread::current().id())?.last().copied()
    }

    fn within(&self) -> String {
        self.current().map_or(String::new(), |id| format!(" in {}", self.names[&id].0))
    }
}

impl Subscriber for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line::default();
        span.record(&mut line);
        let mut told = self.0.lock().unwrap();
        let within = told.within();
        if span.metadata().target() == "beaker" {
            told.spans.push(format!("{}{}{within}", span.metadata().name(), line.0));
        }
        let id = told.names.len() as u64 + 1;
        told.names.insert(id, (span.metadata().name(), span.metadata()));
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let mut told = self.0.lock().unwrap();
        let within = told.within();
        let level = event.metadata().level().as_str().to_lowercase();
        told.events.push(format!("{level}: {}{within}", line.0));
    }

    fn enter(&self, id: &Id) {
        let mut told = self.0.lock().unwrap();
        told.entered.entry(std::thread::current().id()).or_default().push(id.into_u64());
    }

    fn exit(&self, id: &Id) {
        let mut told = self.0.lock().unwrap();
        let entered = told.entered.entry(std::thread::current().id()).or_default();
        assert_eq!(entered.pop(), Some(id.into_u64()), "spans are nested");
    }

    fn current_span(&self) -> Current {
        let told = self.0.lock().unwrap();
        match told.current() {
            Some(id) => Current::new(Id::from_u64(id), told.names[&id].1),
            None => Current::none(),
        }
    }
}

impl Keeper {
    fn keep<T>(&self, work: impl FnOnce() -> T) -> T {
        // `tracing` remembers for each place in the code whether anybody listens. One who always
        // does, from the first test on, keeps tests beside this one from changing that meanwhile.
        static LISTENING: LazyLock<dispatcher::Dispatch> =
            LazyLock::new(|| dispatcher::Dispatch::new(Keeper::default()));
        LazyLock::force(&LISTENING);
        dispatcher::with_default(&dispatcher::Dispatch::new(self.clone()), work)
    }

    fn spans(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().spans)
    }

    fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().events)
    }
}

fn says(number: u32) -> u32 {
    tracing::info!("the creator says {number}");
    number
}

/// A cache called `traced`, in a group of its own.
fn lab() -> (Lab, Cache<String, u32>) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let lab = Lab::memory();
    let group = format!("traced {}", NEXT.fetch_add(1, Ordering::Relaxed));
    let config = MemoryConfig::new().group(&group).clock(lab.clock.clone());
    let namespace = MemoryNamespace::open("traced", config).unwrap();
    let cache = Cache::new(namespace).with_ttl(Duration::from_secs(10));
    (lab, cache)
}

#[test]
fn a_creation_is_a_span_that_says_why_and_a_hit_is_nothing() {
    let keeper = Keeper::default();
    keeper.keep(|| {
        let (lab, cache) = lab();
        cache.get_or_create("k", || says(1)).unwrap();
        let miss = r#"beaker.create cache="traced" key=k mode="thread" why="miss""#;
        assert_eq!(keeper.spans(), [miss]);
        assert_eq!(keeper.events(), ["info: the creator says 1 in beaker.create"]);
        cache.get_or_create("k", || unreachable!()).unwrap();
        cache.get("k").unwrap();
        assert_eq!((keeper.spans(), keeper.events()), (vec![], vec![]));
        let cache = cache.with_stale(Stale::OnError { max_age: Duration::from_secs(60) });
        cache.insert("k", 1).unwrap();
        lab.advance(11);
        cache.get_or_create("k", || 2).unwrap();
        let early =
            cache.clone().with_policy(Policy::new().ttl(Duration::from_secs(10)).refresh_at(0.0));
        early.get_or_create("k", || 3).unwrap();
        let spans = keeper.spans();
        assert!(spans[0].ends_with(r#"why="expired""#), "{spans:?}");
        assert!(spans[1].ends_with(r#"why="early""#), "{spans:?}");
    });
}

#[test]
fn a_creation_behind_the_caller_is_within_the_callers_span() {
    let keeper = Keeper::default();
    keeper.keep(|| {
        let (_lab, cache) = lab();
        let workers = Workers::new(1);
        let cache = cache.with_workers(workers.clone());
        tracing::info_span!("request").in_scope(|| {
            cache.fetch("k").spawn(|_| Ok::<_, ()>(says(1))).unwrap();
        });
        assert_eq!(workers.drain(HANG), 0);
    });
    let span = r#"beaker.create cache="traced" key=k mode="thread" why="miss" in request"#;
    assert_eq!(keeper.spans(), [span]);
    let said = ["info: the creator says 1 in beaker.create", "debug: workers drained"];
    assert_eq!(keeper.events(), said);
}

#[cfg(feature = "tokio")]
#[test]
fn the_span_of_a_task_is_entered_only_while_it_is_polled() {
    let keeper = Keeper::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    keeper.keep(|| {
        let (_lab, cache) = lab();
        let create = || async {
            tokio::task::yield_now().await;
            says(1)
        };
        runtime.block_on(async {
            let beside = async {
                for _ in 0..3 {
                    tracing::info!("beside");
                    tokio::task::yield_now().await;
                }
            };
            let (made, ()) = tokio::join!(cache.get_or_create_async("k", create), beside);
            assert_eq!(made.unwrap(), 1);
        });
        let spawned = async {
            let create = |_| async { Ok::<_, ()>(says(2)) };
            cache.fetch("spawned").spawn_async(create).await.unwrap();
        };
        let request = tracing::info_span!("request");
        runtime.block_on(tracing::Instrument::instrument(spawned, request));
    });
    let spans = keeper.spans();
    assert_eq!(spans[0], r#"beaker.create cache="traced" key=k mode="task" why="miss""#);
    assert!(spans[1].ends_with(r#"mode="task" why="miss" in request"#), "{spans:?}");
    let events = keeper.events();
    let count = |wanted: &str| events.iter().filter(|event| *event == wanted).count();
    assert_eq!(count("info: beside"), 3, "{events:?}");
    assert_eq!(count("info: the creator says 1 in beaker.create"), 1, "{events:?}");
    assert_eq!(count("info: the creator says 2 in beaker.create"), 1, "{events:?}");
}

#[test]
fn a_batch_is_one_span() {
    let keeper = Keeper::default();
    keeper.keep(|| {
        let (_lab, cache) = lab();
        let keys = ["a".to_owned(), "b".to_owned()];
        cache.get_or_create_many(&keys, |missing| vec![says(1); missing.len()]).unwrap();
    });
    assert_eq!(keeper.spans(), [r#"beaker.create_many cache="traced" keys=2 mode="thread""#]);
    assert_eq!(keeper.events(), ["info: the creator says 1 in beaker.create_many"]);
}

#[test]
fn what_goes_wrong_is_a_warning_and_what_is_served_instead_is_told() {
    let keeper = Keeper::default();
    keeper.keep(|| {
        let (lab, cache) = lab();
        let cache = cache.with_stale(Stale::OnError { max_age: Duration::from_secs(60) });
        cache.insert("k", 1).unwrap();
        lab.advance(11);
        cache.get_or_try_create("k", || Err("a secret of the creator")).unwrap();
        let told = [
            r#"warn: creation gave no value cache="traced" key=k"#,
            r#"info: old value served instead cache="traced" key=k"#,
        ];
        assert_eq!(keeper.events(), told);
        cache
            .get_or_create("gone", || {
                cache.remove("gone").unwrap();
                1
            })
            .unwrap();
        let superseded = r#"debug: value invalidated while it was made cache="traced" key=gone"#;
        assert_eq!(keeper.events(), [superseded]);
    });
}

#[test]
fn a_value_that_is_not_stored_is_a_warning_with_the_stores_error() {
    let keeper = Keeper::default();
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let store = Arc::new(FaultStore::new(memory));
    let cache = Cache::<String, u32>::new(store.clone());
    // After the read that counts, the claim and the look under it.
    store.arm(4, Fault::Fail(ErrorKind::Full));
    keeper.keep(|| cache.get_or_create("k", || 1).unwrap());
    let events = keeper.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].starts_with("warn: value made but not stored cache="), "{events:?}");
    assert!(events[0].contains("key=k error=the store failed cause="), "{events:?}");
}

#[test]
fn a_creation_that_the_store_lets_not_begin_is_a_warning_with_its_error() {
    let keeper = Keeper::default();
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let store = Arc::new(FaultStore::new(memory));
    let cache = Cache::<String, u32>::new(store.clone());
    // After the read that counts.
    store.arm(2, Fault::Fail(ErrorKind::Full));
    keeper.keep(|| cache.get_or_create("k", || unreachable!("there is no claim")).unwrap_err());
    let events = keeper.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].starts_with("warn: creation not begun cache="), "{events:?}");
    assert!(events[0].contains("key=k error=the store failed cause="), "{events:?}");
}

#[test]
fn a_manager_warns_of_options_that_have_no_effect() {
    let keeper = Keeper::default();
    let options = CacheOptions::new().lock_dir("/run/lock");
    keeper.keep(|| CacheManager::new(Config::new(options)).unwrap());
    let told =
        r#"warn: option "lock_dir" has no effect: the stores keep their locks with their entries"#;
    assert_eq!(keeper.events(), [told]);
}

#[test]
fn what_is_removed_or_invalidated_is_told() {
    let keeper = Keeper::default();
    keeper.keep(|| {
        let (_lab, cache) = lab();
        cache.store("k", Created::new(1).tag("t")).unwrap();
        cache.expire_tag("t").unwrap();
        cache.remove("k").unwrap();
        cache.clear().unwrap();
    });
    let told = [
        r#"debug: tag invalidated cache="traced" tag=t kind=Soft"#,
        r#"debug: removed cache="traced" key=k"#,
        r#"debug: cleared cache="traced""#,
    ];
    assert_eq!(keeper.events(), told);
}

#[test]
fn no_key_and_no_tag_is_shown_where_they_are_redacted() {
    let keeper = Keeper::default();
    keeper.keep(|| {
        let (_lab, cache) = lab();
        let cache = cache.with_redacted_keys();
        for _ in 0..2 {
            cache.get_or_create("ada@example.org", || 1).unwrap();
            cache.remove("ada@example.org").unwrap();
        }
        cache.invalidate_tag("user ada").unwrap();
        assert!(cache.get_or_try_create("ada@example.org", || Err(())).is_err());
    });
    let (spans, events) = (keeper.spans(), keeper.events());
    let all = [&spans[..], &events[..]].concat().join("\n");
    assert!(!all.contains("ada"), "{all}");
    assert_eq!(spans[0], spans[1], "the same key looks the same");
    assert!(spans[0].contains("key=#"), "{spans:?}");
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(events[3].starts_with("warn: creation gave no value"), "{events:?}");
}

#[test]
fn the_caches_of_a_region_that_redacts_show_no_key() {
    let pairs = [("cache.regions", "users"), ("cache.users.redact_keys", "yes")];
    let config = beaker_container::config::Config::from_pairs(pairs).unwrap();
    let manager = beaker_container::CacheManager::new(config).unwrap();
    for (region, shown) in [(Some("users"), false), (None, true)] {
        let cache: beaker_container::Cache<String, u32> = match region {
            Some(region) => manager.get_cache_region("redacted", region).unwrap(),
            None => manager.get_cache("not redacted").unwrap(),
        };
        let keeper = Keeper::default();
        keeper.keep(|| cache.get_or_create("ada@example.org", || 1).unwrap());
        assert_eq!(keeper.spans()[0].contains("ada"), shown, "{:?}", keeper.spans());
    }
    let wrong = beaker_container::config::Config::from_pairs([("cache.redact_keys", "perhaps")]);
    assert!(wrong.unwrap_err().to_string().contains("redact_keys"));
}

#[test]
fn a_function_whose_region_is_unknown_is_an_error_that_needs_no_listener() {
    use beaker_container::function::{Function, Key, try_call};
    struct Marker;
    let id = std::any::TypeId::of::<Marker>();
    let function = Function::<u32>::new(id, "app", "load", Vec::new).region("misspelt");
    let keeper = Keeper::default();
    keeper.keep(|| {
        for _ in 0..2 {
            let called =
                try_call(&function, &Key::new(&1), || Ok::<_, std::convert::Infallible>(7));
            assert_eq!(called, Ok(7));
        }
    });
    let events = keeper.events();
    assert_eq!(events.len(), 1, "told once: {events:?}");
    assert!(events[0].starts_with("error: cached function runs without its cache"), "{events:?}");
    assert!(events[0].contains("app::load"), "{events:?}");
    assert!(events[0].contains("Cache region not configured: misspelt"), "{events:?}");
}

#[test]
fn a_function_that_redacts_shows_no_key_whatever_its_region_says() {
    use beaker_container::function::{Function, Key, try_call};
    struct Redacted;
    struct Plain;
    let function = |id, name| Function::<u32>::new(id, "app", name, Vec::new);
    let redacted = function(std::any::TypeId::of::<Redacted>(), "redacted").redacted();
    let plain = function(std::any::TypeId::of::<Plain>(), "plain");
    for (function, shown) in [(redacted, false), (plain, true)] {
        let keeper = Keeper::default();
        let key = Key::new("ada@example.org");
        let call = || try_call(&function, &key, || Ok::<_, std::convert::Infallible>(7));
        assert_eq!(keeper.keep(call), Ok(7));
        assert_eq!(keeper.spans()[0].contains("ada"), shown, "{:?}", keeper.spans());
    }
}
