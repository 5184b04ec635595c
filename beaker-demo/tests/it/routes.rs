//! The routes, asked without a browser: what they answer, and what they refuse.

use std::thread;

use crate::http::{Answer, Ask};
use crate::server::Server;

fn site() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--store", "memory:"]);
    (dir, server)
}

fn post(server: &Server, path: &'static str) -> Ask<'static> {
    Ask::new(server.address, "POST", path)
}

#[track_caller]
fn refuses(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(words), "{}", answer.body);
}

#[test]
fn the_page_is_whole_and_takes_nothing_from_elsewhere() {
    let (_dir, server) = site();
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert!(!page.body.contains("{{"), "a name of a template was not filled");
    let links = page.body.match_indices("src=\"").chain(page.body.match_indices("rel=\""));
    assert!(links.count() >= 3);
    assert!(!page.body.contains("https://"), "something is loaded from elsewhere");
    for asset in ["style.css", "app.js", "plot.js", "icon.svg"] {
        assert_eq!(server.get(&format!("/assets/{asset}")).status, 200, "{asset}");
    }
}

#[test]
fn what_does_not_exist_is_404_as_a_page_and_as_json() {
    let (_dir, server) = site();
    for path in ["/no-such-page", "/reports/no-such", "/assets/../Cargo.toml", "/burst/7"] {
        let answer = server.get(path);
        refuses(&answer, 404, "There is no such");
        assert!(answer.body.starts_with("<!doctype html>"), "{path}");
    }
    let words = "There is no such page.";
    assert_eq!(server.get_json("/no-such-page")["error"], words);
    refuses(&server.post_json("/tags", "tag=%3Cscript%3E"), 404, "There is no such tag.");
    refuses(&server.post_json("/store", "kind=redis"), 404, "There is no such store.");
}

#[test]
fn a_form_that_is_wrong_is_refused_with_the_reason() {
    let (_dir, server) = site();
    refuses(&server.post_json("/tags", "tga=sales"), 422, "missing field `tag`");
    refuses(&server.post_json("/burst", "through=x"), 422, "unknown variant");
    let text = post(&server, "/tags").body("text/plain", "tag=sales").send();
    refuses(&text, 415, "application/x-www-form-urlencoded");
    refuses(&server.get("/tags"), 405, "This address is not asked in this way.");
    refuses(&server.get("/burst/x"), 400, "");
}

#[test]
fn a_name_that_is_none_is_refused_and_sets_no_cookie() {
    let (_dir, server) = site();
    let long = format!("name={}", "x".repeat(41));
    for form in ["name=", "name=+++", "name=a%0Ab", &long] {
        let answer = server.post_json("/login", form);
        refuses(&answer, 422, "A name has 1 to 40 characters, on one line.");
        assert_eq!(answer.header("set-cookie"), None, "{form}");
    }
    refuses(&server.post_json("/login", "nam=x"), 422, "missing field `name`");
}

#[test]
fn who_is_not_logged_in_has_no_counter_and_no_sessions() {
    let (_dir, server) = site();
    refuses(&server.post_json("/count", ""), 401, "Log in first.");
    refuses(&server.post_json("/revoke", "which=all"), 401, "Log in first.");
    refuses(&server.post_json("/reveal", ""), 404, "There is no such cookie.");
    assert!(server.get_json("/visitor").is_null());
    let page = server.get("/");
    assert_eq!(page.header("set-cookie"), None);
    assert!(page.body.contains("<button disabled>Click</button>"), "{}", page.body);
}

