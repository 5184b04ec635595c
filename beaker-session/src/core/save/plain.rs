//! The save that most requests make: single values of a stored session were changed, and nothing else.
//
// 1. It is for a session in memory. Nobody can look into it meanwhile, so what is to be saved needs not be
//    kept apart from what is changed next, and it is saved in one go.
// 2. Where another request was quicker and values are merged, the changes are made upon what that one has left,
//    as the answer of a conflict would have it. That is looked for at once: of several requests at one
//    session every third meets another.
// 3. For whatever other reason it is not saved, nothing is done, and the save goes the way of all.

use beaker_namespace::Timestamp;

use super::{MAX_CONFLICTS, Stage, Step};
use crate::Error;
use crate::config::{Config, MergePolicy};
use crate::core::{Core, Draft, Next, Open, watch};
use crate::record::Record;
use crate::store::{Loaded, NamespaceStore};

impl Core {
    /// As [`begin_save`](Core::begin_save), for a session that may lie in `store`.
    pub(crate) fn save_in_place(
        &mut self,
        config: &Config,
        store: &NamespaceStore,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let Self { stage: Stage::Open(open), last_key, .. } = self else { return Ok(Step::Done) };
        let mut conflicts = 0;
        while let Some(id) = open.id.filter(|_| open.saves_plainly(config)) {
            let key = last_key.entry_of(config.wire.as_ref(), &id);
            if store.amend(key, &mut open.base, &open.draft.changes, now) {
                open.saved_in_place(config, conflicts);
                return Ok(Step::Done);
            }
            if conflicts == MAX_CONFLICTS
                || !open.meets_another(config, store.load_quickly(key), now)
            {
                break;
            }
            conflicts += 1;
        }
        self.begin_save(config, now)
    }
}

impl Open {
    fn saved_in_place(&mut self, config: &Config, conflicts: u32) {
        (self.draft, self.noted) = (Draft::default(), true);
        let bytes = self.record().map_or(0, Record::size);
        config.counts.add(|at| &at.updated);
        config.counts.add_many(bytes as u64, |at| &at.bytes_stored);
        if conflicts > 0 {
            config.counts.add(|at| &at.merges);
        }
    }

    /// Goes on from what another request has saved meanwhile, if that is why this one's save was not made, and
    /// values are merged.
    fn meets_another(&mut self, config: &Config, found: Option<Loaded>, now: Timestamp) -> bool {
        let (Some(Loaded::Present(found)), Some(base)) = (found, &mut self.base) else {
            return false;
        };
        let merges = config.merge == MergePolicy::ThreeWayPerKey;
        if !merges || found.version == base.version || found.record.is_expired(found.accessed, now)
        {
            return false;
        }
        *base = found;
        config.counts.add(|at| &at.conflicts);
        watch::conflict(config, self.id.as_ref());
        true
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
            && !config.wire.follows_session(base.record.cookie_life())
            && base.record.size() + changes.most_bytes() <= config.max_bytes
    }
}
