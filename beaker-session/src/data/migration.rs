//! The step from the layout that a session's values have to that of a program's type.

use super::{Data, LAYOUT, Values, is_reserved};

/// What brings values to the layout of a type.
///
/// It is kept with what it made of the values that the request has seen, so that these are not made again,
/// by a function of the program, each time that somebody looks.
#[derive(Debug, Clone)]
pub(crate) struct Migration {
    version: u32,
    /// Brings the values of a version to the next one.
    step: fn(u32, &mut Data),
    seen: Values,
    made: Values,
}

impl Migration {
    /// Calls `step` for each version from that of `seen` to `version`.
    pub(crate) fn new(version: u32, step: fn(u32, &mut Data), seen: Data) -> Self {
        let made = migrated(version, step, seen.clone());
        Self { version, step, seen: seen.into(), made: made.into() }
    }

    /// The values that it was made for, in the layout of the type or a newer one.
    pub(crate) fn made(&self) -> &Values {
        &self.made
    }

    /// Whether these are the values that it was made for.
    pub(crate) fn has_seen(&self, values: &Values) -> bool {
        self.seen == *values
    }

    /// Whether `values` have an older layout.
    pub(crate) fn is_due(&self, values: &Values) -> bool {
        let layout = values.get(LAYOUT).and_then(|version| version.as_u64());
        layout.is_none_or(|layout| layout < u64::from(self.version))
    }

    /// Migrates `values`, unless another request has.
    pub(crate) fn apply_to(&self, values: &mut Values) {
        if !self.is_due(values) {
            return;
        }
        *values = if self.has_seen(values) {
            self.made.clone()
        } else {
            migrated(self.version, self.step, values.to_data()).into()
        };
    }

    /// As [`apply_to`](Self::apply_to), and keeps what it makes.
    pub(crate) fn apply_and_keep(&mut self, values: &mut Values) {
        if self.is_due(values) && !self.has_seen(values) {
            *self = Self::new(self.version, self.step, values.to_data());
        }
        self.apply_to(values);
    }
}

/// What was never numbered, and has values, is of version 0. What has none is of the newest.
fn migrated(version: u32, step: fn(u32, &mut Data), values: Data) -> Data {
    let (mut reserved, mut values): (Data, Data) =
        values.into_iter().partition(|(name, _)| is_reserved(name));
    let stored = reserved.get(LAYOUT).and_then(|layout| u32::try_from(layout.as_u64()?).ok());
    let stored = stored.unwrap_or(if values.is_empty() { version } else { 0 });
    (stored..version).for_each(|from| step(from, &mut values));
    values.retain(|name, _| !is_reserved(name));
    reserved.insert(LAYOUT.to_owned(), stored.max(version).into());
    values.append(&mut reserved);
    values
}
