//! Requests with a session, in process: a router, a middleware and a handler, without sockets.

mod actix;
mod floor;
mod ours;
mod peers;

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, Response};
use beaker_session::SessionLayer;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, ServiceExt};

use self::floor::FloorLayer;
use crate::args::Args;
use crate::measure::{self, Contestant, Rounds};
use crate::python;
use crate::report::{Report, Table, figure};

const BARE: &str = "bare axum handler";
const LAYERED: &str = "bare handler in an empty layer";
const FLOOR: &str = "by hand: HMAC, Mutex<HashMap>";
const FLOOR_LAYERED: &str = "by hand: HMAC, in Router::layer";
const OURS: &str = "ours, memory";
const OURS_SIGNED: &str = "ours, memory, signed";
const OURS_LAYERED: &str = "ours, memory, signed, in Router::layer";
const TOWER_SIGNED: &str = "tower-sessions, memory, signed";

/// What a request does with its session of two values: its handler takes none, takes it and leaves it alone, and
/// so on.
const IGNORED: &str = "/ignored";
const UNTOUCHED: &str = "/untouched";
const READ: &str = "/read";
const WRITE: &str = "/write";
const NEW: &str = "/new";
const KINDS: [&str; 5] = [IGNORED, UNTOUCHED, READ, WRITE, NEW];

/// Tasks at one session where there are several threads.
const TASKS: usize = 16;

/// What any layer costs in axum: a box for its service, and one for its future.
#[derive(Clone)]
struct EmptyLayer;

impl<S: Clone> tower::Layer<S> for EmptyLayer {
    type Service = tower::util::MapRequest<S, fn(Request<Body>) -> Request<Body>>;

    fn layer(&self, inner: S) -> Self::Service {
        tower::util::MapRequest::new(inner, |request| request)
    }
}

type Asking = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A service that answers to the five paths.
trait Serve: Send + Sync {
    /// Makes `requests` one after the other, and gives the last response.
    fn ask(&self, path: &'static str, cookie: String, requests: usize) -> Asking;
}

impl<S> Serve for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn ask(&self, path: &'static str, cookie: String, requests: usize) -> Asking {
        let service = self.clone();
        Box::pin(async move {
            let mut last = Response::default();
            for _ in 0..requests {
                let request = Request::builder().uri(path).header(COOKIE, cookie.as_str());
                let request = request.body(Body::empty()).expect("a path and a cookie are valid");
                let Ok(response) = service.clone().oneshot(request).await;
                assert!(response.status().is_success(), "{path}: {}", response.status());
                last = response;
            }
            last
        })
    }
}

/// A server with one visitor.
#[derive(Clone)]
pub(crate) struct Site {
    name: &'static str,
    service: Arc<dyn Serve>,
    cookie: String,
}

impl Site {
    async fn new(name: &'static str, service: impl Serve + 'static) -> Self {
        let mut site = Self { name, service: Arc::new(service), cookie: String::new() };
        site.cookie = cookies(&site.ask(NEW, 1).await);
        site
    }

    async fn ask(&self, path: &'static str, requests: usize) -> Response<Body> {
        let cookie = if path == NEW { String::new() } else { self.cookie.clone() };
        self.service.ask(path, cookie, requests).await
    }
}

/// What a browser sends back of what a response has set.
fn cookies(response: &Response<Body>) -> String {
    let set = response.headers().get_all(SET_COOKIE).iter();
    let pairs = set.filter_map(|value| value.to_str().ok()?.split(';').next());
    pairs.collect::<Vec<_>>().join("; ")
}

pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let runtime = Rc::new(Builder::new_current_thread().enable_all().build()?);
    let sites = runtime.block_on(sites());
    for site in &sites {
        runtime.block_on(check(site));
    }
    if let Some(count) = crate::allocations::COUNT {
        allocations(&runtime, &sites, count, report);
        return Ok(());
    }
    one_thread(args, report, &runtime, &sites);
    two_threads(args, report, &sites)?;
    actix::run(args, report)?;
    beaker(args, report);
    Ok(())
}

