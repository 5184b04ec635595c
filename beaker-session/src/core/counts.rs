//! How often what happened.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what happened since the sessions were built.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The same, while it is counted. On cache lines of its own: who only reads the settings
        /// beside it does not wait for those who count.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            /// What was counted so far.
            pub fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counts! {
    /// Requests whose session was looked into.
    opened,
    /// Sessions that were found.
    found,
    /// Sessions that were made.
    created,
    /// Saves of a session that was there.
    updated,
    /// Uses that were noted.
    touched,
    /// Sessions that were renewed.
    renewed,
    /// Sessions that were ended by a request of their own.
    ended,
    /// Saves that met another request's.
    conflicts,
    /// Saves that were refused since the session had been ended.
    refused,
    /// Cookies of the session's name that we did not make.
    rejected_cookies,
    /// Cookies of ours whose session is no longer there.
    unknown_ids,
    /// Records that could not be read back.
    corrupt,
    /// Failures of the store.
    outages,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
