//! What values, errors and return types must be, said in words of their user.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::time::Duration;

use super::FunctionCache;
use crate::{Created, Error};

/// What any cached value must be.
pub trait Value: Clone + Send + Sync + 'static {}

impl<V: Clone + Send + Sync + 'static> Value for V {}

/// What the error of a cached function must be.
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` of a cached function goes to everybody who waits for the value",
    label = "must be `Clone + Send + Sync + 'static`",
    note = "derive `Clone` for it, or return `Result<_, std::sync::Arc<{Self}>>`"
)]
pub trait SharedError: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Clone + Send + Sync + 'static> SharedError for E {}

/// The parts of a `Result`, whatever alias it is written by.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is called a result, but is not `std::result::Result`",
    note = "name the type otherwise, so that it is cached as it is"
)]
pub trait AnyResult {
    /// What is cached.
    type Value;
    /// What is not.
    type Error;
}

impl<V, E> AnyResult for Result<V, E> {
    type Value = V;
    type Error = E;
}

/// Finds a `Result` under another name, of which errors would be stored like values.
#[derive(Debug)]
pub struct Returned<T>(PhantomData<fn() -> T>);

impl<T> Returned<T> {
    /// Asks about `T`.
    #[expect(clippy::new_without_default, reason = "nobody needs one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V, E> Returned<Result<V, E>> {
    /// It is a result; this method goes before the trait's.
    pub fn kind(&self) -> IsResult {
        IsResult
    }
}

/// Asks about all other types.
pub trait Kind {
    /// It is no result.
    fn kind(&self) -> IsValue {
        IsValue
    }
}

impl<T> Kind for Returned<T> {}

/// The type is stored as it is.
#[derive(Debug)]
pub struct IsValue;

/// The type is a `Result`.
#[derive(Debug)]
pub struct IsResult;

/// What may be stored as it is.
#[diagnostic::on_unimplemented(
    message = "this return type is a `Result` under another name, and its errors would be stored",
    label = "write it as `Result<…>` in the signature",
    note = "an alias that is called `Result` itself, such as `io::Result<T>`, will do"
)]
pub trait StoredAsItIs {}

impl StoredAsItIs for IsValue {}

/// Does not compile for what may not be stored as it is.
pub fn stored_as_it_is<T: StoredAsItIs>(_: T) {}

/// A type that can say that there is nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is never `None`",
    note = "`skip_none` and `negative_ttl` need a function that returns `Option<_>` or `Result<Option<_>, _>`"
)]
pub trait Absent: Value {
    /// Whether it is nothing.
    fn is_absent(&self) -> bool;

    /// With `negative_ttl`: nothing lives this long.
    fn with_negative_ttl(cache: FunctionCache<Self>, ttl: Option<Duration>) -> FunctionCache<Self>;
}

impl<T: Value> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn with_negative_ttl(cache: FunctionCache<Self>, ttl: Option<Duration>) -> FunctionCache<Self> {
        cache.with_negative_ttl(ttl)
    }
}

/// With `skip_none`: nothing is not stored.
pub fn some_only<V: Absent>(value: V) -> Created<V> {
    if value.is_absent() { Created::new(value).unstored() } else { Created::new(value) }
}

/// Whether the error of a spawned function can say that its call took too long.
#[derive(Debug)]
pub struct Late<E>(PhantomData<fn() -> E>);

impl<E> Late<E> {
    /// Asks about `E`.
    #[expect(clippy::new_without_default, reason = "nobody needs one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E: From<Error>> Late<E> {
    /// It can; this method goes before the trait's.
    pub fn error(&self) -> Option<fn(Error) -> E> {
        Some(E::from)
    }
}

/// Asks about all other errors.
pub trait NeverLate<E> {
    /// It cannot.
    fn error(&self) -> Option<fn(Error) -> E> {
        None
    }
}

impl<E> NeverLate<E> for Late<E> {}

/// The value of a function that cannot fail.
#[inline]
pub fn never_fails<V>(made: Result<V, Infallible>) -> V {
    match made {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
