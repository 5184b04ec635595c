//! Items CON-1 to CON-21 of Beaker's behaviour: what a container does with one key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use beaker_container::{Cache, Container, ContainerContext, CreateError, Error, ErrorKind, Stale};
use beaker_namespace::{Key, Timestamp, Wait};

use crate::harness::Lab;

const MINUTE: Duration = Duration::from_secs(60);
const BEAKERS: Stale = Stale::WhileRefreshing { max_age: Duration::MAX };

fn counting(container: Container<u32>) -> (Container<u32>, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let inside = Arc::clone(&calls);
    (container.with_creator(move || inside.fetch_add(1, Ordering::SeqCst) + 1), calls)
}

fn container(lab: &Lab) -> Container<u32> {
    Container::new(lab.namespace(), Key::new("key"))
}

fn kind_of<E: std::fmt::Debug>(error: CreateError<E>) -> ErrorKind {
    match error {
        CreateError::Cache(error) => error.kind(),
        CreateError::Create(error) => panic!("the creator's own {error:?}"),
    }
}

#[test]
fn con_2_the_stored_time_is_when_the_creation_began() {
    for lab in Lab::each() {
        let clock = lab.clock.clone();
        let container = container(&lab).with_ttl(MINUTE).with_creator(move || {
            clock.advance(Duration::from_secs(50));
            1
        });
        container.get().unwrap();
        let entry = container.namespace().get(container.key()).unwrap().unwrap();
        assert_eq!(entry.age(beaker_namespace::Clock::now(&*lab.clock)), Duration::from_secs(50));
        lab.advance(10);
        assert!(!container.has_current_value().unwrap(), "Beaker would count from its end");
    }
}

#[test]
fn con_3_the_stored_expiry_decides_not_the_readers() {
    for lab in Lab::each() {
        let writer = container(&lab).with_ttl(MINUTE);
        writer.set(1).unwrap();
        let reader = writer.clone().with_ttl(Duration::from_secs(1));
        lab.advance(59);
        assert_eq!(reader.get().unwrap(), 1);
        lab.advance(1);
        assert!(!writer.clone().with_ttl(None).has_current_value().unwrap());
    }
}

#[test]
fn con_4_equality_is_expired_and_zero_always() {
    for lab in Lab::each() {
        let container = container(&lab).with_ttl(Duration::ZERO);
        container.set(1).unwrap();
        assert!(!container.has_current_value().unwrap());
        let never = container.with_ttl(None);
        never.set(1).unwrap();
        lab.advance(1_000_000_000);
        assert!(never.has_current_value().unwrap());
    }
}

#[test]
fn con_5_what_is_older_than_the_start_time_is_expired() {
    for lab in Lab::each() {
        let stored = beaker_namespace::Clock::now(&*lab.clock);
        let container = container(&lab);
        container.set(1).unwrap();
        assert!(container.clone().with_start_time(stored).has_current_value().unwrap());
        let later = Timestamp::from_micros(stored.as_micros() + 1);
        assert!(!container.with_start_time(later).has_current_value().unwrap());
    }
}

#[test]
fn con_6_has_can_have_and_current_differ() {
    for lab in Lab::each() {
        let plain = container(&lab).with_ttl(MINUTE).with_stale(BEAKERS);
        let state = |container: &Container<u32>| {
            (
                container.has_value().unwrap(),
                container.has_current_value().unwrap(),
                container.can_have_value().unwrap(),
            )
        };
        let (creating, _) = counting(plain.clone());
        assert_eq!(
            (state(&plain), state(&creating)),
            ((false, false, false), (false, false, true))
        );
        plain.set(1).unwrap();
        assert_eq!((state(&plain), state(&creating)), ((true, true, true), (true, true, true)));
        lab.advance(60);
        assert_eq!((state(&plain), state(&creating)), ((true, false, false), (true, false, true)));
    }
}

#[test]
fn con_7_a_current_value_is_returned_without_creator_or_lock() {
    for lab in Lab::each() {
        let (container, calls) = counting(container(&lab));
        container.set(7).unwrap();
        let held = container.namespace().claim(container.key(), Wait::Never).unwrap();
        assert_eq!(container.get().unwrap(), 7);
        assert_eq!((calls.load(Ordering::SeqCst), held.is_some()), (0, true));
    }
}

#[test]
fn con_8_without_a_creator_an_expired_value_is_missing_and_kept() {
    for lab in Lab::each() {
        let container = container(&lab).with_ttl(MINUTE).with_stale(BEAKERS);
        assert_eq!(kind_of(container.get().unwrap_err()), ErrorKind::Missing);
        container.set(1).unwrap();
        lab.advance(60);
        assert_eq!(kind_of(container.get().unwrap_err()), ErrorKind::Missing);
        assert!(container.has_value().unwrap());
    }
}

