use std::{fmt, hash::Hash, sync::Arc};

use super::Queues;

/// Proof that its owner holds the lock of one key of some [`KeyLocks`](super::KeyLocks); dropping it hands the lock to
/// the next who waits.
///
/// It may be kept anywhere, and be dropped on another thread than it was taken on.
#[must_use = "the lock is handed on as soon as the guard is dropped"]
pub struct KeyGuard<K: Eq + Hash + Clone> {
    queues: Arc<Queues<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> KeyGuard<K> {
    pub(super) fn new(queues: Arc<Queues<K>>, key: K) -> Self {
        Self { queues, key }
    }

    /// The key whose lock is held.
    pub fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Eq + Hash + Clone> Drop for KeyGuard<K> {
    fn drop(&mut self) {
        self.queues.hand_on(&self.key);
    }
}

/// Shows no key.
impl<K: Eq + Hash + Clone> fmt::Debug for KeyGuard<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyGuard(..)")
    }
}
