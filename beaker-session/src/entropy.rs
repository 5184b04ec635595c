//! Where random bytes come from.

use std::fmt;

use crate::{Error, ErrorKind};

/// A source of unpredictable bytes.
///
/// There is one in production, [`SystemEntropy`]. Tests give their own, to make a collision or a
/// failure happen.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// [`Entropy`](ErrorKind::Entropy) if there are none; `bytes` must not be used then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error>;
}

/// The operating system's source, asked each time: it has no state of its own that a fork would
/// copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(bytes)
            .map_err(|error| Error::new(ErrorKind::Entropy, "draw random bytes").with_source(error))
    }
}

/// `N` random bytes.
pub(crate) fn draw<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}
