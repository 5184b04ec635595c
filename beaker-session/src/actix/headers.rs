//! What a session adds to a response's headers: as for tower, for the types of actix-web.

use actix_web::http::header::{
    CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY,
};

use crate::core::{Outgoing, watch};
use crate::fields::{is_private, is_public, names_cookie};

pub(super) fn add(headers: &mut HeaderMap, outgoing: &Outgoing) {
    if outgoing.varies() && !names_cookie(values(headers, &VARY)) {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
    if outgoing.forbids_storing() && !is_private(values(headers, &CACHE_CONTROL)) {
        if is_public(values(headers, &CACHE_CONTROL)) {
            watch::public_cookie();
        }
        let _replaced = headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for cookie in outgoing.set_cookies() {
        // Its characters were checked when it was made.
        if let Ok(mut value) = HeaderValue::try_from(cookie) {
            value.set_sensitive(true);
            headers.append(SET_COOKIE, value);
        }
    }
}

fn values<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).map(HeaderValue::as_bytes)
}
