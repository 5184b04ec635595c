//! Sites for the tests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::testkit::FaultStore;
use beaker_namespace::{
    Clock, Condition, ConditionalSet, Damage, Entry, Error, ErrorKind, Key, Lookup, ManualClock,
    MemoryConfig, MemoryNamespace, Namespace, Payload, Scan, Timestamp, forward_namespace,
};
use beaker_session::{AccessPolicy, Builder, KeyRing, SecretKey, Sessions};
use parking_lot::Mutex;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A site on memory, with a clock that stands still and a store that can be made to fail.
pub(crate) struct Site {
    pub(crate) sessions: Sessions,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<FaultStore<Arc<MemoryNamespace>>>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// Idle time-out an hour, absolute a day; a read writes nothing unless `settings` say so.
    pub(crate) fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
        let config = MemoryConfig::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let store = Arc::new(FaultStore::new(MemoryNamespace::anonymous(config).unwrap()));
        let builder = Sessions::builder()
            .with_namespace(Arc::clone(&store) as Arc<dyn Namespace>)
            .with_idle(Some(HOUR))
            .with_absolute(Some(DAY))
            .with_access(AccessPolicy::Never);
        let sessions = settings(builder).build().unwrap();
        Self { sessions, clock, store }
    }

    /// How many entries the store has.
    pub(crate) fn entries(&self) -> u64 {
        self.store.stats().entries.unwrap_or(u64::MAX)
    }

    /// Puts something that is no record in the place of each.
    pub(crate) fn spoil(&self) {
        for listed in self.store.scan(&Scan::new()).unwrap().entries {
            let entry = self.store.get(&listed.key).unwrap().unwrap();
            self.store.set(&listed.key, entry.with_payload(Payload::raw("no record"))).unwrap();
        }
    }

    /// How many operations of the store `work` takes.
    pub(crate) fn operations(&self, work: impl FnOnce()) -> u64 {
        let before = self.store.operations();
        work();
        self.store.operations() - before
    }
}

type Write = Box<dyn FnOnce() + Send>;

/// A namespace beside which another process writes, just before the n-th look or set.
pub(crate) struct Beside<N> {
    inner: N,
    /// After how many calls, and what is left to be written.
    write: Mutex<(usize, Option<Write>)>,
}

impl<N> Beside<N> {
    pub(crate) fn new(inner: N, nth: usize, write: impl FnOnce() + Send + 'static) -> Self {
        Self { inner, write: Mutex::new((nth, Some(Box::new(write)))) }
    }

    fn called(&self) {
        let mut write = self.write.lock();
        write.0 = write.0.saturating_sub(1);
        if write.0 == 0
            && let Some(write) = write.1.take()
        {
            write();
        }
    }
}

impl<N: fmt::Debug> fmt::Debug for Beside<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<N: Namespace> Namespace for Beside<N> {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, get, set, remove, clear, claim, fulfil, stats,
    );

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        self.called();
        self.inner.set_if(key, entry, condition)
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        self.called();
        self.inner.look_up(key)
    }
}

/// A namespace around another, whose sets on a condition are what a function makes of them.
#[derive(Debug)]
pub(crate) struct SetsBy<N> {
    pub(crate) inner: N,
    pub(crate) set_if: SetIf<N>,
}

pub(crate) type SetIf<N> = fn(&N, &Key, Entry, Condition) -> Result<ConditionalSet, Error>;

impl<N: Namespace> Namespace for SetsBy<N> {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, get, look_up, set, remove, clear, claim, fulfil, stats, sweep,
    );

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        (self.set_if)(&self.inner, key, entry, condition)
    }
}

/// Sets without looking, as an upsert does.
pub(crate) fn blinded<N: Namespace>(inner: N) -> SetsBy<N> {
    let set_if: SetIf<N> = |inner, key, entry, _| {
        inner.set(key, entry)?;
        let generation = inner.get(key)?.map_or(0, |entry| entry.generation());
        Ok(ConditionalSet::Stored { generation })
    };
    SetsBy { inner, set_if }
}

