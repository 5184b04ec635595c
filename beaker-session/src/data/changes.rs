//! The changes of one request.

use std::borrow::Cow;

use serde_json::Value;

use super::{Change, Name, Values};

/// What one request changes, value by value.
///
/// Applied to whatever the store has when the request ends, it is a merge by value: what others
/// changed meanwhile stays, what both changed is as this request leaves it, and numbers, lists and
/// sets get the changes of both.
///
/// In the order of their names. Most requests change one value or two, for which a list is quicker
/// than a tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Changes(Vec<(Name, Change)>);

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
        self.0.binary_search_by(|(other, _)| other.as_bytes().cmp(key.as_bytes()))
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
            Err(at) => self.0.insert(at, (Name::new(key), change)),
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

    /// Makes the changes in `values`.
    pub(crate) fn apply_to(&self, values: &mut Values) {
        for (name, change) in &self.0 {
            values.change(name, |before| change.apply(before));
        }
    }

    /// The changes of both, `later` upon `self`.
    #[must_use]
    pub(crate) fn then(mut self, later: Self, base: &Values) -> Self {
        for (name, change) in later.0 {
            let key = name.as_str();
            let before = self.view(key, base.get(key).map(Cow::Borrowed)).map(Cow::into_owned);
            self.record(key, before.as_ref(), change);
        }
        self
    }

    /// Drops every value: those of `base`, and those that were added.
    pub(crate) fn clear(&mut self, base: &Values) {
        let mut names: Vec<Name> = self.0.drain(..).map(|(name, _)| name).collect();
        names.extend(base.iter().map(|(name, _)| Name::new(name)));
        names.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        names.dedup();
        self.0.extend(names.into_iter().map(|name| (name, Change::Remove)));
    }
}
