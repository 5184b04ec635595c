//! Beaker's `test_domain_setting.py`: a session's own domain goes before the configured one.

use beaker_session::Sessions;
use beaker_session::compat::BeakerOptions;

use super::Site;
use crate::browser::Browser;

fn site_of(site: &Site) -> Sessions {
    let directory = site.dir.path().display().to_string();
    let options = BeakerOptions::from_pairs([
        ("session.data_dir", directory.as_str()),
        ("session.secret", "blah"),
        ("session.cookie_domain", ".test.com"),
        ("session.data_serializer", "json"),
    ]);
    let builder = Sessions::builder().as_beaker_options(&options.unwrap());
    builder.and_then(beaker_session::Builder::build).unwrap()
}

/// A request that is counted, for `domain`; the cookies that it sent.
fn count(sessions: &Sessions, browser: &mut Browser, domain: Option<&str>) -> (i64, Vec<String>) {
    let value = browser.visit(sessions, |session| {
        domain.map_or(Ok(()), |domain| session.set_cookie_domain(Some(domain)))?;
        session.add("value", 1)
    });
    (value.unwrap(), browser.received.clone())
}

#[test]
fn test_same_domain() {
    let site = Site::new();
    let (sessions, mut browser) = (site_of(&site), Browser::new());
    let (value, sent) = count(&sessions, &mut browser, Some(".hoop.com"));
    assert!(value == 1 && sent.len() == 1 && sent[0].contains("Domain=.hoop.com;"), "{sent:?}");
    assert_eq!(count(&sessions, &mut browser, None), (2, Vec::new()));
    assert_eq!(count(&sessions, &mut browser, Some(".hoop.com")), (3, Vec::new()));
    // The control: one without a domain of its own has the configured one.
    let (_, sent) = count(&sessions, &mut Browser::new(), None);
    assert!(sent[0].contains("Domain=.test.com;"), "{sent:?}");
}

/// Here the cookie of the old domain is taken away as well.
#[test]
fn test_different_domain() {
    let site = Site::new();
    let (sessions, mut browser) = (site_of(&site), Browser::new());
    let _ = count(&sessions, &mut browser, Some(".hoop.com"));
    let (value, sent) = count(&sessions, &mut browser, Some(".hoop.co.uk"));
    let [old, new] = &sent[..] else { panic!("two cookies: {sent:?}") };
    assert!(old.contains("Domain=.hoop.com; expires="), "{old}");
    assert!(new.contains("Domain=.hoop.co.uk;") && !new.contains("expires="), "{new}");
    assert_eq!(value, 2);
}
