//! Spans and events by `tracing`.
//
// Nothing is told on the way of a hit. Never a value; a key only by its own `Display`, or as a hash.

use std::collections::hash_map::RandomState;
use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::LazyLock;

use beaker_namespace::{Key, NamespaceId};
use tracing::dispatcher::{self, Dispatch};
#[cfg(feature = "tokio")]
use tracing::instrument::WithSubscriber;
use tracing::instrument::{Instrument, Instrumented};
use tracing::{debug, debug_span, error, info, warn};

use super::{About, Purpose};
use crate::config::UnusedOption;
use crate::life::{Count, Mode};
use crate::{Error, Invalidation, Invalidator, RemovalCause};

/// What a cache tells of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trace {
    /// Keys and tags are shown as hashes.
    redacts: bool,
}

/// A key or a tag as it is shown.
enum Shown<'a> {
    Plain(&'a dyn fmt::Display),
    Hash(u64),
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => text.fmt(f),
            Self::Hash(hash) => write!(f, "#{hash:016x}"),
        }
    }
}

/// The same key has the same hash as long as the process lives, and nobody can try keys out on it.
fn hash(bytes: &[u8]) -> u64 {
    static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    SECRET.hash_one(bytes)
}

impl Trace {
    pub(crate) fn redacting(self, redacts: bool) -> Self {
        Self { redacts: self.redacts || redacts }
    }

    fn key(self, key: &Key) -> Shown<'_> {
        if self.redacts { Shown::Hash(hash(key.as_bytes())) } else { Shown::Plain(key) }
    }

    fn tag<'a>(self, tag: &'a String) -> Shown<'a> {
        if self.redacts { Shown::Hash(hash(tag.as_bytes())) } else { Shown::Plain(tag) }
    }

    pub(crate) fn counted(self, about: About<'_>, what: Count) {
        let (cache, key) = (about.cache.name(), self.key(about.key));
        match what {
            Count::Failed => warn!(target: "beaker", cache, %key, "creation gave no value"),
            Count::TimedOut => warn!(target: "beaker", cache, %key, "creation timed out"),
            Count::Fallbacks => info!(target: "beaker", cache, %key, "old value served instead"),
            Count::Stale => debug!(target: "beaker", cache, %key, "old value served meanwhile"),
            Count::Joined => debug!(target: "beaker", cache, %key, "creation shared"),
            Count::Superseded => {
                debug!(target: "beaker", cache, %key, "value invalidated while it was made");
            }
            Count::Created
            | Count::Unchanged
            | Count::Early
            | Count::Unstored
            | Count::NotBegun
            | Count::ListenerPanics => {}
        }
    }

    pub(crate) fn unstored(self, about: About<'_>, error: &Error) {
        let (cache, key) = (about.cache.name(), self.key(about.key));
        let cause = error.source().map(tracing::field::display);
        warn!(target: "beaker", cache, %key, %error, cause, "value made but not stored");
    }

    pub(crate) fn not_begun(self, about: About<'_>, error: &Error) {
        let (cache, key) = (about.cache.name(), self.key(about.key));
        let cause = error.source().map(tracing::field::display);
        warn!(target: "beaker", cache, %key, %error, cause, "creation not begun");
    }

    pub(crate) fn removed(self, cache: &NamespaceId, key: Option<&Key>, cause: &RemovalCause) {
        let cache = cache.name();
        match (cause, key) {
            (RemovalCause::Invalidated { by: Invalidator::Tag(tag), kind }, _) => {
                let tag = self.tag(tag);
                debug!(target: "beaker", cache, %tag, ?kind, "tag invalidated");
            }
            (_, Some(key)) => debug!(target: "beaker", cache, key = %self.key(key), "{cause}"),
            (_, None) => debug!(target: "beaker", cache, "{cause}"),
        }
    }

    pub(crate) fn creation(self, about: About<'_>, mode: Mode, why: Purpose) -> Span {
        let (cache, key) = (about.cache.name(), self.key(about.key));
        let (mode, why) = (name_of(mode), why.name());
        Span(debug_span!(target: "beaker", "beaker.create", cache, %key, mode, why))
    }

    pub(crate) fn creation_of_many(self, cache: &NamespaceId, keys: usize, mode: Mode) -> Span {
        let (cache, mode) = (cache.name(), name_of(mode));
        Span(debug_span!(target: "beaker", "beaker.create_many", cache, keys, mode))
    }
}

/// A cached function runs without its cache, or could not tell its caller of an error.
pub(crate) fn uncached(function: &str, error: &Error) {
    let cause = error.source().map(tracing::field::display);
    error!(target: "beaker", function, %error, cause, "cached function runs without its cache");
}

pub(crate) fn region_invalidated(region: &str, kind: Invalidation) {
    debug!(target: "beaker", region, ?kind, "region invalidated");
}

pub(crate) fn unused_option(option: &UnusedOption) {
    warn!(target: "beaker", "{option}");
}

pub(crate) fn drained(left: usize) {
    if left == 0 {
        debug!(target: "beaker", "workers drained");
    } else {
        warn!(target: "beaker", left, "workers not drained in time");
    }
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Expired => "expired",
            Self::Early => "early",
        }
    }
}

const fn name_of(mode: Mode) -> &'static str {
    match mode {
        Mode::Thread => "thread",
        #[cfg(feature = "tokio")]
        Mode::Task => "task",
    }
}

/// The time of one creation.
#[derive(Debug)]
pub(crate) struct Span(tracing::Span);

impl Span {
    /// What `creating` tells is told within the span, on whatever thread it is polled.
    pub(crate) fn wrap<F: Future>(self, creating: F) -> Instrumented<F> {
        creating.instrument(self.0)
    }
}

/// Where a call came from, for what goes on behind it: its span, and the subscriber of its thread.
#[derive(Debug)]
pub(crate) struct Caller {
    span: tracing::Span,
    subscriber: Dispatch,
}

impl Caller {
    pub(crate) fn here() -> Self {
        Self {
            span: tracing::Span::current(),
            subscriber: dispatcher::get_default(Dispatch::clone),
        }
    }

    pub(crate) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        let Self { span, subscriber } = self;
        dispatcher::with_default(&subscriber, || span.in_scope(work))
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn wrap<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        let Self { span, subscriber } = self;
        work.instrument(span).with_subscriber(subscriber)
    }
}
