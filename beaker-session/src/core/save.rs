//! Saving what a request changed.
//
// `plan` looks at what is stored and what is wanted, and asks for the next call that brings the
// one to the other. An answer changes what is known to be stored, and `plan` looks again. So a
// conflict or a taken id needs no path of its own.

mod answers;
mod enrolment;
mod plain;

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::Timestamp;

use self::enrolment::Enrolment;
use super::{Core, Draft, Next, Op, Open, Stage, Step, Task, unexpected};
use crate::config::{Admission, Attributes, Config};
use crate::record::Record;
use crate::{Error, ErrorKind, SessionId};

/// How often a save is tried against others who change the same session.
const MAX_CONFLICTS: u32 = 256;

/// How many ids are drawn before it is taken for a fault of the random source.
const MAX_IDS: u32 = 8;

/// How long it is known at least where a rescued session went. Whoever looked when it was damaged may still come:
/// a logout is to find it, and where damage has no fingerprint a rescue's set holds over a dead mark too.
const RESCUE_GRACE: Duration = Duration::from_secs(60);

const OPERATION: &str = "save session";

/// A save that is under way.
#[derive(Default)]
pub(super) struct Save {
    /// The id under which the store was asked to keep the session.
    asked: Option<SessionId>,
    conflicts: u32,
    ids: u32,
    enrolment: Enrolment,
    /// Whether the epoch of a cookie-only session's new subject was asked.
    pub(super) asked_epoch: bool,
    touched: bool,
    /// Whether another system's session is being marked as ended.
    marking: bool,
    /// Whether the id of a cookie-only session is marked as ended.
    pub(super) marked: bool,
    /// Whether the builder's hook has let a new session be made.
    admitted: bool,
    /// About how many bytes the record has that the store was asked to keep.
    bytes: usize,
}

impl Core {
    pub(super) fn plan(&mut self, config: &Config, now: Timestamp) -> Result<Step, Error> {
        let use_is_due = self.use_is_due(config, now);
        let (Stage::Open(open), Task::Save(save)) = (&mut self.stage, &mut self.task) else {
            return Err(unexpected());
        };
        let Some(saving) = &open.saving else { return Err(unexpected()) };
        if open.ended && (saving.is_dirty() || saving.next == Next::Renew) {
            return Err(Error::new(ErrorKind::Ended, OPERATION));
        }
        if config.sealer.is_some() {
            return self.plan_sealed(config, now);
        }
        if saving.next.ends()
            && let Some(id) = open.id.as_ref().or_else(|| open.ends.last())
        {
            return Ok(Step::Ask(Op::Delete(config.wire.key(id))));
        }
        // What it was made of is worth nothing either.
        let leaves_id = saving.next.ends() || saving.next == Next::Renew && open.base.is_some();
        if leaves_id && let Some(op) = self.marks.next(now) {
            save.marking = true;
            return Ok(Step::Ask(op));
        }
        match &open.base {
            None if saving.next != Next::End && saving.is_dirty() => self.plan_create(config, now),
            Some(_) if saving.next == Next::Renew => self.plan_rename(config, now),
            Some(_) if saving.is_dirty() => self.plan_update(config, now),
            Some(_) if !save.touched && use_is_due => {
                save.touched = true;
                let Some(id) = open.id else { return Err(unexpected()) };
                Ok(Step::Ask(Op::Touch { key: config.wire.key(&id), accessed: now }))
            }
            _ => self.finish_save(config, now, false),
        }
    }

    fn plan_create(&mut self, config: &Config, now: Timestamp) -> Result<Step, Error> {
        let (open, save) = self.saving()?;
        let blank = open.blank(config, now);
        if open.comes_to_nothing(&blank) {
            return self.finish_save(config, now, false);
        }
        save.admit(config, now)?;
        let id = save.new_id(open, config)?;
        let record = open.draft_record(&blank, now);
        save.bytes = check_size(&record, config)?;
        let key = config.wire.key(&id);
        if let Some(op) = save.enrolment.before(&record, key, now)? {
            open.set_new_id(Some(id));
            return Ok(Step::Ask(op));
        }
        let record = Arc::new(record);
        save.asked = Some(id);
        let Some(damaged) = open.damaged_id() else {
            return Ok(Step::Ask(Op::Create { key, record }));
        };
        // Left where it is it would be rescued again for whoever comes with its id, after a logout too.
        let (from, grace) = (config.wire.key(&damaged), config.grace.max(RESCUE_GRACE));
        Ok(Step::Ask(Op::Rename { from, expected: None, to: key, record, grace }))
    }

    fn plan_update(&mut self, config: &Config, now: Timestamp) -> Result<Step, Error> {
        let Some(id) = self.saving()?.0.id else { return Err(unexpected()) };
        let key = self.last_key.of(config.wire.as_ref(), &id);
        let (open, save) = self.saving()?;
        let Some(base) = &open.base else { return Err(unexpected()) };
        let record = open.draft_record(&base.record, now);
        save.bytes = check_size(&record, config)?;
        if let Some(op) = save.enrolment.before_update(base, &record, key, now)? {
            return Ok(Step::Ask(op));
        }
        let record = Arc::new(record);
        save.asked = Some(id);
        Ok(Step::Ask(Op::Update { key, expected: base.version, record }))
    }

