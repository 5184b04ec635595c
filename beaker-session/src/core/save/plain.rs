//! The save that most requests make: single values of a stored session were changed, and nothing else.
//
// 1. It is for a session in memory. Nobody can look into it meanwhile, so what is to be saved needs not be
//    kept apart from what is changed next, and it is saved in one go.
// 2. Where another request was quicker and values are merged, the changes are made upon what that one has left,
//    as the answer of a conflict would have it, and under the same lock: of several requests at one session
//    every third meets another.
// 3. For whatever other reason it is not saved, nothing is done, and the save goes the way of all.

use beaker_namespace::Timestamp;

use super::{Stage, Step};
use crate::Error;
use crate::config::Config;
use crate::core::{Core, Draft, Next, Open, watch};
use crate::data::Changes;
use crate::record::Record;
use crate::store::{Amended, NamespaceStore};

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
            let Open { base, draft: Draft { changes, .. }, .. } = open;
            let merges = |record: &Record, accessed| {
                config.merge.merges()
                    && !record.is_expired(accessed, now)
                    && fits(config, record, changes)
            };
            let amended = store.amend(key, base, changes, now, merges);
            if amended != Amended::Not {
                open.saved_in_place(config, amended == Amended::Merged);
                return self.then_unlock(Ok(Step::Done));
            }
        }
        let step = self.begin_save(config, now);
        self.then_unlock(step)
    }
}

impl Open {
    fn saved_in_place(&mut self, config: &Config, is_merged: bool) {
        (self.draft, self.noted) = (Draft::default(), true);
        let bytes = self.record().map_or(0, Record::size);
        config.counts.add(|at| &at.updated);
        config.counts.add_many(bytes as u64, |at| &at.bytes_stored);
        if is_merged {
            config.counts.add(|at| &at.conflicts);
            config.counts.add(|at| &at.merges);
            watch::conflict(config, self.id.as_ref());
        }
    }

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
            && fits(config, &base.record, changes)
    }
}

/// Whether `record` with the changes is sure not to be too large, and needs no cookie to be sent.
fn fits(config: &Config, record: &Record, changes: &Changes) -> bool {
    !config.wire.follows_session(record.cookie_life())
        && record.size() + changes.most_bytes() <= config.max_bytes
}
