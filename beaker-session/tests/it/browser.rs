//! A browser, as far as cookies go.

use std::collections::BTreeMap;

use beaker_session::{Error, LazySession, Outgoing, Session, Sessions};

/// Keeps what it is sent and sends it back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
    /// The `Set-Cookie` headers of the last response.
    pub(crate) received: Vec<String>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One that sends `header`.
    pub(crate) fn with(header: &str) -> Self {
        let mut browser = Self::new();
        for pair in header.split("; ").filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            browser.cookies.insert(name.to_owned(), value.to_owned());
        }
        browser
    }

    pub(crate) fn header(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    pub(crate) fn begin(&self, sessions: &Sessions) -> LazySession {
        let header = self.header();
        sessions.begin((!header.is_empty()).then_some(header.as_bytes()))
    }

    /// One request that uses its session, from the cookie to the response's headers.
    pub(crate) fn visit<R>(
        &mut self,
        sessions: &Sessions,
        handle: impl FnOnce(&Session) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let request = self.begin(sessions);
        let result = handle(&request.load()?);
        self.receive(&request.commit()?);
        result
    }

    pub(crate) fn receive(&mut self, outgoing: &Outgoing) {
        self.received = outgoing.set_cookies().map(str::to_owned).collect();
        for cookie in &self.received {
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            // Beaker's removals have an empty value and a date in the past.
            if attributes.contains("Max-Age=0;") || value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// What the session of this browser has under `key`, without using up anything.
    pub(crate) fn sees(&self, sessions: &Sessions, key: &str) -> Option<serde_json::Value> {
        self.begin(sessions).load().unwrap().get(key).unwrap()
    }
}
