//! The changes of one request.

use std::borrow::Cow;

use serde_json::Value;

use super::{Change, LAYOUT, Name, Values};

/// What one request changes, value by value.
///
/// Applied to whatever the store has when the request ends, it is a merge by value: what others
/// changed meanwhile stays, what both changed is as this request leaves it, and numbers, lists and
/// sets get the changes of both.
///
/// Most requests change one value, which takes no allocation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Changes {
    first: Option<(Name, Change)>,
    /// In the order of their names. None if there is no first.
    rest: Vec<(Name, Change)>,
}

/// Where the change of a name is, or where it would be.
#[derive(Clone, Copy)]
enum Place {
    First,
    Rest(usize),
    New(usize),
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether the value under `key` is changed.
    pub(crate) fn touches(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    #[inline]
    fn place(&self, key: &str) -> Place {
        match &self.first {
            None => return Place::New(0),
            Some((name, _)) if name.as_bytes() == key.as_bytes() => return Place::First,
            Some(_) if self.rest.is_empty() => return Place::New(0),
            Some(_) => {}
        }
        let by_name = |(other, _): &(Name, _)| other.as_bytes().cmp(key.as_bytes());
        self.rest.binary_search_by(by_name).map_or_else(Place::New, Place::Rest)
    }

    #[inline]
    fn get(&self, key: &str) -> Option<&Change> {
        match self.place(key) {
            Place::First => self.first.as_ref().map(|(_, change)| change),
            Place::Rest(at) => Some(&self.rest[at].1),
            Place::New(_) => None,
        }
    }

    fn iter(&self) -> impl Iterator<Item = &(Name, Change)> {
        self.first.iter().chain(&self.rest)
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// Adds one; `before` is the value that it is made on, needed only where this request has
    /// [changed](Self::touches) it before.
    pub(crate) fn record(&mut self, key: &str, before: Option<&Value>, change: Change) {
        let changed = match self.place(key) {
            Place::First => self.first.as_mut(),
            Place::Rest(at) => self.rest.get_mut(at),
            Place::New(at) => {
                let new = (Name::new(key), change);
                match self.first {
                    None => self.first = Some(new),
                    Some(_) => self.rest.insert(at, new),
                }
                return;
            }
        };
        let Some((_, place)) = changed else { return };
        let first = std::mem::replace(place, Change::Remove);
        // Another kind of change to what this request has changed already: its outcome is known.
        *place = match first.joins(&change) {
            true => first.then(change),
            false => change.apply(before).map_or(Change::Remove, Change::Put),
        };
    }

    /// The value under `key` after the changes, where `base` is the one before.
    pub(crate) fn view<'v>(
        &self,
        key: &str,
        base: Option<Cow<'v, Value>>,
    ) -> Option<Cow<'v, Value>> {
        match self.get(key) {
            None => base,
            Some(change) => change.apply(base.as_deref()).map(Cow::Owned),
        }
    }

    /// The most bytes by which values grow by them, as [`Values::bytes`](super::Values::bytes) counts.
    pub(crate) fn most_bytes(&self) -> usize {
        self.iter().map(|(name, change)| name.as_bytes().len() + 4 + change.most_bytes()).sum()
    }

    /// Whether they leave no value of the program's where there was none.
    pub(crate) fn leave_nothing(&self) -> bool {
        self.iter().all(|(name, change)| {
            // The number of a layout says nothing without values.
            name.as_bytes() == LAYOUT.as_bytes() || change.leaves_nothing()
        })
    }

    /// Whether making them takes no longer the larger the values are that they change.
    pub(crate) fn are_quick(&self) -> bool {
        self.iter()
            .all(|(_, change)| matches!(change, Change::Put(_) | Change::Remove | Change::Add(_)))
    }

    /// Makes the changes in `values`.
    pub(crate) fn apply_to(&self, values: &mut Values) {
        let is_migrated = self.is_migrated(values);
        for (name, change) in self.iter() {
            if !(is_migrated && matches!(change, Change::Migrate(_))) {
                values.change(name, |before| change.apply(before));
            }
        }
    }

    /// Whether `values` have, by another request, the layout that these changes migrate to, or a newer one.
    fn is_migrated(&self, values: &Values) -> bool {
        let Some(Change::Migrate(Some(layout))) = self.get(LAYOUT) else { return false };
        values.get(LAYOUT).is_some_and(|there| there.as_u64() >= layout.as_u64())
    }

    /// The changes of both, `later` upon `self`.
    #[must_use]
    pub(crate) fn then(mut self, later: Self, base: &Values) -> Self {
        for (name, change) in later.first.into_iter().chain(later.rest) {
            let key = name.as_str();
            let before = self.view(key, base.get(key).map(Cow::Borrowed)).map(Cow::into_owned);
            self.record(key, before.as_ref(), change);
        }
        self
    }

    /// Drops every value: those of `base`, and those that were added.
    pub(crate) fn clear(&mut self, base: &Values) {
        let changed = self.first.take().into_iter().chain(self.rest.drain(..));
        let mut names: Vec<Name> = changed.map(|(name, _)| name).collect();
        names.extend(base.iter().map(|(name, _)| Name::new(name)));
        names.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        names.dedup();
        let mut removals = names.into_iter().map(|name| (name, Change::Remove));
        self.first = removals.next();
        self.rest.extend(removals);
    }
}
