//! How long a browser keeps a session's cookie.

use beaker_session::{CookieConfig, CookieLife, ErrorKind, Session, Sessions};

use crate::browser::Browser;
use crate::site::{DAY, HOUR, Site, clock, ring, sealed};

/// What the last response says of the cookie's life: seconds, or nothing for "with the browser".
/// `None` if no cookie was sent.
fn max_age(browser: &Browser) -> Option<Option<u64>> {
    let [cookie] = &browser.received[..] else { return None };
    let age = cookie.split("; ").find_map(|part| part.strip_prefix("Max-Age="));
    Some(age.map(|age| age.parse().unwrap()))
}

/// A site with ids in its cookies, and one with whole sessions.
fn sites(life: CookieLife) -> [(Site, Sessions); 2] {
    let cookie = CookieConfig::new().with_life(life);
    let site = Site::with(|builder| builder.with_cookie(cookie.clone()));
    let (sessions, other) = (site.sessions.clone(), Site::new());
    let sealed = sealed(&other.clock, |builder| builder.with_cookie(cookie));
    [(site, sessions), (other, sealed)]
}

fn remembered(session: &Session) -> Result<(), beaker_session::Error> {
    session.insert("user", "ada")?;
    session.set_cookie_life(Some(CookieLife::Session))?;
    session.set_limits(Some(2 * DAY), Some(3 * DAY))
}

/// Table row 16: remember-me for the one who asked for it, and for nobody else.
#[test]
fn one_session_is_remembered_and_another_ends_with_its_browser() {
    for (site, sessions) in sites(CookieLife::Browser) {
        let [mut ada, mut eve] = [Browser::new(), Browser::new()];
        ada.visit(&sessions, remembered).unwrap();
        assert_eq!(max_age(&ada), Some(Some(2 * 86_400)));
        eve.visit(&sessions, |session| session.insert("user", "eve")).unwrap();
        assert_eq!(max_age(&eve), Some(None), "control: the site's own setting");

        // It is kept with the session: a write prolongs the cookie too, up to the absolute end.
        site.clock.advance(DAY + HOUR);
        ada.visit(&sessions, |session| session.insert("clicks", 1)).unwrap();
        assert_eq!(max_age(&ada), Some(Some(86_400 + 23 * 3_600)));
        ada.visit(&sessions, |session| session.renew()).unwrap();
        assert_eq!(max_age(&ada), Some(Some(86_400 + 23 * 3_600)), "after a renewal");

        ada.visit(&sessions, |session| session.set_cookie_life(None)).unwrap();
        assert_eq!(max_age(&ada), Some(None), "forgotten again");
    }
}

#[test]
fn a_session_can_end_with_its_browser_where_others_are_remembered() {
    for (_site, sessions) in sites(CookieLife::Session) {
        let [mut ada, mut eve] = [Browser::new(), Browser::new()];
        let once = |session: &Session| {
            session.insert("user", "ada")?;
            session.set_cookie_life(Some(CookieLife::Browser))
        };
        ada.visit(&sessions, once).unwrap();
        assert_eq!(max_age(&ada), Some(None));
        eve.visit(&sessions, |session| session.insert("user", "eve")).unwrap();
        assert_eq!(max_age(&eve), Some(Some(3_600)), "control");
    }
}

/// Section 4, 4: a cookie lives as long as its session, whatever that is set to.
#[test]
fn the_cookie_s_life_follows_the_limits_that_a_session_is_given() {
    for (site, sessions) in sites(CookieLife::Session) {
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        assert_eq!(max_age(&browser), Some(Some(3_600)), "the site's");
        browser.visit(&sessions, |session| session.set_limits(Some(HOUR / 2), None)).unwrap();
        assert_eq!(max_age(&browser), Some(Some(1_800)), "the shorter idle time");
        let limits = |session: &Session| session.set_limits(Some(DAY), Some(2 * HOUR));
        browser.visit(&sessions, limits).unwrap();
        assert_eq!(max_age(&browser), Some(Some(7_200)), "the absolute end comes first");
        site.clock.advance(HOUR);
        browser.visit(&sessions, |session| session.insert("clicks", 1)).unwrap();
        assert_eq!(max_age(&browser), Some(Some(3_600)), "what is left of it");
        browser.visit(&sessions, |session| session.set_limits(None, None)).unwrap();
        assert_eq!(max_age(&browser), Some(Some(400 * 86_400)), "what browsers cap it at");
    }
}

