//! From the options to a site that listens.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::StoreUrl;
use tokio::net::TcpListener;

use crate::app::{self, App};
use crate::args::Options;
use crate::error::Error;
use crate::place::{self, Place};
use crate::secret;
use crate::stop::Asked;
use crate::visitor::Visitors;

/// Threads for calls that block: enough for a store on a disk, few enough for a small machine.
const BLOCKING_THREADS: usize = 16;

/// How long calls of the store are waited for whose requests were left. Who stops the site has been told how
/// long it may take, so this is hardly more.
const LAST_CALLS: Duration = Duration::from_millis(250);

/// Serves until the system asks to stop, and then until the requests that are under way are
/// answered.
///
/// # Errors
///
/// What keeps the site from starting: the directory, the store or the port.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    make_dir(&options.dir)?;
    let dir = std::path::absolute(&options.dir)
        .map_err(|error| Error::failed(format!("cannot find the current directory: {error}")))?;
    let place = Place::open(store(options, &dir)?, &dir)?;
    let secret = secret::at(&dir.join("session.secret"))?;
    let visitors = Visitors::open(place.namespace("sessions")?, secret, options.cookie)?;
    let app = App::new(place, visitors, dir, options.exit);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Error::failed(format!("cannot start the runtime: {error}")))?;
    let served = runtime.block_on(serve(options, app));
    // A call of the store that hangs is not waited for.
    runtime.shutdown_timeout(LAST_CALLS);
    served
}

async fn serve(options: &Options, app: App) -> Result<(), Error> {
    let port = options.port;
    let address = (Ipv4Addr::LOCALHOST, port);
    let refused = |error| Error::failed(cannot_listen(port, &error));
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let asked = Asked::listen()
        .map_err(|error| Error::failed(format!("cannot listen to signals: {error}")))?;
    println!("Beaker's demo is at http://{address} (process {})", std::process::id());
    println!("Store: {}", app.place.caches().url);
    println!("State: {}", app.dir.display());
    println!("Stop it by Ctrl-C; what was done stays.");
    let routes = app::routes(Arc::new(app));
    let served = axum::serve(listener, routes).with_graceful_shutdown(asked.clone().wait());
    asked.drain(served.into_future(), options.drain).await
}

fn store(options: &Options, dir: &Path) -> Result<StoreUrl, Error> {
    match &options.store {
        None => Ok(place::url_in(dir, "sqlite")),
        Some(url) => {
            url.parse().map_err(|error| Error::usage(format!("--store or BEAKER_URL: {error}")))
        }
    }
}

/// The directory of the state, for this user alone.
fn make_dir(dir: &Path) -> Result<(), Error> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir).map_err(|error| {
        Error::failed(format!(
            "cannot make the directory {}: {error}; choose another: --dir DIR",
            dir.display()
        ))
    })
}

fn cannot_listen(port: u16, error: &io::Error) -> String {
    let fix = match error.kind() {
        io::ErrorKind::AddrInUse => "another program is there: stop it, or choose another port: ",
        io::ErrorKind::PermissionDenied => "this user may not: choose another port: ",
        _ => "choose another port: ",
    };
    format!(
        "cannot listen on 127.0.0.1:{port} ({error}); {fix}--port 8081, or --port 0 for a free one"
    )
}
