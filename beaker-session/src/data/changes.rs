//! The changes of one request.

use std::borrow::Cow;

use serde_json::Value;

use super::{Change, Data};

/// What one request changes, value by value.
///
/// Applied to whatever the store has when the request ends, it is a merge by value: what others
/// changed meanwhile stays, what both changed is as this request leaves it, and numbers, lists and
/// sets get the changes of both.
///
/// In the order of their names. Most requests change one value or two, for which a list is quicker
/// than a tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Changes(Vec<(String, Change)>);

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the value under `key` is changed.
    pub(crate) fn touches(&self, key: &str) -> bool {
        self.place(key).is_ok()
    }

    /// Where the change of `key` is, or where it would be.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(key))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds one; `before` is the value that it is made on, needed only where this request has
    /// [changed](Self::touches) it before.
    pub(crate) fn record(&mut self, key: &str, before: Option<&Value>, change: Change) {
        match self.place(key) {
            Ok(at) => {
                let place = &mut self.0[at].1;
                let first = std::mem::replace(place, Change::Remove);
                // Another kind of change to what this request has changed already: its outcome is
                // known.
                *place = match first.joins(&change) {
                    true => first.then(change),
                    false => change.apply(before).map_or(Change::Remove, Change::Put),
                };
            }
            Err(at) => self.0.insert(at, (key.to_owned(), change)),
        }
    }

    /// The value under `key` after the changes, where `base` is the one before.
    pub(crate) fn view<'v>(
        &self,
        key: &str,
        base: Option<Cow<'v, Value>>,
    ) -> Option<Cow<'v, Value>> {
        match self.place(key) {
            Err(_) => base,
            Ok(at) => self.0[at].1.apply(base.as_deref()).map(Cow::Owned),
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
        let mut keys: Vec<String> = self.0.drain(..).map(|(key, _)| key).collect();
        keys.extend(base.keys().cloned());
        keys.sort_unstable();
        keys.dedup();
        self.0.extend(keys.into_iter().map(|key| (key, Change::Remove)));
    }
}
