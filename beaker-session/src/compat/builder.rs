//! How a site's sessions become Beaker's, or read them.

use std::sync::Arc;
use std::time::Duration;

use super::record::Defaults;
use super::sealer::BeakerSealer;
use super::wire::BeakerWire;
use super::{BeakerCookie, BeakerStore, CookieSession};
use crate::config::{Bridge, Kept, Sealer};
use crate::{Builder, Error};

impl Builder {
    /// Reads Beaker's sessions where a visitor has none of ours. At the first write such a session
    /// becomes one of ours, under a new id; Beaker's record stays where it is.
    ///
    /// When such a session ends here (is deleted, invalidated or revoked), before or after it has
    /// become ours, or is renewed after that, our store keeps a mark of it for good: the old id,
    /// stolen or sent again, opens nothing here any more. In the Python program it lives on until that ends it. Sessions that
    /// are kept in cookies of ours have no place for marks.
    ///
    /// For a program that takes the place of a Python one.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a cookie that browsers would drop.
    pub fn reading_beaker(
        mut self,
        cookie: BeakerCookie,
        store: BeakerStore,
    ) -> Result<Self, Error> {
        cookie.validate()?;
        let kept = Kept::InStore(Arc::new(store.without_cookie()));
        self.bridge = Some(Bridge { wire: Arc::new(BeakerWire::shared(cookie)), kept });
        Ok(self)
    }

    /// As [`reading_beaker`](Self::reading_beaker), where Beaker keeps sessions in their cookies,
    /// signed with `validate_key`; `timeout` is Beaker's.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a cookie that browsers would drop.
    pub fn reading_beaker_cookies(
        mut self,
        cookie: BeakerCookie,
        sessions: CookieSession,
        timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        cookie.validate()?;
        let defaults = Defaults { timeout, keeps_cookie: false, ..Defaults::default() };
        let kept = Kept::InCookie(Arc::new(BeakerSealer { sessions, defaults }));
        self.bridge = Some(Bridge { wire: Arc::new(BeakerWire::shared(cookie)), kept });
        Ok(self)
    }

    /// Has the same sessions as Beaker: its cookies, its ids and its records, read and written.
    ///
    /// For a program that runs beside a Python one, for a time: ids are then in plain sight in the
    /// store, and signed with SHA-1 if at all.
    ///
    /// What Python stores beyond the [`PayloadLimits`](super::PayloadLimits) counts as damaged, and
    /// [`with_corrupt`](Self::with_corrupt) says what becomes of it: by default, which is `Fresh`, the first write gives the
    /// browser a new session under a new id (`sid`), for the Python program too.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a cookie that browsers would drop.
    pub fn as_beaker(mut self, cookie: BeakerCookie, store: BeakerStore) -> Result<Self, Error> {
        cookie.validate()?;
        self = self.with_store(store.for_cookie(&cookie));
        self.wire = Some(Arc::new(BeakerWire::shared(cookie)));
        Ok(self)
    }

    /// As [`as_beaker`](Self::as_beaker), where Beaker keeps sessions in their cookies, signed with
    /// `validate_key`; `timeout` is Beaker's.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a cookie that browsers would drop.
    pub fn as_beaker_cookies(
        mut self,
        cookie: BeakerCookie,
        sessions: CookieSession,
        timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        cookie.validate()?;
        let (path, domain) = cookie.place();
        let defaults = Defaults { timeout, path, domain, keeps_cookie: true };
        let sealer: Arc<dyn Sealer> = Arc::new(BeakerSealer { sessions, defaults });
        self.sealer = Some(sealer);
        self.wire = Some(Arc::new(BeakerWire::shared(cookie)));
        Ok(self)
    }

    /// Beaker's cookie before a store of our own.
    pub(super) fn with_beaker_cookie(mut self, cookie: BeakerCookie) -> Result<Self, Error> {
        cookie.validate()?;
        self.wire = Some(Arc::new(BeakerWire::own(cookie)));
        Ok(self)
    }
}
