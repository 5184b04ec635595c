//! The process itself: who it is, how it does, and its sudden end.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::answer::{Failure, Fields, Wants};
use crate::app::Shared;
use crate::args::Exit;
use crate::samples::{Quantiles, Sample};

/// This process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    started: SystemTime,
    since: Instant,
}

impl Process {
    pub(crate) fn new() -> Self {
        Self { pid: std::process::id(), started: SystemTime::now(), since: Instant::now() }
    }

    /// When it started, in milliseconds since 1970.
    pub(crate) fn started_ms(&self) -> u64 {
        let since = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn up_seconds(&self) -> u64 {
        self.since.elapsed().as_secs()
    }
}

/// The query of `GET /status`.
#[derive(Debug, Deserialize)]
pub(crate) struct Since {
    /// The number of the last sample that the page has.
    #[serde(default)]
    since: u64,
}

#[derive(Debug, Serialize)]
struct Status {
    pid: u32,
    started_ms: u64,
    up_seconds: u64,
    store: String,
    facts: Vec<(&'static str, String)>,
    reports_made: u64,
    samples: Vec<Sample>,
    quantiles: Option<Quantiles>,
}

/// `GET /status`: reads nothing of a store but its counts, so that it may be asked every second.
pub(crate) async fn status(State(app): State<Shared>, Query(query): Query<Since>) -> Response {
    let caches = app.place.caches();
    let status = Status {
        pid: app.process.pid,
        started_ms: app.process.started_ms(),
        up_seconds: app.process.up_seconds(),
        store: caches.url.to_string(),
        facts: caches.facts(),
        reports_made: app.made.count(),
        samples: app.samples.after(query.since),
        quantiles: app.samples.quantiles(),
    };
    Json(status).into_response()
}

/// `POST /stop`: as `kill -9` does. Nothing is flushed, closed or unlocked, and nobody is answered.
pub(crate) async fn stop(State(app): State<Shared>) -> Failure {
    let stopped = match app.exit {
        Exit::Refused => {
            let text = "The demo was started with --no-exit, so the page cannot stop it.";
            return Failure::new(StatusCode::FORBIDDEN, text);
        }
        Exit::Allowed => {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL)
        }
    };
    let text = format!("The process cannot be stopped: {stopped:?}");
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, text)
}

/// The form of `POST /store`.
#[derive(Debug, Deserialize)]
pub(crate) struct StoreForm {
    kind: String,
}

/// `POST /store`: moves the caches to another store.
pub(crate) async fn change_store(
    State(app): State<Shared>,
    wants: Wants,
    Fields(form): Fields<StoreForm>,
) -> Result<Response, Failure> {
    let changing = Arc::clone(&app);
    let changed = tokio::task::spawn_blocking(move || changing.place.change(&form.kind)).await;
    let lost = |_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "The store was not opened.");
    changed.map_err(lost)?.ok_or_else(|| Failure::absent("store"))??;
    Ok(wants.facts_or_back(&app.place.caches().facts(), "store"))
}
