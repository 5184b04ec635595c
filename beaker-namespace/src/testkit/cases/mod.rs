//! What every store promises, a function for each claim.

mod claims;
mod concurrency;
mod conditional;
mod expiry;
mod keys;
mod listing;
mod marks;
mod model;
mod values;

use super::suite::Case;

/// A case whose name is that of the function that checks it.
macro_rules! case {
    ($check:ident, $claim:literal, [$($needs:ident),*]) => {
        $crate::testkit::suite::Case {
            name: stringify!($check),
            claim: $claim,
            needs: &[$($crate::Capability::$needs),*],
            check: $check,
        }
    };
}

use case;

/// All cases, the simplest first.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [
        values::CASES,
        keys::CASES,
        expiry::CASES,
        claims::CASES,
        conditional::CASES,
        listing::CASES,
        marks::CASES,
        model::CASES,
        concurrency::CASES,
    ]
    .into_iter()
    .flatten()
}
