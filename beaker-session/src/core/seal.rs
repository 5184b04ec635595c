//! Saving a session that is kept in its cookie.
//
// 1. There is nothing to compare with: of two requests at the same time the later response's cookie
//    stays.
// 2. Browsers forget cookies, and thieves do not. So where there is a store for epochs, a session
//    that ends leaves a mark there under its id's hash, and so does the old id of one that is
//    renewed. It stays until no cookie of that id can be live any more. How long that is the last cookie
//    says, if the limits were the same under that id all the time; if not, it stays for good, as it does where a
//    damaged one is made anew, of which nobody knows for how long it was meant.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::Timestamp;

use super::save::check_size;
use super::{Core, Next, Op, Open, Outgoing, Step, unexpected};
use crate::Error;
use crate::config::{Config, Sealed};
use crate::data::Data;
use crate::record::{Record, Stored, Version};

/// What is in the mark of an id that was renewed.
pub(super) const RENEWED: &str = "renewed";

/// How much longer a mark stays than a cookie that is made now could live: a request that is still
/// under way may make one that lives a little longer.
const MARK_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

impl Open {
    /// Says in the store for epochs, if there is one, that a cookie-only session has ended or is
    /// another one from now on.
    fn mark(&self, config: &Config, next: Next, now: Timestamp) -> Option<Op> {
        let (true, Some(id), Some(base)) = (config.epochs, self.id, &self.base) else {
            return None;
        };
        let mut mark = ended_mark(&base.record, now);
        if next == Next::Renew {
            mark = mark.with_data(Data::from([(RENEWED.to_owned(), true.into())]));
        }
        Some(Op::Create { key: id.hashed(), record: Arc::new(mark) })
    }
}

/// What says for as long as a cookie of the session of `record` may live that it has ended.
fn ended_mark(record: &Record, now: Timestamp) -> Record {
    if record.own.limits_changed {
        return Record::new(now);
    }
    let idle = record.idle.map(|idle| now.saturating_add(idle));
    let until = record.absolute.or(idle).map(|end| end.saturating_add(MARK_MARGIN));
    Record::new(now).with_limits(None, until)
}

impl Core {
    pub(super) fn plan_sealed(&mut self, config: &Config, now: Timestamp) -> Result<Step, Error> {
        let is_due = self.use_is_due(config, now);
        let (open, save) = self.saving()?;
        let Some(saving) = &open.saving else { return Err(unexpected()) };
        let (next, dirty) = (saving.next, saving.is_dirty());
        let new_subject =
            saving.settings.as_ref().is_some_and(|settings| settings.subject.is_some());
        let new_limits = saving.settings.as_ref().is_some_and(|settings| settings.has_limits());
        if next.ends()
            && !save.marked
            && let Some(op) = open.mark(config, next, now)
        {
            return Ok(Step::Ask(op));
        }
        if next.ends() && open.base.is_some() {
            config.counts.add(|at| &at.ended);
            self.forget_base(config, now)?;
            return self.plan_sealed(config, now);
        }
        let keeps = open.base.is_some() && (next == Next::Renew || is_due || open.reissue);
        if next == Next::End || !dirty && !keeps {
            return self.finish_save(config, now, false);
        }
        let base = match &open.base {
            Some(base) => Arc::clone(&base.record),
            None => {
                let blank = open.blank(config, now);
                if open.comes_to_nothing(&blank) {
                    return self.finish_save(config, now, false);
                }
                save.admit(config, now)?;
                Arc::new(blank)
            }
        };
        let mut record = open.draft_record(&base, now);
        if next == Next::Renew || open.base.is_none() {
            if record.own.limits_changed {
                record.own.edit().limits_changed = false;
            }
        } else if new_limits {
            record.own.edit().limits_changed = true;
        }
        check_size(&record, config)?;
        if !dirty {
            record.written = base.written;
        }
        if config.epochs && (open.epoch.is_none() || new_subject && !save.asked_epoch) {
            save.asked_epoch = true;
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
        let (open, save) = self.saving()?;
        let Some(sealer) = config.sealer.clone() else { return Err(unexpected()) };
        let id = match open.id.filter(|_| next != Next::Renew) {
            Some(id) => id,
            None => save.new_id(open, config)?,
        };
        let sealed = Sealed { id, record, accessed: now, epoch: open.epoch.unwrap_or(0) };
        let value = sealer.seal(&sealed)?;
        if next == Next::Renew
            && !save.marked
            && let Some(op) = open.mark(config, next, now)
        {
            // What comes in its place must be good before it is said to be gone.
            Outgoing::default().set(config, &sealed.record, now, value, now)?;
            return Ok(Step::Ask(op));
        }
        config.counts.add_many(value.len() as u64, |at| &at.bytes_stored);
        (open.id, open.noted) = (Some(id), true);
        let record = Arc::new(sealed.record);
        let stored = Stored { record: Arc::clone(&record), version: Version(0), accessed: now };
        let old = open.base.replace(stored);
        open.bridged = None;
        open.reissue = false;
        if let Some(old) = old {
            self.leaves_place(config, &old.record, now);
        }
        self.outgoing.set(config, &record, now, value, now)?;
        self.finish_save(config, now, false)
    }
}
