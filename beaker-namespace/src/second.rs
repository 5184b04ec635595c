//! The second of the wall clock, which is quicker to read than the clock.
//
// 1. The kernel keeps the coarse clock's second in one word of a page that is mapped into each process,
//    and the C library's `time` is nothing but a load of it (GNU's, on x86-64, if it is linked
//    dynamically). The coarse clock takes a loop around four loads, and a multiplication.
// 2. This is the only unsafe code of the crate, since no safe package has the call. Miri does not know
//    it, and takes the coarse clock as all other systems do.

use crate::Timestamp;

/// In microseconds.
const SECOND: i64 = 1_000_000;

/// Whether `from <= now < until` is sure from the second alone, for the `now` of the coarse clock.
#[inline(always)]
pub(crate) fn is_surely_between(from: Timestamp, until: Timestamp) -> bool {
    let Some(begin) = begin() else { return false };
    begin >= from.as_micros() && begin.wrapping_add(SECOND) <= until.as_micros()
}

/// The first moment of the second, if that is quick to know. Far from where the number ends: Linux lets
/// nobody set its clock to 2233 or later.
#[cfg(all(
    target_arch = "x86_64",
    target_env = "gnu",
    target_os = "linux",
    not(target_feature = "crt-static"),
    not(miri)
))]
#[inline(always)]
#[expect(unsafe_code, reason = "no safe package has this call")]
fn begin() -> Option<i64> {
    // SAFETY: the pointer may be null (POSIX, time): then the second is not written anywhere but
    // returned. The call has no other condition, and fails for pointers alone.
    let second = unsafe { libc::time(std::ptr::null_mut()) };
    Some(second.wrapping_mul(SECOND))
}

#[cfg(not(all(
    target_arch = "x86_64",
    target_env = "gnu",
    target_os = "linux",
    not(target_feature = "crt-static"),
    not(miri)
)))]
#[inline(always)]
fn begin() -> Option<i64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, SystemClock};

    #[test]
    fn the_second_is_that_of_the_coarse_clock() {
        for _ in 0..100_000 {
            let before = SystemClock.coarse().as_micros();
            let Some(begin) = begin() else { return };
            let after = SystemClock.coarse().as_micros();
            assert!(begin <= after, "{begin} is not before {after}");
            assert!(before < begin + SECOND, "{before} is after {begin}");
        }
    }
}
