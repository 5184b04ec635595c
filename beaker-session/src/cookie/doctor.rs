//! What a browser makes of a `Set-Cookie` header, for whoever looks for a session that does not
//! stay.
//
// After RFC 6265bis. What browsers do beyond it is said where it matters.

use std::fmt;

use super::{MAX_ATTRIBUTE_BYTES, MAX_COOKIE_BYTES};

/// Where browsers cap the life of a cookie: 400 days.
const MAX_AGE_SECONDS: i64 = 400 * 24 * 60 * 60;

/// Why a browser drops a cookie, or does not send it back as one may expect. It names no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CookieTrouble {
    /// The header has neither a name nor a value, or the page's address is none.
    Unreadable,
    /// Name and value have more than 4,096 bytes together: dropped.
    TooLarge,
    /// There is a control character in it: dropped.
    ControlCharacter,
    /// It is `Secure`, and the page came over plain http: dropped.
    SecureOverHttp,
    /// It is `Secure`, and the page came over plain http from this machine: some browsers keep it,
    /// Safari drops it.
    SecureOnLocalhost,
    /// Its name begins with `__Secure-`, and it is not `Secure`: dropped.
    SecurePrefix,
    /// Its name begins with `__Host-`, and it is not `Secure`, has a `Domain`, or has not `Path=/`:
    /// dropped.
    HostPrefix,
    /// It is `SameSite=None` and not `Secure`: dropped.
    SameSiteNoneInsecure,
    /// It is `Partitioned` and not `Secure`: dropped.
    PartitionedInsecure,
    /// Its `Domain` is not the page's host or above it: dropped.
    ForeignDomain,
    /// Its `Domain` is one under which anybody may have a host, such as `com`: dropped.
    PublicDomain,
    /// An attribute has more than 1,024 bytes: that attribute is ignored.
    AttributeTooLong,
    /// It lives longer than 400 days: cut to that.
    LifeCapped,
    /// It says that it has ended: the browser forgets the one that it had.
    Removal,
    /// It is kept, and not sent with requests for this page: its `Path` is another one.
    OtherPath,
    /// It is kept, and sent by this site's own requests and links only: `SameSite=Strict` keeps it
    /// back also when a link on another site leads here.
    StrictFromElsewhere,
}

impl CookieTrouble {
    /// Whether the browser does not keep the cookie.
    pub fn is_dropped(self) -> bool {
        !matches!(
            self,
            Self::SecureOnLocalhost
                | Self::AttributeTooLong
                | Self::LifeCapped
                | Self::Removal
                | Self::OtherPath
                | Self::StrictFromElsewhere
        )
    }
}

impl fmt::Display for CookieTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "it is no cookie, or the page's address is none",
            Self::TooLarge => "name and value have more than 4,096 bytes: it is dropped",
            Self::ControlCharacter => "it has a control character: it is dropped",
            Self::SecureOverHttp => {
                "it is Secure and the page came over plain http: it is dropped; serve https, or \
                 for development use CookieConfig::insecure_for_development"
            }
            Self::SecureOnLocalhost => {
                "it is Secure and the page came over plain http from this machine: Safari drops \
                 it; for development use CookieConfig::insecure_for_development"
            }
            Self::SecurePrefix => "a name with __Secure- needs Secure: it is dropped",
            Self::HostPrefix => {
                "a name with __Host- needs Secure, Path=/ and no Domain: it is dropped"
            }
            Self::SameSiteNoneInsecure => "SameSite=None needs Secure: it is dropped",
            Self::PartitionedInsecure => "Partitioned needs Secure: it is dropped",
            Self::ForeignDomain => "its Domain is not the page's host or above it: it is dropped",
            Self::PublicDomain => "its Domain is open to anybody's hosts: it is dropped",
            Self::AttributeTooLong => "an attribute has more than 1,024 bytes and is ignored",
            Self::LifeCapped => "its life is cut to 400 days",
            Self::Removal => "it has ended: the browser forgets it",
            Self::OtherPath => "its Path keeps it from being sent to this page",
            Self::StrictFromElsewhere => "it is not sent when a link on another site leads here",
        })
    }
}

