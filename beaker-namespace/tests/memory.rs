//! What the memory namespace promises.
//
// NS-n, Dn: behaviour and defects of Python's Beaker. Fn: faults that storage and caches are known
// to meet. Each test says in its name what that means here.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "memory/amending.rs"]
mod amending;
#[path = "memory/bounds.rs"]
mod bounds;
#[path = "memory/claims.rs"]
mod claims;
#[path = "memory/departures.rs"]
mod departures;
#[path = "memory/expiry.rs"]
mod expiry;
#[path = "memory/hit_ratio.rs"]
mod hit_ratio;
#[path = "memory/hostile.rs"]
mod hostile;
#[path = "memory/listing.rs"]
mod listing;
#[cfg(feature = "testkit")]
#[path = "memory/reading.rs"]
mod reading;
#[path = "memory/sharing.rs"]
mod sharing;
#[path = "memory/threads.rs"]
mod threads;

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp};

fn memory(config: MemoryConfig) -> Arc<MemoryNamespace> {
    MemoryNamespace::anonymous(config).unwrap()
}

/// An entry of bytes, stamped with the namespace's clock.
fn raw(namespace: &dyn Namespace, value: impl ToString) -> Entry {
    Entry::new(Payload::raw(value.to_string()), namespace.clock().now())
}

/// An entry that holds `value` itself.
fn object<T: Send + Sync + 'static>(value: Arc<T>) -> Entry {
    Entry::new(Payload::Object(value), Timestamp::from_micros(0))
}

fn text(namespace: &dyn Namespace, key: &Key) -> Option<String> {
    match namespace.get(key).unwrap()?.into_payload() {
        Payload::Bytes { bytes, .. } => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        Payload::Object(_) => panic!("an object where bytes were stored"),
    }
}

fn entries(namespace: &dyn Namespace) -> u64 {
    namespace.stats().entries.unwrap()
}

/// How long a storm lasts: `BEAKER_STORM_SECS` seconds, one if it is not set. From thirty on, times are
/// held to their goals.
fn storm_time() -> Duration {
    let seconds = std::env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(1.0))
}

/// A small generator (xorshift64*), so that runs can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
