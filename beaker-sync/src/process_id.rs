//! The number of this process, for who asks at every call.
//
// 1. The system tells it in a call that takes longer than all else of a hit. It is another one only in a child that
//    was forked. For such a child the kernel wipes the pages that it was asked to (madvise(2), MADV_WIPEONFORK,
//    Linux 4.14), whatever call has forked it. So the number stands in one of these, and a zero says that it
//    is to be asked for: no process has that number.
// 2. A child that shares its parent's memory (vfork) finds the parent's number. It may do no more than start
//    another program.
// 3. Where there is no such page the system is asked each time: on other systems, older kernels, and under Miri, which
//    has no fork. An emulator that only says that it wipes pages (qemu-user before 7) would let a child take itself for
//    its parent.

use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// As [`std::process::id`], in a nanosecond where the kernel helps (Linux 4.14 and later), for code that has
/// to notice at every call that its process was forked. Right in a forked child too.
#[inline]
pub fn process_id() -> u32 {
    match KNOWN.get_or_init(wiped_by_forks) {
        None => process::id(),
        // Each thread writes the same.
        Some(known) => match known.load(Ordering::Relaxed) {
            0 => ask(known),
            id => id,
        },
    }
}

static KNOWN: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();

#[cold]
fn ask(known: &AtomicU32) -> u32 {
    let id = process::id();
    known.store(id, Ordering::Relaxed);
    id
}

/// A zero which is one again in each forked child.
#[cfg(all(target_os = "linux", not(miri)))]
#[cold]
#[expect(unsafe_code, reason = "no safe package has such a page")]
fn wiped_by_forks() -> Option<&'static AtomicU32> {
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

    const BYTES: usize = size_of::<AtomicU32>();
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses where the page is, so it is in the place of nothing.
    let page = unsafe { mmap_anonymous(std::ptr::null_mut(), BYTES, access, MapFlags::PRIVATE) };
    let page = page.ok()?;
    // SAFETY: the page is private and anonymous, which this advice asks for, and nobody refers to it yet. The
    // kernel takes the length as that of the page.
    if unsafe { madvise(page, BYTES, Advice::LinuxWipeOnFork) }.is_err() {
        // SAFETY: nobody refers to it. If it stays it takes room, and no more.
        let _unmapped = unsafe { munmap(page, BYTES) };
        return None;
    }
    // SAFETY: a page is aligned for every number, and begins with zeros, which are one. It is never unmapped, and
    // written through this reference alone, or by the kernel in a child before anything runs there.
    Some(unsafe { &*page.cast::<AtomicU32>() })
}

#[cfg(not(all(target_os = "linux", not(miri))))]
#[cold]
fn wiped_by_forks() -> Option<&'static AtomicU32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_system_says_in_every_thread() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        assert_eq!(process_id(), process::id());
                    }
                });
            }
        });
    }

    #[test]
    fn a_zero_is_asked_for_and_anything_else_believed() {
        let Some(known) = wiped_by_forks() else { return };
        assert_eq!(known.load(Ordering::Relaxed), 0);
        assert_eq!(ask(known), process::id());
        assert_eq!(known.load(Ordering::Relaxed), process::id());
    }
}
