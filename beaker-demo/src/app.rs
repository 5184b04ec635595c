//! What the handlers share, and the routes.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use beaker_session::SessionLayer;

use crate::answer::Failure;
use crate::args::Exit;
use crate::burst::{self, Bursts};
use crate::place::Place;
use crate::reports::{self, Made};
use crate::samples::Samples;
use crate::status::{self, Process};
use crate::visitor::{self, Visitors};
use crate::{guard, page};

/// The longest form that is read: none of ours needs a tenth of it.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) place: Place,
    pub(crate) visitors: Visitors,
    pub(crate) samples: Samples,
    pub(crate) made: Made,
    pub(crate) bursts: Bursts,
    pub(crate) process: Process,
    pub(crate) dir: PathBuf,
    pub(crate) exit: Exit,
}

pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(place: Place, visitors: Visitors, dir: PathBuf, exit: Exit) -> Self {
        Self {
            place,
            visitors,
            dir,
            exit,
            samples: Samples::default(),
            made: Made::default(),
            bursts: Bursts::default(),
            process: Process::new(),
        }
    }
}

/// The site.
pub(crate) fn routes(app: Shared) -> Router {
    let sessions = app.visitors.sessions.clone();
    Router::new()
        .route("/", get(page::home))
        .route("/assets/{name}", get(asset))
        .route("/visitor", get(visitor::show))
        .route("/login", post(visitor::login))
        .route("/logout", post(visitor::logout))
        .route("/reveal", post(visitor::reveal))
        .route("/count", post(visitor::count))
        .route("/revoke", post(visitor::revoke))
        .route("/status", get(status::status))
        .route("/reports/{name}", get(reports::show))
        .route("/tags", post(reports::invalidate))
        .route("/burst", post(burst::burst))
        .merge(burst::routes())
        .route("/store", post(status::change_store))
        .route("/stop", post(status::stop))
        .fallback(|| async { Failure::absent("page") })
        .method_not_allowed_fallback(|| async {
            let text = "This address is not asked in this way.";
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, text)
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(SessionLayer::new(sessions))
        // Outside of the sessions: who may not ask has none.
        .layer(axum::middleware::from_fn(guard::guard))
        .with_state(app)
}

/// `GET /assets/{name}`.
async fn asset(Path(name): Path<String>) -> Result<Response, Failure> {
    let (kind, content) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", include_str!("../assets/style.css")),
        "app.js" => ("text/javascript; charset=utf-8", include_str!("../assets/app.js")),
        "plot.js" => ("text/javascript; charset=utf-8", include_str!("../assets/plot.js")),
        "icon.svg" => ("image/svg+xml", include_str!("../assets/icon.svg")),
        _ => return Err(Failure::absent("file")),
    };
    Ok(([(header::CONTENT_TYPE, kind)], content).into_response())
}
