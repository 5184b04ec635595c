//! `Set-Cookie` headers: what is accepted is one cookie, and another program reads it as it was meant.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use beaker_namespace::Timestamp;
use beaker_session::compat::BeakerSetCookie;
use beaker_session::{CookieConfig, Error, ErrorKind, SameSite, SetCookie};
use cookie::Cookie;

/// What names, paths and domains are mostly made of.
const CHARACTERS: &[u8; 16] = b"ab09_-./= ;,\"\\\r\n";

/// Browsers cap a cookie's life there.
const CAP_SECONDS: i64 = 400 * 86_400;

/// Seconds of the years that other programs do not take for others: 1970 to 9999.
const PLAIN_YEARS: std::ops::Range<i64> = 0..253_402_300_800;

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
struct Case<'a> {
    beaker: bool,
    secure: bool,
    http_only: bool,
    partitioned: bool,
    same_site: u8,
    life: Option<(u32, u32)>,
    expires: Option<i64>,
    prefix: u8,
    name: Text<'a>,
    path: Option<Text<'a>>,
    domain: Option<Text<'a>>,
    value: Text<'a>,
}

#[derive(Debug, Arbitrary)]
enum Text<'a> {
    Any(&'a str),
    Of(Vec<u8>),
}

/// Makes a cookie, prints it, and has it read by the crate `cookie`.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    if case.beaker { case.check_beaker() } else { case.check_native() }
}

impl Text<'_> {
    fn text(&self) -> String {
        match self {
            Self::Any(text) => (*text).to_owned(),
            Self::Of(places) => {
                let character = |place: &u8| char::from(CHARACTERS[usize::from(place % 16)]);
                places.iter().map(character).collect()
            }
        }
    }
}

impl Case<'_> {
    fn name(&self) -> String {
        let prefix = ["", "__Host-", "__Secure-", "__hOsT-"][usize::from(self.prefix % 4)];
        format!("{prefix}{}", self.name.text())
    }

    fn same_site(&self) -> SameSite {
        [SameSite::Lax, SameSite::Strict, SameSite::None][usize::from(self.same_site % 3)]
    }

    fn config(&self) -> CookieConfig {
        let plain = CookieConfig::insecure_for_development();
        let mut config = match self.secure {
            true => CookieConfig::named(self.name()),
            false => plain,
        };
        config = config.with_same_site(self.same_site());
        if let Some(path) = &self.path {
            config = config.with_path(path.text());
        }
        if let Some(domain) = &self.domain {
            config = config.with_domain(domain.text());
        }
        if self.partitioned {
            config = config.partitioned();
        }
        if !self.http_only {
            config = config.readable_by_scripts();
        }
        config
    }

    fn check_native(&self) {
        let life = self.life.map(|(seconds, nanos)| Duration::new(seconds.into(), nanos));
        let config = self.config();
        let made = match SetCookie::new(&config, self.value.text(), life) {
            Ok(made) => made,
            Err(error) => return refused(&error),
        };
        let text = made.to_string();
        let read = read(&text);
        assert_eq!((read.name(), read.value()), (config.name(), self.value.text().as_str()));
        assert_eq!(read.path(), Some(self.path.as_ref().map_or("/".into(), Text::text).as_str()));
        assert_eq!(read.domain().map(str::to_owned), host(self.domain.as_ref()));
        assert_eq!(read.secure(), self.secure.then_some(true));
        assert_eq!(read.http_only(), self.http_only.then_some(true));
        assert_eq!(read.partitioned(), self.partitioned.then_some(true));
        assert_eq!(read.same_site(), Some(of(self.same_site())));
        let seconds = read.max_age().map(|age| age.whole_seconds());
        assert_eq!(seconds.is_some(), life.is_some());
        assert!(seconds.is_none_or(|seconds| (0..=CAP_SECONDS).contains(&seconds)));
        assert_eq!(seconds == Some(0), made.is_removal(), "{text}");
        assert_eq!(read.expires().is_some(), made.is_removal(), "{text}");
        keeps_browsers_rules(&read);
    }

    fn check_beaker(&self) {
        let made = match self.beaker() {
            Ok(made) => made,
            Err(error) => return refused(&error),
        };
        let text = made.to_string();
        let read = read(&text);
        assert_eq!((read.name(), read.value()), (self.name().as_str(), self.value.text().as_str()));
        let path = self.path.as_ref().map_or("/".to_owned(), Text::text);
        assert_eq!(read.path(), Some(path.as_str()).filter(|path| !path.is_empty()));
        assert_eq!(read.domain().map(str::to_owned), host(self.domain.as_ref()));
        assert_eq!(read.secure(), self.secure.then_some(true));
        assert_eq!(read.http_only(), self.http_only.then_some(true));
        assert_eq!(read.same_site(), Some(of(self.same_site())));
        assert_eq!(read.max_age(), None);
        let seconds = self.expires.map(|micros| micros.div_euclid(1_000_000));
        if let Some(seconds) = seconds.filter(|seconds| PLAIN_YEARS.contains(seconds)) {
            let moment = read.expires_datetime().expect("a date is read");
            assert_eq!(moment.unix_timestamp(), seconds, "{text}");
        }
    }

    fn beaker(&self) -> Result<BeakerSetCookie, Error> {
        let mut made = BeakerSetCookie::new(&self.name(), &self.value.text())?
            .same_site(Some(self.same_site()))
            .expires(self.expires.map(Timestamp::from_micros));
        if let Some(path) = &self.path {
            made = made.path(&path.text())?;
        }
        if let Some(domain) = &self.domain {
            made = made.domain(&domain.text())?;
        }
        if self.secure {
            made = made.secure();
        }
        Ok(if self.http_only { made.http_only() } else { made })
    }
}

fn refused(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::TooLarge), "{error}");
}

/// One header of printable characters, with no attribute twice.
fn read(text: &str) -> Cookie<'_> {
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
    let names = text.split(';').skip(1).map(|part| part.trim().split('=').next().unwrap_or(part));
    let mut names: Vec<String> = names.map(str::to_ascii_lowercase).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "{text:?}");
    Cookie::parse(text).expect("another program reads it")
}

/// The domain as browsers take it: one dot before it means nothing, and an empty one is none.
fn host(domain: Option<&Text<'_>>) -> Option<String> {
    let domain = domain?.text();
    (!domain.is_empty()).then(|| domain.strip_prefix('.').unwrap_or(&domain).to_owned())
}

fn of(same_site: SameSite) -> cookie::SameSite {
    match same_site {
        SameSite::Strict => cookie::SameSite::Strict,
        SameSite::Lax => cookie::SameSite::Lax,
        SameSite::None => cookie::SameSite::None,
    }
}

/// What browsers would drop is refused.
fn keeps_browsers_rules(cookie: &Cookie<'_>) {
    let is_secure = cookie.secure() == Some(true);
    let name = cookie.name().to_ascii_lowercase();
    assert!(is_secure || !(name.starts_with("__host-") || name.starts_with("__secure-")));
    assert!(is_secure || cookie.same_site() != Some(cookie::SameSite::None));
    assert!(is_secure || cookie.partitioned() != Some(true));
    if name.starts_with("__host-") {
        assert_eq!((cookie.path(), cookie.domain()), (Some("/"), None));
    }
}
