//! How often what happened.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Threads beyond this many share the places where they count.
const PLACES: usize = 8;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what happened since the sessions were built.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// What some of the threads count. On cache lines of its own: nobody else waits for them.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Place {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            /// What was counted so far.
            pub fn read(&self) -> Counts {
                let sum = |count: fn(&Place) -> &AtomicU64| {
                    self.places.iter().map(|place| count(place).load(Ordering::Relaxed)).sum()
                };
                Counts { $($name: sum(|place| &place.$name),)* }
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

/// What is counted, while it is counted: in several places, so that threads do not wait for each
/// other to count.
#[derive(Debug, Default)]
pub struct Counters {
    places: [Place; PLACES],
}

impl Counters {
    /// Where this thread counts.
    pub(crate) fn here(&self) -> &Place {
        thread_local! {
            static MINE: usize = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                NEXT.fetch_add(1, Ordering::Relaxed) % PLACES
            };
        }
        // It has no destructor, so it is there as long as its thread.
        let mine = MINE.try_with(|mine| *mine).unwrap_or(0);
        &self.places[mine]
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_thread_counts_is_in_the_sum() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..PLACES * 2 {
                scope.spawn(|| (0..1_000).for_each(|_| count(&counters.here().found)));
            }
        });
        let found = PLACES as u64 * 2 * 1_000;
        assert_eq!(counters.read(), Counts { found, ..Counts::default() });
    }
}
