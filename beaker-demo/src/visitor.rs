//! Who is logged in: the session, its counter, and the other sessions of that name.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use beaker_namespace::{Namespace, Timestamp};
use beaker_session::{
    AccessPolicy, CookieConfig, CookieLife, KeyRing, LazySession, SecretKey, Session, Sessions,
};
use serde::{Deserialize, Serialize};

use crate::answer::{Failure, Fields, Wants};
use crate::app::Shared;
use crate::args::Cookie;
use crate::cookie::Parts;
use crate::error::Error;
use crate::page;
use crate::place::explained;

/// How long a session lives without being used.
pub(crate) const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often it is noted that a session is used: pages ask every two seconds.
const NOTED: Duration = Duration::from_secs(10);

/// The longest name, in characters.
const LONGEST_NAME: usize = 40;

/// What a session holds.
const NAME: &str = "name";
const CLICKS: &str = "clicks";

/// The site's sessions.
#[derive(Debug)]
pub(crate) struct Visitors {
    pub(crate) sessions: Sessions,
    pub(crate) cookie: CookieConfig,
}

impl Visitors {
    /// Sessions in `namespace`, signed with `secret`.
    ///
    /// # Errors
    ///
    /// A store that cannot keep sessions.
    pub(crate) fn open(
        namespace: Arc<dyn Namespace>,
        secret: SecretKey,
        cookie: Cookie,
    ) -> Result<Self, Error> {
        let cookie = match cookie {
            Cookie::Secure => CookieConfig::new(),
            Cookie::Insecure => CookieConfig::insecure_for_development(),
        };
        let cookie = cookie.with_life(CookieLife::Session);
        let sessions = Sessions::builder()
            .with_namespace(namespace)
            .with_keys(KeyRing::new(secret))
            .with_cookie(cookie.clone())
            .with_idle(Some(IDLE))
            .with_access(AccessPolicy::AtMostEvery(NOTED))
            .build();
        let sessions = sessions.map_err(|error| Error::failed(explained(&error)))?;
        Ok(Self { sessions, cookie })
    }
}

/// The store failed, or the session was ended by another request.
impl From<beaker_session::Error> for Failure {
    fn from(error: beaker_session::Error) -> Self {
        let status = match error.kind() {
            beaker_session::ErrorKind::Ended => StatusCode::UNAUTHORIZED,
            beaker_session::ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, explained(&error))
    }
}

/// Who asks, as far as the page shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Visitor {
    pub(crate) name: String,
    pub(crate) clicks: i64,
    pub(crate) devices: Vec<Shown>,
}

/// One of the visitor's sessions.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    /// Names the session to be revoked, and opens nothing.
    pub(crate) handle: String,
    pub(crate) label: String,
    pub(crate) created_ms: u64,
    pub(crate) seen_ms: u64,
    /// Whether it is the one that asks.
    pub(crate) here: bool,
}

/// Who asks; `None` if nobody is logged in.
pub(crate) async fn visitor(app: &Shared, lazy: &LazySession) -> Result<Option<Visitor>, Failure> {
    let session = lazy.load_async().await?;
    let (Some(name), Some(subject)) = (session.get::<String>(NAME)?, session.subject()) else {
        return Ok(None);
    };
    let here = session.key();
    let devices = app.visitors.sessions.devices_async(&subject).await?;
    let devices = devices.iter().filter_map(|device| {
        Some(Shown {
            handle: device.key.to_text()?,
            label: device.label.clone().unwrap_or_default(),
            created_ms: millis(device.created),
            seen_ms: millis(device.last_seen),
            here: Some(device.key) == here,
        })
    });
    let clicks = session.get::<i64>(CLICKS)?.unwrap_or_default();
    Ok(Some(Visitor { name, clicks, devices: devices.collect() }))
}

/// `GET /visitor`.
pub(crate) async fn show(
    State(app): State<Shared>,
    lazy: LazySession,
) -> Result<Response, Failure> {
    Ok(Json(visitor(&app, &lazy).await?).into_response())
}

/// The session of who is logged in.
async fn known(lazy: &LazySession) -> Result<(Session, String), Failure> {
    let session = lazy.load_async().await?;
    match session.subject() {
        Some(subject) => Ok((session, subject)),
        None => Err(Failure::new(StatusCode::UNAUTHORIZED, "Log in first.")),
    }
}

/// The form of `POST /login`.
#[derive(Debug, Deserialize)]
pub(crate) struct LoginForm {
    name: String,
}

