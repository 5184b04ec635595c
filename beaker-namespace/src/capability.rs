//! What a store can do, and how far its sharing reaches.

use std::fmt;

/// How far a namespace's values and locks are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Within this process.
    Process,
    /// Among the processes of this host.
    Host,
    /// Among hosts.
    Cluster,
}

/// How long a call may take, so that an async caller knows where to run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Latency {
    /// Memory only: run it where you are.
    Inline,
    /// May wait for a disk, a lock or a peer: run it where blocking is allowed, or call the
    /// [asynchronous face](crate::Namespace::asynchronous) where there is one.
    Blocking,
}

/// Something a store can do beyond get, set, remove and clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Capability {
    /// Keeps what was set (the null store does not).
    Retains,
    /// Takes live objects ([`Payload::Object`](crate::Payload::Object)).
    Objects,
    /// Takes bytes ([`Payload::Bytes`](crate::Payload::Bytes)).
    Bytes,
    /// Drops entries by itself once they are dead.
    Expiry,
    /// Lists its entries.
    Scan,
    /// Writes on a condition.
    CompareAndSet,
    /// Writes many keys in one operation of the store: all or none.
    Batch,
    /// Removes entries by tag.
    Tags,
    /// Keeps marks, which invalidate many entries at once ([`Namespace::mark`](crate::Namespace::mark)).
    Marks,
}

/// The set of [`Capability`] a store has.
///
/// # Examples
///
/// ```
/// use beaker_namespace::{Capabilities, Capability};
///
/// const MINE: Capabilities = Capabilities::new(&[Capability::Bytes, Capability::Scan]);
/// assert!(MINE.has(Capability::Scan));
/// assert!(!MINE.has(Capability::Tags));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Capabilities(u16);

impl Capabilities {
    /// The set of those in `list`.
    pub const fn new(list: &[Capability]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < list.len() {
            bits |= 1 << list[index] as u16;
            index += 1;
        }
        Self(bits)
    }

    /// Whether `capability` is among them.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u16) != 0
    }

    /// These without `capability`: for a proxy that cannot pass it on.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_namespace::{Capabilities, Capability};
    ///
    /// let all = Capabilities::new(&[Capability::Objects, Capability::Bytes]);
    /// assert_eq!(all.without(Capability::Objects), Capabilities::new(&[Capability::Bytes]));
    /// ```
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u16))
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Capability as C;
        let all = [C::Retains, C::Objects, C::Bytes, C::Expiry, C::Scan, C::CompareAndSet]
            .into_iter()
            .chain([C::Batch, C::Tags, C::Marks]);
        f.debug_set().entries(all.filter(|&capability| self.has(capability))).finish()
    }
}
