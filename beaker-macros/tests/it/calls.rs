use std::sync::atomic::{AtomicU64, Ordering};

use beaker_cache::{Key, cached};

#[derive(Debug, Clone, PartialEq)]
struct LoadError(String);

static LOADS: AtomicU64 = AtomicU64::new(0);

/// Loads.
#[cached]
fn load(id: u64) -> Result<String, LoadError> {
    LOADS.fetch_add(1, Ordering::Relaxed);
    if id == 0 { Err(LoadError("none".to_owned())) } else { Ok(format!("user {id}")) }
}

#[test]
fn a_call_is_made_once_and_its_error_is_not_kept() {
    assert_eq!(load(42), Ok("user 42".to_owned()));
    assert_eq!(load(42), Ok("user 42".to_owned()));
    assert_eq!(LOADS.load(Ordering::Relaxed), 1);
    assert_eq!(load(0), Err(LoadError("none".to_owned())));
    assert_eq!(load(0), Err(LoadError("none".to_owned())));
    assert_eq!(LOADS.load(Ordering::Relaxed), 3);
    assert_eq!(load::key(42), Key::new(&42));
    assert_eq!(load::peek(42).unwrap().as_deref(), Some("user 42"));
    assert!(load::invalidate(42).unwrap());
    assert_eq!(load::peek(42).unwrap(), None);
    load::set(42, "set".to_owned()).unwrap();
    assert_eq!(load(42).unwrap(), "set");
    assert_eq!(load::refresh(42).unwrap(), "user 42");
    assert_eq!(load::original(42).unwrap(), "user 42");
    assert_eq!(load::cache().unwrap().get(&load::key(42)).unwrap().unwrap(), "user 42");
}
