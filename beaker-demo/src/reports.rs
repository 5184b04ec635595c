//! Reports that are slow to make, and kept.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use beaker_container::{CreateError, Created, Got, Invalidator, Source, Why};
use serde::{Deserialize, Serialize};

use crate::answer::{Failure, Fields, Wants};
use crate::app::{App, Shared};
use crate::html::Html;
use crate::page;
use crate::place::FRESH;
use crate::samples;

/// A kind of report: what it is called, how long it takes, what it is invalidated by.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) takes: Duration,
    /// How long it stays fresh.
    fresh: Duration,
    pub(crate) tags: &'static [&'static str],
}

/// The one whose age is shown, and those with tags.
pub(crate) const KINDS: [Kind; 4] = [
    Kind {
        name: "year",
        title: "The year",
        takes: Duration::from_secs(2),
        fresh: FRESH,
        tags: &[],
    },
    tagged("sales-north", "Sales, north", &["sales", "north"]),
    tagged("sales-south", "Sales, south", &["sales", "south"]),
    tagged("stock-north", "Stock, north", &["stock", "north"]),
];

/// The tags that the page can invalidate.
pub(crate) const TAGS: [&str; 4] = ["sales", "stock", "north", "south"];

/// Fresh for long, so that only a tag makes it anew.
const fn tagged(name: &'static str, title: &'static str, tags: &'static [&'static str]) -> Kind {
    let (takes, fresh) = (Duration::from_millis(800), Duration::from_secs(600));
    Kind { name, title, takes, fresh, tags }
}

/// What is made and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// In milliseconds since 1970.
    made_at: u64,
    /// The process that made it.
    pid: u32,
    /// Which of that process's reports it was, from 1.
    serial: u64,
    total: u64,
}

/// How many reports this process made.
#[derive(Debug, Default)]
pub(crate) struct Made(AtomicU64);

/// What is shown of a request for a report.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    name: &'static str,
    title: &'static str,
    report: Report,
    source: &'static str,
    age_ms: u64,
    fresh_ms: u64,
    micros: u64,
}

/// `GET /reports/{name}`.
pub(crate) async fn show(
    State(app): State<Shared>,
    Path(name): Path<String>,
    wants: Wants,
) -> Result<Response, Failure> {
    let kind = KINDS.iter().find(|kind| kind.name == name);
    let kind = kind.ok_or_else(|| Failure::absent("report"))?;
    let shown = obtain(&app, kind).await?;
    Ok(match wants {
        Wants::Json => Json(shown).into_response(),
        Wants::Page => shown.page().into_response(),
    })
}

async fn obtain(app: &Shared, kind: &'static Kind) -> Result<Shown, Failure> {
    let began = Instant::now();
    let maker = Arc::clone(app);
    let caches = app.place.caches();
    let got = caches
        .reports
        .fetch(kind.name)
        .spawn_async(move |_| async move { Ok::<_, Infallible>(maker.made.one(kind).await) })
        .await
        .map_err(|error| match error {
            CreateError::Create(never) => match never {},
            CreateError::Cache(error) => Failure::from(error),
        })?;
    let took = began.elapsed();
    app.samples.record(took, word(got.source));
    Ok(Shown::of(kind, got, took))
}

impl Made {
    /// Makes a report, slowly.
    async fn one(&self, kind: &Kind) -> Created<Report> {
        tokio::time::sleep(kind.takes).await;
        let serial = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let made_at = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let report =
            Report { made_at, pid: std::process::id(), serial, total: 1000 + made_at % 9000 };
        let created = Created::new(report).ttl(kind.fresh);
        kind.tags.iter().fold(created, |created, tag| created.tag(*tag))
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Shown {
    fn of(kind: &'static Kind, got: Got<Report>, took: Duration) -> Self {
        Self {
            name: kind.name,
            title: kind.title,
            report: got.value,
            source: word(got.source),
            age_ms: millis(got.age),
            fresh_ms: got.ttl.map_or(u64::MAX, millis),
            micros: samples::micros(took),
        }
    }

    /// For a browser without scripts.
    fn page(&self) -> Html {
        let facts = [
            ("Source", self.source.to_owned()),
            ("Age", format!("{} ms", self.age_ms)),
            ("Request took", format!("{} µs", self.micros)),
            ("Total", self.report.total.to_string()),
            ("Made by process", self.report.pid.to_string()),
        ];
        page::facts_page(self.title, &facts)
    }
}

/// What lies in the cache under each name, without making anything.
pub(crate) async fn states(app: &App) -> Result<Vec<(&'static Kind, String)>, Failure> {
    let reports = app.place.caches().reports.clone();
    let whys = reports.call(|reports| KINDS.iter().map(|kind| reports.why(kind.name)).collect());
    let whys: Vec<Why> = whys.await?;
    Ok(KINDS.iter().zip(whys.iter().map(state)).collect())
}

fn state(why: &Why) -> String {
    match why {
        Why::Fresh { .. } => "fresh".to_owned(),
        Why::Expired { .. } => "expired".to_owned(),
        Why::Absent => "not made yet".to_owned(),
        Why::Invalidated { by: Invalidator::Tag(tag), .. } => format!("invalidated by “{tag}”"),
        why => why.to_string(),
    }
}

/// The form of `POST /tags`.
#[derive(Debug, Deserialize)]
pub(crate) struct TagForm {
    tag: String,
}

/// `POST /tags`: invalidates what carries a tag.
pub(crate) async fn invalidate(
    State(app): State<Shared>,
    wants: Wants,
    Fields(form): Fields<TagForm>,
) -> Result<Response, Failure> {
    if !TAGS.contains(&form.tag.as_str()) {
        return Err(Failure::absent("tag"));
    }
    app.place.caches().reports.invalidate_tag_async(&form.tag).await?;
    let states: Vec<_> =
        states(&app).await?.into_iter().map(|(kind, state)| (kind.name, state)).collect();
    Ok(wants.facts_or_back(&states, "tags"))
}

fn word(source: Source) -> &'static str {
    match source {
        Source::Fresh => "hit",
        Source::Stale | Source::Fallback => "stale",
        Source::Joined => "joined",
        _ => "made",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