/// Tells what a browser finds wrong with a `Set-Cookie` header of the page at `url`: nothing, if it
/// keeps the cookie and sends it back to this page.
///
/// For development and tests: it knows the rules, not the list of public domains or what a user has
/// blocked.
///
/// # Examples
///
/// ```
/// use beaker_session::{CookieTrouble, diagnose};
///
/// let cookie = "__Host-id=v; Path=/; Secure; HttpOnly; SameSite=Lax";
/// assert!(diagnose(cookie, "https://example.org/cart").is_empty());
/// let over_http = diagnose(cookie, "http://example.org/cart");
/// assert_eq!(over_http, [CookieTrouble::SecureOverHttp]);
/// assert!(over_http[0].is_dropped());
/// println!("{}", over_http[0]);
/// ```
pub fn diagnose(set_cookie: &str, url: &str) -> Vec<CookieTrouble> {
    let (Some(page), Some(cookie)) = (Page::of(url), Read::of(set_cookie)) else {
        return vec![CookieTrouble::Unreadable];
    };
    let mut found = Vec::new();
    for (is_so, trouble) in cookie.troubles(set_cookie, &page) {
        if is_so {
            found.push(trouble);
        }
    }
    found
}

struct Page<'a> {
    is_https: bool,
    host: &'a str,
    path: &'a str,
}

impl<'a> Page<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_user, host)| host);
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let path = after.split(['?', '#']).next().unwrap_or_default();
        let path = if path.is_empty() { "/" } else { path };
        (!host.is_empty()).then_some(Self { is_https, host, path })
    }

    fn is_this_machine(&self) -> bool {
        let host = self.host.to_ascii_lowercase();
        host == "localhost"
            || host.ends_with(".localhost")
            || host == "[::1]"
            || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    fn is_address(&self) -> bool {
        self.host.starts_with('[') || self.host.parse::<std::net::Ipv4Addr>().is_ok()
    }

    /// Whether `domain` is this host, or one above it.
    fn is_below(&self, domain: &str) -> bool {
        let host = self.host.to_ascii_lowercase();
        let above = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        host == domain || above && !self.is_address()
    }

    fn is_at(&self, path: &str) -> bool {
        self.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
    }
}

/// A cookie as a browser reads it: of attributes that are there twice, the last counts.
#[derive(Default)]
struct Read<'a> {
    name: &'a str,
    value: &'a str,
    domain: Option<String>,
    path: Option<&'a str>,
    max_age: Option<i64>,
    same_site: &'a str,
    secure: bool,
    partitioned: bool,
    too_long: bool,
}

impl<'a> Read<'a> {
    fn of(header: &'a str) -> Option<Self> {
        let mut parts = header.split(';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let mut cookie = Self { name: name.trim(), value: value.trim(), ..Self::default() };
        if cookie.name.is_empty() && cookie.value.is_empty() {
            return None;
        }
        parts.for_each(|part| cookie.take(part));
        Some(cookie)
    }

    fn take(&mut self, part: &'a str) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if value.len() > MAX_ATTRIBUTE_BYTES {
            self.too_long = true;
            return;
        }
        match name.as_str() {
            "domain" => {
                let domain = value.strip_prefix('.').unwrap_or(value).to_ascii_lowercase();
                self.domain = Some(domain).filter(|domain| !domain.is_empty());
            }
            "path" => self.path = Some(value).filter(|path| path.starts_with('/')),
            // What is no number is ignored.
            "max-age" => self.max_age = value.parse().ok().or(self.max_age),
            "samesite" => self.same_site = value,
            "secure" => self.secure = true,
            "partitioned" => self.partitioned = true,
            _ => {}
        }
    }

