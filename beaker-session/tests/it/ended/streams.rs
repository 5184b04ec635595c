//! Streams in a real server that end with their sessions.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use beaker_session::SessionLayer;
use http::header::CONTENT_TYPE;
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;
use tower::ServiceExt;

use super::*;
use crate::served::{PATIENCE, Site};

/// Server-sent events: one at once, and no other until the session has ended.
struct Events {
    first: Option<&'static str>,
    ended: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(event) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(event.into()))));
        }
        self.ended.as_mut().poll(context).map(|ended| ended.err().map(Err))
    }
}

fn router(site: &Site) -> Router {
    async fn events(session: Session) -> Result<Response, Error> {
        let session = session.detach()?;
        let ended = Box::pin(async move { session.wait_ended_async(HOUR).await });
        let events = Events { first: Some("data: hello\n\n"), ended };
        Ok(([(CONTENT_TYPE, "text/event-stream")], Body::new(events)).into_response())
    }
    async fn log_out(session: Session) -> Result<&'static str, Error> {
        session.delete()?;
        Ok("bye")
    }
    Router::new()
        .route("/events", get(events))
        .route("/log-out", post(log_out))
        .layer(SessionLayer::new(site.sessions.clone()))
}

/// A browser that reads the events of `cookie`'s session.
async fn listens(router: Router, cookie: &str) -> DuplexStream {
    let (mut client, server) = tokio::io::duplex(4096);
    let serving = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(server), TowerToHyperService::new(router));
    tokio::spawn(serving);
    let asked = format!("GET /events HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
    client.write_all(asked.as_bytes()).await.unwrap();
    let head = until(&mut client, "hello\n\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    client
}

/// What comes up to `end`.
async fn until(client: &mut DuplexStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        read.push(timeout(PATIENCE, client.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn an_event_stream_ends_when_its_visitor_logs_out_and_no_other_does() {
    for site in Site::both() {
        let cookies = ["Ada", "Eve"].map(|name| site.visitor("name", name));
        let router = router(&site);
        let mut ada = listens(router.clone(), &cookies[0]).await;
        let mut eve = listens(router.clone(), &cookies[1]).await;
        let log_out = http::Request::post("/log-out").header("cookie", &cookies[0]);
        let Ok(answer) = router.oneshot(log_out.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), 200);
        // The last chunk, and nothing before it.
        assert_eq!(until(&mut ada, "0\r\n\r\n").await, "0\r\n\r\n");
        let silent = timeout(Duration::ZERO, eve.read_u8()).await;
        assert!(silent.is_err(), "{silent:?}");
        let key = site.sessions.begin([cookies[1].as_bytes()]).load().unwrap().key().unwrap();
        site.sessions.revoke_async(key).await.unwrap();
        assert_eq!(until(&mut eve, "0\r\n\r\n").await, "0\r\n\r\n");
    }
}
