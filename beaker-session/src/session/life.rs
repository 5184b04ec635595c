//! Whose session it is, how long it lives, and how it ends.

use std::time::Duration;

use beaker_namespace::Timestamp;

use super::Session;
use crate::core::{Next, Open, Origin};
use crate::record::Record;
use crate::{CookieLife, Error, RecordKey, SessionId};

impl Session {
    /// The most bytes that are kept of a [label](Self::set_subject).
    pub const MAX_LABEL_BYTES: usize = 256;

    /// Goes on under a new id: to be called when a visitor logs in or gains rights, so that an id
    /// that somebody else may have planted or seen is worth nothing. All values stay.
    ///
    /// It takes effect at the end of the request: the session is stored under the new id first,
    /// and then no longer under the old one. So if that fails, or the request does, the old one is
    /// as it was.
    ///
    /// # Errors
    ///
    /// [`Entropy`](crate::ErrorKind::Entropy), and those of [the type](Self#errors).
    pub fn renew(&self) -> Result<(), Error> {
        let mut core = self.lazy().core();
        let open = core.open_mut()?;
        let config = self.lazy().sessions().config();
        open.draft.new_id = Some(SessionId::random(config.entropy.as_ref())?);
        if open.base.is_some() && open.draft.next == Next::Keep {
            open.draft.next = Next::Renew;
        }
        Ok(())
    }

    /// Ends the session, and begins a fresh one: what is put in from now on goes there, under a
    /// new id. The visitor is logged out, and can be shown a [`flash`](Self::flash).
    ///
    /// # Errors
    ///
    /// Those of [the type](Self#errors).
    pub fn invalidate(&self) -> Result<(), Error> {
        self.end(Next::Fresh)
    }

    /// Ends the session, for good: the record goes from the store, and the cookie from the
    /// browser. Changes that come after it in this request are refused.
    ///
    /// A handler that only logs a visitor out does so by [`LazySession::delete`](crate::LazySession::delete), which
    /// also ends a session that cannot be loaded because its record is damaged.
    ///
    /// # Errors
    ///
    /// Those of [the type](Self#errors).
    pub fn delete(&self) -> Result<(), Error> {
        self.end(Next::End)
    }

    fn end(&self, next: Next) -> Result<(), Error> {
        let mut core = self.lazy().core();
        core.end(next)
    }

    /// Says whose session it is, so that [`Sessions::devices`](crate::Sessions::devices) lists it
    /// and [`Sessions::revoke_all`](crate::Sessions::revoke_all) ends it. `label` tells the user's
    /// devices apart; most programs take what a browser calls itself, so of one that is longer than
    /// [`MAX_LABEL_BYTES`](Self::MAX_LABEL_BYTES) the rest is cut off.
    ///
    /// # Errors
    ///
    /// Those of [the type](Self#errors). A subject is never cut: one that is too long fails the save,
    /// with [`TooLarge`](crate::ErrorKind::TooLarge). A store that keeps no lists fails the save.
    pub fn set_subject(&self, subject: &str, label: Option<&str>) -> Result<(), Error> {
        self.change(|open| {
            let known = subject_and_label(open);
            let new = (Some(subject.to_owned()), label.map(cut).map(str::to_owned));
            if known != new {
                let settings = open.draft.settings_mut();
                settings.subject = Some(new.0);
                settings.label = Some(new.1);
            }
            Ok(())
        })
    }

    /// Sets this session's own time-outs, counted from now, instead of the configured ones; `None`
    /// is for ever.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for zero, and those of [the type](Self#errors).
    pub fn set_limits(
        &self,
        idle: Option<Duration>,
        absolute: Option<Duration>,
    ) -> Result<(), Error> {
        if idle == Some(Duration::ZERO) || absolute == Some(Duration::ZERO) {
            return Err(Error::config("a time-out of zero: use delete to end the session"));
        }
        let now = self.lazy().sessions().0.clock.now();
        self.change(|open| {
            let settings = open.draft.settings_mut();
            settings.idle = Some(idle);
            settings.absolute = Some(absolute.map(|absolute| now.saturating_add(absolute)));
            Ok(())
        })
    }

