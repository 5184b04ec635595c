use crate::{Damage, Entry};

/// What a [look-up](crate::Namespace::look_up) found.
///
/// [`get`](crate::Namespace::get) answers `None` for the last two alike.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Lookup {
    /// An entry, expired or not.
    Found(Entry),
    /// Nothing, or a dead entry.
    Absent,
    /// Something that cannot be read back.
    Corrupt(Damage),
}

impl Lookup {
    /// The entry, if one was found.
    pub fn as_entry(&self) -> Option<&Entry> {
        match self {
            Self::Found(entry) => Some(entry),
            Self::Absent | Self::Corrupt(_) => None,
        }
    }

    /// The entry, if one was found.
    pub fn into_entry(self) -> Option<Entry> {
        match self {
            Self::Found(entry) => Some(entry),
            Self::Absent | Self::Corrupt(_) => None,
        }
    }
}

impl From<Option<Entry>> for Lookup {
    fn from(found: Option<Entry>) -> Self {
        found.map_or(Self::Absent, Self::Found)
    }
}
