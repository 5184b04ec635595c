//! Hundreds of requests at once for a value that is not there.
//
// A browser has six connections to a server, so it cannot do this itself: the server sends the
// requests to its own routes, without sockets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::answer::{Failure, Fields, Wants};
use crate::app::Shared;
use crate::page;
use crate::samples::{self, Quantiles};

/// How many ask at once.
const REQUESTS: usize = 500;

/// How many queries the database of the story runs at a time, and how long each takes.
const CONNECTIONS: usize = 10;
const QUERY: Duration = Duration::from_millis(50);

/// How many bursts may run at a time.
const RUNNING: usize = 4;

/// The bursts that run now.
#[derive(Debug, Default)]
pub(crate) struct Bursts {
    next: AtomicU64,
    running: Mutex<HashMap<u64, Arc<Database>>>,
}

/// A pretence of one: it counts its queries.
#[derive(Debug)]
struct Database {
    through: Through,
    connections: Semaphore,
    queries: AtomicU64,
}

/// Whether the requests ask the cache or the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Through {
    Beaker,
    Nothing,
}

/// The form of `POST /burst`.
#[derive(Debug, Deserialize)]
pub(crate) struct BurstForm {
    through: Through,
}

/// What a burst came to.
#[derive(Debug, Serialize)]
struct Outcome {
    through: Through,
    requests: usize,
    failed: usize,
    creations: u64,
    wall_micros: u64,
    /// Of each request, the quickest first.
    micros: Vec<u64>,
    quantiles: Option<Quantiles>,
}

/// `POST /burst`: sends the requests, all at once, and waits for the last.
pub(crate) async fn burst(
    State(app): State<Shared>,
    wants: Wants,
    Fields(form): Fields<BurstForm>,
) -> Result<Response, Failure> {
    let run = Run::begin(&app, form.through)?;
    let outcome = run.outcome().await;
    Ok(match wants {
        Wants::Json => Json(outcome).into_response(),
        Wants::Page => page::facts_page("500 requests at once", &outcome.facts()).into_response(),
    })
}

/// A burst, taken from those that run when it is dropped.
struct Run<'a> {
    app: &'a Shared,
    id: u64,
    database: Arc<Database>,
}

impl<'a> Run<'a> {
    fn begin(app: &'a Shared, through: Through) -> Result<Self, Failure> {
        let mut running = app.bursts.running.lock();
        if running.len() >= RUNNING {
            let text = "Other bursts are running; try again when they are over.";
            return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, text));
        }
        // Unlike any of an earlier process: their values may still be there.
        let count = app.bursts.next.fetch_add(1, Ordering::Relaxed);
        let id = app.process.started_ms().wrapping_add(count);
        let connections = Semaphore::new(CONNECTIONS);
        let database = Arc::new(Database { through, connections, queries: AtomicU64::new(0) });
        running.insert(id, Arc::clone(&database));
        Ok(Self { app, id, database })
    }

    async fn outcome(&self) -> Outcome {
        let routes = routes().with_state(Arc::clone(self.app));
        let began = Instant::now();
        let tasks: Vec<_> =
            (0..REQUESTS).map(|_| tokio::spawn(ask(routes.clone(), self.id))).collect();
        let mut micros = Vec::with_capacity(REQUESTS);
        for task in tasks {
            micros.extend(task.await.ok().flatten());
        }
        let wall_micros = samples::micros(began.elapsed());
        micros.sort_unstable();
        Outcome {
            through: self.database.through,
            requests: REQUESTS,
            failed: REQUESTS - micros.len(),
            creations: self.database.queries.load(Ordering::Relaxed),
            wall_micros,
            quantiles: Quantiles::of(micros.clone()),
            micros,
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.app.bursts.running.lock().remove(&self.id);
    }
}

/// The route that the requests of a burst go to.
pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/burst/{run}", get(one))
}

/// Sends one request; gives how long it took, in microseconds, if it was answered.
async fn ask(routes: Router, run: u64) -> Option<u64> {
    let request = Request::get(format!("/burst/{run}")).body(Body::empty()).ok()?;
    let began = Instant::now();
    let response = routes.oneshot(request).await.ok()?;
    response.status().is_success().then(|| samples::micros(began.elapsed()))
}

/// `GET /burst/{run}`: one of the requests of a burst.
async fn one(State(app): State<Shared>, Path(run): Path<u64>) -> Result<Response, Failure> {
    let database = app.bursts.running.lock().get(&run).cloned();
    let database = database.ok_or_else(|| Failure::absent("burst"))?;
    let value = match database.through {
        Through::Nothing => database.query().await,
        Through::Beaker => {
            let bursts = app.place.caches().bursts.clone();
            bursts.get_or_create_async(&run, || database.query()).await?
        }
    };
    Ok(Json(value).into_response())
}

impl Database {
    async fn query(&self) -> u64 {
        // Never closed; and without a permit the query would only be quicker.
        let _permit = self.connections.acquire().await;
        tokio::time::sleep(QUERY).await;
        self.queries.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Outcome {
    /// For a browser without scripts.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("Requests", self.requests.to_string()),
            ("Failed", self.failed.to_string()),
            ("Creations", self.creations.to_string()),
            ("All took", format!("{} ms", self.wall_micros / 1000)),
        ];
        if let Some(quantiles) = self.quantiles {
            facts.push(("p50", format!("{} ms", quantiles.p50_micros / 1000)));
            facts.push(("p99", format!("{} ms", quantiles.p99_micros / 1000)));
        }
        facts
    }
}
