//! What responses carry, in the terms of any HTTP library.

use crate::{Error, ErrorKind, SitePolicy, site_of};

/// Whether a request may come from where it says; a header that is no text is empty.
pub(crate) fn is_admitted(
    policy: SitePolicy,
    method: &str,
    sec_fetch_site: Option<&str>,
    origin: Option<&str>,
    host: Option<&str>,
) -> bool {
    // A request that was sent to no host is of no site.
    let origin =
        origin.map(|origin| if host.is_some_and(|host| !host.is_empty()) { origin } else { "" });
    policy.admits(method, site_of(sec_fetch_site, origin, host.unwrap_or_default()))
}

/// Whether `Vary` says already that the response depends on the cookies.
pub(crate) fn names_cookie<'v>(vary: impl Iterator<Item = &'v [u8]>) -> bool {
    members(vary).any(|field| field == b"*" || field.eq_ignore_ascii_case(b"cookie"))
}

/// Whether `Cache-Control` keeps the response out of shared caches anyway.
pub(crate) fn is_private<'v>(cache_control: impl Iterator<Item = &'v [u8]>) -> bool {
    // `private="Set-Cookie"` is of one field alone, and caches differ in what they make of it.
    members(cache_control).any(|directive| {
        directive.eq_ignore_ascii_case(b"no-store") || directive.eq_ignore_ascii_case(b"private")
    })
}

/// Whether `Cache-Control` asks shared caches to keep the response.
pub(crate) fn is_public<'v>(cache_control: impl Iterator<Item = &'v [u8]>) -> bool {
    members(cache_control).any(|directive| {
        // `s-maxage` is for shared caches alone.
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage")
    })
}

fn members<'v>(values: impl Iterator<Item = &'v [u8]>) -> impl Iterator<Item = &'v [u8]> {
    values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// The status by which a client is told of a session that could not be loaded, used or saved.
pub(crate) fn status_of(error: &Error) -> u16 {
    match error.kind() {
        // Repeated later, it may.
        ErrorKind::Unavailable | ErrorKind::Busy => 503,
        // Repeated with the current cookie, the request may succeed.
        ErrorKind::Conflict | ErrorKind::Ended => 409,
        ErrorKind::Rejected => 403,
        ErrorKind::NotAdmitted => 429,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'v>(values: &'v [&'v str]) -> impl Iterator<Item = &'v [u8]> {
        values.iter().map(|value| value.as_bytes())
    }

    #[test]
    fn vary_names_the_cookie_in_any_line_and_case_and_a_star_names_all() {
        assert!(names_cookie(of(&["Accept, COOKIE"])));
        assert!(names_cookie(of(&["Accept", "cookie"])));
        assert!(names_cookie(of(&["*"])));
        assert!(!names_cookie(of(&["Accept, X-Cookie", "Set-Cookie"])));
        assert!(!names_cookie(of(&[])));
    }

    #[test]
    fn only_a_whole_response_is_private() {
        assert!(is_private(of(&["max-age=60, Private"])));
        assert!(is_private(of(&["no-store"])));
        assert!(!is_private(of(&["public, max-age=60"])));
        assert!(!is_private(of(&["private=\"Set-Cookie\""])));
        assert!(!is_private(of(&["no-cache"])));
    }

    #[test]
    fn public_is_what_shared_caches_may_keep() {
        assert!(is_public(of(&["max-age=60, Public"])));
        assert!(is_public(of(&["max-age=60", "s-maxage=600"])));
        assert!(!is_public(of(&["max-age=60"])));
        assert!(!is_public(of(&["private, x-public=1"])));
    }
}
