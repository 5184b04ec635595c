// The only place that locks files. The facts it relies on (BSD flock as Linux has it):
//
// 1. Each `open` is a lock owner of its own: two descriptors exclude each other inside one process
//    exactly as between two.
// 2. A lock belongs to the open file, which a forked child shares: closing here does not free it
//    while the child lives. So a lock is always given back by an explicit unlock before the close.
// 3. A blocking call that a signal handler interrupts fails with EINTR; it is called again.
// 4. Turning a shared lock into an exclusive one gives the shared one up first, and loses it if the
//    exclusive one is not to be had. So nothing here is ever upgraded.
//
// fs2's methods have the names of std's newer ones, which a method call would pick; so they are
// called by their full path, and only here.

use std::{fs::File, io};

use fs2::FileExt;

use crate::request::{Access, Backoff, Wait};

/// Locks `file`, which must not be locked through this descriptor yet; `false` when time is up.
///
/// A wait without a limit blocks in the kernel. One with a limit looks again and again, in pauses of
/// up to a millisecond, because flock has no time limit.
pub(crate) fn acquire(file: &File, access: Access, wait: Wait) -> io::Result<bool> {
    match wait {
        Wait::Never => try_lock(file, access),
        Wait::Forever => lock(file, access).map(|()| true),
        Wait::Until(deadline) => {
            let mut backoff = Backoff::until(deadline);
            loop {
                if try_lock(file, access)? {
                    return Ok(true);
                }
                if !backoff.pause() {
                    return Ok(false);
                }
            }
        }
    }
}

/// Gives the lock of this open file back, for its duplicates in forked children too.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    retry_interrupted(|| FileExt::unlock(file))
}

fn lock(file: &File, access: Access) -> io::Result<()> {
    retry_interrupted(|| match access {
        Access::Shared => FileExt::lock_shared(file),
        Access::Exclusive => FileExt::lock_exclusive(file),
    })
}

fn try_lock(file: &File, access: Access) -> io::Result<bool> {
    let tried = retry_interrupted(|| match access {
        Access::Shared => FileExt::try_lock_shared(file),
        Access::Exclusive => FileExt::try_lock_exclusive(file),
    });
    match tried {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Calls `operation` until a signal does not interrupt it.
fn retry_interrupted(mut operation: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A fake plays the interruption here; the storm of signals has real ones.
    #[test]
    fn f7_interrupted_calls_are_made_again() {
        let mut calls = 0;
        let done = retry_interrupted(|| {
            calls += 1;
            if calls < 1000 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        });
        assert!(done.is_ok());
        assert_eq!(calls, 1000);
    }

    #[test]
    fn other_errors_are_not_retried() {
        let mut calls = 0;
        let failed = retry_interrupted(|| {
            calls += 1;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
        assert_eq!(calls, 1);
    }

    #[test]
    fn syn_14_two_descriptors_of_one_process_exclude_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let open = || File::create(dir.path().join("x")).unwrap();
        let (first, second) = (open(), open());
        assert!(acquire(&first, Access::Shared, Wait::Never).unwrap());
        assert!(acquire(&second, Access::Shared, Wait::Never).unwrap());
        let third = open();
        assert!(!acquire(&third, Access::Exclusive, Wait::Never).unwrap());
        unlock(&first).unwrap();
        unlock(&second).unwrap();
        assert!(acquire(&third, Access::Exclusive, Wait::Never).unwrap());
        let short = Wait::at_most(Duration::from_millis(5));
        assert!(!acquire(&first, Access::Shared, short).unwrap());
    }
}
