//! The control: the experiments on tower-sessions, over a store that does what its own `MemoryStore` does.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use http::Request;
use tokio::sync::{Barrier, Mutex};
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::Result;
use tower_sessions::{Session, SessionManagerLayer, SessionStore};

use super::{
    Act, NAMES, Raced, a_renewal_and_an_error, a_second_cookie, a_write_after_a_logout, meet, said,
    two_writes,
};
use crate::served::PATIENCE;
use crate::tower::{Answer, request};

/// `MemoryStore` of tower-sessions 0.15, line by line but for the collision of ids: a save inserts. (The crate
/// that has it is no dependency of ours.)
#[derive(Debug, Clone, Default)]
struct Upserting(Arc<Mutex<HashMap<Id, Record>>>);

#[async_trait]
impl SessionStore for Upserting {
    async fn save(&self, record: &Record) -> Result<()> {
        self.0.lock().await.insert(record.id, record.clone());
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        Ok(self.0.lock().await.get(id).cloned())
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.lock().await.remove(id);
        Ok(())
    }
}

/// A site of theirs.
struct Peer(SessionManagerLayer<Upserting>);

impl Peer {
    fn new() -> Self {
        Self(SessionManagerLayer::new(Upserting::default()))
    }
}

impl Raced for Peer {
    async fn visit(&self, cookie: &str, act: Act, meeting: Option<&Arc<Barrier>>) -> Answer {
        let meeting = meeting.cloned();
        let service = service_fn(move |request: Request<()>| {
            let meeting = meeting.clone();
            async move {
                let session = request.extensions().get::<Session>().unwrap();
                let mut had = Vec::new();
                for name in NAMES {
                    if session.get::<bool>(name).await.unwrap().is_some() {
                        had.push(name);
                    }
                }
                meet(meeting.as_deref()).await;
                match act {
                    Act::Look => {}
                    Act::Insert(name) => session.insert(name, true).await.unwrap(),
                    Act::LogOut => session.flush().await.unwrap(),
                    Act::RenewAndFail => session.cycle_id().await.unwrap(),
                }
                Ok::<_, Infallible>(said(act, &had))
            }
        });
        let asked = self.0.layer(service).oneshot(request(cookie));
        let Ok(answer) = timeout(PATIENCE, asked).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn of_two_requests_that_overlap_the_control_loses_one_s_write() {
    let left = two_writes(&Peer::new()).await;
    assert!(["left user", "right user"].contains(&left.as_str()), "{left}");
}

#[tokio::test]
async fn a_write_after_a_logout_brings_the_control_s_visitor_back() {
    assert_eq!(a_write_after_a_logout(&Peer::new()).await, "late user");
}

#[tokio::test]
async fn a_renewal_in_a_request_that_fails_ends_the_control_s_session() {
    assert_eq!(a_renewal_and_an_error(&Peer::new()).await, "");
}

#[tokio::test]
async fn a_cookie_that_was_tossed_in_logs_the_control_s_visitor_out() {
    assert_eq!(a_second_cookie(&Peer::new()).await, "");
}
