//! What a caller decides about time: how long a value lives, and who waits for whom.

use std::time::Duration;

use beaker_namespace::{Entry, Found, Timestamp};

/// What is done with an expired value.
///
/// Staleness is a stated policy: nothing expired is ever served without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Stale {
    /// An expired value is never served: who comes meanwhile waits for the new one.
    #[default]
    Never,
    /// One caller makes the new value; the others get the old one at once, as long as it expired
    /// no longer than `max_age` ago. [`Duration::MAX`] is what Python's Beaker does.
    WhileRefreshing {
        /// How long after its expiry a value may still be served. The store keeps it that long.
        max_age: Duration,
    },
    /// All wait for the new value; if it cannot be made, they get the old one.
    OnError {
        /// As above.
        max_age: Duration,
    },
    /// Both: nobody but the one who makes the new value waits, and a failure gives the old one.
    Both {
        /// As above.
        max_age: Duration,
    },
}

impl Stale {
    pub(crate) const fn max_age(self) -> Duration {
        match self {
            Self::Never => Duration::ZERO,
            Self::WhileRefreshing { max_age }
            | Self::OnError { max_age }
            | Self::Both { max_age } => max_age,
        }
    }

    pub(crate) const fn while_refreshing(self) -> bool {
        matches!(self, Self::WhileRefreshing { .. } | Self::Both { .. })
    }

    pub(crate) const fn on_error(self) -> bool {
        matches!(self, Self::OnError { .. } | Self::Both { .. })
    }
}

/// What becomes of a creation that takes longer than the hard time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnTimeout {
    /// It runs on behind the caller, and its value is stored.
    #[default]
    Finish,
    /// It is dropped, where it can be: an asynchronous one at its next await. One that runs on a
    /// thread cannot be stopped; its value is thrown away.
    Drop,
}

/// What becomes of a creation whose caller goes away, because its future was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCancel {
    /// It is dropped too, and one of those who wait creates in its place.
    #[default]
    HandOver,
    /// It runs on, for those who wait and for the store.
    Detach,
}

/// The time to live that a creator chose, if it did: `Some(None)` is for ever.
pub(crate) type ChosenTtl = Option<Option<Duration>>;

