//! Finding a request's session.
//
// The cookies of the session's name are tried in turn, those that verify: another host of the
// domain may have set the others. The first whose session is there is the one. If none is, the
// session is a new one: an id that we do not know is never taken over.

mod damaged;
mod turn;

use std::sync::Arc;

use beaker_namespace::Timestamp;

use super::seal::RENEWED;
use super::{Answer, Core, Next, Op, Open, Origin, Stage, Step, Task, unexpected, watch};
use crate::config::{Config, Kept, Sealed, Sealer};
use crate::cookie::{CookieText, Refusal, Verified};
use crate::record::{Record, Stored, Version};
use crate::store::{Loaded, NamespaceStore};
use crate::{Error, ErrorKind, RecordKey, SessionId, SessionLock};

/// A load that is under way.
pub(super) struct Load {
    waiting: Waiting,
    /// What the answer is about.
    asked: Option<Candidate>,
    /// What is known if nothing is found.
    origin: Origin,
    /// What a logout ends besides the session that is found: those that go on under another id, and those
    /// whose records are damaged.
    ends: Vec<SessionId>,
    /// Whether the session is loaded to be ended.
    to_end: bool,
    /// Of the session that is looked for.
    lock: Option<SessionLock>,
    /// Whether what was asked for is a lock.
    locks: bool,
    /// Whether what was asked for is the mark of an ended session.
    marks: bool,
    /// Why the mark cannot be read that is being made anew.
    damaged_mark: Option<Error>,
}

/// The candidates that are still to be tried. There is hardly ever more than one, which needs no
/// allocation.
#[derive(Default)]
struct Waiting {
    first: Option<Candidate>,
    /// The next one last.
    rest: Vec<Candidate>,
}

impl Waiting {
    fn push(&mut self, candidate: Candidate) {
        if self.first.is_none() && self.rest.is_empty() {
            self.first = Some(candidate);
        } else {
            self.rest.insert(0, candidate);
        }
    }

    /// The only candidate, if it is an id of ours.
    fn only_ours(&self) -> Option<Verified> {
        match &self.first {
            Some(Candidate::Ours(verified)) if self.rest.is_empty() => Some(*verified),
            _ => None,
        }
    }

    fn pop(&mut self) -> Option<Candidate> {
        self.first.take().or_else(|| self.rest.pop())
    }
}

/// What one cookie may stand for.
enum Candidate {
    Ours(Verified),
    Bridged(Verified),
    Sealed { sealed: Box<Sealed>, outdated: bool, bridged: bool },
}

impl Candidate {
    fn id(&self) -> &SessionId {
        match self {
            Self::Ours(verified) | Self::Bridged(verified) => &verified.id,
            Self::Sealed { sealed, .. } => &sealed.id,
        }
    }

    /// Where the mark is that its session has ended.
    fn mark_key(&self) -> RecordKey {
        match self {
            Self::Sealed { sealed, bridged: false, .. } => sealed.id.hashed(),
            _ => self.id().end_mark(),
        }
    }
}

impl Load {
    /// Before what `candidate` stands for is believed it is looked whether it has ended.
    fn ask_mark(&mut self, candidate: Candidate) -> Result<Step, Error> {
        let mark = candidate.mark_key();
        self.asked = Some(candidate);
        self.marks = true;
        Ok(Step::Ask(Op::Load(mark)))
    }
}

impl Core {
    pub(super) fn start_load(
        &mut self,
        config: &Config,
        cookies: CookieText<'_>,
        in_memory: Option<&NamespaceStore>,
        now: Timestamp,
        to_end: bool,
    ) -> Result<Step, Error> {
        config.counts.add(|at| &at.opened);
        self.outgoing.mark_accessed();
        let waiting = self.verified(config, cookies, now);
        let in_memory = in_memory.filter(|_| !config.merge.locks());
        if let (Some(store), Some(verified)) = (in_memory, waiting.only_ours())
            && self.finds_in(store, config, verified, now)
        {
            return self.loaded(to_end);
        }
        let came = self.came.ours || self.came.bridged;
        let origin = if came { Origin::Unknown } else { Origin::New };
        self.task = Task::Load(Load {
            waiting,
            asked: None,
            origin,
            ends: Vec::new(),
            to_end,
            lock: None,
            locks: false,
            marks: false,
            damaged_mark: None,
        });
        self.next_candidate(config, now)
    }