    fn plan_rename(&mut self, config: &Config, now: Timestamp) -> Result<Step, Error> {
        let (open, save) = self.saving()?;
        let (Some(id), Some(base)) = (open.id, open.base.clone()) else { return Err(unexpected()) };
        let new_id = save.new_id(open, config)?;
        let record = open.draft_record(&base.record, now);
        save.bytes = check_size(&record, config)?;
        let to = config.wire.key(&new_id);
        if let Some(op) = save.enrolment.before(&record, to, now)? {
            open.set_new_id(Some(new_id));
            return Ok(Step::Ask(op));
        }
        let record = Arc::new(record);
        save.asked = Some(new_id);
        let from = config.wire.key(&id);
        let (expected, grace) = (Some(base.version), config.grace);
        Ok(Step::Ask(Op::Rename { from, expected, to, record, grace }))
    }

    pub(super) fn finish_save(
        &mut self,
        config: &Config,
        now: Timestamp,
        sends: bool,
    ) -> Result<Step, Error> {
        let (open, save) = self.saving()?;
        let follows = save.touched || sends || open.saving.as_deref().is_some_and(Draft::is_dirty);
        let sends = sends || open.reissue && !open.ended;
        let next = open.saving.take().map(|saving| saving.next).unwrap_or_default();
        open.reissue = false;
        if next == Next::End {
            open.draft.next = Next::End;
        }
        self.task = Task::Nothing;
        if next.ends() {
            self.forget_cookies(config, now);
        }
        // A cookie-only session's cookie is made where it is sealed.
        let sealed = config.sealer.is_some();
        if !sealed && (sends || follows && self.follows(config)) {
            self.send_cookie(config, now)?;
        }
        Ok(Step::Done)
    }

    /// Whether the session's cookie is sent anew when its life is prolonged.
    pub(super) fn follows(&self, config: &Config) -> bool {
        let record = self.open().and_then(Open::record);
        config.wire.follows_session(record.and_then(Record::cookie_life))
    }

    /// Nothing is stored any more under the id whose session was to end.
    pub(super) fn forget_base(&mut self, config: &Config, now: Timestamp) -> Result<(), Error> {
        let (open, _) = self.saving()?;
        if open.id.take().is_none() {
            open.ends.pop();
        }
        open.bridged = None;
        if let Some(base) = open.base.take() {
            self.remove_cookie(config, &base.record, now);
        }
        Ok(())
    }

    /// The browser is to forget what it sent, unless it is given something new instead.
    fn forget_cookies(&mut self, config: &Config, now: Timestamp) {
        if self.came.ours && self.outgoing.is_empty() {
            self.remove_cookie(config, &Record::new(now), now);
        }
        // Where the session was the other system's, its cookie would bring it back.
        if let (true, Some(bridge)) = (self.came.bridged, &config.bridge) {
            let attributes = Attributes { now, ..Attributes::default() };
            self.outgoing.push(None, None, bridge.wire.remove(&attributes));
        }
    }

    pub(super) fn remove_cookie(&mut self, config: &Config, record: &Record, now: Timestamp) {
        let (path, domain) = record.cookie_place();
        let text = config.wire.remove(&Attributes { path, domain, now, ..Attributes::default() });
        self.outgoing.push(path, domain, text);
    }

    /// Takes the cookie from where it was, if the session that was `old` has another path or domain
    /// now; and says whether it has.
    pub(super) fn leaves_place(&mut self, config: &Config, old: &Record, now: Timestamp) -> bool {
        let moved = self
            .open()
            .and_then(Open::record)
            .is_some_and(|new| new.cookie_place() != old.cookie_place());
        if moved {
            self.remove_cookie(config, old, now);
        }
        moved
    }

    fn send_cookie(&mut self, config: &Config, now: Timestamp) -> Result<(), Error> {
        let Stage::Open(open) = &self.stage else { return Ok(()) };
        let (Some(id), Some(base)) = (open.id, &open.base) else { return Ok(()) };
        let value = config.wire.write(&id);
        self.outgoing.set(config, &base.record, base.accessed, value, now)
    }

    pub(super) fn saving(&mut self) -> Result<(&mut Open, &mut Save), Error> {
        match (&mut self.stage, &mut self.task) {
            (Stage::Open(open), Task::Save(save)) => Ok((open, save)),
            _ => Err(unexpected()),
        }
    }
}

impl Save {
    /// The id for a new or renewed session: the one that was promised already, or another one.
    pub(super) fn new_id(&mut self, open: &Open, config: &Config) -> Result<SessionId, Error> {
        if let Some(promised) = open.new_id() {
            return Ok(promised);
        }
        self.ids += 1;
        if self.ids > MAX_IDS {
            return Err(Error::new(ErrorKind::Entropy, OPERATION)
                .with_detail("the random source gives ids that are taken"));
        }
        SessionId::random(config.entropy.as_ref())
    }

    /// Asks the builder's hook, once, whether a new session may be made.
    pub(super) fn admit(&mut self, config: &Config, now: Timestamp) -> Result<(), Error> {
        let Some(hook) = &config.admission else { return Ok(()) };
        if !self.admitted && hook.ask(now) == Admission::Refuse {
            config.counts.add(|at| &at.not_admitted);
            return Err(Error::new(ErrorKind::NotAdmitted, OPERATION));
        }
        self.admitted = true;
        Ok(())
    }
}

/// Refuses a record that is larger than its limit; says about how large it is.
pub(super) fn check_size(record: &Record, config: &Config) -> Result<usize, Error> {
    let size = record.size();
    if size <= config.max_bytes {
        return Ok(size);
    }
    let (largest, bytes) = record.largest().unwrap_or_default();
    let detail = format!(
        "it takes about {size} bytes of {}; the largest part, {largest}, takes {bytes}",
        config.max_bytes
    );
    Err(Error::new(ErrorKind::TooLarge, OPERATION).with_detail(detail))
}