/// All that is decided about the life of a value, the same for threads and tasks.
///
/// A [`Cache`](crate::Cache) has one, a region gives one to its caches, and a single call can
/// change it: see [`Cache::fetch`](crate::Cache::fetch).
///
/// # Time-outs and creators that borrow
///
/// A creator that borrows from its caller, which is what [`get_or_create`](crate::Cache::get_or_create),
/// [`Fetch::create`](crate::Fetch::create), their asynchronous twins and batches take, cannot run on without
/// it. So where the policy of a cache or a region has a time-out:
///
/// | creator | the one who creates | those who wait for it |
/// |---|---|---|
/// | can outlive the call: `spawn`, `spawn_async` | held to both time-outs | held to both |
/// | borrows, in a task, with [`OnTimeout::Drop`] | held to the hard one: the creation is dropped | held to both |
/// | borrows | gets its value when it is made, however late; counted in [`CreationStats::timed_out`](crate::CreationStats::timed_out) | held to both |
///
/// A *call* that asks for a time-out itself, by [`Fetch::policy`](crate::Fetch::policy), and then brings a
/// creator that cannot give it, is refused with [`ErrorKind::Config`](crate::ErrorKind::Config), whether or
/// not there is a value.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_container::{Policy, Stale};
///
/// let policy = Policy::new()
///     .ttl(Duration::from_secs(60))
///     .jitter(Duration::from_secs(5))
///     .stale(Stale::Both { max_age: Duration::from_secs(600) })
///     .back_off(Duration::from_secs(2));
/// # let _ = policy;
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    pub(crate) ttl: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) jitter: Duration,
    pub(crate) stale: Stale,
    pub(crate) keep_old: Duration,
    pub(crate) negative_ttl: ChosenTtl,
    pub(crate) error_ttl: Duration,
    pub(crate) back_off: Option<Duration>,
    pub(crate) refresh_at: Option<f64>,
    pub(crate) early_refresh: f64,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) hard_timeout: Option<Duration>,
    pub(crate) on_timeout: OnTimeout,
    pub(crate) on_cancel: OnCancel,
    pub(crate) wait: Duration,
    pub(crate) start_time: Option<Timestamp>,
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy {
    /// How long a caller waits for somebody else's creation, if nothing else is said.
    pub const DEFAULT_WAIT: Duration = Duration::from_secs(30);

    /// How long a failure stops further tries where something can be served instead, if nothing else
    /// is said.
    pub const DEFAULT_BACK_OFF: Duration = Duration::from_secs(1);

    /// Values never expire, nothing stale is served, creators are given all the time they take.
    pub const fn new() -> Self {
        Self {
            ttl: None,
            idle: None,
            jitter: Duration::ZERO,
            stale: Stale::Never,
            keep_old: Duration::ZERO,
            negative_ttl: None,
            error_ttl: Duration::ZERO,
            back_off: None,
            refresh_at: None,
            early_refresh: 0.0,
            soft_timeout: None,
            hard_timeout: None,
            on_timeout: OnTimeout::Finish,
            on_cancel: OnCancel::HandOver,
            wait: Self::DEFAULT_WAIT,
            start_time: None,
        }
    }

    /// Values expire this long after their creation began. Default: never. Zero is always expired.
    ///
    /// What is stored already keeps the expiry it was stored with.
    #[must_use]
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Values expire this long after they were last read, and no later than their time to live
    /// says. Default: never.
    ///
    /// A read is written back to the store once an eighth of this time has passed since the last
    /// one that was: so a value may expire up to an eighth early. It needs a store with
    /// [`CompareAndSet`](beaker_namespace::Capability::CompareAndSet); on others values expire this
    /// long after they were stored. A time to live that a creator chose stands; where the policy has
    /// none of its own, reads lengthen it.
    #[must_use]
    pub fn idle(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.idle = idle.into();
        self
    }

    /// Shortens each time to live by a random part of this, so that what was made together does not
    /// expire together. Default: zero. It takes at most half of the time to live.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// What is done with expired values. Default: [`Stale::Never`].
    #[must_use]
    pub const fn stale(mut self, stale: Stale) -> Self {
        self.stale = stale;
        self
    }

    /// Keeps an expired value this long for a creator to look at (see
    /// [`Creation::old`](crate::Creation::old)), without serving it. Default: zero, which is as
    /// long as [`stale`](Self::stale) keeps it.
    #[must_use]
    pub const fn keep_old(mut self, keep: Duration) -> Self {
        self.keep_old = keep;
        self
    }

    /// A made `None` expires this long after its creation began, where a value has the
    /// [`ttl`](Self::ttl). Default: as a value; `None` here is never.
    ///
    /// It holds for values that are `Serialize`, by what they are written as. A cache of live objects
    /// ([`Cache::of_objects`](crate::Cache::of_objects)) takes it only by
    /// [`Cache::with_negative_ttl`](crate::Cache::with_negative_ttl). What the creator chose goes before it.
    #[must_use]
    pub fn negative_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.negative_ttl = Some(ttl.into());
        self
    }

    /// A failed creation's error is given, for this long, to all who ask for the key in this
    /// process and would have to create. Default: as long as [`back_off`](Self::back_off) says, which is
    /// to those who waited only where there is none.
    #[must_use]
    pub const fn error_ttl(mut self, ttl: Duration) -> Self {
        self.error_ttl = ttl;
        self
    }

    /// After a failure nobody in this process creates the key for this long: who would have to gets the
    /// old value that the policy lets be served, else the cache's default value, else the error. So a
    /// source that is down sees one call a key and interval.
    ///
    /// Default: [`DEFAULT_BACK_OFF`](Self::DEFAULT_BACK_OFF) where something may be served instead, which is
    /// with any [`stale`](Self::stale) but `Never`, with early refreshes, and with a
    /// [default value](crate::Cache::with_default_value); none with a policy that serves nothing instead,
    /// where each call is asked for its own error. Zero switches it off.
    ///
    /// At most 10,000 failures of a namespace are remembered: while all of them still count, what fails beside
    /// them has no back-off.
    #[must_use]
    pub const fn back_off(mut self, back_off: Duration) -> Self {
        self.back_off = Some(back_off);
        self
    }

    /// Makes a value anew before it expires: once this part of its time to live has passed, the
    /// next reader that could create does so (behind it, if the creator can outlive the call),
    /// while all others get the value that is still fresh. Default: never.
    ///
    /// There are no timers: a value that nobody reads expires. `0.8` is a good start; below zero
    /// counts as zero, and one or more as never.
    #[must_use]
    pub fn refresh_at(mut self, part: f64) -> Self {
        self.refresh_at = (part < 1.0).then_some(part.max(0.0));
        self
    }

    /// Makes a value anew before it expires with a probability that grows towards the expiry and
    /// with the time that creations take. Default: zero, which is never; one is the value of the
    /// paper; more is earlier.
    ///
    /// This is XFetch, of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache
    /// Stampede Prevention" (VLDB 2015). The time is the mean of this process's creations in the
    /// namespace; before the first one nothing is early.
    #[must_use]
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.early_refresh = beta.max(0.0);
        self
    }

    /// If a creation takes longer than this and there is an old value that the policy lets be
    /// served, the caller gets that; the creation runs on. Default: none.
    ///
    /// Who waits for somebody else's creation waits no longer than this either. Who creates needs a creator
    /// that can outlive the call for it, see [`Fetch::spawn`](crate::Fetch::spawn): one that borrows, as
    /// [`get_or_create`](crate::Cache::get_or_create) takes it, runs to its end in its caller. See
    /// [time-outs and creators that borrow](#time-outs-and-creators-that-borrow).
    #[must_use]
    pub fn soft_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.soft_timeout = timeout.into();
        self
    }

    /// If a creation takes longer than this, the caller gets
    /// [`ErrorKind::CreationTimeout`](crate::ErrorKind::CreationTimeout). Default: none.
    ///
    /// Who waits for somebody else's creation waits no longer than this either. Who creates needs a creator
    /// that can outlive the call for it, see [`Fetch::spawn`](crate::Fetch::spawn), or, with
    /// [`OnTimeout::Drop`], a task. See
    /// [time-outs and creators that borrow](#time-outs-and-creators-that-borrow).
    #[must_use]
    pub fn hard_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.hard_timeout = timeout.into();
        self
    }

    /// What becomes of a creation that reached the hard time-out. Default: [`OnTimeout::Finish`].
    #[must_use]
    pub const fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.on_timeout = on_timeout;
        self
    }

    /// What becomes of a creation whose caller's future was dropped. Default:
    /// [`OnCancel::HandOver`]. [`OnCancel::Detach`] is for creators that can outlive the call, see
    /// `Fetch::spawn_async`; one that borrows, as `get_or_create_async` takes it, is handed over in any case.
    #[must_use]
    pub const fn on_cancel(mut self, on_cancel: OnCancel) -> Self {
        self.on_cancel = on_cancel;
        self
    }

    /// How long a caller waits at most while somebody else makes the value. Default: 30 s.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Values whose creation began before `start` count as expired, whatever their time to live.
    #[must_use]
    pub fn start_time(mut self, start: impl Into<Option<Timestamp>>) -> Self {
        self.start_time = start.into();
        self
    }
}

