use std::fmt;
use std::time::Duration;

use beaker_namespace::Timestamp;

use crate::cookie::MAX_ATTRIBUTE_BYTES;
use crate::{Error, ErrorKind, SameSite};

/// The end of a cookie that "never" expires: the last moment of 32-bit clocks.
const NEVER: Timestamp = Timestamp::from_micros(0x7fff_ffff * MICROS);
const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// How far in the past a cookie is said to have ended that is to be removed.
const REMOVAL: Duration = Duration::from_secs(365 * 86_400);

/// When the browser forgets the cookie: Beaker's `cookie_expires`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "cookie_expires")]
pub enum BeakerCookieExpires {
    /// With the browser: Beaker's `True`, its default.
    WithBrowser,
    /// In January 2038: Beaker's `False`. Beaker prints its local time as if it were GMT; here it
    /// is GMT.
    Never,
    /// So long after it was sent: a `timedelta`, or seconds.
    After(Duration),
    /// At this moment: a `datetime`.
    At(Timestamp),
}

impl BeakerCookieExpires {
    /// The moment, for a cookie that is sent at `now`.
    pub fn moment(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::WithBrowser => None,
            Self::Never => Some(NEVER),
            Self::After(duration) => Some(now.saturating_add(duration)),
            Self::At(moment) => Some(moment),
        }
    }
}

/// A cookie for the browser, written as Beaker writes it. `Display` gives the header's value.
///
/// The attributes are in Beaker's order, with `expires` in small letters and never a `Max-Age`.
/// Beaker puts a space before it all, which does not belong to the value.
///
/// `Debug` does not show the cookie's value.
///
/// # Examples
///
/// ```
/// use beaker_namespace::Timestamp;
/// use beaker_session::compat::BeakerSetCookie;
///
/// let cookie = BeakerSetCookie::new("sid", "0123")?
///     .expires(Some(Timestamp::from_micros(0)))
///     .domain(".example.org")?
///     .secure();
/// assert_eq!(
///     cookie.to_string(),
///     "sid=0123; Domain=.example.org; expires=Thu, 01-Jan-1970 00:00:00 GMT; Path=/; \
///      SameSite=Lax; Secure"
/// );
/// assert!(BeakerSetCookie::new("sid", "a; Domain=.evil.example").is_err());
/// # Ok::<(), beaker_session::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a cookie does nothing before it is sent"]
pub struct BeakerSetCookie {
    name: String,
    value: String,
    domain: Option<String>,
    expires: Option<Timestamp>,
    http_only: bool,
    path: String,
    same_site: Option<SameSite>,
    secure: bool,
}

impl BeakerSetCookie {
    /// A cookie with Beaker's defaults: for the path `/`, `SameSite=Lax`, until the browser is
    /// closed.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) for a name that is no token, or a value that is not made of a
    /// cookie's characters.
    pub fn new(name: &str, value: &str) -> Result<Self, Error> {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(illegal(
                "the name has characters other than letters, digits and !#$%&'*+-.^_`|~",
            ));
        }
        check_value(value)?;
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: None,
            expires: None,
            http_only: false,
            path: "/".to_owned(),
            same_site: Some(SameSite::Lax),
            secure: false,
        })
    }

    /// The same with another value.
    pub(super) fn value(mut self, value: &str) -> Result<Self, Error> {
        check_value(value)?;
        value.clone_into(&mut self.value);
        Ok(self)
    }

    /// The hosts that get it; an empty domain is the one that set it. Default: that.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if it has other characters than letters, digits, `-` and `.`,
    /// or more than 1,024 of them, which browsers ignore.
    pub fn domain(mut self, domain: &str) -> Result<Self, Error> {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if !domain.bytes().all(is_host) {
            return Err(illegal(
                "the domain has characters other than letters, digits, `-` and `.`",
            ));
        }
        check_length("domain", domain)?;
        self.domain = (!domain.is_empty()).then(|| domain.to_owned());
        Ok(self)
    }

    /// The paths that get it; with an empty path Beaker leaves the attribute out. Default: `/`.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if it has a `;`, a control character, or no ASCII, or if it
    /// begins or ends with a space, which browsers cut off, or has more than 1,024 bytes, which
    /// they ignore.
    pub fn path(mut self, path: &str) -> Result<Self, Error> {
        if !path.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';') {
            return Err(illegal("the path has a `;`, a control character, or no ASCII"));
        }
        if path.starts_with(' ') || path.ends_with(' ') {
            return Err(illegal("the path begins or ends with a space, which browsers cut off"));
        }
        check_length("path", path)?;
        path.clone_into(&mut self.path);
        Ok(self)
    }

    /// When the browser forgets it; `None` is with the browser. Default: `None`.
    pub fn expires(mut self, moment: Option<Timestamp>) -> Self {
        self.expires = moment;
        self
    }

    /// Makes the browser forget it: says that it ended a year before `now`.
    pub fn removed(self, now: Timestamp) -> Self {
        self.expires(Some(now.saturating_sub(REMOVAL)))
    }

    /// Hides it from scripts. Default: it is not hidden, as in Beaker.
    pub fn http_only(mut self) -> Self {
        self.http_only = true;
        self
    }

    /// Which requests from other sites carry it; `None` leaves the attribute out. Default: `Lax`.
    pub fn same_site(mut self, same_site: Option<SameSite>) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sends it over TLS only. Default: it is sent in any case, as in Beaker.
    pub fn secure(mut self) -> Self {
        self.secure = true;
        self
    }
}