fn logged_in(server: &Server, name: &str) -> String {
    let answer = post(server, "/login").form(&format!("name={name}")).send();
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn another_login_gives_a_new_session_and_ends_the_old_one() {
    let (_dir, server) = site();
    let old = logged_in(&server, "Ada");
    let count = post(&server, "/count").header("Cookie", &old).wants_json().send();
    assert_eq!(count.json()["clicks"], 1);
    let answer = post(&server, "/login").header("Cookie", &old).form("name=Bob").send();
    let new = answer.header("set-cookie").unwrap().split(';').next().unwrap();
    assert_ne!(new, old);
    let visitor = |cookie: &str| {
        let ask = Ask::new(server.address, "GET", "/visitor").header("Cookie", cookie);
        ask.wants_json().send().json()
    };
    assert!(visitor(&old).is_null());
    assert_eq!((&visitor(new)["name"], &visitor(new)["clicks"]), (&"Bob".into(), &0.into()));
}

#[test]
fn a_name_cannot_bring_markup_into_the_page() {
    let (_dir, server) = site();
    let cookie = logged_in(&server, "%3Cscript%3E%22");
    let page = Ask::new(server.address, "GET", "/").header("Cookie", &cookie).send();
    assert!(page.body.contains("Logged in as <span id=\"visitor\">&lt;script&gt;&quot;</span>"));
    assert!(!page.body.contains("{{"), "a name of a template was not filled");
}

#[test]
fn a_session_of_somebody_else_cannot_be_revoked() {
    let (_dir, server) = site();
    let [ada, bob] = ["Ada", "Bob"].map(|name| logged_in(&server, name));
    let visitor = |cookie: &str| {
        let ask = Ask::new(server.address, "GET", "/visitor").header("Cookie", cookie);
        ask.wants_json().send().json()
    };
    let revoke = |cookie: &str, handle: &str| {
        let form = format!("which=one&handle={handle}");
        post(&server, "/revoke").header("Cookie", cookie).form(&form).send()
    };
    let handle = visitor(&ada)["devices"][0]["handle"].as_str().unwrap().to_owned();
    refuses(&revoke(&bob, &handle), 404, "There is no such session.");
    refuses(&revoke(&bob, "x"), 404, "There is no such session.");
    assert_eq!(visitor(&ada)["name"], "Ada");
    assert_eq!(revoke(&ada, &handle).status, 303);
    assert!(visitor(&ada).is_null());
}

#[test]
fn a_cookie_that_somebody_changed_is_a_strangers() {
    let (_dir, server) = site();
    let cookie = logged_in(&server, "Ada");
    let changed = cookie.replace("id=", "id=A");
    for cookie in [changed.as_str(), "__Host-id=x", "__Host-id=a.b.c"] {
        let ask = Ask::new(server.address, "GET", "/visitor").header("Cookie", cookie);
        assert!(ask.wants_json().send().json().is_null(), "{cookie}");
    }
}

#[test]
fn the_cookie_for_plain_http_is_asked_for_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--store", "memory:", "--insecure-cookie"]);
    let answer = post(&server, "/login").form("name=Ada").send();
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("id=") && !cookie.contains("Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let page = Ask::new(server.address, "GET", "/").header("Cookie", pair).send();
    assert!(page.body.contains("Started with --insecure-cookie"));
    // And who keeps no cookie at all is told what to do.
    assert!(server.get("/?kept=").body.contains("Your browser did not keep the cookie"));
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    let (_dir, server) = site();
    let huge = format!("tag={}", "x".repeat(20_000));
    refuses(&server.post_json("/tags", &huge), 413, "length limit exceeded");
    assert_eq!(server.post_json("/tags", "tag=sales").status, 200);
}

#[test]
fn another_site_changes_nothing_and_another_name_sees_nothing() {
    let (_dir, server) = site();
    let foreign = post(&server, "/tags").header("Origin", "http://evil.example").form("tag=sales");
    refuses(&foreign.send(), 403, "sent from a page of another site");
    let rebound = Ask::new(server.address, "GET", "/").header("Host", "evil.example");
    refuses(&rebound.send(), 421, "answers to 127.0.0.1 and localhost only");
}

#[test]
fn without_scripts_the_forms_lead_to_pages() {
    let (_dir, server) = site();
    let report = server.get("/reports/year");
    assert!(report.body.contains("<dt>Source</dt><dd>made</dd>"), "{}", report.body);
    let burst = post(&server, "/burst").form("through=beaker").send();
    assert!(burst.body.contains("<dt>Creations</dt><dd>1</dd>"), "{}", burst.body);
    let tags = post(&server, "/tags").form("tag=sales").send();
    assert_eq!((tags.status, tags.header("location")), (303, Some("/#tags")));
}

#[test]
fn the_page_can_stop_the_server_unless_that_was_refused() {
    const BUTTON: &str = "<button class=\"danger\">Stop the server abruptly</button>";
    let (_dir, mut server) = site();
    let from_elsewhere = post(&server, "/stop").header("Sec-Fetch-Site", "cross-site").send();
    assert_eq!(from_elsewhere.status, 403, "a page of another site");
    assert!(server.get("/").body.contains(BUTTON));
    assert!(post(&server, "/stop").try_send().is_err(), "nobody is answered");
    assert!(!server.wait().success());

    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-exit"]);
    refuses(&server.post_json("/stop", ""), 403, "--no-exit");
    let page = server.get("/").body;
    assert!(page.contains("<button class=\"danger\" disabled>Stop the server abruptly</button>"));
    assert!(page.contains("The demo was started with --no-exit."));
}

#[test]
fn a_burst_creates_once_on_every_kind_of_store_and_500_times_without() {
    let (_dir, server) = site();
    for kind in ["memory", "file", "sqlite", "redb"] {
        assert_eq!(server.post_json("/store", &format!("kind={kind}")).status, 200);
        let outcome = server.post_json("/burst", "through=beaker").json();
        assert_eq!((&outcome["creations"], &outcome["failed"]), (&1.into(), &0.into()), "{kind}");
        assert_eq!(outcome["micros"].as_array().unwrap().len(), 500);
    }
    let outcome = server.post_json("/burst", "through=nothing").json();
    assert_eq!((&outcome["creations"], &outcome["failed"]), (&500.into(), &0.into()));
}

#[test]
fn bursts_are_bounded() {
    let (_dir, server) = site();
    let ask = || server.post_json("/burst", "through=nothing").status;
    let statuses: Vec<u16> = thread::scope(|scope| {
        let asked: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[test]
fn a_store_in_memory_promises_nothing_across_a_restart() {
    let (_dir, server) = site();
    assert!(server.get("/").body.contains("Not this time: it was started with"));
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    assert!(!server.get("/").body.contains("Not this time"));
}

#[test]
fn what_a_killed_server_made_is_there_after_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &[]);
    let made = server.get_json("/reports/sales-north");
    assert_eq!(made["source"], "made");
    server.kill();
    let server = Server::start(dir.path(), &[]);
    let found = server.get_json("/reports/sales-north");
    assert_ne!(found["source"], "made");
    assert_eq!(found["report"], made["report"]);
}
