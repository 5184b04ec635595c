//! What a request wants of its session, until it is saved.

use std::time::Duration;

use beaker_namespace::Timestamp;

use crate::data::{Changes, Values};
use crate::record::{Fields, Record};
use crate::{CookieLife, SessionId};

/// What becomes of the session as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Next {
    /// It stays under its id.
    #[default]
    Keep,
    /// It goes on under a new id.
    Renew,
    /// It ends, and what is changed from now on begins another one.
    Fresh,
    /// It ends.
    End,
}

impl Next {
    pub(crate) fn ends(self) -> bool {
        matches!(self, Self::Fresh | Self::End)
    }
}

/// Changes of what is not a value. `None` is no change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) idle: Option<Option<Duration>>,
    pub(crate) absolute: Option<Option<Timestamp>>,
    pub(crate) path: Option<Option<String>>,
    pub(crate) domain: Option<Option<String>>,
    pub(crate) life: Option<Option<CookieLife>>,
    pub(crate) subject: Option<Option<String>>,
    pub(crate) label: Option<Option<String>>,
}

impl Settings {
    pub(crate) fn has_limits(&self) -> bool {
        self.idle.is_some() || self.absolute.is_some()
    }

    fn apply(&self, record: &mut Record) {
        if let Some(idle) = self.idle {
            record.idle = idle;
        }
        if let Some(absolute) = self.absolute {
            record.absolute = absolute;
        }
        if let Some(life) = self.life {
            record.own.edit().life = life;
        }
        let texts = [&self.path, &self.domain, &self.subject, &self.label];
        if texts.iter().all(|change| change.is_none()) {
            return;
        }
        let Fields { path, domain, subject, label, .. } = record.own.edit();
        for (change, field) in texts.into_iter().zip([path, domain, subject, label]) {
            if let Some(change) = change {
                field.clone_from(change);
            }
        }
    }

    fn then(self, later: Self) -> Self {
        Self {
            idle: later.idle.or(self.idle),
            absolute: later.absolute.or(self.absolute),
            path: later.path.or(self.path),
            domain: later.domain.or(self.domain),
            life: later.life.or(self.life),
            subject: later.subject.or(self.subject),
            label: later.label.or(self.label),
        }
    }
}

/// All that one save is to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) changes: Changes,
    /// Few requests change any.
    pub(crate) settings: Option<Box<Settings>>,
    pub(crate) next: Next,
    /// The id that a new or renewed session gets, if it was needed early.
    pub(crate) new_id: Option<SessionId>,
    /// Whether a new session is stored even if it has no values.
    pub(crate) needed: bool,
}

impl Draft {
    pub(crate) fn is_dirty(&self) -> bool {
        !self.changes.is_empty() || self.settings.is_some() || self.needed
    }

    /// Whether a new session, that would be `blank` without it, is not worth a record: what was put in
    /// has gone again, and nothing else is said of it.
    pub(crate) fn comes_to_nothing(&self, blank: &Record) -> bool {
        let changes_blank = |settings: &Settings| {
            let mut record = blank.clone();
            settings.apply(&mut record);
            record != *blank
        };
        !self.needed
            && self.changes.leave_nothing()
            && !self.settings.as_deref().is_some_and(changes_blank)
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        self.settings.get_or_insert_default()
    }

    /// Makes the changes in `record`, as of `now`.
    pub(crate) fn apply_to(&self, record: &mut Record, now: Timestamp) {
        record.written = now;
        self.changes.apply_to(&mut record.values);
        if let Some(settings) = &self.settings {
            settings.apply(record);
        }
    }

    /// What was to be saved and could not be, and what came after it.
    pub(crate) fn then(self, later: Self, base: &Values) -> Self {
        if later.next.ends() {
            return later;
        }
        Self {
            changes: self.changes.then(later.changes, base),
            settings: match (self.settings, later.settings) {
                (Some(first), Some(later)) => Some(Box::new(first.then(*later))),
                (first, later) => later.or(first),
            },
            next: if later.next == Next::Keep { self.next } else { later.next },
            new_id: later.new_id.or(self.new_id),
            needed: self.needed || later.needed,
        }
    }
}
