//! The way of a write to what was read a moment ago: one look-up, no weighing, and the value changed
//! where it lies.

use std::any::Any;
use std::sync::Arc;

use super::node::Life;
use super::{BEGINNING, MemoryNamespace, idle};
use crate::{Clock, Departure, Entry, Key, SystemClock, Timestamp};

impl MemoryNamespace {
    /// Shows the live object under `key` to `amend`, to be changed or replaced, if the entry is alive and
    /// still has the generation `seen`; says its new one. `None` if `amend` was not called: it has
    /// another generation, is gone, or holds bytes. The entry expires and dies as told, and not
    /// before it expires; the rest of it stays, with its cost.
    ///
    /// This is [`Namespace::set_if`](crate::Namespace::set_if) on a generation for a caller who knows
    /// what store it has, from [`Namespace::in_memory`](crate::Namespace::in_memory), and has just read
    /// the entry. The namespace holds the object once while `amend` runs, so `Arc::get_mut` gives it to
    /// a caller who has let go of it, unless somebody else has it from a read.
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
    /// let new = hits.amend(&key, seen, never, never, |object| {
    ///     if let Some(hits) = Arc::get_mut(object).and_then(|any| any.downcast_mut::<u64>()) {
    ///         *hits += 1;
    ///     }
    /// });
    /// assert!(new.is_some_and(|new| new != seen));
    /// assert_eq!(hits.amend(&key, seen, never, never, |_| unreachable!()), None);
    /// # Ok::<(), beaker_namespace::Error>(())
    /// ```
    pub fn amend(
        &self,
        key: &Key,
        seen: u64,
        expires: Timestamp,
        dies: Timestamp,
        amend: impl FnOnce(&mut Arc<dyn Any + Send + Sync>),
    ) -> Option<u64> {
        let hash = self.hash(key);
        let shard = self.shard_of(hash);
        // Another's clock is not read under a lock.
        let now = (!self.has_system_clock).then(|| self.clock.coarse());
        let stands = |entry: &Entry| {
            entry.generation() == seen
                && match now {
                    Some(now) => !entry.is_dead(now),
                    None => {
                        entry.dies().is_never() || SystemClock.is_between(BEGINNING, entry.dies())
                    }
                }
        };
        let mut state = shard.write();
        let life = Life { expires, dies: dies.max(expires) };
        let generation = state.amend(hash, key, stands, life, amend, self.rules())?;
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
