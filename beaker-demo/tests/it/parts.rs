//! What a person sees in a browser, part by part.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::browser::Browser;
use crate::server::Server;

/// A site, and a browser that looks at it; `None` if there is no browser.
fn visit(args: &[&str]) -> Option<(Browser, Server, TempDir)> {
    let browser = Browser::open()?;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), args);
    browser.go(&server.url());
    Some((browser, server, dir))
}

#[test]
fn a_slow_report_is_made_once_then_hit_and_its_age_is_shown() {
    let Some((browser, _server, _dir)) = visit(&[]) else { return };
    assert_eq!(browser.text("#report-words"), "not made yet");
    browser.click("#report button");
    browser.wait_for("#report-source", |text| text == "miss");
    let took = browser.text("#report-took");
    assert!(took.starts_with("2.") && took.ends_with(" s"), "{took}");
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
    browser.wait_for("[data-report=sales-north] .state", is("invalidated by the tag"));
    browser.click("#ask-all");
    browser.wait_for(&last("stock-north"), is("hit"));
    browser.wait_for(&last("sales-north"), is("made"));
    browser.wait_for(&last("sales-south"), is("made"));
}

#[test]
fn the_page_sees_the_server_go_and_come_back_and_the_report_is_still_there() {
    let Some((browser, mut server, dir)) = visit(&["--allow-exit"]) else { return };
    browser.click("#report button");
    browser.wait_for("#report-source", |text| text == "miss");
    let maker = browser.text("#report-by");
    browser.click("#restart button");
    assert!(!server.wait().success());
    browser.wait_for("#server-text", |text| text.contains("the server is away"));
    let port = server.address.port();
    let server = Server::start_at(port, dir.path(), &["--allow-exit"]);
    browser.wait_for("#trouble", |text| text.contains("was started again"));
    assert_eq!(browser.text("#restart-seen"), "1");
    assert_eq!(browser.text("#restart-pid"), server.pid().to_string());
    browser.click("#report button");
    browser.wait_for("#report-source", |text| text != "miss");
    assert_eq!(browser.text("#report-by"), maker);
}

#[test]
fn the_button_that_stops_the_server_is_off_unless_it_was_allowed() {
    let Some((browser, _server, _dir)) = visit(&[]) else { return };
    assert_eq!(browser.script("return document.querySelector('#restart button').disabled"), true);
    assert!(browser.text("#restart").contains("--allow-exit"));
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
    let Some((browser, _server, _dir)) = visit(&[]) else { return };
    browser.click("#burst button[value=beaker]");
    browser.wait_for("#burst-words", |text| text.ends_with("through Beaker"));
    browser.click("#ask-all");
    browser.wait_for("[data-report=stock-north] .last", |text| text.starts_with("made"));
    for _ in 0..12 {
        browser.click("#report button");
        browser.wait_for("#report-by", |text| text.starts_with("process"));
    }
    browser.wait_for("#quantiles", |text| !text.contains("of 0 requests"));
    let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("demo-shots");
    std::fs::create_dir_all(&shots).unwrap();
    for (device, width) in [("desktop", 1280), ("phone", 390)] {
        for scheme in ["light", "dark"] {
            let picture = browser.picture(width, scheme);
            std::fs::write(shots.join(format!("{device}-{scheme}.png")), picture).unwrap();
            let wide = browser.script("return document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{device}: {wide} px");
        }
    }
}