/// A namespace that says that something is damaged, and not what it is known by.
#[derive(Debug)]
pub(crate) struct Unprinted<N>(pub(crate) N);

impl<N: Namespace> Namespace for Unprinted<N> {
    forward_namespace!(
        self => self.0;
        id, scope, capabilities, latency, clock, get, set, set_if, remove, clear, claim, fulfil, stats, sweep,
    );

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        Ok(match self.0.look_up(key)? {
            Lookup::Corrupt(damage) => Lookup::Corrupt(Damage::new(damage.reason().to_owned())),
            found => found,
        })
    }
}

/// A namespace that says of what is damaged that it is longer than it reads.
#[derive(Debug)]
pub(crate) struct TooLong<N>(pub(crate) N);

impl<N: Namespace> Namespace for TooLong<N> {
    forward_namespace!(
        self => self.0;
        id, scope, capabilities, latency, clock, get, set, remove, clear, claim, fulfil, stats,
    );

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        match self.0.look_up(key)? {
            Lookup::Corrupt(_) => Err(Error::new(ErrorKind::TooLarge, "read an entry")),
            found => Ok(found),
        }
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        match self.0.look_up(key)? {
            Lookup::Corrupt(damage) if condition == Condition::TooLarge => {
                self.0.set_if(key, entry, damage.condition())
            }
            Lookup::Corrupt(_) => Err(Error::new(ErrorKind::TooLarge, "write an entry")),
            _ => self.0.set_if(key, entry, condition),
        }
    }
}

/// Flips a bit of every value that `memory` has, which are bytes.
pub(crate) fn flip_all(memory: &MemoryNamespace) {
    damage_all(memory, |bytes| *bytes.last_mut().unwrap() ^= 1);
}

/// Does `damage` to every value that `memory` has, which are bytes.
pub(crate) fn damage_all(memory: &MemoryNamespace, damage: impl Fn(&mut Vec<u8>)) {
    for listed in memory.scan(&Scan::new()).unwrap().entries {
        let entry = memory.get(&listed.key).unwrap().unwrap();
        let Payload::Bytes { codec, bytes } = entry.payload().clone() else { panic!("no bytes") };
        let mut bytes = bytes.to_vec();
        damage(&mut bytes);
        let payload = Payload::Bytes { codec, bytes: bytes.into() };
        memory.set(&listed.key, entry.with_payload(payload)).unwrap();
    }
}

/// A secret that is the same in every run.
pub(crate) fn secret(seed: u8) -> SecretKey {
    let bytes: Vec<u8> = (0..32).map(|at: u8| at.wrapping_mul(7) ^ seed).collect();
    SecretKey::from_bytes(&bytes).unwrap()
}

pub(crate) fn ring(seed: u8) -> KeyRing {
    KeyRing::new(secret(seed))
}

/// A site whose sessions are in encrypted cookies.
pub(crate) fn sealed(
    clock: &Arc<ManualClock>,
    settings: impl FnOnce(Builder) -> Builder,
) -> Sessions {
    let builder = Sessions::builder()
        .in_encrypted_cookies()
        .with_keys(ring(1))
        .with_clock(Arc::clone(clock) as Arc<dyn Clock>)
        .with_idle(Some(HOUR))
        .with_absolute(Some(DAY))
        .with_access(AccessPolicy::Never);
    settings(builder).build().unwrap()
}

/// A site whose sessions are in memory, with nothing around it: they are changed where they lie.
pub(crate) fn in_memory(
    clock: &Arc<ManualClock>,
    settings: impl FnOnce(Builder) -> Builder,
) -> Sessions {
    let config = MemoryConfig::new().clock(Arc::clone(clock) as Arc<dyn Clock>);
    let builder = Sessions::builder()
        .with_namespace(MemoryNamespace::anonymous(config).unwrap())
        .with_idle(Some(HOUR))
        .with_absolute(Some(DAY))
        .with_access(AccessPolicy::Never);
    settings(builder).build().unwrap()
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)))
}
