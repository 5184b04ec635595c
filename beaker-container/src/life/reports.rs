//! Who is told of values that were made but could not be stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

#[derive(Clone, Default)]
pub(crate) struct Reports {
    unstored: Arc<AtomicU64>,
    listener: Option<Listener>,
}

/// Called with the error of a value that could not be stored.
pub(crate) type Listener = Arc<dyn Fn(&Error) + Send + Sync>;

impl Reports {
    pub(crate) fn to(listener: Listener) -> Self {
        Self { listener: Some(listener), ..Self::default() }
    }

    pub(crate) fn count(&self) -> u64 {
        self.unstored.load(Ordering::Relaxed)
    }

    pub(super) fn unstored(&self, error: &Error) {
        self.unstored.fetch_add(1, Ordering::Relaxed);
        if let Some(listener) = &self.listener {
            listener(error);
        }
    }
}
