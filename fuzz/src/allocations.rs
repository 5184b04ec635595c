//! What a call allocates.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Runs `call` and says how many bytes it asked for, those that it freed included.
///
/// Exact only while no other thread allocates, as in a fuzzer.
pub(crate) fn allocated_by<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let value = call();
    (value, region.change().bytes_allocated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_is_counted() {
        let (vec, bytes) = allocated_by(|| Vec::<u8>::with_capacity(1 << 20));
        assert!(bytes >= 1 << 20 && vec.is_empty());
    }
}
