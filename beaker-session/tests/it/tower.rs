//! The layer around a plain service.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use beaker_session::{ErrorKind, LazySession, OutagePolicy, ServerErrorPolicy, SessionLayer};
use http::header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE, VARY};
use http::{Request, Response, StatusCode};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::served::{PATIENCE, Site, begin, pair};

type Answer = Response<String>;

fn request(cookie: &str) -> Request<()> {
    Request::builder().header(COOKIE, cookie).body(()).unwrap()
}

fn of(request: &Request<()>) -> LazySession {
    request.extensions().get::<LazySession>().unwrap().clone()
}

fn answer(status: u16) -> Answer {
    let mut answer = Response::new("body".to_owned());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

/// One request through the layer.
async fn ask<F>(site: &Site, cookie: &str, handler: impl Fn(LazySession) -> F) -> Answer
where
    F: Future<Output = Answer>,
{
    let service = service_fn(move |request: Request<()>| {
        let answer = handler(of(&request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let service = SessionLayer::new(site.sessions.clone()).layer(service);
    let Ok(answer) = timeout(PATIENCE, service.oneshot(request(cookie))).await.unwrap();
    answer
}

fn set_cookie(answer: &Answer) -> Option<String> {
    let mut cookies = answer.headers().get_all(SET_COOKIE).iter();
    let first = cookies.next()?.to_str().unwrap().to_owned();
    assert_eq!(cookies.next(), None, "one cookie is set");
    Some(first)
}

fn header(answer: &Answer, name: http::HeaderName) -> Vec<&str> {
    answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_request_that_does_not_look_into_its_session_reads_writes_and_sets_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let untouched = ask(&site, &cookie, |_lazy| async { answer(200) }).await;
        assert_eq!(untouched.headers().len(), 0);
        assert_eq!(untouched.body(), "body");
        assert_eq!(site.store.asked(), [""; 0]);
        // The watch sees what is asked.
        ask(&site, &cookie, |lazy| async move {
            lazy.load_async().await.unwrap();
            answer(200)
        })
        .await;
        assert_eq!(site.store.asked(), ["load"]);
    }
}

#[tokio::test]
async fn a_visitor_without_cookie_who_is_only_looked_at_costs_no_call_and_no_record() {
    for site in Site::both() {
        let seen = ask(&site, "other=1", |lazy| async move {
            let session = lazy.load_async().await.unwrap();
            assert_eq!(session.get::<String>("name").unwrap(), None);
            answer(200)
        })
        .await;
        assert_eq!(site.store.asked(), [""; 0]);
        assert_eq!(set_cookie(&seen), None);
        assert_eq!(header(&seen, VARY), ["Cookie"]);
    }
}

#[tokio::test]
async fn a_redirect_carries_the_cookie_of_the_session_it_made() {
    for site in Site::both() {
        let redirect = ask(&site, "", |lazy| async move {
            lazy.load_async().await.unwrap().insert("name", "Ada").unwrap();
            let mut redirect = answer(303);
            redirect.headers_mut().insert(LOCATION, "/home".parse().unwrap());
            redirect
        })
        .await;
        assert_eq!(redirect.status(), 303);
        assert_eq!(header(&redirect, LOCATION), ["/home"]);
        let set = set_cookie(&redirect).unwrap();
        assert!(set.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{set}");
        assert_eq!(site.text(&pair(&set), "name").as_deref(), Some("Ada"));
    }
}

/// F60
#[tokio::test]
async fn a_handler_that_panics_saves_nothing_and_holds_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let service = service_fn(|request: Request<()>| async move {
            let session = of(&request).load_async().await.unwrap();
            session.insert("name", "Eve").unwrap();
            session.renew().unwrap();
            if session.contains("name") {
                panic!("the handler fails");
            }
            Ok::<_, Infallible>(answer(200))
        });
        let service = SessionLayer::new(site.sessions.clone()).layer(service);
        let failed = tokio::spawn(service.oneshot(request(&cookie))).await.unwrap_err();
        assert!(failed.is_panic());
        assert_eq!(site.store.asked(), ["load"]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        insert(&site, &cookie, "name", "Bob").await;
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Bob"));
    }
}

async fn insert(site: &Site, cookie: &str, name: &'static str, value: &'static str) -> Answer {
    ask(site, cookie, |lazy| async move {
        lazy.load_async().await.unwrap().insert(name, value).unwrap();
        answer(200)
    })
    .await
}

#[tokio::test]
async fn a_request_that_is_dropped_before_its_handler_ends_saves_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let (changed, mut was_changed) = tokio::sync::mpsc::unbounded_channel();
        let service = service_fn(move |request: Request<()>| {
            let changed = changed.clone();
            async move {
                let session = of(&request).load_async().await.unwrap();
                session.insert("name", "Eve").unwrap();
                changed.send(()).unwrap();
                pending::<Result<Answer, Infallible>>().await
            }
        });
        let mut service = SessionLayer::new(site.sessions.clone()).layer(service);
        drop(service.call(request(&cookie)));
        assert_eq!(site.store.asked(), [""; 0]);
        let running = tokio::spawn(service.call(request(&cookie)));
        timeout(PATIENCE, was_changed.recv()).await.unwrap().unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert_eq!(site.store.asked(), ["load"]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        insert(&site, &cookie, "name", "Bob").await;
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Bob"));
    }
}

#[tokio::test]
async fn a_commit_that_has_begun_ends_also_if_its_request_is_dropped() {
    let site = Site::sqlite();
    let cookie = site.visitor("name", "Ada");
    let mut held = site.store.hold("update");
    let service = service_fn(|request: Request<()>| async move {
        of(&request).load_async().await.unwrap().insert("name", "Eve").unwrap();
        Ok::<_, Infallible>(answer(200))
    });
    let service = SessionLayer::new(site.sessions.clone()).layer(service);
    let running = tokio::spawn(service.oneshot(request(&cookie)));
    held.reached().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"), "it is still on its way");
    held.release();
    held.done().await;
    assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
    insert(&site, &cookie, "name", "Bob").await;
    assert_eq!(site.text(&cookie, "name").as_deref(), Some("Bob"));
}

#[tokio::test]
async fn a_load_that_was_given_up_does_not_hold_up_the_thread_that_answers() {
    let site = Site::sqlite();
    let cookie = site.visitor("name", "Ada");
    let held = Arc::new(Mutex::new(site.store.hold("load")));
    let (given_up, was_given_up) = oneshot::channel();
    let given_up = parking_lot::Mutex::new(Some(given_up));
    let asking = ask(&site, &cookie, |lazy| {
        let (held, given_up) = (Arc::clone(&held), given_up.lock().take().unwrap());
        async move {
            begin(lazy.load_async()).await;
            held.lock().await.reached().await;
            given_up.send(()).unwrap();
            answer(202)
        }
    });
    // On this runtime's only thread: if the commit blocked it, nobody would release the store.
    let releasing = async {
        was_given_up.await.unwrap();
        held.lock().await.release();
    };
    let (answered, ()) = tokio::join!(asking, releasing);
    assert_eq!(answered.status(), 202);
    held.lock().await.done().await;
}

#[tokio::test]
async fn a_server_error_drops_changes_and_renewals_and_the_old_session_goes_on() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let handler = |status: u16| {
            move |lazy: LazySession| async move {
                let session = lazy.load_async().await.unwrap();
                session.insert("name", "Eve").unwrap();
                session.renew().unwrap();
                answer(status)
            }
        };
        let failed = ask(&site, &cookie, handler(500)).await;
        assert_eq!((failed.status().as_u16(), failed.body().as_str()), (500, "body"));
        assert_eq!(set_cookie(&failed), None);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        // The same request does both if it does not fail.
        let done = ask(&site, &cookie, handler(404)).await;
        let renewed = pair(&set_cookie(&done).unwrap());
        assert_eq!(site.stored(&cookie), None);
        assert_eq!(site.text(&renewed, "name").as_deref(), Some("Eve"));
    }
}

#[tokio::test]
async fn a_logout_holds_also_with_a_server_error() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let failed = ask(&site, &cookie, |lazy| async move {
            let session = lazy.load_async().await.unwrap();
            session.invalidate().unwrap();
            session.flash("info", "Good bye").unwrap();
            answer(503)
        })
        .await;
        assert_eq!(failed.status(), 503);
        assert_eq!(site.stored(&cookie), None);
        let removal = set_cookie(&failed).unwrap();
        assert!(removal.starts_with("id=; Path=/; Max-Age=0;"), "{removal}");
    }
}

