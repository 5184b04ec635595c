use beaker_namespace::Timestamp;

use super::{BeakerCookieExpires, BeakerSetCookie, CookieSigner};
use crate::{Error, SameSite};

/// How Beaker names and protects the session's cookie: the options `key`, `secret`, `cookie_path`,
/// `cookie_domain`, `cookie_expires`, `secure`, `httponly` and `samesite` of its configuration.
///
/// # Examples
///
/// ```
/// use beaker_session::compat::BeakerCookie;
///
/// let cookie = BeakerCookie::new("beaker.session.id")?.secret("the secret")?.secure().http_only();
/// # let _ = cookie;
/// # Ok::<(), beaker_session::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a cookie's configuration does nothing by itself"]
pub struct BeakerCookie {
    pub(super) name: String,
    pub(super) signer: Option<CookieSigner>,
    /// The cookie with everything but its value and its end.
    template: BeakerSetCookie,
    path: String,
    domain: Option<String>,
    expires: BeakerCookieExpires,
    same_site: Option<SameSite>,
    is_secure: bool,
}

impl BeakerCookie {
    /// A cookie with Beaker's defaults: not signed, for the path `/`, `SameSite=Lax`, until the
    /// browser is closed, over any connection, readable by scripts.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a name that is no token.
    pub fn new(name: &str) -> Result<Self, Error> {
        Ok(Self {
            name: name.to_owned(),
            signer: None,
            template: BeakerSetCookie::new(name, "")?,
            path: "/".to_owned(),
            domain: None,
            expires: BeakerCookieExpires::WithBrowser,
            same_site: Some(SameSite::Lax),
            is_secure: false,
        })
    }

    /// Beaker's `secret`. Default: none, ids are not signed.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if it is empty.
    pub fn secret(mut self, secret: &str) -> Result<Self, Error> {
        self.signer = Some(CookieSigner::new(secret)?);
        Ok(self)
    }

    /// Beaker's `cookie_path`. Default: `/`.
    ///
    /// # Errors
    ///
    /// As [`BeakerSetCookie::path`].
    pub fn path(mut self, path: &str) -> Result<Self, Error> {
        self.template = self.template.path(path)?;
        path.clone_into(&mut self.path);
        Ok(self)
    }

    /// Beaker's `cookie_domain`. Default: this host alone.
    ///
    /// # Errors
    ///
    /// As [`BeakerSetCookie::domain`].
    pub fn domain(mut self, domain: &str) -> Result<Self, Error> {
        self.template = self.template.domain(domain)?;
        self.domain = Some(domain.to_owned());
        Ok(self)
    }

    /// Beaker's `cookie_expires`. As there, the end is set when the session is made, and does not
    /// move with its use. Default: [`BeakerCookieExpires::WithBrowser`].
    pub fn expires(mut self, expires: BeakerCookieExpires) -> Self {
        self.expires = expires;
        self
    }

    /// Beaker's `samesite`; `None` leaves the attribute out. Default: `Lax`.
    pub fn same_site(mut self, same_site: Option<SameSite>) -> Self {
        self.template = self.template.same_site(same_site);
        self.same_site = same_site;
        self
    }

    /// Beaker's `secure`. Default: off.
    pub fn secure(mut self) -> Self {
        self.template = self.template.secure();
        self.is_secure = true;
        self
    }

    /// Beaker's `httponly`. Default: off.
    pub fn http_only(mut self) -> Self {
        self.template = self.template.http_only();
        self
    }

    /// The configured path and domain.
    pub(super) fn place(&self) -> (String, Option<String>) {
        (self.path.clone(), self.domain.clone())
    }

    /// Refuses what browsers would drop, where Beaker would send it.
    pub(super) fn validate(&self) -> Result<(), Error> {
        if self.same_site == Some(SameSite::None) && !self.is_secure {
            return Err(Error::config(
                "SameSite=None needs Secure: browsers drop the cookie; set `secure` in both programs",
            ));
        }
        Ok(())
    }

    /// The cookie with `value`, at the session's own path and domain if it has some.
    pub(super) fn with_value(
        &self,
        value: &str,
        path: Option<&str>,
        domain: Option<&str>,
    ) -> Result<BeakerSetCookie, Error> {
        let cookie = self.template.clone().value(value)?;
        let cookie = path.map_or(Ok(cookie.clone()), |path| cookie.path(path))?;
        domain.map_or(Ok(cookie.clone()), |domain| cookie.domain(domain))
    }

    /// When a cookie ends that is sent at `now`.
    pub(super) fn end(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires.moment(now)
    }
}
