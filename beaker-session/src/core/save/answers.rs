//! What the store's answers make of a save: each is noted, and `plan` looks again.

use beaker_namespace::Timestamp;

use super::{MAX_CONFLICTS, OPERATION};
use crate::config::{Config, MergePolicy};
use crate::core::{Answer, Core, Next, Op, Step, unexpected, watch};
use crate::record::{Record, Stored, Version};
use crate::store::{Created, Loaded, Renamed, Touched, Updated};
use crate::{Error, ErrorKind, SessionId};

impl Core {
    pub(in crate::core) fn answer_save(
        &mut self,
        config: &Config,
        op: Op,
        answer: Answer,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let looked = matches!(answer, Answer::Loaded(_) | Answer::Failed(_)) && self.marks.looks();
        if self.saving()?.1.marking && (looked || matches!(answer, Answer::Created(_))) {
            self.saving()?.1.marking = false;
            self.marks.answered(&answer);
            return self.plan(config, now);
        }
        match answer {
            Answer::Enrolled => {
                self.saving()?.1.enrolment.answered();
                self.plan(config, now)
            }
            Answer::Epoch(epoch) => {
                self.saving()?.0.epoch = Some(epoch);
                self.plan_sealed(config, now)
            }
            Answer::Deleted(_) => {
                config.counts.add(|at| &at.ended);
                self.forget_base(config, now)?;
                self.plan(config, now)
            }
            Answer::Created(created) if config.sealer.is_some() => {
                self.answer_marked(config, created, now)
            }
            Answer::Created(created) => self.answer_created(config, op, created, now),
            Answer::Updated(updated) => self.answer_updated(config, op, updated, now),
            Answer::Renamed(renamed) => self.answer_renamed(config, op, renamed, now),
            Answer::Loaded(Loaded::Absent | Loaded::Renewed) => self.refused(config),
            Answer::Loaded(Loaded::Present(stored)) => {
                self.rebase(config, stored)?;
                self.plan(config, now)
            }
            Answer::Touched(touched) => self.touched(config, touched, now),
            Answer::Locked(_) | Answer::Members(_) | Answer::DeletedIf(_) | Answer::Swept(_) => {
                Err(unexpected())
            }
            Answer::Failed(error) => self.save_failed(config, &op, error, now),
        }
    }