// What follows is asked by the life of a value.
impl Policy {
    /// The same, for a call at `now` that makes the value anew, whatever is there.
    pub(crate) fn anew(self, now: Timestamp) -> Self {
        // What began within the same tick of the clock began before the call.
        let start = now.saturating_add(Duration::from_micros(1));
        let start = self.start_time.map_or(start, |own| own.max(start));
        // The old value is not served, and the new one is kept as long as it would be otherwise.
        Self { start_time: Some(start), stale: Stale::Never, keep_old: self.grace(), ..self }
    }

    /// What this asks for beyond `before` that only a creator can give that outlives its call.
    pub(crate) fn needs_spawn_beyond(&self, before: &Self, in_task: bool) -> Option<&'static str> {
        let can_drop = in_task && self.on_timeout == OnTimeout::Drop;
        if self.soft_timeout.is_some() && self.soft_timeout != before.soft_timeout {
            return Some("a soft time-out");
        }
        let asks_for_hard = self.hard_timeout != before.hard_timeout;
        if self.hard_timeout.is_some() && asks_for_hard && !can_drop {
            return Some("a hard time-out");
        }
        let detaches = |policy: &Self| policy.on_cancel == OnCancel::Detach;
        (in_task && detaches(self) && !detaches(before))
            .then_some("a creation that runs on when its caller goes away")
    }

    /// Whether what `began` then is no older than the start time.
    pub(crate) fn has_started(&self, began: Timestamp) -> bool {
        self.start_time.is_none_or(|start| began >= start)
    }

    /// Whether `entry` needs no re-creation at `now`.
    #[inline]
    pub(crate) fn is_current(&self, entry: &Entry, now: impl FnOnce() -> Timestamp) -> bool {
        self.has_started(entry.began()) && (entry.expires().is_never() || entry.is_fresh(now()))
    }

    /// [`is_current`](Self::is_current) of what was found in memory, where the entry itself is looked
    /// at only if need be.
    #[inline(always)]
    pub(crate) fn is_current_in_memory(&self, found: Found<'_>) -> bool {
        (self.start_time.is_none() || self.has_started(found.entry().began())) && found.is_fresh()
    }

    /// Whether a hit may ask for more than to be returned.
    #[inline]
    pub(crate) fn watches_hits(&self) -> bool {
        self.idle.is_some() || self.refresh_at.is_some() || self.early_refresh > 0.0
    }

    /// How long after its expiry an entry is kept.
    pub(crate) fn grace(&self) -> Duration {
        self.stale.max_age().max(self.keep_old)
    }

    /// Whether a value that expired by itself, or is too old for the start time, may be served at
    /// `now` under some condition.
    pub(crate) fn may_serve_old(&self, entry: &Entry, now: Timestamp) -> bool {
        match entry.staleness(now) {
            Some(stale_for) => stale_for < self.stale.max_age(),
            // Fresh by itself, and only older than the start time or expired by an invalidation.
            None => self.stale != Stale::Never && entry.is_fresh(now),
        }
    }

    /// When what began then expires and dies. A time to live that the creator chose goes before the
    /// policy's.
    pub(crate) fn times_of(&self, chosen: ChosenTtl, began: Timestamp) -> (Timestamp, Timestamp) {
        let after = |time: Duration| began.saturating_add(time);
        let ttl = chosen.unwrap_or(self.ttl).map(|ttl| self.jittered(ttl));
        let end = ttl.map_or(Timestamp::NEVER, after);
        match self.idle {
            Some(idle) if chosen.is_none() => {
                let expires = end.min(after(idle));
                let dies = if ttl.is_some() { end } else { expires };
                (expires, dies.saturating_add(self.grace()))
            }
            _ => (end, end.saturating_add(self.grace())),
        }
    }

    /// `entry` as it is to be written back because it was read now, if that is due.
    pub(crate) fn used(&self, entry: &Entry, now: Timestamp) -> Option<Entry> {
        let idle = self.idle?;
        let grace = self.grace();
        let end = match self.ttl {
            // Whoever stored it may have kept it for another grace: the time to live holds too.
            Some(ttl) => Self::end_kept(entry, grace).min(entry.began().saturating_add(ttl)),
            None => Timestamp::NEVER,
        };
        let expires = end.min(now.saturating_add(idle));
        let gained = expires.saturating_duration_since(entry.expires());
        if gained.is_zero() || gained < idle / 8 {
            return None;
        }
        let dies = if self.ttl.is_some() { entry.dies() } else { expires.saturating_add(grace) };
        Some(entry.clone().times(expires, dies))
    }

    /// The end of an entry's time to live, as far as its death tells: an endless grace hides it.
    fn end_kept(entry: &Entry, grace: Duration) -> Timestamp {
        match entry.dies().is_never() {
            true => Timestamp::NEVER,
            false => entry.dies().saturating_sub(grace),
        }
    }

    fn jittered(&self, ttl: Duration) -> Duration {
        if self.jitter.is_zero() {
            return ttl;
        }
        ttl - self.jitter.min(ttl / 2).mul_f64(fastrand::f64())
    }

    /// How long a failure stops the next try.
    pub(crate) fn back_off_or_default(&self, has_default: bool) -> Duration {
        let falls_back = has_default || self.stale != Stale::Never || self.watches_hits();
        match self.back_off {
            Some(back_off) => back_off,
            None if falls_back => Self::DEFAULT_BACK_OFF,
            None => Duration::ZERO,
        }
    }
}