    /// Whether the one session that there may be is in `store`, which makes nobody wait: it is opened
    /// then. Whatever else there is to say of it is found by asking.
    fn finds_in(
        &mut self,
        store: &NamespaceStore,
        config: &Config,
        verified: Verified,
        now: Timestamp,
    ) -> bool {
        match store.load_quickly(self.last_key.entry_of(config.wire.as_ref(), &verified.id)) {
            Some(Loaded::Present(found)) if !found.record.is_expired(found.accessed, now) => {
                self.stage = Stage::Open(self.known(config, verified, found));
                true
            }
            _ => false,
        }
    }

    fn known(&mut self, config: &Config, verified: Verified, found: Stored) -> Open {
        config.counts.add(|at| &at.found);
        self.marks.know(Some(&found));
        let reissue = verified.outdated;
        Open { reissue, ..Open::known(Origin::Known, verified.id, found) }
    }

    /// What the cookies stand for that we, or the system that is bridged to, have made.
    fn verified(&mut self, config: &Config, cookies: CookieText<'_>, now: Timestamp) -> Waiting {
        let Self { came, marks, .. } = self;
        let mut found = Waiting::default();
        config.wire.candidates(&mut cookies.headers(), &mut |value| {
            came.ours = true;
            let candidate = match &config.sealer {
                Some(sealer) => open_sealed(sealer.as_ref(), value, now, false),
                None => config.wire.read(value, now).map(Candidate::Ours),
            };
            match candidate {
                Ok(candidate) => found.push(candidate),
                Err(refusal) => {
                    config.counts.add(|at| &at.rejected_cookies);
                    watch::rejected_cookie(refusal);
                }
            }
        });
        let Some(bridge) = &config.bridge else { return found };
        bridge.wire.candidates(&mut cookies.headers(), &mut |value| {
            came.bridged = true;
            let candidate = match &bridge.kept {
                Kept::InStore(_) => bridge.wire.read(value, now).map(Candidate::Bridged),
                Kept::InCookie(sealer) => open_sealed(sealer.as_ref(), value, now, true),
            };
            let candidate = candidate.inspect_err(|refusal| watch::rejected_cookie(*refusal)).ok();
            match &candidate {
                _ if config.sealer.is_some() => {}
                Some(Candidate::Bridged(verified)) => {
                    marks.suspect(&verified.id, bridge.wire.key(&verified.id));
                }
                // It is signed, so it was there.
                Some(Candidate::Sealed { sealed, .. }) => marks.add(&sealed.id),
                _ => {}
            }
            candidate.into_iter().for_each(|candidate| found.push(candidate));
        });
        found
    }

    fn next_candidate(&mut self, config: &Config, now: Timestamp) -> Result<Step, Error> {
        loop {
            let Task::Load(load) = &mut self.task else { return Err(unexpected()) };
            load.lock = None;
            let Some(candidate) = load.waiting.pop() else {
                let open = Open::new(load.origin);
                return self.finish_load(open);
            };
            if let Candidate::Sealed { sealed, .. } = &candidate
                && let Err(refusal) = sealed.is_live(now)
            {
                watch::refused_cookie(config, refusal, &sealed.id);
                continue;
            }
            if config.merge.locks() && !load.to_end {
                return load.ask_lock(candidate);
            }
            return self.ask_candidate(config, candidate);
        }
    }

