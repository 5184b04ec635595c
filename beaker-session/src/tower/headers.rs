//! What a session adds to a response's headers.

use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue};

use crate::core::Outgoing;

pub(super) fn add(headers: &mut HeaderMap, outgoing: Outgoing) {
    if outgoing.varies() && !names_cookie(headers) {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
    if outgoing.forbids_storing() && !is_private(headers) {
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

/// Whether `Vary` says already that the response depends on the cookies.
fn names_cookie(headers: &HeaderMap) -> bool {
    let mut fields =
        headers.get_all(VARY).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    fields.any(|field| {
        let field = field.trim_ascii();
        field == b"*" || field.eq_ignore_ascii_case(b"cookie")
    })
}

/// Whether no shared cache may keep the response anyway.
fn is_private(headers: &HeaderMap) -> bool {
    let mut directives = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','));
    directives.any(|directive| {
        let directive = directive.trim_ascii();
        directive.eq_ignore_ascii_case(b"no-store") || directive.eq_ignore_ascii_case(b"private")
    })
}
