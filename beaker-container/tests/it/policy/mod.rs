//! What a policy says about time.

mod any;
mod early;
mod failures;
mod stale;
mod times;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Fails as a source that is down does, and counts the calls.
fn down(calls: &AtomicU32) -> Result<u32, &'static str> {
    calls.fetch_add(1, Ordering::SeqCst);
    Err("down")
}
