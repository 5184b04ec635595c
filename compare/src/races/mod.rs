//! What is left of a session when requests meet, stores fail and cookies are not what they were: the same
//! experiments on ours and on the peers.
//!
//! Nothing is timed, and nothing is left to chance: requests meet at a barrier, after they have read their
//! session and before they write.

mod actix;
mod axum;
mod experiments;
mod ours;
mod tower;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::Barrier;

use crate::python;
use crate::report::{Report, Table};

/// Far more than an experiment takes: turns a hang into an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// What sessions may have here.
const NAMES: [&str; 4] = ["late", "left", "right", "user"];

/// What a handler does with a session that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// It does not look into it, either.
    Nothing,
    Look,
    /// Puts the number 1 under the name.
    Insert(&'static str),
    /// Counts `user` up, by what the library has for that.
    Count,
    /// Puts a text of so many characters in.
    Grow(usize),
    LogOut,
    Renew,
    RenewAndFail,
}

impl Act {
    fn status(self) -> u16 {
        if self == Self::RenewAndFail { 500 } else { 200 }
    }
}

/// What a handler is to do, and who waits for whom.
#[derive(Clone)]
struct Errand {
    act: Act,
    meeting: Option<Arc<Barrier>>,
}

impl Errand {
    /// Twice: the others have read before anybody acts, and what is done between the two is done by then.
    async fn meet(&self) {
        if let Some(meeting) = &self.meeting {
            meeting.wait().await;
            meeting.wait().await;
        }
    }
}

/// A response.
#[derive(Debug, Default)]
struct Seen {
    status: u16,
    set_cookies: Vec<String>,
    /// The names that the session had, in order, each with its number if that is not 1.
    had: String,
}

/// What a session has, as it is told.
fn told(number_of: impl Fn(&str) -> Option<i64>) -> String {
    let word = |name: &str| match number_of(name)? {
        1 => Some(name.to_owned()),
        number => Some(format!("{name}={number}")),
    };
    NAMES.iter().filter_map(|name| word(name)).collect::<Vec<_>>().join(" ")
}

/// The `Set-Cookie` headers of a response.
fn texts(headers: ::axum::http::header::GetAll<'_, ::axum::http::HeaderValue>) -> Vec<String> {
    headers.iter().filter_map(|value| Some(value.to_str().ok()?.to_owned())).collect()
}

/// A site by which the experiments are done.
trait Raced {
    async fn visit(&self, cookie: &str, errand: Errand) -> Seen;
}

