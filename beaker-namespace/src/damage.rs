//! What is known of something that is there and cannot be read back.

use std::borrow::Cow;
use std::fmt;

use twox_hash::XxHash3_128;

use crate::Condition;

/// Why something that is there cannot be read back, and how it is known again.
///
/// # Examples
///
/// ```
/// use beaker_namespace::{Condition, Damage, Fingerprint};
///
/// let damage = Damage::new("it was cut short").with_fingerprint(Fingerprint::of(b"stored"));
/// assert_eq!(damage.reason(), "it was cut short");
/// assert!(damage.condition().holds_over(&damage));
/// assert_eq!(Damage::new("it was cut short").condition(), Condition::Absent);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    reason: Cow<'static, str>,
    fingerprint: Option<Fingerprint>,
}

impl Damage {
    /// Damage for `reason`, in words without the key or the value, that cannot be told from other damage.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), fingerprint: None }
    }

    /// By which it is known again. A store that gives one keeps to [`Condition::Corrupt`].
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Why it cannot be read back; in words without the key or the value.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// By which it is known again, in a store that can tell.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// What a set expects that is to replace this damage: [`Condition::Corrupt`], and so nothing else; in a
    /// store that cannot tell [`Condition::Absent`], which holds as well once it is gone.
    pub fn condition(&self) -> Condition {
        self.fingerprint.map_or(Condition::Absent, Condition::Corrupt)
    }
}

/// What stored bytes are known by that cannot be read back: 128 bits of them.
///
/// Others have the same by chance only. It is no secret, and no proof against whoever chooses the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// That of `stored`: the bytes as they were read, or what else changes with each write.
    pub fn of(stored: &[u8]) -> Self {
        Self(XxHash3_128::oneshot(stored))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:032x})", self.0)
    }
}
