//! The marks of one namespace.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::Mark;

/// When each name was invalidated. Marks stay as long as the namespace does.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Whether there is one. Most namespaces have none, and then a hit costs one load.
    any: AtomicBool,
    by_name: RwLock<HashMap<Box<str>, Mark>>,
}

impl Marks {
    /// Adds `mark` to what holds for `name`, and says what holds now.
    pub(super) fn add(&self, name: &str, mark: Mark) -> Mark {
        let mut by_name = self.by_name.write();
        let holds = match by_name.get_mut(name) {
            Some(held) => {
                *held = held.merge(mark);
                *held
            }
            None => *by_name.entry(name.into()).or_insert(mark),
        };
        // Release: whoever hears that the name is marked, and then asks, finds the map in use.
        self.any.store(true, Ordering::Release);
        holds
    }

    /// All marks of `names` as one.
    #[inline]
    pub(super) fn merged(&self, names: &mut dyn Iterator<Item = &str>) -> Mark {
        // Acquire pairs with the store in `add`.
        if !self.any.load(Ordering::Acquire) {
            return Mark::default();
        }
        let by_name = self.by_name.read();
        names
            .filter_map(|name| by_name.get(name))
            .fold(Mark::default(), |all, &mark| all.merge(mark))
    }
}