    fn save_failed(
        &mut self,
        config: &Config,
        op: &Op,
        error: Error,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let is_damage = error.kind() == ErrorKind::Corrupt;
        config.counts.add(|at| if is_damage { &at.corrupt } else { &at.outages });
        let (open, save) = self.saving()?;
        watch::failed(config, &error, open.id.as_ref());
        let is_passed_over =
            is_damage || matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::TooLarge);
        if matches!(op, Op::Touch { .. }) && is_passed_over {
            // Nothing is lost but the note of this use: the session ends that much sooner. What is damaged, or
            // longer than the store takes, the next request meets.
            save.touched = false;
            return self.finish_save(config, now, false);
        }
        Err(error)
    }

    fn answer_created(
        &mut self,
        config: &Config,
        op: Op,
        created: Created,
        now: Timestamp,
    ) -> Result<Step, Error> {
        match created {
            Created::Created(version) => {
                config.counts.add(|at| &at.created);
                self.stored(config, op, version, now, true)
            }
            Created::Exists => self.id_is_taken(config, now),
        }
    }

    /// Of a cookie-only session nothing is stored but that it ended.
    fn answer_marked(
        &mut self,
        config: &Config,
        created: Created,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let (open, save) = self.saving()?;
        save.marked = true;
        let renews = open.saving.as_ref().is_some_and(|saving| saving.next == Next::Renew);
        match created {
            // A logout, or another renewal, was quicker.
            Created::Exists if renews => self.refused(config),
            _ => self.plan_sealed(config, now),
        }
    }

    fn answer_updated(
        &mut self,
        config: &Config,
        op: Op,
        updated: Updated,
        now: Timestamp,
    ) -> Result<Step, Error> {
        match updated {
            Updated::Updated(version) => {
                config.counts.add(|at| &at.updated);
                self.stored(config, op, version, now, false)
            }
            Updated::Conflict(Some(found)) => {
                self.conflict(config)?;
                self.rebase(config, found)?;
                self.plan(config, now)
            }
            Updated::Conflict(None) => self.load_again(config),
            Updated::Absent => self.refused(config),
        }
    }

    fn answer_renamed(
        &mut self,
        config: &Config,
        op: Op,
        renamed: Renamed,
        now: Timestamp,
    ) -> Result<Step, Error> {
        match renamed {
            Renamed::Renamed(version) => {
                let rescues = matches!(op, Op::Rename { expected: None, .. });
                config.counts.add(|at| if rescues { &at.created } else { &at.renewed });
                self.stored(config, op, version, now, true)
            }
            Renamed::Exists => self.id_is_taken(config, now),
            Renamed::Conflict => self.load_again(config),
            Renamed::Absent => self.refused(config),
        }
    }

    /// Another session has the id that was drawn: with another one, then.
    fn id_is_taken(&mut self, config: &Config, now: Timestamp) -> Result<Step, Error> {
        self.saving()?.0.set_new_id(None);
        self.plan(config, now)
    }

    /// Somebody else has written the session, and the store did not say what.
    fn load_again(&mut self, config: &Config) -> Result<Step, Error> {
        let id = self.conflict(config)?;
        Ok(Step::Ask(Op::Load(config.wire.key(&id))))
    }

    /// Somebody else has written the session, whose id this is; an error if it is not tried again.
    fn conflict(&mut self, config: &Config) -> Result<SessionId, Error> {
        config.counts.add(|at| &at.conflicts);
        let merge = config.merge;
        let (open, save) = self.saving()?;
        watch::conflict(config, open.id.as_ref());
        save.conflicts += 1;
        if merge == MergePolicy::Fail || save.conflicts > MAX_CONFLICTS {
            return Err(Error::new(ErrorKind::Conflict, OPERATION));
        }
        open.id.ok_or_else(unexpected)
    }

    fn rebase(&mut self, config: &Config, stored: Stored) -> Result<(), Error> {
        let merge = config.merge;
        let (open, save) = self.saving()?;
        open.base = match (merge, open.base.take()) {
            (MergePolicy::LastWriterWins, Some(base)) => {
                if stored.record.own.subject != base.record.own.subject {
                    save.enrolment.goes_over_another_s();
                }
                Some(Stored { version: stored.version, ..base })
            }
            _ => Some(stored),
        };
        Ok(())
    }

    /// The session is gone, and what was changed with it.
    fn refused(&mut self, config: &Config) -> Result<Step, Error> {
        config.counts.add(|at| &at.refused);
        let (open, _) = self.saving()?;
        watch::refused(config, open.id.as_ref());
        open.ended = true;
        open.saving = None;
        Err(Error::new(ErrorKind::Ended, OPERATION))
    }

    fn stored(
        &mut self,
        config: &Config,
        op: Op,
        version: Version,
        now: Timestamp,
        new_id: bool,
    ) -> Result<Step, Error> {
        let (open, save) = self.saving()?;
        let (
            Some(id),
            Op::Create { record, .. } | Op::Update { record, .. } | Op::Rename { record, .. },
        ) = (save.asked.take(), op)
        else {
            return Err(unexpected());
        };
        config.counts.add_many(save.bytes as u64, |at| &at.bytes_stored);
        if save.conflicts > 0 && config.merge.merges() {
            config.counts.add(|at| &at.merges);
        }
        let old = open.base.replace(Stored { accessed: record.written, record, version });
        (open.id, open.noted) = (Some(id), true);
        open.bridged = None;
        let changed = old.filter(|old| {
            let new = open.base.as_ref().map(|base| &base.record);
            new.is_some_and(|new| new.own != old.record.own)
        });
        let mut sends = new_id;
        if let Some(old) = changed {
            let life = open.record().and_then(Record::cookie_life);
            sends |= life != old.record.cookie_life();
            sends |= self.leaves_place(config, &old.record, now);
        }
        self.finish_save(config, now, sends)
    }

    fn touched(
        &mut self,
        config: &Config,
        touched: Touched,
        now: Timestamp,
    ) -> Result<Step, Error> {
        if let Touched::Touched { .. } = touched {
            config.counts.add(|at| &at.touched);
        }
        let (open, _) = self.saving()?;
        open.noted = true;
        if let (Touched::Touched { from, to }, Some(base)) = (touched, &mut open.base) {
            base.accessed = now;
            // Of another record the version is not taken: the next save is to meet what is in it.
            if from == base.version {
                base.version = to;
            }
        }
        // What was ended meanwhile is left alone: the browser may have a newer cookie.
        let sends = touched != Touched::Absent && self.follows(config);
        if touched == Touched::Absent {
            self.saving()?.0.ended = true;
        }
        self.finish_save(config, now, sends)
    }
}
