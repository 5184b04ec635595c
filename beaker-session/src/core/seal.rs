//! Saving a session that is kept in its cookie.
//
// There is nothing to compare with: of two requests at the same time the later response's cookie
// stays.

use std::sync::Arc;

use beaker_namespace::Timestamp;

use super::save::check_size;
use super::{Core, Next, Op, Step, unexpected};
use crate::config::{Config, Sealed};
use crate::record::{Record, Stored, Version};
use crate::{Error, SessionId};

impl Core {
    pub(super) fn plan_sealed(&mut self, config: &Config, now: Timestamp) -> Result<Step, Error> {
        let (open, save) = self.saving()?;
        let Some(saving) = &open.saving else { return Err(unexpected()) };
        let (next, dirty) = (saving.next, saving.is_dirty());
        let new_subject =
            saving.settings.as_ref().is_some_and(|settings| settings.subject.is_some());
        if next.ends() && open.base.is_some() {
            self.forget_base(config, now)?;
            return self.plan_sealed(config, now);
        }
        let is_due =
            open.base.as_ref().is_some_and(|base| config.access.is_due(base.accessed, now));
        let keeps = open.base.is_some() && (next == Next::Renew || is_due || open.reissue);
        if next == Next::End || !dirty && !keeps {
            return self.finish_save(config, now, false);
        }
        let base = open.base.as_ref().map(|base| Arc::clone(&base.record));
        let base = base.unwrap_or_else(|| Arc::new(open.blank(config, now)));
        let mut record = open.draft_record(&base, now);
        check_size(&record, config)?;
        if !dirty {
            record.written = base.written;
        }
        if config.epochs && (open.epoch.is_none() || new_subject && !save.enrolled) {
            save.enrolled = true;
            if let Some(subject) = record.own.subject.clone() {
                return Ok(Step::Ask(Op::Epoch(subject)));
            }
        }
        self.seal(config, record, next, now)
    }

    fn seal(
        &mut self,
        config: &Config,
        record: Record,
        next: Next,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let (open, _) = self.saving()?;
        let Some(sealer) = config.sealer.clone() else { return Err(unexpected()) };
        let id = match open.id.filter(|_| next != Next::Renew).or_else(|| open.new_id()) {
            Some(id) => id,
            None => SessionId::random(config.entropy.as_ref())?,
        };
        let sealed = Sealed { id, record, accessed: now, epoch: open.epoch.unwrap_or(0) };
        let value = sealer.seal(&sealed)?;
        open.id = Some(id);
        let record = Arc::new(sealed.record);
        let stored = Stored { record: Arc::clone(&record), version: Version(0), accessed: now };
        open.base = Some(stored);
        open.bridged = None;
        open.reissue = false;
        self.outgoing.set(config, &record, now, value, now)?;
        self.finish_save(config, now, false)
    }
}
