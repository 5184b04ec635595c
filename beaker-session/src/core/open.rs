//! A loaded session and what its request does to it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use beaker_namespace::Timestamp;
use serde_json::Value;

use super::{Draft, Next};
use crate::config::Config;
use crate::data::{Change, Migration, Values};
use crate::record::{Own, Record, Stored};
use crate::{Error, ErrorKind, SessionId};

static EMPTY: Values = Values::new();

/// Where a request's session comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The request had no cookie of ours: a new visitor.
    New,
    /// The cookie's session was found.
    Known,
    /// There was a cookie, and its session is over, or it was none of ours.
    Unknown,
    /// The session was renewed by another request a moment ago; the browser's next one will know.
    Renewed,
    /// The session's record could not be read back.
    Corrupt,
    /// It is another system's session, found through the bridge.
    Bridged,
    /// The store could not be reached, and the policy is to treat the visitor as one without a
    /// session.
    Unreachable,
}

/// A session that was looked into.
pub(crate) struct Open {
    pub(crate) origin: Origin,
    /// The id under which `base` is stored.
    pub(crate) id: Option<SessionId>,
    /// What is stored; `None` for a new session.
    pub(crate) base: Option<Stored>,
    /// What a logout ends besides.
    pub(crate) ends: Vec<SessionId>,
    /// Another system's session, which is to become one of ours at the first write.
    pub(crate) bridged: Option<Arc<Record>>,
    /// When it was used before this request.
    pub(crate) last_accessed: Option<Timestamp>,
    /// Whether the store knows of this request's use of it.
    pub(crate) noted: bool,
    pub(crate) draft: Draft,
    /// What a save that is under way is to store. In a box: of a session in memory there is hardly ever one.
    pub(crate) saving: Option<Box<Draft>>,
    /// Whether the cookie is to be sent anew, for its key's sake.
    pub(crate) reissue: bool,
    /// Whether another request has ended it.
    pub(crate) ended: bool,
    /// The epoch of a cookie-only session's subject.
    pub(crate) epoch: Option<u64>,
}

