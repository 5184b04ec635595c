//! Migrations of what another request has stored meanwhile, which are functions of the program: made before a
//! session is locked for the answer of its store.

use super::{LazySession, State};
use crate::core::Answer;

impl LazySession {
    /// Migrates what came with `answer`, if that is what the save under way goes on from. It may panic: the save
    /// can be begun again then.
    pub(super) fn migrate_ahead(&self, answer: &Answer) {
        let Some(found) = answer.found() else { return };
        let changes = self.core().migrating(self.sessions().config());
        if let Some(mut changes) = changes {
            changes.migrate_ahead(found.record.values.clone());
            self.core().set_migrating(changes);
        }
    }
}

impl State {
    /// Whether a save may take a migration, or one is under way that does: then the state is not locked for it.
    pub(super) fn migrates(&self) -> bool {
        let open = self.core.as_ref().and_then(|core| core.open());
        open.is_some_and(|open| open.saving.is_some() || open.migrates())
    }
}