impl fmt::Display for BeakerSetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)?;
        if let Some(domain) = &self.domain {
            write!(f, "; Domain={domain}")?;
        }
        if let Some(expires) = self.expires {
            write!(f, "; expires={}", cookie_date(expires))?;
        }
        if self.http_only {
            f.write_str("; HttpOnly")?;
        }
        if !self.path.is_empty() {
            write!(f, "; Path={}", self.path)?;
        }
        if let Some(same_site) = self.same_site {
            write!(f, "; SameSite={}", same_site.as_str())?;
        }
        if self.secure {
            f.write_str("; Secure")?;
        }
        Ok(())
    }
}

impl fmt::Debug for BeakerSetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeakerSetCookie").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns the moment as Beaker writes it into cookies: English, with dashes, to the second.
///
/// Moments before the year 1 or after the year 9999, which Python does not have, become the first
/// or the last of these.
///
/// # Examples
///
/// ```
/// use beaker_namespace::Timestamp;
/// use beaker_session::compat::cookie_date;
///
/// let text = cookie_date(Timestamp::from_micros(0x7fff_ffff * 1_000_000));
/// assert_eq!(text, "Tue, 19-Jan-2038 03:14:07 GMT");
/// ```
pub fn cookie_date(moment: Timestamp) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // The first of January of the year 1, and the last second of the year 9999.
    let seconds = moment.as_micros().div_euclid(MICROS).clamp(-62_135_596_800, 253_402_300_799);
    let (days, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
    let (year, month, day) = civil(days);
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let month = MONTHS[month];
    format!("{weekday}, {day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Year, month from 0 and day of the month of the day that is `days` after the first of 1970.
fn civil(days: i64) -> (i64, usize, i64) {
    // Years that begin in March have their leap day at the end, and eras of 400 of them are alike.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 2, 0) } else { (month - 10, 1) };
    (era * 400 + year + next, month as usize, day)
}

fn check_value(value: &str) -> Result<(), Error> {
    match value.bytes().all(is_cookie_octet) {
        true => Ok(()),
        false => {
            Err(illegal("the value has a space, a comma, a quote, a `;`, a `\\`, or no ASCII"))
        }
    }
}

/// Refuses an attribute that browsers ignore for its length.
fn check_length(what: &str, value: &str) -> Result<(), Error> {
    if value.len() > MAX_ATTRIBUTE_BYTES {
        return Err(illegal(&format!(
            "the {what} has {} bytes, and browsers ignore more than {MAX_ATTRIBUTE_BYTES}",
            value.len()
        )));
    }
    Ok(())
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

fn illegal(what: &str) -> Error {
    Error::new(ErrorKind::Config, "write Beaker's cookie").with_detail(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_never_longer_than_browsers_read() -> Result<(), Error> {
        let cookie = BeakerSetCookie::new("sid", "v")?;
        let path = |bytes: usize| cookie.clone().path(&format!("/{}", "p".repeat(bytes - 1)));
        let domain = |bytes: usize| cookie.clone().domain(&"d".repeat(bytes));
        assert!(path(1_024)?.to_string().contains(&"p".repeat(1_023)));
        assert!(domain(1_024)?.to_string().contains(&"d".repeat(1_024)));
        for refused in [path(1_025), domain(1_025)] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("1025 bytes"), "{error}");
        }
        Ok(())
    }
}
