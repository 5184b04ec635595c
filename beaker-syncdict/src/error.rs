//! Why a creation gave no value.

use std::error::Error;
use std::fmt;

/// The creation of a value needs that same value: its creator asked for its own key.
///
/// The key is left as it was. Ask for another key, or look with `get`, which never creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reentrant;

/// Why a creator that may fail gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateError<E> {
    /// The creator's own error, the same for all who waited for it. Nothing was stored.
    Create(E),
    /// The creation needs the very value it is to make; see [`Reentrant`].
    Reentrant,
}

impl fmt::Display for Reentrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the creator of a value asked for that same value")
    }
}

impl Error for Reentrant {}

impl<E> fmt::Display for CreateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(_) => f.write_str("the creator failed"),
            Self::Reentrant => Reentrant.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for CreateError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Create(error) => Some(error),
            Self::Reentrant => None,
        }
    }
}

impl<E> From<Reentrant> for CreateError<E> {
    fn from(_: Reentrant) -> Self {
        Self::Reentrant
    }
}