    fn ask_candidate(&mut self, config: &Config, candidate: Candidate) -> Result<Step, Error> {
        let Task::Load(load) = &mut self.task else { return Err(unexpected()) };
        match candidate {
            Candidate::Ours(verified) => {
                let key = self.last_key.of(config.wire.as_ref(), &verified.id);
                load.asked = Some(candidate);
                Ok(Step::Ask(Op::Load(key)))
            }
            Candidate::Bridged(verified) if config.sealer.is_some() => {
                load.asked = Some(candidate);
                self.ask_bridge(config, verified.id)
            }
            Candidate::Bridged(_) => load.ask_mark(candidate),
            Candidate::Sealed { sealed, outdated, bridged } => {
                let is_marked = if bridged { config.sealer.is_none() } else { config.epochs };
                if !is_marked {
                    return self.found_sealed(config, *sealed, outdated, bridged);
                }
                load.ask_mark(Candidate::Sealed { sealed, outdated, bridged })
            }
        }
    }

    fn ask_bridge(&self, config: &Config, id: SessionId) -> Result<Step, Error> {
        let bridge = config.bridge.as_ref().ok_or_else(unexpected)?;
        Ok(Step::Ask(Op::LoadBridged(bridge.wire.key(&id))))
    }

    /// What is done with a session that was looked for among those that ended: another system's, or
    /// one of ours that is all in its cookie.
    fn answer_mark(
        &mut self,
        config: &Config,
        mark: &Loaded,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let Task::Load(load) = &mut self.task else { return Err(unexpected()) };
        match (mark, load.asked.take()) {
            (Loaded::Absent, Some(Candidate::Bridged(verified))) => {
                load.asked = Some(Candidate::Bridged(verified));
                self.ask_bridge(config, verified.id)
            }
            (Loaded::Absent, Some(Candidate::Sealed { sealed, outdated, bridged })) => {
                match sealed.record.own.subject.clone().filter(|_| !bridged) {
                    Some(subject) => {
                        load.asked = Some(Candidate::Sealed { sealed, outdated, bridged });
                        Ok(Step::Ask(Op::Epoch(subject)))
                    }
                    None => self.found_sealed(config, *sealed, outdated, bridged),
                }
            }
            (mark, asked) => {
                if is_of_renewal(mark, config, now) {
                    load.origin = Origin::Renewed;
                }
                let Some(asked) = asked else { return Err(unexpected()) };
                self.pass_unknown(config, Refusal::Revoked, &asked, now)
            }
        }
    }

    pub(super) fn answer_load(
        &mut self,
        config: &Config,
        answer: Answer,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let Task::Load(load) = &mut self.task else { return Err(unexpected()) };
        if std::mem::take(&mut load.locks) {
            return self.answer_lock(config, answer);
        }
        if load.damaged_mark.is_some() {
            return self.mark_made_anew(config, answer, now);
        }
        if std::mem::take(&mut load.marks) {
            match answer {
                Answer::Loaded(mark) => return self.answer_mark(config, &mark, now),
                Answer::Failed(error) if error.kind() == ErrorKind::Corrupt => {
                    return self.mark_damaged(config, error, now);
                }
                _ => {}
            }
        }
        let Some(asked) = load.asked.take() else { return Err(unexpected()) };
        match (answer, asked) {
            (Answer::Loaded(Loaded::Present(stored)), asked)
                if stored.record.is_expired(stored.accessed, now) =>
            {
                self.pass_unknown(config, Refusal::Expired, &asked, now)
            }
            (Answer::Loaded(Loaded::Present(stored)), Candidate::Ours(verified)) => {
                let open = self.known(config, verified, stored);
                self.finish_load(open)
            }
            (Answer::Loaded(Loaded::Present(stored)), Candidate::Bridged(verified)) => {
                self.found_bridged(config, &verified.id, &stored)
            }
            (Answer::Loaded(Loaded::Absent), asked) => {
                self.pass_unknown(config, Refusal::NotThere, &asked, now)
            }
            (Answer::Loaded(Loaded::Renewed), asked) => {
                load.origin = Origin::Renewed;
                if let Candidate::Ours(verified) = asked {
                    load.ends.push(verified.id);
                }
                self.next_candidate(config, now)
            }
            (Answer::Epoch(epoch), Candidate::Sealed { sealed, outdated, bridged }) => {
                if sealed.epoch < epoch {
                    let asked = Candidate::Sealed { sealed, outdated, bridged };
                    return self.pass_unknown(config, Refusal::Revoked, &asked, now);
                }
                self.found_sealed(config, *sealed, outdated, bridged)
            }
            (Answer::Failed(error), asked) => self.load_failed(config, error, asked, now),
            _ => Err(unexpected()),
        }
    }