    /// Gives this session's cookie a path of its own; `None` is the configured one. The old cookie
    /// is taken from the browser.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the cookie's name forbids it, and those of
    /// [the type](Self#errors).
    pub fn set_cookie_path(&self, path: Option<&str>) -> Result<(), Error> {
        let mut core = self.lazy().core();
        let open = core.open_mut()?;
        let config = self.lazy().sessions().config();
        config.wire.may_have(path, None)?;
        open.draft.settings_mut().path = Some(path.map(str::to_owned));
        Ok(())
    }

    /// Gives this session's cookie a domain of its own; `None` is the configured one. The old
    /// cookie is taken from the browser.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the cookie's name forbids it, and those of
    /// [the type](Self#errors).
    pub fn set_cookie_domain(&self, domain: Option<&str>) -> Result<(), Error> {
        let mut core = self.lazy().core();
        let open = core.open_mut()?;
        let config = self.lazy().sessions().config();
        config.wire.may_have(None, domain)?;
        open.draft.settings_mut().domain = Some(domain.map(str::to_owned));
        Ok(())
    }

    /// Says how long the browser keeps this session's cookie; `None` is as
    /// [configured](crate::CookieConfig::with_life). So a site can remember the visitors who ask
    /// for it, and forget the others with their browsers. How long the session lives is said by
    /// [`set_limits`](Self::set_limits); a cookie of
    /// [`CookieLife::Session`](crate::CookieLife::Session) ends with it.
    ///
    /// It is kept with the session: later cookies, and those after a renewal, are like this one.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for Beaker's own cookies, and those of
    /// [the type](Self#errors).
    pub fn set_cookie_life(&self, life: Option<CookieLife>) -> Result<(), Error> {
        let mut core = self.lazy().core();
        let open = core.open_mut()?;
        self.lazy().sessions().config().wire.may_last(life)?;
        open.draft.settings_mut().life = Some(life);
        Ok(())
    }

    /// Where the session comes from.
    pub fn origin(&self) -> Origin {
        self.read(|open| open.map_or(Origin::New, |open| open.origin))
    }

    /// Whether it is not stored yet.
    pub fn is_new(&self) -> bool {
        self.read(|open| open.is_none_or(|open| open.base.is_none()))
    }

    /// The id under which it is stored: as secret as a password.
    pub fn id(&self) -> Option<SessionId> {
        self.read(|open| open.and_then(|open| open.base.as_ref().and(open.id)))
    }

    /// The name under which the store has it; not secret.
    pub fn key(&self) -> Option<RecordKey> {
        self.id().map(|id| self.lazy().sessions().0.config.wire.key(&id))
    }

    /// When it was made; `None` if it is not stored yet.
    pub fn created(&self) -> Option<Timestamp> {
        self.read(|open| open.and_then(Open::record).map(Record::created))
    }

    /// When it was last used before this request, as exactly as the access policy notes it; `None`
    /// for a new one.
    pub fn last_accessed(&self) -> Option<Timestamp> {
        self.read(|open| open.and_then(|open| open.last_accessed))
    }

    /// When it ends if it is not used again; `None` if it is not stored yet.
    pub fn expires(&self) -> Option<Timestamp> {
        self.read(|open| {
            let base = open.and_then(|open| open.base.as_ref())?;
            Some(base.record.expires(base.accessed))
        })
    }

    /// Whose session it is, as [`set_subject`](Self::set_subject) said.
    pub fn subject(&self) -> Option<String> {
        self.read(|open| open.and_then(|open| subject_and_label(open).0))
    }
}

/// As much of `label` as is kept, in whole characters.
fn cut(label: &str) -> &str {
    let end = label.floor_char_boundary(Session::MAX_LABEL_BYTES);
    &label[..end]
}

fn subject_and_label(open: &Open) -> (Option<String>, Option<String>) {
    let record = open.record().filter(|_| !open.draft.next.ends());
    let stored = (
        record.and_then(Record::subject).map(str::to_owned),
        record.and_then(Record::label).map(str::to_owned),
    );
    let settings = open.draft.settings.as_deref();
    let subject = settings.and_then(|settings| settings.subject.clone());
    let label = settings.and_then(|settings| settings.label.clone());
    (subject.unwrap_or(stored.0), label.unwrap_or(stored.1))
}