#[test]
fn con_9_an_absent_value_is_created_and_stored() {
    for lab in Lab::each() {
        let (container, calls) = counting(container(&lab));
        assert_eq!((container.get().unwrap(), container.get().unwrap()), (1, 1));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn con_10_an_expired_value_is_created_anew_by_the_elected_caller() {
    for lab in Lab::each() {
        let (container, calls) = counting(container(&lab).with_ttl(MINUTE).with_stale(BEAKERS));
        container.get().unwrap();
        lab.advance(60);
        assert_eq!(container.get().unwrap(), 2);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn con_13_a_failing_creator_stores_nothing_and_keeps_the_old_value() {
    for lab in Lab::each() {
        let container = container(&lab).with_ttl(MINUTE).with_stale(BEAKERS);
        container.set(1).unwrap();
        lab.advance(60);
        let failing = container.clone().with_try_creator(|| Err::<u32, _>("boom"));
        assert!(matches!(failing.get(), Err(CreateError::Create("boom"))));
        assert!(container.has_value().unwrap());
        assert_eq!(counting(container).0.get().unwrap(), 1, "the next caller creates");
    }
}

#[test]
fn con_14_a_creator_that_asks_for_its_own_key_gets_an_error() {
    for lab in Lab::each() {
        let inner = container(&lab);
        let again = inner.clone();
        let outer = inner.with_try_creator(move || {
            let (again, _) = counting(again.clone());
            again.get().map_err(kind_of)
        });
        assert!(matches!(outer.get(), Err(CreateError::Create(ErrorKind::Reentrant))));
    }
}

#[test]
fn con_15_an_entry_that_vanishes_is_absent() {
    for lab in Lab::each() {
        let (container, _) = counting(container(&lab));
        container.get().unwrap();
        container.namespace().remove(container.key()).unwrap();
        assert_eq!(container.get().unwrap(), 2);
    }
}

#[test]
fn con_17_set_replaces_what_is_there() {
    for lab in Lab::each() {
        let container = container(&lab).with_ttl(MINUTE);
        container.set(1).unwrap();
        container.set(2).unwrap();
        assert_eq!(container.get().unwrap(), 2);
        let entry = container.namespace().get(container.key()).unwrap().unwrap();
        assert_eq!(entry.expires(), entry.began().saturating_add(MINUTE));
    }
}

#[test]
fn con_18_expiry_changes_by_setting_again() {
    for lab in Lab::each() {
        let container = container(&lab);
        for (ttl, current) in [(None, true), (Some(MINUTE), false), (None, true)] {
            container.clone().with_ttl(ttl).set(1).unwrap();
            lab.advance(60);
            assert_eq!(container.has_current_value().unwrap(), current);
        }
    }
}

#[test]
fn con_19_clear_removes_expired_and_absent_values() {
    for lab in Lab::each() {
        let container = container(&lab).with_ttl(MINUTE).with_stale(BEAKERS);
        container.clear().unwrap();
        container.set(1).unwrap();
        lab.advance(60);
        container.clear().unwrap();
        assert!(!container.has_value().unwrap());
    }
}

#[test]
fn con_20_a_stored_none_is_a_value() {
    for lab in Lab::each() {
        let container = Container::<Option<u32>>::new(lab.namespace(), Key::new("key"));
        container.set(None).unwrap();
        let container = container.with_creator(|| Some(1));
        assert_eq!(container.get().unwrap(), None);
    }
}

#[test]
fn con_21_two_containers_of_a_key_see_each_other() {
    for lab in Lab::each() {
        let one = Container::<u32>::new(lab.named("shared"), Key::new("key"));
        let two = Container::<u32>::new(lab.named("shared"), Key::new("key"));
        one.set(1).unwrap();
        assert_eq!(two.get().unwrap(), 1);
        two.clear().unwrap();
        assert!(!one.has_value().unwrap());
    }
}

#[test]
fn con_1_and_ns_24_a_context_hands_the_same_namespace_to_all() {
    for lab in Lab::each() {
        let context = ContainerContext::with_stores(lab.stores.clone());
        let one = context.container::<u32>(&lab.url, "ctx", "a").unwrap();
        let two = context.container::<u32>(&lab.url, "ctx", "b").unwrap();
        assert!(Arc::ptr_eq(one.namespace(), two.namespace()));
        let cache: Cache<String, u32> = context.cache(&lab.url, "ctx").unwrap();
        one.set(5).unwrap();
        assert_eq!(cache.get("a").unwrap(), Some(5));
    }
}

#[test]
fn ns_16_a_value_whose_files_somebody_removes_is_made_anew() {
    let lab = Lab::file();
    let (container, calls) = counting(container(&lab));
    assert_eq!(container.get().unwrap(), 1);
    std::fs::remove_dir_all(lab.url.path()).unwrap();
    assert_eq!((container.get().unwrap(), container.get().unwrap()), (2, 2));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn d33_an_entry_of_another_shape_is_made_anew_not_misread() {
    let lab = Lab::file();
    let namespace = lab.namespace();
    Container::<(u32, String)>::new(namespace.clone(), Key::new("key"))
        .set((1, "x".into()))
        .unwrap();
    let (container, _) = counting(Container::new(namespace, Key::new("key")));
    assert_eq!(container.get().unwrap(), 1);
}

#[test]
fn an_object_of_another_type_is_an_error_that_says_so() {
    let lab = Lab::memory();
    let namespace = lab.namespace();
    Container::<String>::new(namespace.clone(), Key::new("key")).set("x".into()).unwrap();
    let error: Error = match Container::<u32>::new(namespace, Key::new("key")).get() {
        Err(CreateError::Cache(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains("different names"), "{error}");
}