impl Open {
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            origin,
            id: None,
            base: None,
            ends: Vec::new(),
            bridged: None,
            last_accessed: None,
            noted: false,
            draft: Draft::default(),
            saving: None,
            reissue: false,
            ended: false,
            epoch: None,
        }
    }

    pub(crate) fn known(origin: Origin, id: SessionId, base: Stored) -> Self {
        let last_accessed = Some(base.accessed);
        Self { id: Some(id), base: Some(base), last_accessed, ..Self::new(origin) }
    }

    /// The stored values that the changes are made on.
    fn ground(&self) -> &Values {
        let saving = self.saving.as_ref().is_some_and(|saving| saving.next.ends());
        if saving || self.draft.next.ends() {
            return &EMPTY;
        }
        self.record().map_or(&EMPTY, |record| &record.values)
    }

    /// The record that the session was loaded from.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.base.as_ref().map(|base| &base.record).or(self.bridged.as_ref()).map(Arc::as_ref)
    }

    /// The id of the damaged record in whose place it goes on.
    pub(super) fn damaged_id(&self) -> Option<SessionId> {
        self.id.filter(|_| self.base.is_none() && self.bridged.is_some())
    }

    /// What is being saved, unless this request has done away with it since.
    fn below(&self) -> Option<&Draft> {
        self.saving.as_deref().filter(|_| !self.draft.next.ends())
    }

    /// Whether a migration is among what is changed or saved.
    pub(crate) fn migrates(&self) -> bool {
        self.draft.changes.migrates() || self.below().is_some_and(|draft| draft.changes.migrates())
    }

    pub(crate) fn get(&self, key: &str) -> Option<Cow<'_, Value>> {
        if self.migrates() {
            return self.values().get(key).cloned().map(Cow::Owned);
        }
        let stored = self.ground().get(key).map(Cow::Borrowed);
        let below = match self.below() {
            Some(saving) => saving.changes.view(key, stored),
            None => stored,
        };
        self.draft.changes.view(key, below)
    }

    /// All values.
    pub(crate) fn values(&self) -> Values {
        let mut values = self.values_below();
        self.draft.changes.apply_to(&mut values);
        values
    }

    /// The values without what was changed since the last save began.
    fn values_below(&self) -> Values {
        let mut values = self.ground().clone();
        if let Some(saving) = self.below() {
            saving.changes.apply_to(&mut values);
        }
        values
    }

    /// Brings the values to the layout of `migration`. It says whether they are those that it was made for.
    pub(crate) fn migrate(&mut self, migration: &Migration) -> bool {
        let values = self.values();
        if !migration.has_seen(&values) {
            return false;
        }
        if migration.is_due(&values) {
            self.draft.changes.migrate(migration.clone());
        }
        true
    }

    pub(crate) fn change(&mut self, key: &str, change: Change) {
        let again = self.draft.changes.touches(key);
        let before = again.then(|| self.get(key).map(Cow::into_owned)).flatten();
        self.draft.changes.record(key, before.as_ref(), change);
    }

    pub(crate) fn clear(&mut self) {
        let (below, after) = (self.values_below(), self.values());
        self.draft.changes.clear(&below, &after);
    }

    /// Drops what was changed since the session was loaded or last saved.
    pub(crate) fn revert(&mut self) {
        self.draft = Draft::default();
    }

    /// Drops what a failed request has changed; the end of a session holds.
    pub(super) fn discard(&mut self) {
        let ends = self.draft.next.ends();
        self.draft = Draft::default();
        if ends {
            self.draft.next = Next::End;
        }
    }

    pub(super) fn may_change(&self, operation: &'static str) -> Result<(), Error> {
        match self.origin {
            Origin::Unreachable => Err(Error::new(ErrorKind::Unavailable, operation)),
            _ if self.ended || self.draft.next == Next::End => {
                Err(Error::new(ErrorKind::Ended, operation))
            }
            Origin::Renewed if !self.draft.next.ends() => {
                Err(Error::new(ErrorKind::Ended, operation))
            }
            _ => Ok(()),
        }
    }

    /// A record for a new session.
    pub(super) fn blank(&self, config: &Config, now: Timestamp) -> Record {
        let absolute = config.absolute.map(|absolute| now.saturating_add(absolute));
        let blank = Record::new(now).with_limits(config.idle, absolute);
        match &self.bridged {
            Some(bridged) if !self.saving.as_ref().is_some_and(|saving| saving.next.ends()) => {
                let created = bridged.created.min(now);
                let mut record = Record { created, values: bridged.values.clone(), ..blank };
                if bridged.own.bridged.is_some() {
                    record.own.edit().bridged = bridged.own.bridged;
                }
                record
            }
            _ => blank,
        }
    }

    /// Whether what is being saved, of a session that would begin as `blank`, needs no record. One that
    /// goes on from another system's begins with values.
    pub(super) fn comes_to_nothing(&self, blank: &Record) -> bool {
        let begins_empty = blank.values.len() == 0 && blank.own == Own::new();
        begins_empty && self.saving.as_ref().is_some_and(|saving| saving.comes_to_nothing(blank))
    }

    /// What is being saved, on `base`.
    pub(super) fn draft_record(&self, base: &Record, now: Timestamp) -> Record {
        let mut record = base.clone();
        if let Some(saving) = &self.saving {
            saving.apply_to(&mut record, now);
        }
        record
    }

    /// The id that the session will have after this request, as far as it is known.
    pub(crate) fn coming_id(&self) -> Option<SessionId> {
        match self.draft.next {
            Next::Keep => self.base.as_ref().and(self.id).or(self.draft.new_id),
            Next::Renew | Next::Fresh | Next::End => self.draft.new_id,
        }
    }

    pub(super) fn new_id(&self) -> Option<SessionId> {
        self.saving.as_ref().and_then(|saving| saving.new_id)
    }

    pub(super) fn set_new_id(&mut self, id: Option<SessionId>) {
        if let Some(saving) = &mut self.saving {
            saving.new_id = id;
        }
    }

    pub(super) fn begin_saving(&mut self) {
        self.saving_failed();
        self.saving = Some(Box::new(std::mem::take(&mut self.draft)));
    }

    /// Puts back what was to be saved, below what was changed since.
    pub(super) fn saving_failed(&mut self) {
        if let Some(saving) = self.saving.take() {
            let base = self.record().map(|record| record.values.clone()).unwrap_or_default();
            self.draft = saving.then(std::mem::take(&mut self.draft), &base);
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("origin", &self.origin)
            .field("base", &self.base)
            .field("changes", &self.draft.changes.len())
            .field("next", &self.draft.next)
            .finish_non_exhaustive()
    }
}
