//! By which of its faces a store is asked.

use super::SessionStore;
use crate::core::{Answer, Op};

/// What a site asks for outside of a request is written once, as async functions; by the blocking face
/// they wait for nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Face {
    Blocking,
    /// The asynchronous one, if the store has it.
    #[cfg(feature = "tokio")]
    InTask,
}

impl Face {
    pub(crate) async fn ask(self, store: &dyn SessionStore, op: &Op) -> Answer {
        #[cfg(feature = "tokio")]
        if matches!(self, Self::InTask)
            && let Some(store) = store.asynchronous()
        {
            return store.ask(op).await;
        }
        op.run(store, None)
    }
}
