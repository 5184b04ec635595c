//! What is decided about a cache.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Key, Namespace, Stats, Timestamp};

use super::Cache;
use crate::life::{Removal, Reports, Weigher};
use crate::policy::{Policy, Stale};
use crate::{CreationStats, Error, RemovalCause, Workers};

impl<K, T: Clone + Send + Sync + 'static> Cache<K, Option<T>> {
    /// A created `None` expires this long after its creation began, where a value has the cache's
    /// time to live. A time to live that the creator chose goes before both.
    ///
    /// It sets [`Policy::negative_ttl`], and tells a cache of live objects what `None` is.
    #[must_use]
    pub fn with_negative_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.life.values = self.life.values.with_absent(Option::is_none);
        self.policy = self.policy.negative_ttl(ttl);
        self
    }
}

impl<K, V> Cache<K, V> {
    /// Values expire this long after their creation began. Default: never. Zero is always expired.
    ///
    /// So a value that takes longer to make than it lives is expired when it is stored.
    #[must_use]
    pub fn with_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.policy.ttl = ttl.into();
        self
    }

    /// What is done with expired values meanwhile. Default: [`Stale::Never`].
    #[must_use]
    pub fn with_stale(mut self, stale: Stale) -> Self {
        self.policy.stale = stale;
        self
    }

    /// Values whose creation began before `start` count as expired, whatever their time to live.
    #[must_use]
    pub fn with_start_time(mut self, start: Timestamp) -> Self {
        self.policy.start_time = Some(start);
        self
    }

    /// How long a caller waits at most while somebody else makes the value. Default: 30 s.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.policy.wait = wait;
        self
    }

    /// Replaces all that is decided about the life of the values: see [`Policy`].
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What is decided about the life of the values.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Who makes values behind their callers. Default: [`Workers::shared`].
    #[must_use]
    pub fn with_workers(mut self, workers: Workers) -> Self {
        self.life.workers = Some(workers);
        self
    }

    /// Serves `value` where nothing could be made and nothing old may be served: after an error, at a
    /// time-out, or while a failure is too recent to try again (see [`Policy::back_off`], which is a second
    /// by default then). Default: none, the call fails.
    ///
    /// It is not stored, and not seen by [`get`](Self::get). What a call got says that it is a
    /// [`Fallback`](crate::Source::Fallback). [`Fetch::default_value`](crate::Fetch::default_value) sets it
    /// for one call. It belongs to this cache and its clones: a region or another cache cannot have one,
    /// since they know no type.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_container::{Cache, Source};
    ///
    /// let rates = Cache::<String, u32>::open("memory:", "rates")?.with_default_value(100);
    /// let got = rates.fetch("usd").try_create(|_| Err::<u32, _>("the source is down"));
    /// assert_eq!(got.map(|got| (got.value, got.source)).ok(), Some((100, Source::Fallback)));
    /// assert_eq!(rates.get_or_create("usd", || unreachable!("it was down a moment ago"))?, 100);
    /// assert_eq!(rates.get("usd")?, None);
    /// # Ok::<(), beaker_container::Error>(())
    /// ```
    #[must_use]
    pub fn with_default_value(mut self, value: V) -> Self {
        self.life.default_value = Some(Arc::new(value));
        self
    }

    /// What a value weighs in a store bounded by weight. Default: 1.
    ///
    /// `weigh` runs once for each value stored, under the claim of its key if the value was
    /// created, and under no other lock. A panic in it reaches the caller, and nothing is stored.
    #[must_use]
    pub fn with_weigher(mut self, weigh: impl Fn(&V) -> u32 + Send + Sync + 'static) -> Self {
        self.life.weigher = Some(Weigher(Arc::new(weigh)));
        self
    }

    /// Tells `listener` of each error of the store in place of which a caller got a value: one that was
    /// made but could not be stored ([`unstored`](Self::unstored) counts those), or one that was there
    /// before, or the default value, since the store let no creation begin
    /// ([`CreationStats::not_begun`]).
    ///
    /// `listener` runs in the thread that made the value or was to make it, before others who wait for it
    /// get anything. A panic in it reaches that thread's caller, and a waiter creates next.
    #[must_use]
    pub fn on_unstored(mut self, listener: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.life.reports = Reports::to(Arc::new(listener));
        self
    }

    /// Tells `listener` of values that leave, and of invalidations, with the key where it is one value
    /// and the cause.
    ///
    /// It is told as long as this cache, or a clone of it, is kept, whichever cache of this process
    /// removes or invalidates something in the namespace. [`Evicted`](RemovalCause::Evicted),
    /// [`Expired`](RemovalCause::Expired) and [`Replaced`](RemovalCause::Replaced) come from the
    /// store, and only from the memory store, also behind proxies that leave keys as they are: others
    /// only count, in [`stats`](Self::stats). Not told is what other processes do, and what is removed
    /// through the [`namespace`](Self::namespace) itself. [`remove_many`](Self::remove_many) tells of
    /// all its keys if any was there.
    ///
    /// A value that dies is told when the store drops it, some time after. Why its time was over, by
    /// its time to live or by idleness, is not told: an entry has moments, not reasons, and with both
    /// limits set it stays until its time to live is over.
    ///
    /// # Concurrency
    ///
    /// `listener` runs in the thread whose call displaced the value, once the call is done, under no
    /// lock. It may use the cache: what it displaces itself it is told after it has returned. For that
    /// it should hold a clone from before this call, since one that is told keeps the listener. A panic
    /// in it is caught, and counted in [`CreationStats::listener_panics`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use beaker_container::{Cache, RemovalCause};
    ///
    /// let (left, leaving) = channel();
    /// let files = Cache::<u64, u64>::in_memory(1)?
    ///     .on_removal(move |key, cause| left.send((key.cloned(), cause.clone())).unwrap());
    /// files.insert(&1, 1)?;
    /// files.insert(&2, 4)?;
    /// assert_eq!(leaving.recv()?, (Some(files.key_of(&1)), RemovalCause::Evicted));
    /// files.clear()?;
    /// assert_eq!(leaving.recv()?, (None, RemovalCause::Cleared));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "eviction_listener")]
    #[must_use]
    pub fn on_removal(
        mut self,
        listener: impl Fn(Option<&Key>, &RemovalCause) + Send + Sync + 'static,
    ) -> Self {
        let listener = move |Removal { key, cause, .. }: Removal<'_>| listener(key, cause);
        self.life.listen(Arc::new(listener));
        self
    }

    /// Remembers what leaves the namespace from now on, the last `most` keys of it, so that
    /// [`why`](Self::why) tells a key that was removed, evicted or swept from one that was not seen. Default:
    /// nothing is remembered, since stores keep nothing of what has left.
    ///
    /// It is told what [`on_removal`](Self::on_removal) tells with a key: so on a store other than memory only of
    /// what callers of this process remove. There a key of which nothing is known stays
    /// [`Absent`](crate::Why::Absent); so it does in memory once more than `most` keys have left, and on any
    /// store after a [`remove_many`](Self::remove_many) that found some of its keys and not others. A key takes
    /// its own length and some 150 bytes. Readers pay nothing, and a removal what a listener costs it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use beaker_container::{Cache, RemovalCause, Why};
    ///
    /// let most = NonZeroUsize::new(1_000).unwrap();
    /// let pages = Cache::<u64, u64>::in_memory(10)?.with_remembered_removals(most);
    /// pages.insert(&1, 1)?;
    /// pages.remove(&1)?;
    /// assert!(matches!(pages.why(&1)?, Why::Left { cause: RemovalCause::Removed, .. }));
    /// assert!(matches!(pages.why(&2)?, Why::NotSeen { .. }));
    /// # Ok::<(), beaker_container::Error>(())
    /// ```
    #[must_use]
    pub fn with_remembered_removals(mut self, most: NonZeroUsize) -> Self {
        self.life.remember(most);
        self
    }

    /// Shows keys and tags in spans and events as hashes: the same for the same key as long as the
    /// process lives, and of no use outside it. Default: as they are printed.
    ///
    /// Without the feature `tracing` nothing is shown. A region does the same by its option `redact_keys`.
    #[must_use]
    pub fn with_redacted_keys(mut self) -> Self {
        self.life.trace = self.life.trace.redacting(true);
        self
    }

    /// Measures how long reads take, for the histogram `beaker_cache_read_seconds` of the feature `metrics`;
    /// without it this does nothing. Default: reads are counted only.
    ///
    /// Two looks at the clock and a record of the histogram are more than a hit in memory takes, so this is
    /// for caches on stores that take their time. Batches are not measured.
    #[must_use]
    pub fn with_timed_reads(mut self) -> Self {
        self.life.time_reads();
        self
    }

    /// A cache that is off makes every value anew, and stores and finds nothing. Removals still
    /// reach the store.
    #[must_use]
    pub fn with_enabled(mut self, enabled: Enabled) -> Self {
        self.enabled = enabled == Enabled::Yes;
        self
    }

    /// The namespace below.
    pub fn namespace(&self) -> &Arc<dyn Namespace> {
        &self.life.namespace
    }

    /// Counts since the namespace was opened in this process.
    pub fn stats(&self) -> Stats {
        self.life.namespace.stats()
    }

    /// What happened in this process on all caches of the namespace, beyond hits and misses.
    pub fn creation_stats(&self) -> CreationStats {
        self.life.creation_stats()
    }

    /// The number of values that were made but could not be stored.
    pub fn unstored(&self) -> u64 {
        self.life.reports.count()
    }
}

/// Whether a cache is used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enabled {
    /// It is.
    Yes,
    /// Every value is made anew.
    No,
}
