//! Sets on a condition: what is expected, and what came of it.

use crate::{Damage, Fingerprint};

/// When [`Namespace::set_if`](crate::Namespace::set_if) stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// No entry is there, or a dead one, however long it is, or one that cannot be read back.
    Absent,
    /// The entry there has this [`generation`](crate::Entry::generation).
    Generation(u64),
    /// What is there still cannot be read back, and is what a [look-up](crate::Namespace::look_up) gave this
    /// [fingerprint](Damage::fingerprint) of. Holds nowhere in a store that gives none.
    Corrupt(Fingerprint),
    /// What is there lives, and is longer than this store reads, so that a look-up fails with
    /// [`TooLarge`](crate::ErrorKind::TooLarge): whoever may read more has written it. The other conditions fail
    /// there with that error. Holds nowhere in a store that reads whatever it has.
    ///
    /// It does not say which one is there: of what was too long at a look-up, and is now another that is too long,
    /// it holds all the same, and the set replaces what whoever may read more has written in between.
    TooLarge,
}

impl Condition {
    /// Whether it holds where the living entry has the generation `there`, or there is none, and nothing
    /// damaged. Stores ask this, so that one which was written before a condition was added judges by it too.
    pub fn holds(self, there: Option<u64>) -> bool {
        match self {
            Self::Absent => there.is_none(),
            Self::Generation(wanted) => there == Some(wanted),
            Self::Corrupt(_) | Self::TooLarge => false,
        }
    }

    /// Whether it holds where what is there has `damage`.
    pub fn holds_over(self, damage: &Damage) -> bool {
        match self {
            Self::Absent => true,
            Self::Generation(_) | Self::TooLarge => false,
            Self::Corrupt(wanted) => damage.fingerprint() == Some(wanted),
        }
    }
}

/// What [`Namespace::set_if`](crate::Namespace::set_if) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum ConditionalSet {
    /// The entry is stored, with this generation.
    Stored {
        /// The generation of the entry now there.
        generation: u64,
    },
    /// The condition did not hold; nothing changed.
    Conflict,
}
