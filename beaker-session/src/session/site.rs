//! Where a request came from, and which ones are refused for it.

/// Where a request came from, as its browser says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// From this site's own pages, or typed in by the user.
    Same,
    /// From another site: refuse it where it changes something.
    Cross,
    /// The browser is too old to say, or it is none; look at the token.
    Unknown,
}

/// Tells where a request came from, by its `Sec-Fetch-Site` and `Origin` headers, and the host and
/// port that it was sent to (`Host`). Scripts cannot set these.
///
/// Where there is no `Sec-Fetch-Site`, as on plain http, the scheme of `Origin` is not looked at.
///
/// # Examples
///
/// ```
/// use beaker_session::{Site, site_of};
///
/// assert_eq!(site_of(Some("cross-site"), None, "example.org"), Site::Cross);
/// assert_eq!(site_of(None, Some("https://example.org"), "example.org"), Site::Same);
/// assert_eq!(site_of(None, None, "example.org"), Site::Unknown);
/// ```
pub fn site_of(sec_fetch_site: Option<&str>, origin: Option<&str>, host: &str) -> Site {
    match (sec_fetch_site, origin) {
        (Some("same-origin" | "none"), _) => Site::Same,
        (Some(_), _) => Site::Cross,
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_scheme, authority)| authority);
            if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
                Site::Same
            } else {
                Site::Cross
            }
        }
        (None, None) => Site::Unknown,
    }
}

/// Which requests are refused for where they came from, so that another site's page cannot act as
/// its visitor (CSRF). Beside the [token](crate::Session::csrf_token) of a form, not in its place.
///
/// Requests that change nothing by their method (GET, HEAD, OPTIONS, TRACE) are never refused:
/// links from other sites are to work. A websocket begins with a GET: look at [`site_of`] there.
/// Other hosts of the same domain are other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SitePolicy {
    /// None. The default: a service that is called by other sites' pages on purpose is not broken.
    Any,
    /// Those that say that they came from another site. Programs and very old browsers say
    /// nothing, and are let through: programs carry no visitor's cookies.
    NotCross,
    /// Those that do not say that they came from this site.
    SameOnly,
}

impl SitePolicy {
    /// Whether a request with this method, such as `POST`, may come from there.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_session::{Site, SitePolicy};
    ///
    /// assert!(!SitePolicy::NotCross.admits("POST", Site::Cross));
    /// assert!(SitePolicy::NotCross.admits("GET", Site::Cross));
    /// assert!(!SitePolicy::SameOnly.admits("POST", Site::Unknown));
    /// ```
    pub fn admits(self, method: &str, site: Site) -> bool {
        let changes_nothing = matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        changes_nothing
            || match self {
                Self::Any => true,
                Self::NotCross => site != Site::Cross,
                Self::SameOnly => site == Site::Same,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "example.org";

    #[test]
    fn the_browser_s_own_word_counts_more_than_the_origin() {
        let says = |site| site_of(Some(site), Some("https://example.org"), HOST);
        assert_eq!(says("same-origin"), Site::Same);
        assert_eq!(says("none"), Site::Same, "typed in, or a bookmark");
        for other in ["same-site", "cross-site", "", "Same-Origin", "same-origin, cross-site"] {
            assert_eq!(says(other), Site::Cross, "{other}");
        }
        assert_eq!(site_of(Some("same-origin"), Some("https://evil.example"), HOST), Site::Same);
    }

    #[test]
    fn without_it_the_origin_must_be_this_host_and_port() {
        let from = |origin, host| site_of(None, Some(origin), host);
        assert_eq!(from("https://example.org", HOST), Site::Same);
        assert_eq!(from("https://EXAMPLE.org", HOST), Site::Same);
        assert_eq!(from("https://example.org:8443", "example.org:8443"), Site::Same);
        assert_eq!(from("http://example.org", HOST), Site::Same, "the scheme is not looked at");
        for other in [
            "null",
            "",
            "example.org",
            "https://example.org:8443",
            "https://sub.example.org",
            "https://example.org.evil.example",
            "https://example.org@evil.example",
            "https://evil.example/https://example.org",
        ] {
            assert_eq!(from(other, HOST), Site::Cross, "{other}");
        }
        assert_eq!(from("https://", ""), Site::Same, "the layers take no empty host");
    }

    #[test]
    fn a_policy_refuses_what_changes_something_and_comes_from_elsewhere() {
        let admitted = |policy: SitePolicy, method| {
            [Site::Same, Site::Unknown, Site::Cross].map(|site| policy.admits(method, site))
        };
        for method in ["POST", "PUT", "PATCH", "DELETE", "get", "PROPFIND"] {
            assert_eq!(admitted(SitePolicy::Any, method), [true, true, true], "{method}");
            assert_eq!(admitted(SitePolicy::NotCross, method), [true, true, false], "{method}");
            assert_eq!(admitted(SitePolicy::SameOnly, method), [true, false, false], "{method}");
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert_eq!(admitted(SitePolicy::SameOnly, method), [true, true, true], "{method}");
        }
    }
}
