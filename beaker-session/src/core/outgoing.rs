//! What a session adds to its response.

use std::fmt;

use beaker_namespace::Timestamp;

use crate::config::{Attributes, Config};
use crate::record::Record;
use crate::{Error, ErrorKind};

/// The headers that a session adds to its response.
///
/// `Debug` does not show the cookies.
#[derive(Default)]
pub struct Outgoing {
    cookies: Vec<Header>,
    accessed: bool,
    silent: bool,
}

struct Header {
    path: Option<String>,
    domain: Option<String>,
    text: String,
}

impl Outgoing {
    /// For a session that is used apart from a browser.
    pub(super) fn without_cookies() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// The values of the `Set-Cookie` headers. Each is a header of its own.
    pub fn set_cookies(&self) -> impl ExactSizeIterator<Item = &str> {
        self.cookies.iter().map(|header| header.text.as_str())
    }

    /// As [`set_cookies`](Self::set_cookies), to be kept.
    pub fn into_set_cookies(self) -> impl ExactSizeIterator<Item = String> {
        self.cookies.into_iter().map(|header| header.text)
    }

    /// Whether the response may depend on the session, so that it needs `Vary: Cookie`.
    pub fn varies(&self) -> bool {
        self.accessed
    }

    /// Whether no cache may keep the response, since it sets a cookie: `Cache-Control: no-store`.
    pub fn forbids_storing(&self) -> bool {
        !self.cookies.is_empty()
    }

    pub(super) fn mark_accessed(&mut self) {
        self.accessed = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// Gives the browser `value` for the session in `record`, which was last used at `accessed`.
    pub(super) fn set(
        &mut self,
        config: &Config,
        record: &Record,
        accessed: Timestamp,
        value: String,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (path, domain) = record.cookie_place();
        let end = record.expires(accessed);
        let life = (!end.is_never()).then(|| end.saturating_duration_since(now));
        let own_life = record.cookie_life();
        let attributes = Attributes { path, domain, life, own_life, now };
        let text = config.wire.set(value, &attributes).map_err(|error| named(error, record))?;
        self.push(path, domain, text);
        Ok(())
    }

    /// Adds a cookie in place of an earlier one that the browser would take for the same.
    pub(super) fn push(&mut self, path: Option<&str>, domain: Option<&str>, text: String) {
        if self.silent {
            return;
        }
        let name = |text: &str| text.split('=').next().map(str::to_owned);
        self.cookies.retain(|header| {
            header.path.as_deref() != path
                || header.domain.as_deref() != domain
                || name(&header.text) != name(&text)
        });
        let (path, domain) = (path.map(str::to_owned), domain.map(str::to_owned));
        self.cookies.push(Header { path, domain, text });
    }
}

/// Says what to take out of a session that does not fit.
fn named(error: Error, record: &Record) -> Error {
    match record.largest() {
        Some((largest, bytes)) if error.kind() == ErrorKind::TooLarge => {
            let detail = format!("{error}; the largest part, {largest}, takes about {bytes}");
            Error::new(ErrorKind::TooLarge, "save session").with_detail(detail)
        }
        _ => error,
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("cookies", &self.cookies.len())
            .field("accessed", &self.accessed)
            .finish_non_exhaustive()
    }
}
