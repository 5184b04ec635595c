//! Who is told of errors of the store that no caller gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

#[derive(Clone, Default)]
pub(crate) struct Reports {
    unstored: Arc<AtomicU64>,
    listener: Option<Listener>,
}

/// Called with an error of the store that no caller gets.
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
        self.tell(error);
    }

    pub(super) fn not_begun(&self, error: &Error) {
        self.tell(error);
    }

    fn tell(&self, error: &Error) {
        if let Some(listener) = &self.listener {
            listener(error);
        }
    }
}
