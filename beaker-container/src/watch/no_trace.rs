//! Without the feature `tracing`.

use std::future::Future;

use super::{About, Purpose};
use crate::config::UnusedOption;
use crate::life::{Count, Mode};
use crate::{Error, Invalidation, RemovalCause};

/// What a cache tells of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trace(());

impl Trace {
    pub(crate) const fn redacting(self, _redacts: bool) -> Self {
        self
    }

    pub(crate) const fn counted(self, _about: About<'_>, _what: Count) {}

    pub(crate) const fn unstored(self, _about: About<'_>, _error: &Error) {}

    pub(crate) const fn not_begun(self, _about: About<'_>, _error: &Error) {}

    pub(crate) const fn removed(
        self,
        _cache: &beaker_namespace::NamespaceId,
        _key: Option<&beaker_namespace::Key>,
        _cause: &RemovalCause,
    ) {
    }

    pub(crate) const fn creation(self, _about: About<'_>, _mode: Mode, _why: Purpose) -> Span {
        Span
    }

    pub(crate) const fn creation_of_many(
        self,
        _cache: &beaker_namespace::NamespaceId,
        _keys: usize,
        _mode: Mode,
    ) -> Span {
        Span
    }
}

pub(crate) const fn uncached(_function: &str, _error: &Error) {}

pub(crate) const fn region_invalidated(_name: &str, _kind: Invalidation) {}

pub(crate) const fn unused_option(_option: &UnusedOption) {}

pub(crate) const fn drained(_left: usize) {}

/// The time of one creation.
#[derive(Debug)]
pub(crate) struct Span;

impl Span {
    pub(crate) fn wrap<F: Future>(self, creating: F) -> F {
        creating
    }
}

/// Where a call came from, for what goes on behind it.
#[derive(Debug)]
pub(crate) struct Caller;

impl Caller {
    pub(crate) const fn here() -> Self {
        Self
    }

    pub(crate) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn wrap<F: Future>(self, work: F) -> F {
        work
    }
}
