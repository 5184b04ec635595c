//! The changes of one request.

use std::borrow::Cow;

use serde_json::Value;

use super::{Change, LAYOUT, Migration, Name, Values};

/// What one request changes, value by value.
///
/// Applied to whatever the store has when the request ends, it is a merge by value: what others
/// changed meanwhile stays, what both changed is as this request leaves it, and numbers, lists and
/// sets get the changes of both. What others stored meanwhile in an older layout is
/// [migrated](Migration) before.
///
/// Most requests change one value, which takes no allocation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// What is made before them.
    migrated: Option<Box<Migrated>>,
    first: Option<(Name, Change)>,
    /// In the order of their names. None if there is no first.
    rest: Vec<(Name, Change)>,
}

/// Changes, and a migration after them.
#[derive(Debug, Clone)]
struct Migrated {
    before: Changes,
    migration: Migration,
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
        self.first.is_none() && !self.migrates()
    }

    /// Whether a migration is among them.
    pub(crate) fn migrates(&self) -> bool {
        self.migrated.is_some()
    }

    /// Whether the value under `key` is changed, since a migration if there is one.
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
        self.iter().count() + self.migrated.as_ref().map_or(0, |migrated| migrated.before.len())
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

    /// Migrates what these changes come to, before later ones.
    pub(crate) fn migrate(&mut self, migration: Migration) {
        let before = std::mem::take(self);
        self.migrated = Some(Box::new(Migrated { before, migration }));
    }

    /// The value under `key` after the changes, where `base` is the one before. Not with a migration, for
    /// which one value is not enough.
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

    /// The most bytes by which values grow by them, as [`Values::bytes`](super::Values::bytes) counts. What a
    /// migration makes is not known before.
    pub(crate) fn most_bytes(&self) -> usize {
        self.iter().map(|(name, change)| name.as_bytes().len() + 4 + change.most_bytes()).sum()
    }

    /// Whether they leave no value of the program's where there was none.
    pub(crate) fn leave_nothing(&self) -> bool {
        let is_left = |migrated: &Migrated| {
            !migrated.before.leave_nothing()
                && migrated.migration.made().iter().any(|(name, _)| {
                    // The number of a layout says nothing without values.
                    name != LAYOUT && !matches!(self.get(name), Some(Change::Remove))
                })
        };
        self.iter().all(|(_, change)| change.leaves_nothing())
            && !self.migrated.as_deref().is_some_and(is_left)
    }

    /// Whether making them takes no longer the larger the values are that they change.
    pub(crate) fn are_quick(&self) -> bool {
        let is_quick =
            |change: &Change| matches!(change, Change::Put(_) | Change::Remove | Change::Add(_));
        !self.migrates() && self.iter().all(|(_, change)| is_quick(change))
    }

    /// Makes the changes in `values`. What a migration has not seen yet a function of the program migrates, which
    /// may panic.
    pub(crate) fn apply_to(&self, values: &mut Values) {
        if let Some(migrated) = &self.migrated {
            migrated.before.apply_to(values);
            migrated.migration.apply_to(values);
        }
        for (name, change) in self.iter() {
            values.change(name, |before| change.apply(before));
        }
    }

    /// Makes each migration ready to be made upon `base`. What they come to is returned.
    pub(crate) fn migrate_ahead(&mut self, base: Values) -> Values {
        let mut values = base;
        if let Some(migrated) = &mut self.migrated {
            values = migrated.before.migrate_ahead(values);
            migrated.migration.apply_and_keep(&mut values);
        }
        for (name, change) in self.iter() {
            values.change(name, |before| change.apply(before));
        }
        values
    }

    /// The changes of both, `later` upon `self`.
    #[must_use]
    pub(crate) fn then(mut self, later: Self, base: &Values) -> Self {
        if let Some(migrated) = later.migrated {
            self = self.then(migrated.before, base);
            self.migrate(migrated.migration);
        }
        for (name, change) in later.first.into_iter().chain(later.rest) {
            let key = name.as_str();
            let before = self.touches(key).then(|| self.value_on(base, key)).flatten();
            self.record(key, before.as_ref(), change);
        }
        self
    }

    fn value_on(&self, base: &Values, key: &str) -> Option<Value> {
        if !self.migrates() {
            return self.view(key, base.get(key).map(Cow::Borrowed)).map(Cow::into_owned);
        }
        let mut values = base.clone();
        self.apply_to(&mut values);
        values.get(key).cloned()
    }

    /// Drops every value: those `below` the changes, and those that are there after them, by their names.
    pub(crate) fn clear(&mut self, below: &Values, after: &Values) {
        let changed = self.first.take().into_iter().chain(self.rest.drain(..));
        let mut names: Vec<Name> = changed.map(|(name, _)| name).collect();
        names.extend(below.iter().chain(after.iter()).map(|(name, _)| Name::new(name)));
        names.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        names.dedup();
        self.migrated = None;
        let mut removals = names.into_iter().map(|name| (name, Change::Remove));
        self.first = removals.next();
        self.rest.extend(removals);
    }
}