    fn troubles(&self, header: &str, page: &Page<'_>) -> [(bool, CookieTrouble); 15] {
        use CookieTrouble as T;
        let begins = |prefix: &str| {
            self.name.get(..prefix.len()).is_some_and(|name| name.eq_ignore_ascii_case(prefix))
        };
        let is_control = |byte: u8| byte < 0x20 && byte != b'\t' || byte == 0x7f;
        let domain = self.domain.as_deref();
        let is_public = domain.is_some_and(|domain| !domain.contains('.'))
            && domain != Some(&page.host.to_ascii_lowercase());
        let plain = self.secure && !page.is_https;
        let is_below = domain.is_none_or(|domain| page.is_below(domain));
        let for_host = self.secure && domain.is_none() && self.path == Some("/");
        let none = self.same_site.eq_ignore_ascii_case("none");
        let is_there = self.path.is_none_or(|path| page.is_at(path));
        [
            (self.name.len() + self.value.len() > MAX_COOKIE_BYTES, T::TooLarge),
            (header.bytes().any(is_control), T::ControlCharacter),
            (plain && !page.is_this_machine(), T::SecureOverHttp),
            (plain && page.is_this_machine(), T::SecureOnLocalhost),
            (begins("__Secure-") && !self.secure, T::SecurePrefix),
            (begins("__Host-") && !for_host, T::HostPrefix),
            (none && !self.secure, T::SameSiteNoneInsecure),
            (self.partitioned && !self.secure, T::PartitionedInsecure),
            (is_public, T::PublicDomain),
            (!is_below && !is_public, T::ForeignDomain),
            (self.too_long, T::AttributeTooLong),
            (self.max_age.is_some_and(|age| age > MAX_AGE_SECONDS), T::LifeCapped),
            (self.max_age.is_some_and(|age| age <= 0), T::Removal),
            (!is_there, T::OtherPath),
            (self.same_site.eq_ignore_ascii_case("strict"), T::StrictFromElsewhere),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::CookieTrouble as T;
    use super::*;
    use crate::{CookieConfig, SameSite, SetCookie};

    const PAGE: &str = "https://www.example.org/shop/cart?item=1";

    #[test]
    fn what_this_crate_sends_has_no_trouble_on_its_own_page() {
        let configs = [
            CookieConfig::new(),
            CookieConfig::named("__Secure-id").with_domain("example.org").with_path("/shop"),
            CookieConfig::new().with_same_site(SameSite::None).partitioned(),
        ];
        for config in configs {
            let cookie = SetCookie::new(&config, "v", None).unwrap().to_string();
            assert_eq!(diagnose(&cookie, PAGE), [], "{cookie}");
        }
        let plain = SetCookie::new(&CookieConfig::insecure_for_development(), "v", None).unwrap();
        assert_eq!(diagnose(&plain.to_string(), "http://localhost:8080"), []);
    }

    #[test]
    fn each_reason_to_drop_a_cookie_is_told_alone() {
        let long = format!("id={}", "v".repeat(4_095));
        for (cookie, trouble) in [
            ("", T::Unreadable),
            (" = ; Path=/", T::Unreadable),
            (&long, T::TooLarge),
            ("id=a\u{7}b", T::ControlCharacter),
            ("__secure-id=v", T::SecurePrefix),
            ("__Host-id=v; Path=/", T::HostPrefix),
            ("__Host-id=v; Secure", T::HostPrefix),
            ("__Host-id=v; Secure; Path=/; Domain=www.example.org", T::HostPrefix),
            ("id=v; SameSite=none", T::SameSiteNoneInsecure),
            ("id=v; Partitioned", T::PartitionedInsecure),
            ("id=v; Domain=example.com", T::ForeignDomain),
            ("id=v; Domain=shop.www.example.org", T::ForeignDomain),
            ("id=v; Domain=ample.org", T::ForeignDomain),
            ("id=v; Domain=.org", T::PublicDomain),
        ] {
            assert_eq!(diagnose(cookie, PAGE), [trouble], "{cookie}");
            assert!(trouble.is_dropped(), "{trouble}");
        }
        assert_eq!(diagnose("id=v; Secure", "http://www.example.org"), [T::SecureOverHttp]);
        assert!(T::SecureOverHttp.is_dropped());
        assert_eq!(diagnose(&format!("id={}", "v".repeat(4_094)), PAGE), [], "control");
        assert_eq!(diagnose("id=v; Domain=3.4", "http://1.2.3.4"), [T::ForeignDomain]);
    }

    #[test]
    fn what_is_kept_and_not_as_one_may_expect_is_told_too() {
        let long = format!("id=v; Path=/{}", "p".repeat(1_024));
        for (cookie, trouble) in [
            (&long[..], T::AttributeTooLong),
            ("id=v; Max-Age=34560001", T::LifeCapped),
            ("id=v; Max-Age=0", T::Removal),
            ("id=v; Path=/shop/car", T::OtherPath),
            ("id=v; Path=/admin", T::OtherPath),
            ("id=v; SameSite=Strict", T::StrictFromElsewhere),
        ] {
            assert_eq!(diagnose(cookie, PAGE), [trouble], "{cookie}");
            assert!(!trouble.is_dropped(), "{trouble}");
        }
        for there in ["/", "/shop", "/shop/", "/shop/cart"] {
            assert_eq!(diagnose(&format!("id=v; Path={there}"), PAGE), [], "{there}");
        }
        for local in
            ["http://localhost:8080/", "http://127.0.0.1", "http://[::1]:1", "http://a.localhost"]
        {
            assert_eq!(diagnose("id=v; Secure", local), [T::SecureOnLocalhost], "{local}");
        }
        assert_eq!(diagnose("id=v; Secure", "http://localhost.evil.example"), [T::SecureOverHttp]);
        assert_eq!(diagnose("id=v; Secure", "ftp://localhost"), [T::Unreadable]);
    }

    proptest::proptest! {
        #[test]
        fn any_header_and_address_are_judged(header: String, url: String) {
            let _troubles = diagnose(&header, &url);
            let _troubles = diagnose(&header, PAGE);
        }
    }
}
