//! From the command's pipe to our own output at once, with a copy kept.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::output;
use crate::run::shim;

/// As much as a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// How many bytes may still be kept, of both streams together.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicU64,
    exceeded: AtomicBool,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        Self { left: AtomicU64::new(bytes), exceeded: AtomicBool::new(false) }
    }

    /// Whether something did not fit. Nothing is kept from then on.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let rest = |left: u64| left.checked_sub(bytes as u64);
        let fits = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).is_ok();
        if !fits {
            self.exceeded.store(true, Ordering::Relaxed);
        }
        fits && !self.is_exceeded()
    }
}

/// How one stream ended.
#[derive(Debug)]
pub(super) enum Drained {
    /// The command closed it. The copy is whole, unless the budget was exceeded.
    Whole(Vec<u8>),
    /// Our own output, or the pipe, failed: the command's end is closed, so that it sees the same.
    Cut,
    /// The command was never executed.
    NotExecuted,
}

/// Copies `from` to `to` until its end.
pub(super) fn pump(mut from: impl Read, to: impl AsFd, budget: &Budget) -> Drained {
    let mut kept = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut first = true;
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => return Drained::Whole(kept),
            Ok(read) => &chunk[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Drained::Cut,
        };
        if let Some(message) = shim::strip_mark(read).filter(|_| first) {
            let _ = output::write_all(&to, message);
            let _ = io::copy(&mut from, &mut Unbuffered(&to));
            return Drained::NotExecuted;
        }
        first = false;
        if output::write_all(&to, read).is_err() {
            return Drained::Cut;
        }
        if budget.take(read.len()) {
            kept.extend_from_slice(read);
        } else {
            kept = Vec::new();
        }
    }
}

struct Unbuffered<T>(T);

impl<T: AsFd> io::Write for Unbuffered<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        output::write_all(&self.0, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Seek;

    use super::*;

    fn pumped(input: &[u8], budget: &Budget) -> (Drained, Vec<u8>) {
        let mut to = tempfile::tempfile().unwrap();
        let drained = pump(input, &to, budget);
        let mut seen = Vec::new();
        to.rewind().unwrap();
        to.read_to_end(&mut seen).unwrap();
        (drained, seen)
    }

    #[test]
    fn what_fits_is_kept_and_passed_on() {
        let (drained, seen) = pumped(b"output", &Budget::new(6));
        assert!(matches!(drained, Drained::Whole(kept) if kept == b"output"));
        assert_eq!(seen, b"output");
    }

    #[test]
    fn what_does_not_fit_is_passed_on_all_the_same() {
        let budget = Budget::new(5);
        let (drained, seen) = pumped(b"output", &budget);
        assert!(matches!(drained, Drained::Whole(kept) if kept.is_empty()));
        assert!(budget.is_exceeded());
        assert_eq!(seen, b"output");
    }

    #[test]
    fn the_streams_share_the_budget() {
        let budget = Budget::new(8);
        pumped(b"output", &budget);
        assert!(!budget.is_exceeded());
        pumped(b"err", &budget);
        assert!(budget.is_exceeded());
    }

    #[test]
    fn a_closed_output_cuts_the_stream() {
        let read_only = File::open("/dev/null").unwrap();
        assert!(matches!(pump(&b"x"[..], &read_only, &Budget::new(9)), Drained::Cut));
    }

    #[test]
    fn a_failed_exec_is_told_from_output() {
        let (drained, seen) = pumped(b"\0beaker-exec\0beaker: no\n", &Budget::new(99));
        assert!(matches!(drained, Drained::NotExecuted));
        assert_eq!(seen, b"beaker: no\n");
    }
}
