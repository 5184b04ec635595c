//! What a person sees in a browser, part by part.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::browser::Browser;
use crate::http::Ask;
use crate::server::Server;

/// A site, and a browser that looks at it; `None` if there is no browser.
fn visit(args: &[&str]) -> Option<(Browser, Server, TempDir)> {
    let browser = Browser::open()?;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), args);
    browser.go(&server.url());
    Some((browser, server, dir))
}

fn log_in(browser: &Browser, name: &str) {
    browser.write("#name", name);
    browser.click("#session button");
    browser.wait_for("#visitor", |text| text == name);
}

/// Logs in from another browser; gives its cookie.
fn log_in_elsewhere(server: &Server, name: &str) -> String {
    let ask = Ask::new(server.address, "POST", "/login").header("User-Agent", "Firefox on Linux");
    let answer = ask.form(&format!("name={name}")).send();
    assert_eq!(answer.status, 303, "{}", answer.body);
    let cookie = answer.header("set-cookie").expect("a login sends a cookie");
    cookie.split(';').next().unwrap().to_owned()
}

/// Whether a session is that of somebody who is logged in.
fn is_known(server: &Server, cookie: &str) -> bool {
    let ask = Ask::new(server.address, "GET", "/visitor").header("Cookie", cookie);
    !ask.wants_json().send().json().is_null()
}

#[test]
fn a_name_logs_in_and_the_cookie_is_shown_field_by_field() {
    let Some((browser, _server, _dir)) = visit(&[]) else { return };
    assert!(browser.text("#session").contains("there is no password"));
    assert_eq!(browser.cookies(), [] as [serde_json::Value; 0]);
    log_in(&browser, "Ada <b>");
    let cookies = browser.cookies();
    let [cookie] = &cookies[..] else { panic!("{cookies:?}") };
    // Chromium keeps a Secure cookie of 127.0.0.1 though that is plain http.
    assert_eq!((&cookie["name"], &cookie["path"]), (&"__Host-id".into(), &"/".into()));
    assert_eq!((&cookie["httpOnly"], &cookie["secure"]), (&true.into(), &true.into()));
    assert_eq!(cookie["sameSite"], "Lax");
    let value = cookie["value"].as_str().unwrap();
    let parts: Vec<&str> = value.split('.').collect();
    let table = browser.text("#session table");
    let size = format!("Size {} bytes", "__Host-id".len() + value.len());
    for row in ["Name __Host-id", "Path /", "HttpOnly yes", "Secure yes", "SameSite Lax", &size] {
        assert!(table.contains(row), "{row} in {table}");
    }
    assert!(table.contains("Max-Age 86400 s (24 h)"), "{table}");
    assert_eq!(browser.text("#signature"), parts[2]);
    assert!(!table.contains(parts[0]), "the secret is shown unasked");
    browser.click("[data-part=reveal] button");
    browser.wait_for("#secret", |text| text == parts[0]);
    browser.click("[action='/logout'] button");
    browser.wait_for("#session-h", |text| text.starts_with("Log in"));
    assert_eq!(browser.cookies(), [] as [serde_json::Value; 0]);
}

#[test]
fn two_tabs_that_click_at_once_lose_no_click() {
    let Some((browser, server, _dir)) = visit(&[]) else { return };
    log_in(&browser, "Ada");
    let one = browser.tab();
    let two = browser.new_tab();
    browser.go(&server.url());
    browser.click("#counter form > button");
    browser.wait_for("#clicks", |text| text == "1");
    for tab in [&one, &two] {
        browser.switch_to(tab);
        // The driver would wait for the first fifty before it goes to the other tab.
        browser.script("setTimeout(() => document.getElementById('fifty').click(), 300)");
    }
    for (tab, sent) in [(&two, "51"), (&one, "50")] {
        browser.switch_to(tab);
        browser.wait_for("#clicks", |text| text == "101");
        assert_eq!(browser.text("#sent"), sent);
    }
}

