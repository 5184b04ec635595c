//! The cases.

mod lists;
mod races;
mod times;
mod writes;

use super::Case;

/// Names the function that checks it.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        &[$($crate::testkit::Case { name: stringify!($name), check: $name }),*]
    };
}
use cases;

pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [writes::CASES, times::CASES, races::CASES, lists::CASES].into_iter().flatten()
}
