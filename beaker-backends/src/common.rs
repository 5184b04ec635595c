//! The settings that every store in a file has.

use std::time::Duration;

use beaker_namespace::{Error, ErrorKind, Key, UrlOptions, envelope};
use beaker_sync::NetworkPolicy;

/// Bytes of a record beyond its value: the envelope, the longest key, and tags.
pub(crate) const AROUND_VALUE_BYTES: u64 =
    (envelope::OVERHEAD_BYTES + Key::MAX_BYTES + envelope::MAX_LABEL_BYTES) as u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Common {
    pub(crate) lock_timeout: Duration,
    pub(crate) max_value_bytes: u64,
    pub(crate) network: NetworkPolicy,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(10),
            max_value_bytes: 64 * 1024 * 1024,
            network: NetworkPolicy::Refuse,
        }
    }
}

impl Common {
    /// Takes `lock_timeout_ms`, `max_value_bytes` and `network` out of `options`, if they are there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a value that is none.
    pub(crate) fn take(&mut self, options: &mut UrlOptions) -> Result<(), Error> {
        if let Some(timeout) = options.take_millis("lock_timeout_ms")? {
            self.lock_timeout = timeout;
        }
        if let Some(bytes) = options.take_u64("max_value_bytes")? {
            self.max_value_bytes = bytes;
        }
        match options.take_text("network").as_deref() {
            None => {}
            Some("refuse") => self.network = NetworkPolicy::Refuse,
            Some("allow") => self.network = NetworkPolicy::Allow,
            Some(_) => {
                return Err(Error::new(ErrorKind::Config, "open the store")
                    .with_detail("option `network` is neither `refuse` nor `allow`"));
            }
        }
        Ok(())
    }
}

/// Writes the setters of a store's configuration for what all have: its fields are `path`, `clock`
/// and `settings`, and that has a field `common`.
macro_rules! common_settings {
    () => {
        /// How long a call waits for the writers before it (in `dbm:` a write for readers too),
        /// until it fails with [`Timeout`](beaker_namespace::ErrorKind::Timeout). Zero does not
        /// wait. Default: 10 seconds, many thousand times what a write takes: it is reached when
        /// another process is stopped in the middle of one.
        pub fn lock_timeout(mut self, lock_timeout: std::time::Duration) -> Self {
            self.settings.common.lock_timeout = lock_timeout;
            self
        }

        /// The longest value that is written or read, in bytes. Default: 64 MiB.
        pub fn max_value_bytes(mut self, max_value_bytes: u64) -> Self {
            self.settings.common.max_value_bytes = max_value_bytes;
            self
        }

        /// What to do if the store is on a network file system, where a lock may be lost without a
        /// word. Default: refuse to open.
        pub fn network(mut self, policy: beaker_sync::NetworkPolicy) -> Self {
            self.settings.common.network = policy;
            self
        }

        /// The clock by which this handle tells dead entries. Default: the system's.
        pub fn clock(mut self, clock: std::sync::Arc<dyn beaker_namespace::Clock>) -> Self {
            self.clock = clock;
            self
        }

        /// Where the store is.
        pub fn path(&self) -> &std::path::Path {
            &self.path
        }
    };
}
pub(crate) use common_settings;
