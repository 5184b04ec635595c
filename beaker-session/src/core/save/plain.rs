//! The save that most requests make: single values of a stored session were changed, and nothing else.
//
// 1. It is for a session in memory. Nobody can look into it meanwhile, so what is to be saved needs not be
//    kept apart from what is changed next, and it is saved in one go.
// 2. Where another request was quicker, or for whatever other reason, nothing is done, and the save goes
//    the way of all: so here is no second way to meet a conflict.

use beaker_namespace::Timestamp;

use super::{Stage, Step};
use crate::Error;
use crate::config::Config;
use crate::core::{Core, Draft, Next, Open};
use crate::data::size_of;
use crate::store::NamespaceStore;

impl Core {
    /// As [`begin_save`](Core::begin_save), for a session that may lie in `store`.
    pub(crate) fn save_in_place(
        &mut self,
        config: &Config,
        store: &NamespaceStore,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let Self { stage: Stage::Open(open), last_key, .. } = self else { return Ok(Step::Done) };
        if let Some(id) = open.id.filter(|_| open.saves_plainly(config)) {
            let key = last_key.entry_of(config.wire.as_ref(), &id);
            if store.amend(key, &mut open.base, &open.draft.changes, now) {
                (open.draft, open.noted) = (Draft::default(), true);
                let bytes = open.record().map_or(0, |record| size_of(&record.values));
                config.counts.add(|at| &at.updated);
                config.counts.add_many(bytes as u64, |at| &at.bytes_stored);
                return Ok(Step::Done);
            }
        }
        self.begin_save(config, now)
    }
}

impl Open {
    /// Whether a save is a plain one that is sure to fit.
    fn saves_plainly(&self, config: &Config) -> bool {
        let Some(base) = &self.base else { return false };
        let Draft { changes, settings: None, next: Next::Keep, .. } = &self.draft else {
            return false;
        };
        !changes.is_empty()
            && changes.are_quick()
            && self.saving.is_none()
            && !(self.reissue || self.ended)
            && config.sealer.is_none()
            && !config.wire.follows_session(base.record.cookie_life())
            && size_of(&base.record.values) + changes.most_bytes() <= config.max_bytes
    }
}