#[tokio::test]
async fn a_site_may_have_changes_saved_with_server_errors() {
    for site in Site::both_with(|builder| builder.with_server_errors(ServerErrorPolicy::Save)) {
        let cookie = site.visitor("name", "Ada");
        let failed = ask(&site, &cookie, |lazy| async move {
            lazy.load_async().await.unwrap().insert("name", "Eve").unwrap();
            answer(500)
        })
        .await;
        assert_eq!(failed.status(), 500);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
    }
}

#[tokio::test]
async fn an_error_of_the_service_is_passed_on_and_saves_nothing() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let service = service_fn(|request: Request<()>| async move {
            of(&request).load_async().await.unwrap().insert("name", "Eve").unwrap();
            Err::<Answer, _>("the service fails")
        });
        let service = SessionLayer::new(site.sessions.clone()).layer(service);
        let failed = timeout(PATIENCE, service.oneshot(request(&cookie))).await.unwrap();
        assert_eq!(failed.unwrap_err(), "the service fails");
        assert_eq!(site.store.asked(), ["load"]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

/// What the handler said of caches, and what the browser gets: of a response that sets a cookie,
/// and of one that does not.
const CACHES: [(&str, &str, &str); 5] = [
    ("", "no-store", ""),
    ("public, max-age=60", "no-store", "public, max-age=60"),
    ("max-age=60, private", "max-age=60, private", "max-age=60, private"),
    ("private=\"Set-Cookie\", max-age=60", "no-store", "private=\"Set-Cookie\", max-age=60"),
    ("no-store", "no-store", "no-store"),
];

#[tokio::test]
async fn no_cache_keeps_a_response_that_sets_a_cookie() {
    let site = Site::memory();
    let cookie = site.visitor("name", "Ada");
    for (said, setting, reading) in CACHES {
        let handler = |change: bool| {
            move |lazy: LazySession| async move {
                let session = lazy.load_async().await.unwrap();
                if change {
                    session.insert("name", "Eve").unwrap();
                }
                let mut answer = answer(200);
                if !said.is_empty() {
                    answer.headers_mut().insert(CACHE_CONTROL, said.parse().unwrap());
                }
                answer
            }
        };
        let set = ask(&site, "", handler(true)).await;
        assert!(set_cookie(&set).is_some());
        assert_eq!(header(&set, CACHE_CONTROL), [setting], "{said}");
        assert_eq!(header(&set, VARY), ["Cookie"]);
        let read = ask(&site, &cookie, handler(false)).await;
        assert_eq!(set_cookie(&read), None);
        assert_eq!(header(&read, CACHE_CONTROL).concat(), reading, "{said}");
        assert_eq!(header(&read, VARY), ["Cookie"]);
    }
}

#[tokio::test]
async fn vary_is_added_to_what_the_handler_said_and_not_twice() {
    let site = Site::memory();
    for (said, expected) in [
        ("Accept", vec!["Accept", "Cookie"]),
        ("Accept, cookie", vec!["Accept, cookie"]),
        ("*", vec!["*"]),
    ] {
        let read = ask(&site, "", |lazy| async move {
            lazy.load_async().await.unwrap();
            let mut answer = answer(200);
            answer.headers_mut().insert(VARY, said.parse().unwrap());
            answer
        })
        .await;
        assert_eq!(header(&read, VARY), expected);
    }
}

#[tokio::test]
async fn a_save_that_fails_is_503_and_leaves_the_record_as_it_was() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        site.store.fail(["update"]);
        let failed = insert(&site, &cookie, "name", "Eve").await;
        assert_eq!((failed.status().as_u16(), failed.body().as_str()), (503, ""));
        assert_eq!(set_cookie(&failed), None);
        assert_eq!(site.store.asked(), ["load", "update"]);
        site.store.fail([]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        // The same request works when the store does.
        assert_eq!(insert(&site, &cookie, "name", "Eve").await.status(), 200);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
    }
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_old_session_as_it_was() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let renew = |lazy: LazySession| async move {
            lazy.load_async().await.unwrap().renew().unwrap();
            answer(200)
        };
        site.store.fail(["rename"]);
        let failed = ask(&site, &cookie, renew).await;
        assert_eq!(failed.status(), 503);
        assert_eq!(set_cookie(&failed), None);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
        site.store.fail([]);
        let renewed = ask(&site, &cookie, renew).await;
        assert_eq!(site.stored(&cookie), None);
        let renewed = pair(&set_cookie(&renewed).unwrap());
        assert_eq!(site.text(&renewed, "name").as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn a_read_only_site_answers_while_saves_fail() {
    for site in Site::both_with(|builder| builder.with_outage(OutagePolicy::ReadOnly)) {
        let cookie = site.visitor("name", "Ada");
        site.store.fail(["update", "create"]);
        for cookie in [cookie.as_str(), ""] {
            let passed = insert(&site, cookie, "name", "Eve").await;
            assert_eq!((passed.status().as_u16(), passed.body().as_str()), (200, "body"));
            assert_eq!(set_cookie(&passed), None);
        }
        site.store.fail(["load"]);
        ask(&site, &cookie, |lazy| async move {
            let error = lazy.load_async().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            answer(200)
        })
        .await;
        site.store.fail([]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn during_an_outage_a_visitor_may_be_anonymous_and_nothing_is_stored_or_set() {
    for site in Site::both_with(|builder| builder.with_outage(OutagePolicy::Anonymous)) {
        let cookie = site.visitor("name", "Ada");
        site.store.fail(["load"]);
        let passed = ask(&site, &cookie, |lazy| async move {
            let session = lazy.load_async().await.unwrap();
            assert_eq!(session.get::<String>("name").unwrap(), None);
            let kind = |result: Result<(), beaker_session::Error>| result.unwrap_err().kind();
            assert_eq!(kind(session.insert("name", "Eve")), ErrorKind::Unavailable);
            assert_eq!(kind(session.delete()), ErrorKind::Unavailable);
            answer(200)
        })
        .await;
        assert_eq!((passed.status().as_u16(), passed.body().as_str()), (200, "body"));
        assert_eq!(set_cookie(&passed), None);
        assert_eq!(site.store.asked(), ["load"]);
        site.store.fail([]);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn a_change_of_a_session_that_another_request_ended_is_dropped_without_a_cookie() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let passed = ask(&site, &cookie, |lazy| {
            let site = &site;
            let cookie = cookie.clone();
            async move {
                let session = lazy.load_async().await.unwrap();
                session.insert("name", "Eve").unwrap();
                ask(site, &cookie, |lazy| async move {
                    lazy.load_async().await.unwrap().delete().unwrap();
                    answer(200)
                })
                .await;
                answer(200)
            }
        })
        .await;
        assert_eq!((passed.status().as_u16(), passed.body().as_str()), (200, "body"));
        assert_eq!(set_cookie(&passed), None);
        assert_eq!(site.stored(&cookie), None);
        assert_eq!(site.sessions.counts().refused, 1);
    }
}

#[tokio::test]
async fn what_comes_after_the_commit_is_refused() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let kept = parking_lot::Mutex::new(Vec::new());
        let handler = |load: bool| {
            let kept = &kept;
            move |lazy: LazySession| async move {
                if load {
                    lazy.load_async().await.unwrap();
                }
                kept.lock().push(lazy);
                answer(200)
            }
        };
        ask(&site, &cookie, handler(true)).await;
        ask(&site, &cookie, handler(false)).await;
        let [loaded, untouched] = <[LazySession; 2]>::try_from(kept.into_inner()).unwrap();
        let late = loaded.load_async().await.unwrap();
        assert_eq!(late.get::<String>("name").unwrap().as_deref(), Some("Ada"));
        let error = late.insert("name", "Eve").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyCommitted);
        let error = untouched.load_async().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyCommitted);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Ada"));
    }
}

/// 28: what another site's page sends does not reach the service.
#[tokio::test]
async fn a_page_of_another_site_changes_nothing_under_the_policy_for_that() {
    use beaker_session::SitePolicy;
    let asked = |policy: SitePolicy, method: &'static str, headers: &'static [(&str, &str)]| async move {
        let site = Site::memory_with(|builder| builder.with_sites(policy));
        let cookie = site.visitor("name", "Ada");
        let service = service_fn(move |request: Request<()>| {
            let lazy = of(&request);
            async move {
                lazy.load_async().await.unwrap().insert("name", "Eve").unwrap();
                Ok::<_, Infallible>(answer(200))
            }
        });
        let mut request = Request::builder().method(method).header(COOKIE, &cookie);
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let layer = SessionLayer::new(site.sessions.clone()).layer(service);
        let answer = layer.oneshot(request.body(()).unwrap()).await.unwrap();
        let name = site.text(&cookie, "name").unwrap();
        assert_eq!(name == "Eve", answer.status() == 200, "what was refused has changed nothing");
        assert!(answer.status() == 200 || answer.body().is_empty());
        answer.status().as_u16()
    };
    let (own, none) = (SitePolicy::NotCross, SitePolicy::SameOnly);
    const CROSS: &[(&str, &str)] = &[("sec-fetch-site", "cross-site"), ("host", "example.org")];
    assert_eq!(asked(SitePolicy::Any, "POST", CROSS).await, 200, "the default");
    assert_eq!(asked(own, "POST", CROSS).await, 403);
    assert_eq!(asked(own, "GET", CROSS).await, 200, "a link from there works");
    const ODD: &[(&str, &str)] = &[("sec-fetch-site", "\u{e9}"), ("host", "example.org")];
    assert_eq!(asked(own, "POST", ODD).await, 403);
    const SAME: &[(&str, &str)] = &[("origin", "https://example.org"), ("host", "example.org")];
    assert_eq!(asked(none, "POST", SAME).await, 200);
    const PORT: &[(&str, &str)] = &[("origin", "https://example.org:1"), ("host", "example.org")];
    assert_eq!(asked(own, "POST", PORT).await, 403);
    const OPAQUE: &[(&str, &str)] = &[("origin", "null"), ("host", "example.org")];
    assert_eq!(asked(own, "POST", OPAQUE).await, 403);
    const NO_HOST: &[(&str, &str)] = &[("origin", "https://")];
    assert_eq!(asked(own, "POST", NO_HOST).await, 403);
    const SILENT: &[(&str, &str)] = &[("host", "example.org")];
    assert_eq!(asked(own, "POST", SILENT).await, 200, "a program");
    assert_eq!(asked(none, "POST", SILENT).await, 403);
}

/// Attack 29: a session is bound to no address and to no browser, so that nobody is locked out by a
/// change of either.
#[tokio::test]
async fn a_request_from_another_address_and_browser_keeps_its_session() {
    for site in Site::both() {
        let name = |session: LazySession| async move {
            let session = session.load_async().await.unwrap();
            let name: Option<String> = session.get("name").unwrap();
            if name.is_none() {
                session.insert("name", "Ada").unwrap();
            }
            Response::new(name.unwrap_or_default())
        };
        let layer = SessionLayer::new(site.sessions.clone());
        let service = layer.layer(service_fn(move |request: Request<()>| {
            let answer = name(of(&request));
            async move { Ok::<_, Infallible>(answer.await) }
        }));
        let from = |cookie: &str, address: &str, browser: &str| {
            Request::builder()
                .header(COOKIE, cookie)
                .header("x-forwarded-for", address)
                .header("user-agent", browser)
                .body(())
                .unwrap()
        };
        let first = from("", "192.0.2.1", "one");
        let Ok(answer) = timeout(PATIENCE, service.clone().oneshot(first)).await.unwrap();
        let cookie = pair(&set_cookie(&answer).unwrap()).to_owned();
        let elsewhere = from(&cookie, "2001:db8::7", "another");
        let Ok(answer) = timeout(PATIENCE, service.oneshot(elsewhere)).await.unwrap();
        assert_eq!((answer.body().as_str(), set_cookie(&answer)), ("Ada", None));
    }
}