async fn sites() -> Vec<Site> {
    let around = |(router, layer): (Router, SessionLayer)| layer.layer(router);
    let floor_around = |(router, layer): (Router, FloorLayer)| layer.layer(router);
    let (floor_router, floor_layer) = floor::parts(Some(floor::key()));
    let (our_router, our_layer) = ours::parts(true);
    let mut sites = vec![
        Site::new(BARE, floor::bare()).await,
        Site::new(LAYERED, floor::bare().layer(EmptyLayer)).await,
        Site::new("by hand: Mutex<HashMap>", floor_around(floor::parts(None))).await,
        Site::new(FLOOR, floor_around(floor::parts(Some(floor::key())))).await,
        Site::new(FLOOR_LAYERED, floor_router.layer(floor_layer)).await,
        Site::new(OURS, around(ours::parts(false))).await,
        Site::new(OURS_SIGNED, around(ours::parts(true))).await,
        Site::new(OURS_LAYERED, our_router.layer(our_layer)).await,
        Site::new("tower-sessions, memory", peers::tower_sessions(false)).await,
        Site::new(TOWER_SIGNED, peers::tower_sessions(true)).await,
        Site::new("axum_session, memory", peers::axum_session(false).await).await,
        Site::new("axum_session, memory, signed", peers::axum_session(true).await).await,
    ];
    // The same request for all: the making of its header is a part of what is measured.
    let cookie = sites.iter().find(|site| site.name == OURS_SIGNED).map(|site| site.cookie.clone());
    for site in sites.iter_mut().filter(|site| site.cookie.is_empty()) {
        site.cookie.clone_from(cookie.as_ref().unwrap_or(&String::new()));
    }
    sites
}

/// Each site does what is measured: a count that is written is the next one that is read.
async fn check(site: &Site) {
    let text = async |path| {
        let body = site.ask(path, 1).await.into_body();
        let bytes = axum::body::to_bytes(body, 100).await.expect("a short body");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    if site.name == BARE || site.name == LAYERED {
        return;
    }
    assert_eq!(text(READ).await, "ada", "{}", site.name);
    let (first, second) = (text(WRITE).await, text(WRITE).await);
    assert_eq!((first.as_str(), second.as_str()), ("1", "2"), "{}", site.name);
}

fn one_thread(args: &Args, report: &mut Report, runtime: &Rc<Runtime>, sites: &[Site]) {
    report.heading("sessions: a request in one thread, ns, median (min)");
    report.note(
        "A session of two values; axum with its default features, without sockets; 'ignored': the \
         handler takes no session; 'untouched': it takes it, and leaves it alone; 'write' reads, \
         counts up and saves. By hand and ours: a layer around the router, but where it says \
         otherwise.",
    );
    let measured = KINDS.map(|path| {
        let requests = args.size(if path == NEW { 4_000 } else { 20_000 }, 500);
        let mut contestants: Vec<_> = sites
            .iter()
            .map(|site| {
                let (runtime, site) = (Rc::clone(runtime), site.clone());
                Contestant::new(site.name, move |_| {
                    let nanos = measure::cpu_nanos(|| {
                        runtime.block_on(site.ask(path, requests));
                    });
                    nanos / requests as f64
                })
            })
            .collect();
        (path[1..].to_owned(), Rounds::measure(&mut contestants, 1, args.rounds))
    });
    report.table(&measure::table("request", &measured));
    let [ignored, untouched, read, write, _new] = measured.each_ref().map(|(_, rounds)| rounds);
    report.note(&format!("noise: {:.0} %", read.noise() * 100.0));
    for (kind, rounds) in [("ignored", ignored), ("untouched", untouched)] {
        for (peer, name) in [(BARE, "bare"), (LAYERED, "an empty layer")] {
            let ratio = rounds.ratio(OURS_SIGNED, peer);
            report.at_most(&format!("{kind}: ours, signed / {name}"), ratio, 1.15, " x", "");
        }
    }
    for (name, rounds) in [("read", read), ("write", write)] {
        for (ours, floor) in [(OURS_SIGNED, FLOOR), (OURS_LAYERED, FLOOR_LAYERED)] {
            let to_floor = rounds.ratio(ours, floor);
            report.at_most(&format!("{name}: {ours} / {floor}"), to_floor, 1.3, " x", "");
        }
        // In `Router::layer` both, as their page shows it.
        let to_peer = rounds.ratio(OURS_LAYERED, TOWER_SIGNED);
        report.at_most(&format!("{name}: ours, signed / tower-sessions"), to_peer, 0.75, " x", "");
    }
}

/// Of each site right after one another with one worker and with two, since a host that others use too gives now
/// both processors, now little more than one, for seconds at a time: what the bare handler gains says which.
fn two_threads(args: &Args, report: &mut Report, sites: &[Site]) -> Result<(), Box<dyn Error>> {
    report.heading("sessions: 16 tasks on one session, wall ns a request, median (min)");
    report.note("A runtime with one worker and one with two. Needs an idle machine.");
    let mut columns = Vec::new();
    for path in [READ, WRITE] {
        let requests = args.size(20_000, 800) / TASKS;
        let mut contestants = Vec::new();
        for site in sites {
            for workers in [1, 2] {
                let (site, runtime) = (site.clone(), workers_of(workers)?);
                contestants.push(Contestant::new(site.name, move |_| {
                    let began = Instant::now();
                    runtime.block_on(tasks(&site, path, requests));
                    began.elapsed().as_nanos() as f64 / (requests * TASKS) as f64
                }));
            }
        }
        let [one, two] = Rounds::measure(&mut contestants, 1, 2 * args.rounds).into_halves();
        columns.push((format!("{} t1", &path[1..]), one));
        columns.push((format!("{} t2", &path[1..]), two));
    }
    report.table(&measure::table("request", &columns));
    rates(report, &columns);
    Ok(())
}

/// How many times the rate of one thread two have: by the least rounds, those that nobody else disturbed, and by the
/// median of the rounds' ratios.
fn rates(report: &mut Report, columns: &[(String, Rounds)]) {
    let [(_, read), (_, read_two), (_, write), (_, write_two)] = columns else { return };
    let mut table = Table::new(&["rate of two threads / of one", "read", "write"]);
    let rate = |one: &Rounds, two: &Rounds, name: &str| {
        let (least, median) = (one.min(name) / two.min(name), one.ratio_to(two, name));
        (least, format!("{least:.2} ({median:.2})"))
    };
    for name in read.names() {
        let cells = [rate(read, read_two, name).1, rate(write, write_two, name).1];
        table.row(std::iter::once(name.clone()).chain(cells));
    }
    report.note("By the least of the rounds (by the median of their ratios):");
    report.table(&table);
    for (kind, one, two) in [("read", read, read_two), ("write", write, write_two)] {
        let (least, _) = rate(one, two, OURS_SIGNED);
        let name = format!("{kind}: rate of two threads / of one, least rounds");
        report.at_least(&name, least, 1.6, " x", OURS_SIGNED);
    }
}

fn workers_of(workers: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

async fn tasks(site: &Site, path: &'static str, requests: usize) {
    let running: Vec<_> = (0..TASKS)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move {
                site.ask(path, requests).await;
            })
        })
        .collect();
    for task in running {
        task.await.expect("no task panics");
    }
}

