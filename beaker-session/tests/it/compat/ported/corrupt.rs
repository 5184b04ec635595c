//! Beaker's `invalidate_corrupt` ×4, and what it makes of a session that was loaded and is gone.

use beaker_session::compat::PayloadCodec;
use beaker_session::{CorruptPolicy, ErrorKind, Origin};

use super::{Site, logged_in, stored_files};
use crate::browser::Browser;

/// Writes something else into each session's file.
fn spoil(site: &Site) {
    for path in stored_files(site) {
        std::fs::write(path, b"crap").unwrap();
    }
}

fn codecs() -> [PayloadCodec; 2] {
    [PayloadCodec::new(), Site::encrypted("666a19cf7f61c64c")]
}

#[test]
fn test_invalidate_corrupt() {
    for codec in codecs() {
        let site = Site::new();
        let sessions = site.with(codec.clone(), |builder| builder);
        let strict = site.with(codec, |builder| builder.with_corrupt(CorruptPolicy::Fail));
        let mut browser = logged_in(&sessions);
        let old = browser.header();
        spoil(&site);
        let error = browser.begin(&strict).load().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        browser
            .visit(&sessions, |session| {
                assert_eq!(session.origin(), Origin::Corrupt);
                session.insert("a", 1)
            })
            .unwrap();
        assert_ne!(browser.header(), old);
    }
}

#[test]
fn test_invalidate_empty_cookie() {
    let site = Site::new();
    for codec in codecs() {
        let sessions = site.in_cookies(codec, Site::cookie());
        for empty in ["beaker.session.id=", "beaker.session.id=\"\""] {
            let session = Browser::with(empty).begin(&sessions).load().unwrap();
            assert!(session.is_new() && session.is_empty(), "{empty}");
        }
    }
}

#[test]
fn test_invalidate_invalid_signed_cookie() {
    let site = Site::new();
    for codec in codecs() {
        let sessions = site.in_cookies(codec, Site::cookie());
        let good = logged_in(&sessions).header();
        let (name, value) = good.split_once('=').unwrap();
        let changed = if value.starts_with('0') { "1" } else { "0" };
        let bad = format!("{name}={changed}{}", &value[1..]);
        let session = Browser::with(&bad).begin(&sessions).load().unwrap();
        // Beaker raises unless told otherwise; here a cookie that was not signed is no session.
        assert_eq!((session.origin(), session.is_empty()), (Origin::Unknown, true));
        assert_eq!(sessions.counts().rejected_cookies, 1);
    }
}

#[test]
fn test_invalidate_invalid_signed_cookie_invalidate_corrupt() {
    let site = Site::new();
    for codec in codecs() {
        let sessions = site.in_cookies(codec, Site::cookie());
        let cut = logged_in(&sessions).header();
        let mut browser = Browser::with(&cut[..cut.len() - 5]);
        browser
            .visit(&sessions, |session| {
                assert_eq!((session.origin(), session.is_empty()), (Origin::Unknown, true));
                session.insert("a", 1)
            })
            .unwrap();
        assert_eq!(browser.sees(&sessions, "a"), Some(1.into()));
        assert_eq!(browser.sees(&sessions, "Suomi"), None);
    }
}

/// In Beaker the save of a request that has it loaded stores it again.
#[test]
fn a_record_that_goes_while_a_request_has_it_does_not_come_back() {
    let site = Site::new();
    let sessions = site.sessions();
    let browser = logged_in(&sessions);
    let request = browser.begin(&sessions);
    let session = request.load().unwrap();
    std::fs::remove_dir_all(site.dir.path().join("container_file")).unwrap();
    session.insert("a", 1).unwrap();
    assert_eq!(session.save().unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(request.commit().unwrap().set_cookies().len(), 0);
    assert_eq!(browser.sees(&sessions, "a"), None);
}
