//! Counts what is allocated, in a build for that alone: `--features allocations`. Counting slows every
//! allocation down, and several threads most, so such a build measures no times.

#[cfg(feature = "allocations")]
mod counted {
    use std::alloc::System;

    use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

    #[global_allocator]
    static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    pub(super) fn count() -> usize {
        let stats = GLOBAL.stats();
        stats.allocations + stats.reallocations
    }
}

/// How many allocations there were, if they are counted.
#[cfg(feature = "allocations")]
pub(crate) const COUNT: Option<fn() -> usize> = Some(counted::count);
#[cfg(not(feature = "allocations"))]
pub(crate) const COUNT: Option<fn() -> usize> = None;
