//! How the session's cookie is named and protected.

use serde::{Deserialize, Serialize};

use super::MAX_ATTRIBUTE_BYTES;
use crate::Error;

/// Name and attributes of the session's cookie.
///
/// [`CookieConfig::new`] is the strictest that works for a site on one host. What browsers would
/// drop is refused when the sessions are built.
///
/// # Examples
///
/// ```
/// use beaker_session::CookieConfig;
///
/// assert_eq!(CookieConfig::new().name(), "__Host-id");
/// let shared = CookieConfig::named("__Secure-id").with_domain("example.org");
/// assert_eq!(shared.name(), "__Secure-id");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieConfig {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) domain: Option<String>,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    pub(crate) same_site: SameSite,
    pub(crate) partitioned: bool,
    pub(crate) life: CookieLife,
}

/// Which requests from other sites carry the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// None of them, not even a link followed from there.
    Strict,
    /// Links followed from there, and no forms or frames. The default.
    Lax,
    /// All of them. Needs `Secure`.
    None,
}

impl SameSite {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// How long the browser keeps the cookie. The server's time-outs hold in any case.
///
/// A session can have another one than the site: see
/// [`Session::set_cookie_life`](crate::Session::set_cookie_life).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CookieLife {
    /// Until the browser is closed. The default.
    Browser,
    /// As long as the session lives on the server; sent anew when that is prolonged. At most 400
    /// days, which is where browsers cap it.
    Session,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl CookieConfig {
    /// `__Host-id; Path=/; Secure; HttpOnly; SameSite=Lax`: only this host can set it, scripts
    /// cannot read it, plain http does not carry it.
    pub fn new() -> Self {
        Self::named("__Host-id")
    }

    /// The same under another name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".to_owned(),
            domain: None,
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
            life: CookieLife::Browser,
        }
    }

    /// `id` without `Secure`, for plain http during development. Anybody on the network can read
    /// it.
    pub fn insecure_for_development() -> Self {
        Self { secure: false, ..Self::named("id") }
    }

    /// Only requests below `path` carry the cookie. Default: `/`.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// All hosts below `domain` get the cookie. Default: this host alone, which is safer.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Default: [`SameSite::Lax`].
    #[must_use]
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Keeps a cookie for each top-level site in which this one is embedded (CHIPS).
    #[must_use]
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Scripts may read the cookie. Default: they may not.
    #[must_use]
    pub fn readable_by_scripts(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// Default: [`CookieLife::Browser`].
    #[must_use]
    pub fn with_life(mut self, life: CookieLife) -> Self {
        self.life = life;
        self
    }

    /// The cookie's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Refuses what a browser would drop or change.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        check_name(&self.name)?;
        check_path(&self.path)?;
        self.domain.as_deref().map_or(Ok(()), check_domain)?;
        let prefix = Prefix::of(&self.name);
        if prefix != Prefix::None && !self.secure {
            return Err(Error::config("a cookie named __Host- or __Secure- must be Secure"));
        }
        if self.same_site == SameSite::None && !self.secure {
            return Err(Error::config("SameSite=None needs Secure: browsers drop the cookie"));
        }
        if self.partitioned && !self.secure {
            return Err(Error::config("Partitioned needs Secure: browsers drop the cookie"));
        }
        if prefix == Prefix::Host {
            self.host_may_have(Some(&self.path), self.domain.as_deref())?;
        }
        Ok(())
    }

    /// Refuses a session's own path and domain where the cookie's name forbids them.
    pub(crate) fn may_have(&self, path: Option<&str>, domain: Option<&str>) -> Result<(), Error> {
        path.map_or(Ok(()), check_path)?;
        domain.map_or(Ok(()), check_domain)?;
        if Prefix::of(&self.name) == Prefix::Host {
            self.host_may_have(path, domain)?;
        }
        Ok(())
    }

    fn host_may_have(&self, path: Option<&str>, domain: Option<&str>) -> Result<(), Error> {
        if domain.is_some() {
            return Err(Error::config(
                "a cookie named __Host- has no Domain: use the prefix __Secure-",
            ));
        }
        if path.is_some_and(|path| path != "/") {
            return Err(Error::config(
                "a cookie named __Host- has Path=/: use the prefix __Secure-",
            ));
        }
        Ok(())
    }
}

/// What a name promises. Browsers compare the prefix without regard to case.
#[derive(Debug, PartialEq, Eq)]
enum Prefix {
    None,
    Secure,
    Host,
}

impl Prefix {
    fn of(name: &str) -> Self {
        let begins = |prefix: &str| {
            name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
        };
        if begins("__Host-") {
            Self::Host
        } else if begins("__Secure-") {
            Self::Secure
        } else {
            Self::None
        }
    }
}

/// A token of RFC 9110.
fn check_name(name: &str) -> Result<(), Error> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Error::config("a cookie's name is letters, digits and !#$%&'*+-.^_`|~"));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), Error> {
    let is_allowed = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b';';
    // Browsers cut spaces off the end.
    if !path.starts_with('/')
        || path.ends_with(' ')
        || !path.bytes().all(is_allowed)
        || path.len() > MAX_ATTRIBUTE_BYTES
    {
        return Err(Error::config(
            "a cookie's path begins with / and has printable ASCII without a semicolon, does not end \
             with a space, and has at most 1,024 bytes",
        ));
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<(), Error> {
    let host = domain.strip_prefix('.').unwrap_or(domain);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(Error::config("a cookie's domain is a host name, such as example.org"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
