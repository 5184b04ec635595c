//! The two halves of a fence: one that costs a reader nothing, one by which a writer pays for both.
//
// membarrier(2), "private expedited", interrupts every processor that runs a thread of this process: each
// passes a full fence somewhere in its program while the writer waits. So a reader has only to keep
// the compiler from reordering. folly and seize do it so, too.

#[cfg(all(target_os = "linux", not(miri), not(beaker_loom)))]
pub(super) use self::asymmetric::{are_there, heavy, light};
#[cfg(all(any(not(target_os = "linux"), miri), not(beaker_loom)))]
pub(super) use self::symmetric::{are_there, heavy, light};
#[cfg(beaker_loom)]
pub(super) use super::models::{are_there, heavy, light};

#[cfg(all(target_os = "linux", not(miri), not(beaker_loom)))]
mod asymmetric {
    use std::sync::atomic::{self, AtomicU8, Ordering};

    use rustix::thread::{MembarrierCommand, membarrier};

    const UNKNOWN: u8 = 0;
    const ASKED: u8 = 1;
    const THERE: u8 = 2;
    const MISSING: u8 = 3;

    static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

    /// Whether there are such fences. The first call of a process asks the kernel, which may take
    /// milliseconds; the calls that come meanwhile are told that there are none.
    pub(in super::super) fn are_there() -> bool {
        // Acquire: the kernel was asked before anybody relies on it.
        match STATE.load(Ordering::Acquire) {
            UNKNOWN => ask(),
            state => state == THERE,
        }
    }

    #[cold]
    fn ask() -> bool {
        let first = STATE.compare_exchange(UNKNOWN, ASKED, Ordering::Relaxed, Ordering::Relaxed);
        if first.is_err() {
            return false;
        }
        let there = membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
        STATE.store(if there { THERE } else { MISSING }, Ordering::Release);
        there
    }

    /// The reader's half.
    #[inline(always)]
    pub(in super::super) fn light() {
        atomic::compiler_fence(Ordering::SeqCst);
    }

    /// The writer's half; `false` if the kernel refuses it, after which no lock is passed any more.
    pub(in super::super) fn heavy() -> bool {
        let fence = || membarrier(MembarrierCommand::PrivateExpedited).is_ok();
        let again = || membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok() && fence();
        let is_done = fence() || again();
        if !is_done {
            STATE.store(MISSING, Ordering::Release);
        }
        is_done
    }
}

/// An ordinary fence for each: Miri knows no other. Elsewhere nobody may pass the lock, since that costs as
/// much as the lock.
#[cfg(all(any(not(target_os = "linux"), miri), not(beaker_loom)))]
mod symmetric {
    use std::sync::atomic::{self, Ordering};

    pub(in super::super) fn are_there() -> bool {
        cfg!(miri)
    }

    pub(in super::super) fn light() {
        atomic::fence(Ordering::SeqCst);
    }

    pub(in super::super) fn heavy() -> bool {
        atomic::fence(Ordering::SeqCst);
        true
    }
}