    /// Looks further, since the session of a cookie of ours is not there any more.
    fn pass_unknown(
        &mut self,
        config: &Config,
        reason: Refusal,
        asked: &Candidate,
        now: Timestamp,
    ) -> Result<Step, Error> {
        config.counts.add(|at| &at.unknown_ids);
        watch::refused_cookie(config, reason, asked.id());
        self.next_candidate(config, now)
    }

    /// A cookie-only session; one of another system begins as a new one of ours with its values.
    fn found_sealed(
        &mut self,
        config: &Config,
        sealed: Sealed,
        outdated: bool,
        bridged: bool,
    ) -> Result<Step, Error> {
        let Sealed { id, record, accessed, epoch } = sealed;
        let stored = Stored { record: Arc::new(record), version: Version(0), accessed };
        if bridged {
            return self.found_bridged(config, &id, &stored);
        }
        let mut open = Open::known(Origin::Known, id, stored);
        open.epoch = Some(epoch);
        open.reissue = outdated;
        config.counts.add(|at| &at.found);
        self.finish_load(open)
    }

    /// Another system's session is read, and becomes one of ours at the first write.
    fn found_bridged(
        &mut self,
        config: &Config,
        id: &SessionId,
        stored: &Stored,
    ) -> Result<Step, Error> {
        let mut open = Open::new(Origin::Bridged);
        open.last_accessed = Some(stored.accessed);
        let mut record = Record::clone(&stored.record);
        self.takes_over(config, id, &mut record);
        open.bridged = Some(Arc::new(record));
        config.counts.add(|at| &at.found);
        self.finish_load(open)
    }

    /// Notes in `record`, which goes on from another system's, what is to be marked when it ends.
    fn takes_over(&mut self, config: &Config, id: &SessionId, record: &mut Record) {
        if config.sealer.is_none() {
            self.marks.add(id);
            record.own.edit().bridged = Some(id.end_mark());
        }
    }

    fn finish_load(&mut self, mut open: Open) -> Result<Step, Error> {
        let mut to_end = false;
        if let Task::Load(load) = &mut self.task {
            (open.ends, to_end) = (std::mem::take(&mut load.ends), load.to_end);
            // Who has no session has nothing that others wait for.
            self.lock = load.lock.take().filter(|_| open.record().is_some());
        }
        self.task = Task::Nothing;
        self.stage = Stage::Open(open);
        self.loaded(to_end)
    }

    fn loaded(&mut self, to_end: bool) -> Result<Step, Error> {
        if to_end {
            self.end(Next::End)?;
        }
        Ok(Step::Done)
    }
}

fn open_sealed(
    sealer: &dyn Sealer,
    value: &[u8],
    now: Timestamp,
    bridged: bool,
) -> Result<Candidate, Refusal> {
    let (sealed, outdated) = sealer.open(value, now)?;
    Ok(Candidate::Sealed { sealed: Box::new(sealed), outdated, bridged })
}

/// Whether the session that `mark` is of goes on under another id, and was renewed a moment ago.
fn is_of_renewal(mark: &Loaded, config: &Config, now: Timestamp) -> bool {
    let Loaded::Present(mark) = mark else { return false };
    let recent = now < mark.record.created().saturating_add(config.grace);
    recent && mark.record.get(RENEWED).is_some()
}
