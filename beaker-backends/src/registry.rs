//! The table from URL scheme to opener.

use beaker_namespace::{Opener, Stores};

/// The stores of the enabled features.
const OPENERS: &[(&str, Opener)] = &[
    #[cfg(feature = "dbm")]
    ("dbm", crate::dbm::open),
    #[cfg(feature = "redb")]
    ("redb", crate::redb::open),
    #[cfg(feature = "sled")]
    ("sled", crate::sled::open),
    #[cfg(feature = "sqlite")]
    ("sqlite", crate::sqlite::open),
];

/// Makes the stores of the enabled features known to every [`Stores::new`] of this process from now
/// on, and so to everything that opens a store by its URL.
///
/// Call it when the program starts; a second call changes nothing.
pub fn install() {
    for (scheme, opener) in OPENERS {
        Stores::install(scheme, *opener);
    }
}

/// A table of the stores of beaker-namespace and those of the enabled features.
pub fn stores() -> Stores {
    OPENERS
        .iter()
        .fold(Stores::new(), |stores, (scheme, opener)| stores.with_store(scheme, *opener))
}
