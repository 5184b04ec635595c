//! Forms that were not made by this session.

use std::collections::HashSet;

use beaker_session::ErrorKind;

use crate::browser::Browser;
use crate::site::{Site, clock, ring, sealed};

/// 28
#[test]
fn a_token_is_good_in_its_own_session_only() {
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let encrypted = sealed(&clock(), |builder| builder);
    for sessions in [&site.sessions, &encrypted] {
        let [mut ada, mut eve] = [Browser::new(), Browser::new()];
        let token = ada.visit(sessions, |session| session.csrf_token()).unwrap();
        let stolen = eve.visit(sessions, |session| session.csrf_token()).unwrap();
        let verify = |browser: &mut Browser, token: &str| {
            browser.visit(sessions, |session| session.verify_csrf(token)).map_err(|e| e.kind())
        };
        assert_eq!(verify(&mut ada, &token), Ok(()));
        assert_eq!(verify(&mut ada, &stolen), Err(ErrorKind::Rejected));
        assert_eq!(verify(&mut Browser::new(), &token), Err(ErrorKind::Rejected));
        for spoiled in ["", "AAAA", &token[1..], &token.replace(&token[60..61], "!")] {
            assert_eq!(verify(&mut ada, spoiled), Err(ErrorKind::Rejected), "{spoiled}");
        }
        let mut flipped = token.clone().into_bytes();
        for at in 0..flipped.len() {
            flipped[at] ^= 1;
            let text = String::from_utf8_lossy(&flipped).into_owned();
            assert_eq!(verify(&mut ada, &text), Err(ErrorKind::Rejected), "{at}");
            flipped[at] ^= 1;
        }
    }
}

/// 28: against BREACH.
#[test]
fn no_two_pages_have_the_same_token_and_all_are_good() {
    let site = Site::new();
    let mut browser = Browser::new();
    let mut tokens = HashSet::new();
    for _ in 0..100 {
        let token = browser.visit(&site.sessions, |session| session.csrf_token()).unwrap();
        assert!(tokens.insert(token));
    }
    let session = browser.begin(&site.sessions).load().unwrap();
    assert!(tokens.iter().all(|token| session.verify_csrf(token).is_ok()));
}

/// 28
#[test]
fn a_renewal_voids_the_tokens_of_before() {
    let site = Site::new();
    let mut browser = Browser::new();
    let before = browser.visit(&site.sessions, |session| session.csrf_token()).unwrap();
    let after = browser
        .visit(&site.sessions, |session| {
            session.renew()?;
            session.csrf_token()
        })
        .unwrap();
    let session = browser.begin(&site.sessions).load().unwrap();
    assert_eq!(session.verify_csrf(&before).unwrap_err().kind(), ErrorKind::Rejected);
    session.verify_csrf(&after).unwrap();
}
