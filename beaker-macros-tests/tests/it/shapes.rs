//! Functions of every shape that can be cached.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use beaker_cache::cached;

#[cached]
fn borrows<'a>(name: &'a str, more: Option<&'a str>, bytes: &[u8]) -> String {
    format!("{name} {more:?} {bytes:?}")
}

#[test]
fn arguments_may_be_borrowed() {
    let name = "Ada".to_owned();
    assert_eq!(borrows(&name, None, &[1]), "Ada None [1]");
    assert_eq!(borrows(&name, Some("b"), &[1]), "Ada Some(\"b\") [1]");
}

#[cached]
fn owns(name: String, mut count: u32) -> String {
    count += 1;
    name.repeat(count as usize)
}

#[test]
fn arguments_may_be_owned_and_changed_in_the_body() {
    assert_eq!(owns("a".to_owned(), 2), "aaa");
    assert!(owns::invalidate("a".to_owned(), 2).unwrap());
}

/// An alias that is called `Result`.
mod aliased {
    pub(super) type Result<T> = std::result::Result<T, std::sync::Arc<std::io::Error>>;
}

#[cached]
fn alias(fails: bool) -> aliased::Result<u8> {
    if fails { Err(Arc::new(io::Error::other("no"))) } else { Ok(7) }
}

#[test]
fn an_alias_that_is_called_result_is_one() {
    assert_eq!(alias(false).unwrap(), 7);
    assert_eq!(alias::peek(false).unwrap(), Some(7));
    assert!(alias(true).is_err());
    assert_eq!(alias::peek(true).unwrap(), None);
}

#[cached]
fn only_success(id: u64) -> Result<(), String> {
    if id == 0 { Err("zero".to_owned()) } else { Ok(()) }
}

#[test]
fn that_something_succeeded_can_be_kept() {
    only_success(1).unwrap();
    assert_eq!(only_success::peek(1).unwrap(), Some(()));
    assert_eq!(only_success(0).unwrap_err(), "zero");
}

#[cached]
fn is_static(id: u64) -> Cow<'static, str> {
    if id == 0 { Cow::Borrowed("none") } else { Cow::Owned(id.to_string()) }
}

#[test]
fn what_is_borrowed_for_ever_can_be_kept() {
    assert_eq!(is_static(0), "none");
    assert_eq!(is_static(1), "1");
}

#[cached]
fn fibonacci(n: u32) -> u64 {
    if n < 2 { u64::from(n) } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

#[test]
fn a_function_may_call_itself() {
    assert_eq!(fibonacci(80), 23_416_728_348_467_685);
}

#[test]
fn a_function_may_stand_in_another() {
    struct Local(u64);

    #[cached(key = id.0)]
    fn inner(id: &Local) -> u64 {
        id.0 + 1
    }

    assert_eq!(inner(&Local(1)), 2);
    assert_eq!(inner::peek(&Local(1)).unwrap(), Some(2));
}

#[cached]
#[inline(never)]
#[must_use]
fn r#loop(r#in: u64) -> u64 {
    r#in + 1
}

#[test]
fn names_may_be_keywords() {
    assert_eq!(r#loop(1), 2);
    assert_eq!(r#loop::peek(1).unwrap(), Some(2));
}
