//! What a panic in a caller's own code leaves behind: nobody waits for ever, and the next call works.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use beaker_container::Cache;

use crate::harness::Lab;

/// Panics in its first `left` clones.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Brittle {
    value: u32,
    #[serde(skip)]
    left: Arc<AtomicU32>,
}

impl Brittle {
    fn new(value: u32, left: &Arc<AtomicU32>) -> Self {
        Self { value, left: Arc::clone(left) }
    }
}

impl Clone for Brittle {
    fn clone(&self) -> Self {
        let spent =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(spent.is_err(), "boom");
        Self { value: self.value, left: Arc::clone(&self.left) }
    }
}

fn panics<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

#[test]
fn a_panic_in_the_clone_of_a_value_stops_nobody_else() {
    for lab in Lab::each() {
        for clones in 1..=6 {
            let cache = Cache::<String, Brittle>::new(lab.namespace());
            let left = Arc::new(AtomicU32::new(clones));
            let panicked = AtomicU32::new(0);
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let call = || cache.get_or_create("k", || Brittle::new(7, &left));
                        match catch_unwind(AssertUnwindSafe(call)) {
                            Ok(value) => assert_eq!(value.unwrap().value, 7),
                            Err(_) => drop(panicked.fetch_add(1, Ordering::SeqCst)),
                        }
                    });
                }
            });
            assert!(panicked.into_inner() <= clones);
            left.store(0, Ordering::SeqCst);
            assert_eq!(cache.get_or_create("k", || Brittle::new(7, &left)).unwrap().value, 7);
        }
    }
}

#[test]
fn a_panic_in_the_clone_of_an_error_stops_nobody_else() {
    #[derive(Debug)]
    struct Brittle;
    impl Clone for Brittle {
        fn clone(&self) -> Self {
            panic!("boom")
        }
    }
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace());
        assert!(panics(|| cache.get_or_try_create("k", || Err::<u32, _>(Brittle))));
        assert_eq!(cache.get_or_create("k", || 1).unwrap(), 1);
    }
}

#[test]
fn a_panic_in_the_weigher_stores_nothing_and_the_next_call_works() {
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace()).with_weigher(|value| {
            assert_ne!(*value, 13, "boom");
            1
        });
        assert!(panics(|| cache.insert("k", 13)));
        assert!(panics(|| cache.get_or_create("k", || 13)));
        assert_eq!(cache.get("k").unwrap(), None);
        assert_eq!(cache.get_or_create("k", || 2).unwrap(), 2);
    }
}

/// A value that no codec can write.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
struct Formless;

impl serde::Serialize for Formless {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no form"))
    }
}

#[test]
fn a_panic_in_the_listener_reaches_its_caller_and_the_next_call_works() {
    let lab = Lab::file();
    let calls = AtomicU32::new(0);
    let cache = Cache::<String, Formless>::new(lab.namespace())
        .on_unstored(move |_| assert_ne!(calls.fetch_add(1, Ordering::SeqCst), 0, "boom"));
    assert!(panics(|| cache.get_or_create("k", || Formless)));
    assert_eq!(cache.get_or_create("k", || Formless).unwrap(), Formless);
    assert_eq!(cache.unstored(), 2);
}

#[test]
fn the_listener_may_use_the_namespace_for_other_keys() {
    let lab = Lab::file();
    let notes = Cache::<String, u32>::new(lab.named("shared"));
    let noting = notes.clone();
    let cache = Cache::<String, Formless>::new(lab.named("shared"))
        .on_unstored(move |_| noting.insert("failed", 1).unwrap());
    assert_eq!(cache.get_or_create("k", || Formless).unwrap(), Formless);
    assert_eq!(notes.get("failed").unwrap(), Some(1));
}