#[test]
fn a_life_that_was_set_is_dropped_with_the_other_changes() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    let undone = |session: &Session| {
        session.set_cookie_life(Some(CookieLife::Session))?;
        session.revert()
    };
    browser.visit(&site.sessions, undone).unwrap();
    assert_eq!(max_age(&browser), None, "nothing was changed, nothing is sent");
    let request = browser.begin(&site.sessions);
    let session = request.load().unwrap();
    let _headers = request.commit().unwrap();
    let late = session.set_cookie_life(Some(CookieLife::Session)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::AlreadyCommitted);
}

/// 11: of a cookie-only session too, whose old cookie would bring back what was in it.
#[test]
fn a_cookie_only_session_that_moves_takes_its_old_cookie_away() {
    let cookie = CookieConfig::named("__Secure-id");
    let sessions = sealed(&clock(), |builder| builder.with_cookie(cookie).with_keys(ring(1)));
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    browser.visit(&sessions, |session| session.set_cookie_path(Some("/app"))).unwrap();
    let removed = |cookie: &&String| cookie.contains("Max-Age=0;") && cookie.contains("Path=/;");
    assert_eq!(browser.received.iter().filter(removed).count(), 1, "{:?}", browser.received);
    let set = |cookie: &&String| !cookie.contains("Max-Age=0;") && cookie.contains("Path=/app;");
    assert_eq!(browser.received.iter().filter(set).count(), 1);
}

/// Section 5, 4: what goes on after its response finds out that its session was ended.
#[test]
fn what_goes_on_for_long_is_told_that_its_session_has_ended() {
    let epochs = |site: &Site| beaker_session::NamespaceStore::new(site.store.clone()).unwrap();
    let in_store = || {
        let site = Site::new();
        (site.sessions.clone(), site)
    };
    let in_cookie = || {
        let site = Site::new();
        (sealed(&site.clock, |builder| builder.with_epochs(epochs(&site))), site)
    };
    let sites: [&dyn Fn() -> (Sessions, Site); 2] = [&in_store, &in_cookie];
    for make in sites {
        for end in ["logout", "renewal", "one", "all", "time"] {
            let (sessions, site) = make();
            let mut browser = Browser::new();
            let login = |session: &Session| {
                session.set_subject("ada", None)?;
                session.insert("user", "ada")
            };
            browser.visit(&sessions, login).unwrap();
            let request = browser.begin(&sessions);
            let socket = request.load().unwrap().detach().unwrap();
            let _headers = request.commit().unwrap();
            socket.check().unwrap();
            browser.visit(&sessions, |session| session.insert("clicks", 1)).unwrap();
            socket.check().unwrap();
            match end {
                "logout" => browser.visit(&sessions, Session::delete).unwrap(),
                "renewal" => browser.visit(&sessions, Session::renew).unwrap(),
                "one" => sessions.revoke(&socket.key().unwrap()).unwrap(),
                "all" => drop(sessions.revoke_all("ada").unwrap()),
                _ => site.clock.advance(HOUR),
            }
            assert_eq!(socket.check().unwrap_err().kind(), ErrorKind::Ended, "{end}");
        }
    }
    let site = Site::new();
    let new = Browser::new().begin(&site.sessions).load().unwrap();
    assert_eq!(new.check().unwrap_err().kind(), ErrorKind::Ended, "it was never stored");
}

#[test]
fn a_store_that_fails_does_not_say_that_a_session_has_ended() {
    use beaker_namespace::testkit::Fault;

    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    let session = browser.begin(&site.sessions).load().unwrap();
    site.store.arm(1, Fault::Fail(beaker_namespace::ErrorKind::Unavailable));
    assert_eq!(session.check().unwrap_err().kind(), ErrorKind::Unavailable);
    session.check().unwrap();
}

#[tokio::test]
#[cfg(feature = "tokio")]
async fn a_task_is_told_that_its_session_has_ended() {
    let site = Site::new();
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    let socket = browser.begin(&site.sessions).load().unwrap().detach().unwrap();
    socket.check_async().await.unwrap();
    browser.visit(&site.sessions, Session::delete).unwrap();
    assert_eq!(socket.check_async().await.unwrap_err().kind(), ErrorKind::Ended);
}
