//! The changes of one request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::{Change, Data};

/// What one request changes, value by value.
///
/// Applied to whatever the store has when the request ends, it is a merge by value: what others
/// changed meanwhile stays, what both changed is as this request leaves it, and numbers, lists and
/// sets get the changes of both.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Changes(BTreeMap<String, Change>);

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the value under `key` is changed.
    pub(crate) fn touches(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds one; `before` is the value that it is made on, needed only where this request has
    /// [changed](Self::touches) it before.
    pub(crate) fn record(&mut self, key: &str, before: Option<&Value>, change: Change) {
        let change = match self.0.remove(key) {
            // Another kind of change to what this request has changed already: its outcome is
            // known.
            Some(first) if !first.joins(&change) => {
                change.apply(before).map_or(Change::Remove, Change::Put)
            }
            Some(first) => first.then(change),
            None => change,
        };
        self.0.insert(key.to_owned(), change);
    }

    /// The value under `key` after the changes, where `base` is the one before.
    pub(crate) fn view<'v>(
        &self,
        key: &str,
        base: Option<Cow<'v, Value>>,
    ) -> Option<Cow<'v, Value>> {
        match self.0.get(key) {
            None => base,
            Some(change) => change.apply(base.as_deref()).map(Cow::Owned),
        }
    }

    /// Makes the changes in `data`.
    pub(crate) fn apply_to(&self, data: &mut Data) {
        for (key, change) in &self.0 {
            let place = data.get_mut(key);
            match (change.apply(place.as_deref()), place) {
                (Some(value), Some(place)) => *place = value,
                (Some(value), None) => drop(data.insert(key.clone(), value)),
                (None, Some(_)) => drop(data.remove(key)),
                (None, None) => {}
            }
        }
    }

    /// The changes of both, `later` upon `self`.
    #[must_use]
    pub(crate) fn then(mut self, later: Self, base: &Data) -> Self {
        for (key, change) in later.0 {
            let before = self.view(&key, base.get(&key).map(Cow::Borrowed)).map(Cow::into_owned);
            self.record(&key, before.as_ref(), change);
        }
        self
    }

    /// Drops every value: those of `base`, and those that were added.
    pub(crate) fn clear(&mut self, base: &Data) {
        let keys: Vec<String> = base.keys().chain(self.0.keys()).cloned().collect();
        self.0.extend(keys.into_iter().map(|key| (key, Change::Remove)));
    }
}