fn allocations(runtime: &Runtime, sites: &[Site], count: fn() -> usize, report: &mut Report) {
    report.heading("sessions: allocations of a request");
    const REQUESTS: usize = 1_000;
    let of = |site: &Site, path| {
        runtime.block_on(async {
            site.ask(path, 1).await;
            let before = count();
            site.ask(path, REQUESTS).await;
            (count() - before) as f64 / REQUESTS as f64
        })
    };
    let mut table = Table::new(&["request", "ignored", "untouched", "read", "write", "new"]);
    for site in sites {
        let cells = KINDS.map(|path| figure(of(site, path)));
        table.row(std::iter::once(site.name.to_owned()).chain(cells));
    }
    report.table(&table);
    let named = |name| sites.iter().find(|site| site.name == name);
    if let (Some(bare), Some(signed)) = (named(BARE), named(OURS_SIGNED)) {
        let more = of(signed, UNTOUCHED) - of(bare, UNTOUCHED);
        report.at_most("untouched: allocations more than bare", more.round(), 3.0, "", OURS_SIGNED);
    }
}

/// Python's own, for scale.
fn beaker(args: &Args, report: &mut Report) {
    report.heading("sessions: Python's Beaker, memory, through its middleware, ns a request");
    let words = [args.size(5_000, 200), args.rounds].map(|number| number.to_string());
    match python::output("beaker_session.py", "beaker.middleware", "beaker==1.14.1", &words) {
        Ok(text) => report.note(text.trim_end()),
        Err(reason) => report.skipped(&reason),
    }
}