/// A browser, as far as cookies go.
#[derive(Debug, Clone, Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn header(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn receive(&mut self, seen: &Seen) {
        for cookie in &seen.set_cookies {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let Some((name, value)) = pair.split_once('=') else { continue };
            let attributes = attributes.to_ascii_lowercase();
            if attributes.contains("max-age=0") || value.is_empty() {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// An experiment on one peer, and the same on ours.
struct Row {
    experiment: &'static str,
    peer: &'static str,
    /// What is to be left.
    sound: &'static str,
    theirs: String,
    ours: String,
}

pub(crate) fn run(report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.heading("races: what is left of a session");
    report.note(
        "Each experiment is one order of events, held by barriers. `-`: nothing is left. Ours is beside \
         sessions in cookies an encrypted cookie with a store for logouts, but in the first experiment, \
         which no cookie can win: there, and beside the others, memory.",
    );
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let rows = runtime.block_on(rows());
    print(&rows, report);
    python(report);
    Ok(())
}

fn print(rows: &[Row], report: &mut Report) {
    let mut table = Table::new(&["experiment", "peer", "to be left", "theirs", "ours", "sound"]);
    let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    for row in rows {
        let verdict = match (row.theirs == row.sound, row.ours == row.sound) {
            (true, true) => "both",
            (false, true) => "ours",
            (_, false) => "NOT OURS",
        };
        let cells = [row.sound, &row.theirs, &row.ours].map(shown);
        let names = [row.experiment, row.peer].map(str::to_owned);
        table.row(names.into_iter().chain(cells).chain([verdict.to_owned()]));
    }
    report.table(&table);
    let lost = |of: fn(&Row) -> &String| rows.iter().filter(|row| of(row) != row.sound).count();
    let theirs = format!("peers: {} of {}", lost(|row| &row.theirs), rows.len());
    let ours = lost(|row| &row.ours) as f64;
    report.at_most("races that ours loses", ours, 0.0, "", &theirs);
}

async fn bounded<T>(experiment: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, experiment).await.expect("an experiment ends")
}

/// The rows of an experiment on each of the peers; the last of them is set beside `$like_actix` of ours.
macro_rules! on_all {
    ($rows:ident, $experiment:literal, $sound:literal, $run:path, $like_actix:expr) => {
        let ours = bounded($run(&ours::in_memory())).await;
        let like_actix = bounded($run(&$like_actix)).await;
        let (tower, axum) = (tower::in_memory(), axum::in_memory().await);
        let actix = actix::in_cookies().await;
        for (peer, theirs, ours) in [
            ("tower-sessions", bounded($run(&tower)).await, ours.clone()),
            ("axum_session", bounded($run(&axum)).await, ours),
            ("actix-session, in a cookie", bounded($run(&actix)).await, like_actix),
        ] {
            $rows.push(Row { experiment: $experiment, peer, sound: $sound, theirs, ours });
        }
    };
}

async fn rows() -> Vec<Row> {
    let cookies = ours::in_cookies;
    let mut rows = Vec::new();
    // In a cookie the later response's stays, whoever has made it: only a store can merge.
    let store = ours::in_memory;
    on_all!(rows, "two requests that overlap", "left right user", experiments::two_writes, store());
    on_all!(rows, "a write after a logout", "", experiments::a_write_after_a_logout, cookies());
    on_all!(
        rows,
        "a renewal in a request that fails",
        "user",
        experiments::a_renewal_and_an_error,
        cookies()
    );
    on_all!(
        rows,
        "a tossed cookie behind the good one",
        "user",
        experiments::a_cookie_behind,
        cookies()
    );
    on_all!(
        rows,
        "a tossed cookie before the good one",
        "user",
        experiments::a_cookie_before,
        cookies()
    );
    on_all!(rows, "a request that does nothing", "no cookies", experiments::nothing, cookies());
    rows.extend(apart().await);
    rows
}

/// Those in which one peer's store or setting is the matter.
async fn apart() -> [Row; 8] {
    let row = |experiment, peer, sound, theirs, ours| Row { experiment, peer, sound, theirs, ours };
    [
        row(
            "a renewal whose store fails",
            "tower-sessions",
            "user",
            bounded(tower::a_renewal_that_fails()).await,
            bounded(ours::a_renewal_that_fails()).await,
        ),
        row(
            "a logout on another node, ours without a memory of its own",
            "tower-sessions, CachingSessionStore",
            "",
            bounded(experiments::a_logout_elsewhere(&tower::nodes())).await,
            bounded(experiments::a_logout_elsewhere(&ours::nodes())).await,
        ),
        row(
            "a write while the store cannot be read",
            "axum_session, a database and no memory",
            "503, user",
            bounded(axum::a_write_in_an_outage()).await,
            bounded(ours::a_write_in_an_outage()).await,
        ),
        row(
            "an id that somebody planted, no key",
            "axum_session",
            "",
            bounded(experiments::a_planted_id(&axum::in_memory().await, axum::PLANTED)).await,
            bounded(experiments::a_planted_id(&ours::in_memory(), ours::PLANTED)).await,
        ),
        row(
            "a cookie with __Host-",
            "axum_session",
            "user",
            bounded(experiments::a_login(&axum::with_prefix().await)).await,
            bounded(experiments::a_login(&ours::in_memory())).await,
        ),
        row(
            "counting up",
            "actix-session, update()",
            "user=2",
            bounded(experiments::counting_up(&actix::in_cookies().await)).await,
            bounded(experiments::counting_up(&ours::in_cookies())).await,
        ),
        row(
            "a cookie that was saved before a logout",
            "actix-session, private cookie",
            "",
            bounded(experiments::a_saved_cookie(&actix::in_cookies().await)).await,
            bounded(experiments::a_saved_cookie(&ours::in_cookies())).await,
        ),
        row(
            "4,000 characters in a cookie",
            "actix-session, private cookie",
            "500, user",
            bounded(experiments::a_large_value(&actix::in_cookies().await)).await,
            bounded(experiments::a_large_value(&ours::in_cookies())).await,
        ),
    ]
}

/// Python's own, alone: its experiments are told by its script.
fn python(report: &mut Report) {
    report.heading("races: Python's Beaker");
    match python::output("beaker_races.py", "beaker.middleware", "beaker==1.14.1", &[]) {
        Ok(text) => report.note(text.trim_end()),
        Err(reason) => report.skipped(&reason),
    }
}
