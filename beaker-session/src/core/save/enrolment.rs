//! Where a save is with the list of its session's subject.

use std::time::Duration;

use beaker_namespace::Timestamp;

use super::OPERATION;
use crate::core::Op;
use crate::record::{Record, Stored};
use crate::store::Member;
use crate::{Error, ErrorKind, RecordKey};

/// After how long a session that is not stored yet is put on its subject's list again: far less than a
/// list keeps who is not there.
const ENROLLED_FOR: Duration = Duration::from_secs(60);

/// How often it is put there: more than ids are drawn.
const MAX_ENROLMENTS: u32 = 16;

/// A session is on its subject's list before it is stored, so that whoever revokes all sessions misses
/// none.
#[derive(Default)]
pub(super) struct Enrolment {
    stage: Stage,
    enrolments: u32,
}

#[derive(Default)]
enum Stage {
    /// No list was asked: that of the subject whose session is stored has it.
    #[default]
    AsStored,
    /// No list was asked, and none is sure to have it: what is written goes over another subject's
    /// session.
    Unknown,
    Asked(Listing),
    Listed(Listing),
}

/// Who is on whose list, and since when.
struct Listing {
    subject: String,
    member: Member,
    at: Timestamp,
}

impl Listing {
    /// Whether this is the listing of a session of `subject`, and the list keeps it until it is stored at
    /// `now`, and as long as it may live. A list may forget who is not stored for long.
    fn serves(&self, subject: &str, member: &Member, now: Timestamp) -> bool {
        self.subject == subject
            && self.member.key == member.key
            && self.member.until.saturating_add(ENROLLED_FOR) >= member.until
            && now.saturating_duration_since(self.at) <= ENROLLED_FOR
    }
}

impl Enrolment {
    /// What is to be asked before `record` is stored under `key` in place of `base`.
    pub(super) fn before_update(
        &mut self,
        base: &Stored,
        record: &Record,
        key: RecordKey,
        now: Timestamp,
    ) -> Result<Option<Op>, Error> {
        let is_as_stored = record.own.subject == base.record.own.subject
            && record.absolute == base.record.absolute;
        match self.stage {
            Stage::AsStored if is_as_stored => Ok(None),
            _ => self.before(record, key, now),
        }
    }

    /// What is to be asked before `record` is stored under `key`, where nothing is.
    pub(super) fn before(
        &mut self,
        record: &Record,
        key: RecordKey,
        now: Timestamp,
    ) -> Result<Option<Op>, Error> {
        let Some(subject) = record.own.subject.clone() else { return Ok(None) };
        let member = Member { key, until: record.absolute.unwrap_or(Timestamp::NEVER) };
        if let Stage::Listed(listing) = &self.stage
            && listing.serves(&subject, &member, now)
        {
            return Ok(None);
        }
        self.enrolments += 1;
        if self.enrolments > MAX_ENROLMENTS {
            return Err(Error::new(ErrorKind::Unavailable, OPERATION)
                .with_detail("the store takes minutes for each call"));
        }
        let listing = Listing { subject: subject.clone(), member: member.clone(), at: now };
        self.stage = Stage::Asked(listing);
        Ok(Some(Op::Enroll { subject, member }))
    }

    /// The list that was asked has it.
    pub(super) fn answered(&mut self) {
        self.stage = match std::mem::take(&mut self.stage) {
            Stage::Asked(listing) => Stage::Listed(listing),
            other => other,
        };
    }

    /// What is written goes over a session that is another subject's by now.
    pub(super) fn goes_over_another_s(&mut self) {
        if let Stage::AsStored = self.stage {
            self.stage = Stage::Unknown;
        }
    }
}