/// `POST /login`.
pub(crate) async fn login(
    lazy: LazySession,
    headers: HeaderMap,
    Fields(form): Fields<LoginForm>,
) -> Result<Redirect, Failure> {
    let name = form.name.trim();
    let length = name.chars().count();
    if !(1..=LONGEST_NAME).contains(&length) || name.chars().any(char::is_control) {
        let text = format!("A name has 1 to {LONGEST_NAME} characters, on one line.");
        return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let session = lazy.load_async().await?;
    match session.subject() {
        // Nobody's values become somebody else's.
        Some(_) => session.invalidate()?,
        // Whatever id the browser came with, somebody else may know it.
        None => session.renew()?,
    }
    session.set_subject(name, Some(&browser(&headers)))?;
    session.insert(NAME, name)?;
    // The page tells by `kept` that a cookie was sent, and so whether the browser kept it.
    Ok(Redirect::to("/?kept=#session"))
}

/// `POST /logout`.
pub(crate) async fn logout(lazy: LazySession) -> Result<Redirect, Failure> {
    lazy.delete_async().await?;
    Ok(Redirect::to("/#session"))
}

/// `POST /count`: one click.
pub(crate) async fn count(lazy: LazySession, wants: Wants) -> Result<Response, Failure> {
    let (session, _) = known(&lazy).await?;
    session.add(CLICKS, 1)?;
    // Saved now, so that the answer has the clicks of requests that ran beside this one.
    session.save_async().await?;
    let clicks = session.get::<i64>(CLICKS)?.unwrap_or_default();
    Ok(wants.facts_or_back(&serde_json::json!({ "clicks": clicks }), "counter"))
}

/// `POST /reveal`: the secret part of the cookie, for who sent it.
pub(crate) async fn reveal(
    State(app): State<Shared>,
    headers: HeaderMap,
    wants: Wants,
) -> Result<Response, Failure> {
    let parts = Parts::find(&headers, app.visitors.cookie.name());
    let parts = parts.ok_or_else(|| Failure::absent("cookie"))?;
    Ok(match wants {
        Wants::Json => Json(serde_json::json!({ "secret": parts.id })).into_response(),
        Wants::Page => {
            page::facts_page("The secret part", &[("Secret part", parts.id)]).into_response()
        }
    })
}

/// The form of `POST /revoke`.
#[derive(Debug, Deserialize)]
pub(crate) struct RevokeForm {
    which: Which,
    #[serde(default)]
    handle: String,
}

/// Which sessions are to end.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    One,
    Others,
    All,
}

/// `POST /revoke`.
pub(crate) async fn revoke(
    State(app): State<Shared>,
    lazy: LazySession,
    Fields(form): Fields<RevokeForm>,
) -> Result<Redirect, Failure> {
    let (session, subject) = known(&lazy).await?;
    let sessions = &app.visitors.sessions;
    match form.which {
        Which::All => drop(sessions.revoke_all_async(&subject).await?),
        Which::Others => drop(sessions.revoke_others_async(&session).await?),
        Which::One => {
            // One's own only: a handle of somebody else is none.
            let mine = sessions.devices_async(&subject).await?;
            let handle = Some(form.handle);
            let device = mine.iter().find(|device| device.key.to_text() == handle);
            let key = device.ok_or_else(|| Failure::absent("session"))?.key;
            sessions.revoke_async(key).await?;
        }
    }
    Ok(Redirect::to("/#everywhere"))
}

/// What the browser calls itself, in two words.
fn browser(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let agent = agent.unwrap_or_default();
    // The order matters: all of them say that they are the ones below, too.
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR", "Opera"),
        ("Firefox", "Firefox"),
        ("Chrom", "Chrome"),
        ("Safari", "Safari"),
        ("curl", "curl"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "An unknown browser".to_owned(),
    }
}

/// Since 1970.
fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_micros() / 1000).unwrap_or_default()
}

/// How long ago that is, for people.
pub(crate) fn ago(then_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = Duration::from_millis(then_ms);
    match now.saturating_sub(then).as_secs() {
        0..=1 => "now".to_owned(),
        seconds @ 2..=119 => format!("{seconds} s ago"),
        seconds @ 120..=7199 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn named(agent: &'static str) -> String {
        browser(&HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_static(agent))]))
    }

    #[test]
    fn browsers_are_told_apart_though_all_say_that_they_are_safari() {
        let edge =
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120 Safari/537.36 Edg/120";
        assert_eq!(named(edge), "Edge on Windows");
        let phone =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1";
        assert_eq!(named(phone), "Safari on iPhone");
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0";
        assert_eq!(named(firefox), "Firefox on Linux");
        assert_eq!(named("curl/8.5.0"), "curl");
        assert_eq!(named("x"), "An unknown browser");
        assert_eq!(browser(&HeaderMap::new()), "An unknown browser");
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let before = |seconds| ago((now - Duration::from_secs(seconds)).as_millis() as u64);
        assert_eq!(before(0), "now");
        assert!(before(60).ends_with(" s ago"));
        assert_eq!(before(600), "10 min ago");
        assert_eq!(before(7300), "2 h ago");
        assert_eq!(ago(u64::MAX), "now");
    }
}
