//! The value of a `Set-Cookie` header.

use std::fmt;
use std::time::Duration;

use super::{CookieConfig, MAX_COOKIE_BYTES, SameSite};
use crate::{Error, ErrorKind};

/// Where browsers cap the life of a cookie: 400 days.
const MAX_AGE_CAP: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// One cookie for the browser. `Display` gives the header's value.
///
/// `Debug` does not show the cookie's value.
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: String,
    value: String,
    path: String,
    domain: Option<String>,
    max_age: Option<Duration>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    partitioned: bool,
}

impl SetCookie {
    /// A cookie with `value`, kept for `max_age` or, if that is `None`, until the browser is
    /// closed.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) for what a browser would drop or read otherwise, and for a
    /// value that is not made of a cookie's characters. [`TooLarge`](ErrorKind::TooLarge) if name
    /// and value together are over 4,096 bytes.
    pub fn new(
        config: &CookieConfig,
        value: impl Into<String>,
        max_age: Option<Duration>,
    ) -> Result<Self, Error> {
        let value = value.into();
        config.validate()?;
        check_value(&value)?;
        check_size(&config.name, &value)?;
        Ok(Self::checked(config, value, max_age))
    }

    /// What is in `config` was validated when the sessions were built.
    pub(crate) fn checked(config: &CookieConfig, value: String, max_age: Option<Duration>) -> Self {
        Self {
            name: config.name.clone(),
            value,
            path: config.path.clone(),
            domain: config.domain.clone(),
            max_age: max_age.map(whole_seconds),
            secure: config.secure,
            http_only: config.http_only,
            same_site: config.same_site,
            partitioned: config.partitioned,
        }
    }

    /// The removal of the cookie: with the same attributes, since browsers tell cookies apart by
    /// them.
    pub(crate) fn removal(config: &CookieConfig) -> Self {
        Self::checked(config, String::new(), Some(Duration::ZERO))
    }

    #[must_use]
    pub(crate) fn at(mut self, path: Option<&str>, domain: Option<&str>) -> Self {
        if let Some(path) = path {
            path.clone_into(&mut self.path);
        }
        if let Some(domain) = domain {
            self.domain = Some(domain.to_owned());
        }
        self
    }

    /// The cookie's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cookie's value: as secret as a password.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it makes the browser forget the cookie.
    pub fn is_removal(&self) -> bool {
        self.max_age == Some(Duration::ZERO)
    }
}

/// What `Max-Age` can say. Less than a second becomes one, since a zero would be a removal.
fn whole_seconds(age: Duration) -> Duration {
    match age.min(MAX_AGE_CAP) {
        Duration::ZERO => Duration::ZERO,
        age => Duration::from_secs(age.as_secs().max(1)),
    }
}

/// Refuses a cookie that browsers would drop without a word.
pub(crate) fn check_size(name: &str, value: &str) -> Result<(), Error> {
    let size = name.len() + value.len();
    if size > MAX_COOKIE_BYTES {
        let detail = format!(
            "the cookie has {size} bytes in name and value, and browsers drop those over \
             {MAX_COOKIE_BYTES}"
        );
        return Err(Error::new(ErrorKind::TooLarge, "make cookie").with_detail(detail));
    }
    Ok(())
}

/// The cookie-octets of RFC 6265.
fn check_value(value: &str) -> Result<(), Error> {
    let is_octet =
        |byte: u8| (0x21..0x7f).contains(&byte) && !matches!(byte, b'"' | b',' | b';' | b'\\');
    if !value.bytes().all(is_octet) {
        return Err(Error::config(
            "a cookie's value is printable ASCII without space, quote, comma, semicolon and \
             backslash; encode it",
        ));
    }
    Ok(())
}

impl fmt::Display for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}; Path={}", self.name, self.value, self.path)?;
        if let Some(domain) = &self.domain {
            write!(f, "; Domain={domain}")?;
        }
        if let Some(max_age) = self.max_age {
            write!(f, "; Max-Age={}", max_age.as_secs())?;
        }
        if self.is_removal() {
            // For clients that know no Max-Age.
            f.write_str("; Expires=Thu, 01 Jan 1970 00:00:00 GMT")?;
        }
        let flags = [
            (self.secure, "; Secure"),
            (self.http_only, "; HttpOnly"),
            (self.partitioned, "; Partitioned"),
        ];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, text)| f.write_str(text))?;
        write!(f, "; SameSite={}", self.same_site.as_str())
    }
}

impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = Self { value: String::new(), ..self.clone() };
        f.debug_tuple("SetCookie").field(&format_args!("{hidden}")).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F63
    #[test]
    fn the_default_is_host_only_secure_http_only_and_lax() -> Result<(), Error> {
        let cookie = SetCookie::new(&CookieConfig::new(), "v", None)?;
        assert_eq!(cookie.to_string(), "__Host-id=v; Path=/; Secure; HttpOnly; SameSite=Lax");
        Ok(())
    }

    #[test]
    fn every_attribute_is_written() -> Result<(), Error> {
        let config = CookieConfig::named("__Secure-id")
            .with_domain("example.org")
            .with_path("/app")
            .with_same_site(SameSite::None)
            .partitioned();
        let cookie = SetCookie::new(&config, "v", Some(Duration::from_secs(90)))?;
        assert_eq!(
            cookie.to_string(),
            "__Secure-id=v; Path=/app; Domain=example.org; Max-Age=90; Secure; HttpOnly; \
             Partitioned; SameSite=None"
        );
        Ok(())
    }

    #[test]
    fn a_removal_has_the_attributes_of_what_it_removes() {
        let config = CookieConfig::named("id").with_domain("example.org").partitioned();
        let set = SetCookie::checked(&config, "v".to_owned(), None).to_string();
        let removal = SetCookie::removal(&config).to_string();
        let attributes = |text: &str| {
            let mut parts: Vec<_> = text.split("; ").skip(1).map(str::to_owned).collect();
            parts.retain(|part| !part.starts_with("Max-Age") && !part.starts_with("Expires"));
            parts
        };
        assert_eq!(attributes(&removal), attributes(&set));
        assert!(removal.contains("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT;"));
    }

    #[test]
    fn the_limit_is_on_name_and_value_together() {
        let config = CookieConfig::named("id");
        assert!(SetCookie::new(&config, "v".repeat(4094), None).is_ok());
        let error = SetCookie::new(&config, "v".repeat(4095), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("4097 bytes"), "{error}");
    }

    #[test]
    fn a_life_is_capped_where_browsers_cap_it() -> Result<(), Error> {
        let long = SetCookie::new(&CookieConfig::new(), "v", Some(Duration::MAX))?;
        assert!(long.to_string().contains("Max-Age=34560000;"));
        Ok(())
    }

    #[test]
    fn a_life_below_a_second_is_no_removal() -> Result<(), Error> {
        let short = SetCookie::new(&CookieConfig::new(), "v", Some(Duration::from_millis(900)))?;
        assert!(short.to_string().contains("Max-Age=1;"), "{short}");
        assert!(!short.is_removal());
        Ok(())
    }

    #[test]
    fn nothing_can_be_injected_through_the_value() {
        for value in ["a;b", "a b", "a\r\nb", "a,b", "a\"b", "a\\b", "ä", "\0"] {
            let refused = SetCookie::new(&CookieConfig::new(), value, None).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Config, "{value:?}");
        }
    }

    #[test]
    fn debug_does_not_show_the_value() -> Result<(), Error> {
        let cookie = SetCookie::new(&CookieConfig::new(), "secretvalue", None)?;
        assert!(!format!("{cookie:?}").contains("secretvalue"));
        Ok(())
    }
}
