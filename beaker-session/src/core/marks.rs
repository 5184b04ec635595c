//! Ending another system's session that is only read.
//
// Its record is not ours to delete. So our own store keeps a mark that it was ended, under a hash of
// its id, for good: the other system may keep the record for as long. Before such a session is read,
// the mark is looked for. Marks are made only for sessions that were there, so nobody can fill the
// store with them.

use std::sync::Arc;

use beaker_namespace::Timestamp;

use super::{Answer, Op};
use crate::record::{Record, Stored};
use crate::store::Loaded;
use crate::{RecordKey, SessionId};

/// The marks to be made if the session of this request ends.
#[derive(Default)]
pub(super) struct Marks(Vec<Mark>);

struct Mark {
    key: RecordKey,
    /// Where the other system's store is asked first, if it is not known to have the session.
    unseen: Option<RecordKey>,
}

impl Marks {
    /// For a session that may be there.
    pub(super) fn suspect(&mut self, id: &SessionId, at: RecordKey) {
        self.0.push(Mark { key: id.end_mark(), unseen: Some(at) });
    }

    /// For one that is there.
    pub(super) fn add(&mut self, id: &SessionId) {
        let key = id.end_mark();
        self.0.retain(|mark| mark.key != key);
        self.0.push(Mark { key, unseen: None });
    }

    /// For the one that `base` was made of.
    pub(super) fn know(&mut self, base: Option<&Stored>) {
        if let Some(key) = base.and_then(|base| base.record.own.bridged) {
            self.0.retain(|mark| mark.key != key);
            self.0.push(Mark { key, unseen: None });
        }
    }

    /// What is asked next of the stores to make them; `None` once all are made.
    pub(super) fn next(&self, now: Timestamp) -> Option<Op> {
        let mark = self.0.last()?;
        Some(match mark.unseen {
            Some(at) => Op::LoadBridged(at),
            None => Op::Create { key: mark.key, record: Arc::new(Record::new(now)) },
        })
    }

    /// Whether the other system's store is asked next.
    pub(super) fn looks(&self) -> bool {
        self.0.last().is_some_and(|mark| mark.unseen.is_some())
    }

    /// Takes the answer to [`next`](Self::next). Where the other system's store fails, the mark is
    /// made all the same: a logout is to hold.
    pub(super) fn answered(&mut self, answer: &Answer) {
        let is_absent = matches!(answer, Answer::Loaded(Loaded::Absent));
        match self.0.last_mut() {
            Some(mark) if mark.unseen.is_some() && !is_absent => mark.unseen = None,
            _ => drop(self.0.pop()),
        }
    }
}