#[test]
fn sessions_are_listed_and_revoked_one_by_one_but_this_or_all() {
    let Some((browser, server, _dir)) = visit(&[]) else { return };
    log_in(&browser, "Ada");
    let others: Vec<String> = (0..3).map(|_| log_in_elsewhere(&server, "Ada")).collect();
    let stranger = log_in_elsewhere(&server, "Bob");
    let rows = "return document.querySelectorAll('#session-rows tr').length";
    // The page sees them without being loaded again.
    browser.wait_for("#session-rows", |text| text.matches("Firefox on Linux").count() == 6);
    assert_eq!(browser.script(rows), 4);
    // As if the others had logged in after the page was made and before it asked.
    browser.script("document.querySelectorAll('#session-rows tr:not(:has(.here))').forEach(row => row.remove())");
    browser.wait_for("#session-rows", |text| text.matches("Firefox on Linux").count() == 6);
    assert!(browser.text("#session-rows").contains("Chrome on Linux (this one)"));
    browser.click("#session-rows tr:not(:has(.here)) button");
    browser.wait_for("#session-rows", |text| text.matches("Firefox on Linux").count() == 4);
    assert_eq!(others.iter().filter(|cookie| is_known(&server, cookie)).count(), 2);
    browser.click("#everywhere button[value=others]");
    browser.wait_for("#session-rows", |text| !text.contains("Firefox on Linux"));
    assert_eq!(browser.script(rows), 1);
    assert_eq!(others.iter().filter(|cookie| is_known(&server, cookie)).count(), 0);
    let last = log_in_elsewhere(&server, "Ada");
    browser.click("#everywhere button[value=all]");
    browser.wait_for("#session-h", |text| text.starts_with("Log in"));
    assert!(!is_known(&server, &last));
    assert!(is_known(&server, &stranger), "somebody else was signed out");
}

#[test]
fn a_page_whose_session_was_revoked_elsewhere_says_so_by_itself() {
    let Some((browser, server, _dir)) = visit(&[]) else { return };
    log_in(&browser, "Ada");
    let other = log_in_elsewhere(&server, "Ada");
    let ask = Ask::new(server.address, "POST", "/revoke").header("Cookie", &other);
    assert_eq!(ask.form("which=others").send().status, 303);
    browser.wait_for("#session-h", |text| text.starts_with("Log in"));
    assert!(is_known(&server, &other));
}

#[test]
fn a_slow_report_is_made_once_then_hit_and_its_age_is_shown() {
    let Some((browser, _server, _dir)) = visit(&[]) else { return };
    assert_eq!(browser.text("#report-words"), "not made yet");
    browser.click("#report button");
    browser.wait_for("#report-source", |text| text == "miss");
    let took = browser.text("#report-took");
    let seconds = took.strip_suffix(" s").and_then(|number| number.parse::<f64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds >= 2.0), "{took}");
    browser.click("#report button");
    browser.wait_for("#report-source", |text| text == "hit");
    let took = browser.text("#report-took");
    assert!(took.ends_with("ms") || took.ends_with("µs"), "{took}");
    browser.wait_for("#report-age", |text| text.ends_with(" s"));
    // Later the old one is served while a new one is made, and nobody waits for it.
    browser.click("#keep-asking");
    browser.wait_for("#report-source", |text| text == "stale");
    browser.wait_for("#report-source", |text| text == "hit");
    browser.wait_for("#quantiles", |text| text.contains("p50") && !text.contains("of 0 requests"));
    let marks =
        browser.script("return document.querySelectorAll('#plot .hit, #plot .stale').length");
    assert!(marks.as_u64().unwrap() > 5, "{marks}");
    assert_eq!(browser.script("return document.querySelectorAll('#plot .made').length"), 1);
}

#[test]
fn five_hundred_requests_for_an_absent_key_run_one_creation() {
    let Some((browser, _server, _dir)) = visit(&[]) else { return };
    browser.click("#burst button[value=beaker]");
    browser.wait_for("#burst-words", |text| text.ends_with("through Beaker"));
    assert_eq!(browser.text("#burst-creations"), "1");
    assert_eq!(browser.text("#burst-requests"), "500 answered, 0 failed");
    browser.click("#burst button[value=nothing]");
    browser.wait_for("#burst-words", |text| text.ends_with("without a cache"));
    assert_eq!(browser.text("#burst-creations"), "500");
}

