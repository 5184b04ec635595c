//! What both programs have in front of them, and our requests by it.

use std::collections::BTreeMap;

use beaker_session::Sessions;
use beaker_session::compat::BeakerId;

/// What a browser keeps of cookies, by name.
#[derive(Default, Clone)]
pub(in crate::compat) struct Browser(pub(super) BTreeMap<String, String>);

impl Browser {
    pub(super) fn take(&mut self, set_cookie: &str) {
        let (pair, attributes) = set_cookie.split_once(';').unwrap_or((set_cookie, ""));
        let (name, value) = pair.split_once('=').expect("a pair");
        // The end of a cookie that is kept is in 2038, that of one that is removed long ago.
        let is_removed = attributes.contains("Max-Age=0")
            || attributes.contains("expires=") && !attributes.contains("2038");
        if is_removed {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    pub(in crate::compat) fn header(&self) -> String {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// The id in the signed cookie.
    pub(in crate::compat) fn id(&self) -> BeakerId {
        BeakerId::parse(&self.0["sid"][40..]).expect("an id behind its signature")
    }
}

/// One request of ours.
pub(in crate::compat) fn request<T>(
    sessions: &Sessions,
    browser: &mut Browser,
    work: impl FnOnce(&beaker_session::Session) -> T,
) -> T {
    let header = browser.header();
    let lazy = sessions.begin([header.as_bytes()]);
    let answer = work(&lazy.load().expect("it loads"));
    let outgoing = lazy.commit().expect("it is stored");
    outgoing.set_cookies().for_each(|cookie| browser.take(cookie));
    answer
}

pub(in crate::compat) fn user(sessions: &Sessions, browser: &mut Browser) -> Option<String> {
    request(sessions, browser, |session| session.get("user").expect("a text"))
}

pub(in crate::compat) fn login(sessions: &Sessions, browser: &mut Browser, user: &str) {
    request(sessions, browser, |session| {
        session.renew().expect("it is renewed");
        session.insert("user", user).expect("it is put in");
    });
}

pub(in crate::compat) fn logout(sessions: &Sessions, browser: &mut Browser) {
    request(sessions, browser, |session| session.delete().expect("it ends"));
}
