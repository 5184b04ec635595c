//! The way of a write to what is known to be there: one look-up, no weighing, and the value changed where it
//! lies.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::node::{Life, Object};
use super::{BEGINNING, MemoryNamespace, idle};
use crate::{Clock, Departure, Entry, Key, SystemClock, Timestamp};

/// A live entry, as [`MemoryNamespace::amend`] shows it.
pub struct Amending<'a> {
    pub(super) generation: u64,
    pub(super) expires: Timestamp,
    pub(super) object: &'a mut Object,
    /// The namespace's other hold of the object.
    pub(super) second: &'a mut Option<Object>,
}

impl Amending<'_> {
    /// The version of the entry, as [`Entry::generation`] says it.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the entry expires.
    #[inline]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The live object.
    #[inline]
    pub fn object(&self) -> &Arc<dyn Any + Send + Sync> {
        self.object
    }

    /// The object, to be changed where it lies, if nobody has it from a read.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut (dyn Any + Send + Sync)> {
        // Never the last one.
        *self.second = None;
        Arc::get_mut(self.object)
    }

    /// Puts `object` in the place of the one there, for those who look from now on.
    #[inline]
    pub fn replace(&mut self, object: Arc<dyn Any + Send + Sync>) -> Replaced {
        Replaced { _holds: (std::mem::replace(self.object, object), self.second.take()) }
    }
}

impl fmt::Debug for Amending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amending")
            .field("generation", &self.generation)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The object that another one was put in the place of: to be dropped when [`MemoryNamespace::amend`] has
/// returned, as its drop may run code.
#[derive(Debug)]
#[must_use = "dropped at once, it is dropped under the lock"]
pub struct Replaced {
    _holds: (Object, Option<Object>),
}

impl MemoryNamespace {
    /// Shows the live object under `key` to `amend`, to be changed or replaced, if the entry is alive and
    /// holds one; says its new generation. What `amend` gives is when the entry expires and dies from now on,
    /// the latter not before the former; the rest of it stays, with its cost. If it gives `None` it must
    /// have left the object as it was, and the entry stays as it is. The result is `None` then, and where
    /// there is nothing to be shown.
    ///
    /// This is [`Namespace::set_if`](crate::Namespace::set_if) for a caller who knows what store it has, from
    /// [`Namespace::in_memory`](crate::Namespace::in_memory): whether the entry has the generation that was read, or may
    /// be changed whatever it has become, is for `amend` to say.
    ///
    /// # Concurrency
    ///
    /// `amend` runs at most once, under a short lock that keeps others out: it must be quick, must not
    /// panic or call the namespace, and leaves what runs code when it is dropped to be dropped later.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use beaker_namespace::{
    ///     Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp,
    /// };
    ///
    /// let hits = MemoryNamespace::anonymous(MemoryConfig::new())?;
    /// let (key, never) = (Key::new(&1), Timestamp::NEVER);
    /// hits.set(&key, Entry::new(Payload::Object(Arc::new(41_u64)), hits.clock().now()))?;
    /// let seen = hits.get(&key)?.map_or(0, |entry| entry.generation());
    ///
    /// let count_once = || {
    ///     hits.amend(&key, |mut hit| {
    ///         if hit.generation() != seen {
    ///             return None;
    ///         }
    ///         *hit.get_mut()?.downcast_mut::<u64>()? += 1;
    ///         Some((never, never))
    ///     })
    /// };
    /// assert!(count_once().is_some_and(|new| new != seen));
    /// assert_eq!(count_once(), None);
    /// # Ok::<(), beaker_namespace::Error>(())
    /// ```
    pub fn amend(
        &self,
        key: &Key,
        amend: impl FnOnce(Amending<'_>) -> Option<(Timestamp, Timestamp)>,
    ) -> Option<u64> {
        let hash = self.hash(key);
        let shard = self.shard_of(hash);
        // Another's clock is not read under a lock.
        let now = (!self.has_system_clock).then(|| self.clock.coarse());
        let is_alive = |entry: &Entry| match now {
            Some(now) => !entry.is_dead(now),
            None => entry.dies().is_never() || SystemClock.is_between(BEGINNING, entry.dies()),
        };
        let amend = |entry: Amending<'_>| {
            let (expires, dies) = amend(entry)?;
            Some(Life { expires, dies: dies.max(expires) })
        };
        let mut state = shard.write();
        let generation = state.amend(hash, key, is_alive, amend, self.rules())?;
        self.publish_due(shard, &state);
        drop(state);
        if self.listeners.any() {
            self.listeners.tell(vec![(key.clone(), Departure::Replaced)]);
        }
        self.collect();
        if idle::is_turn(generation, self.shards.len()) {
            idle::collect_elsewhere(self, self.clock.coarse());
        }
        Some(generation)
    }
}
