//! actix-session, with the whole session in a private cookie.

use std::rc::Rc;

use actix_http::HttpMessage as _;
use actix_session::storage::CookieSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::body::MessageBody;
use actix_web::cookie::Key;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::web::get;
use actix_web::{App, HttpRequest, HttpResponse};

use super::{Act, Errand, Raced, Seen, told};

pub(super) struct Site<S>(Rc<S>);

pub(super) async fn in_cookies()
-> Site<impl Service<Sent, Response = Got<impl MessageBody>, Error = actix_web::Error>> {
    let sessions = SessionMiddleware::new(CookieSessionStore::default(), Key::from(&[7; 64]));
    Site(Rc::new(init_service(App::new().wrap(sessions).route("/", get().to(handle))).await))
}

type Sent = actix_http::Request;
type Got<B> = ServiceResponse<B>;

impl<S, B> Raced for Site<S>
where
    S: Service<Sent, Response = Got<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    async fn visit(&self, cookie: &str, errand: Errand) -> Seen {
        let request = TestRequest::get().insert_header((COOKIE, cookie)).to_request();
        request.extensions_mut().insert(errand);
        let response = match self.0.call(request).await {
            Ok(response) => response,
            // What a server would answer.
            Err(error) => {
                let status = error.as_response_error().status_code().as_u16();
                return Seen { status, ..Seen::default() };
            }
        };
        let set = response.headers().get_all(SET_COOKIE);
        Seen {
            status: response.status().as_u16(),
            set_cookies: set.filter_map(|value| Some(value.to_str().ok()?.to_owned())).collect(),
            had: String::from_utf8_lossy(&read_body(response).await).into_owned(),
        }
    }
}

async fn handle(request: HttpRequest, session: Session) -> actix_web::Result<HttpResponse> {
    let errand = request.extensions().get::<Errand>().cloned().expect("each request has one");
    let status = StatusCode::from_u16(errand.act.status()).expect("a valid status");
    if errand.act == Act::Nothing {
        return Ok(HttpResponse::build(status).finish());
    }
    let had = told(|name| session.get(name).ok().flatten());
    errand.meet().await;
    match errand.act {
        Act::Nothing | Act::Look => {}
        Act::Insert(name) => session.insert(name, 1)?,
        Act::Count => session.update::<i64, _>("user", |count| count + 1)?,
        Act::Grow(length) => session.insert("large", "x".repeat(length))?,
        Act::LogOut => session.purge(),
        Act::Renew | Act::RenewAndFail => session.renew(),
    }
    Ok(HttpResponse::build(status).body(had))
}