#[test]
fn a_tag_makes_its_reports_anew_and_leaves_the_others() {
    let Some((browser, _server, _dir)) = visit(&[]) else { return };
    let last = |name: &str| format!("[data-report={name}] .last");
    let is = |word: &'static str| move |text: &str| text.starts_with(word);
    browser.click("#ask-all");
    for name in ["sales-north", "sales-south", "stock-north"] {
        browser.wait_for(&last(name), is("made"));
    }
    browser.click("#tags button[value=sales]");
    browser.wait_for("[data-report=sales-north] .state", is("invalidated by “sales”"));
    browser.click("#ask-all");
    browser.wait_for(&last("stock-north"), is("hit"));
    browser.wait_for(&last("sales-north"), is("made"));
    browser.wait_for(&last("sales-south"), is("made"));
}

#[test]
fn the_page_sees_the_server_go_and_come_back_and_session_and_report_are_still_there() {
    let Some((browser, mut server, dir)) = visit(&[]) else { return };
    log_in(&browser, "Ada");
    browser.click("#counter form > button");
    browser.wait_for("#clicks", |text| text == "1");
    browser.click("#report button");
    browser.wait_for("#report-source", |text| text == "miss");
    let maker = browser.text("#report-by");
    browser.click("#restart button");
    assert!(!server.wait().success());
    browser.wait_for("#server-text", |text| text.contains("the server is away"));
    let port = server.address.port();
    let server = Server::start_at(port, dir.path(), &[]);
    browser.wait_for("#trouble", |text| text.contains("was started again"));
    assert_eq!(browser.text("#restart-seen"), "1");
    assert_eq!(browser.text("#restart-pid"), server.pid().to_string());
    assert!(browser.text("#restart").contains(&format!("kill -9 {}", server.pid())));
    browser.click("#report button");
    browser.wait_for("#report-source", |text| text != "miss");
    assert_eq!(browser.text("#report-by"), maker);
    browser.click("#counter form > button");
    browser.wait_for("#clicks", |text| text == "2");
    assert_eq!(browser.text("#visitor"), "Ada");
}

#[test]
fn the_caches_move_to_another_store_while_the_site_runs() {
    let Some((browser, _server, _dir)) = visit(&[]) else { return };
    assert!(browser.text("#store-facts").contains("sqlite://"));
    browser.click("#store input[value=redb]");
    browser.click("#store button");
    let facts = browser.wait_for("#store-facts", |text| text.contains("redb://"));
    assert!(facts.contains("the threads and tasks of this process"), "{facts}");
    browser.wait_for("#server-text", |text| text.ends_with("redb"));
    browser.click("#store input[value=memory]");
    browser.click("#store button");
    let facts = browser.wait_for("#store-facts", |text| text.contains("memory:"));
    assert!(facts.contains("keep live objects"), "{facts}");
}

/// Everything has been used once, so that the pictures show it; they are in `target/demo-shots`.
#[test]
fn nothing_is_wider_than_a_phone() {
    let Some((browser, server, _dir)) = visit(&[]) else { return };
    pictures(&browser, "out-");
    log_in(&browser, "Ada Lovelace");
    log_in_elsewhere(&server, "Ada+Lovelace");
    browser.wait_for("#session-rows", |text| text.contains("Firefox on Linux"));
    browser.click("#counter form > button");
    browser.wait_for("#clicks", |text| text == "1");
    browser.click("#burst button[value=beaker]");
    browser.wait_for("#burst-words", |text| text.ends_with("through Beaker"));
    browser.click("#ask-all");
    browser.wait_for("[data-report=stock-north] .last", |text| text.starts_with("made"));
    for _ in 0..12 {
        browser.click("#report button");
        browser.wait_for("#report-by", |text| text.starts_with("process"));
    }
    browser.wait_for("#quantiles", |text| !text.contains("of 0 requests"));
    pictures(&browser, "");
}

#[track_caller]
fn pictures(browser: &Browser, prefix: &str) {
    let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("demo-shots");
    std::fs::create_dir_all(&shots).unwrap();
    browser.script("scrollTo(0, 0)");
    for (device, width) in [("desktop", 1280), ("phone", 390)] {
        for scheme in ["light", "dark"] {
            let picture = browser.picture(width, scheme);
            std::fs::write(shots.join(format!("{prefix}{device}-{scheme}.png")), picture).unwrap();
            let wide = browser.script("return document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{device}: {wide} px");
        }
    }
}
