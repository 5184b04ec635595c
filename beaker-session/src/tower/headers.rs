//! What a session adds to a response's headers.

use http::header::{CACHE_CONTROL, Entry, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::core::{Outgoing, watch};
use crate::fields::{is_private, is_public, names_cookie};

pub(super) fn add(headers: &mut HeaderMap, outgoing: Outgoing) {
    if outgoing.varies() {
        // One search where the service has set none, as most do.
        match headers.entry(VARY) {
            Entry::Vacant(vacant) => drop(vacant.insert(HeaderValue::from_static("Cookie"))),
            Entry::Occupied(mut vary) if !names_cookie(vary.iter().map(HeaderValue::as_bytes)) => {
                vary.append(HeaderValue::from_static("Cookie"));
            }
            Entry::Occupied(_) => {}
        }
    }
    if outgoing.forbids_storing() && !is_private(values(headers, &CACHE_CONTROL)) {
        if is_public(values(headers, &CACHE_CONTROL)) {
            watch::public_cookie();
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for cookie in outgoing.into_set_cookies() {
        // Its characters were checked when it was made.
        if let Ok(mut value) = HeaderValue::try_from(cookie) {
            value.set_sensitive(true);
            headers.append(SET_COOKIE, value);
        }
    }
}

fn values<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes)
}
