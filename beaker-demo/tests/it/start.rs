//! How the demo starts, what it says if it cannot, and how it stops.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{self, Ask};
use crate::server::{self, Server};

fn refused(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_port_that_is_taken_is_named_with_the_fix() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = refused(&server::run(dir.path(), &["--port", &port]), 1);
    assert!(error.starts_with(&format!("error: cannot listen on 127.0.0.1:{port} (")), "{error}");
    assert!(
        error.contains("another program is there: stop it, or choose another port: --port 8081")
    );
}

#[test]
fn a_directory_that_cannot_be_made_is_named_with_the_fix() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = refused(&server::run(&file.join("below"), &["--port", "0"]), 1);
    let path = file.join("below").display().to_string();
    assert!(error.starts_with(&format!("error: cannot make the directory {path}: ")), "{error}");
    assert!(error.trim_end().ends_with("choose another: --dir DIR"), "{error}");
}

#[test]
fn an_unknown_scheme_is_named_with_those_that_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let error = refused(&server::run(dir.path(), &["--store", "flie:///x"]), 1);
    assert!(
        error.contains("no store `flie:`; there are ") && error.contains("memory, null, redb, "),
        "{error}"
    );
    let error = refused(&server::run(dir.path(), &["--store", "x"]), 2);
    assert!(error.contains("--store or BEAKER_URL: cannot read the store URL"), "{error}");
}

#[test]
fn a_store_that_cannot_be_opened_is_named_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let url = format!("redb://{}", file.join("below.redb").display());
    let error = refused(&server::run(dir.path(), &["--store", &url]), 1);
    assert!(error.contains(&file.display().to_string()), "{error}");
}

#[test]
fn a_store_that_keeps_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = refused(&server::run(dir.path(), &["--store", "null:"]), 1);
    assert!(error.contains("cannot keep sessions: the store lacks the capability"), "{error}");
}

#[test]
fn the_store_is_sqlite_in_the_directory_unless_a_url_says_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let own = std::path::absolute(dir.path()).unwrap().join("demo.sqlite");
    assert_eq!(server.get_json("/status")["store"], format!("sqlite://{}", own.display()));
    assert!(own.is_file());
    let url = format!("redb://{}", dir.path().join("other.redb").display());
    let server = Server::start(dir.path(), &["--store", &url]);
    assert_eq!(server.get_json("/status")["store"], url);
}

const FORM: &str = "name=Ada";

/// A login whose header the server has read, and which waits for the form that is to come.
fn begin_login(server: &Server, form: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(
        stream,
        "POST /login HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        server.address,
        form.len()
    )
    .unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100 "), "{line}");
    stream.read_line(&mut line).unwrap();
    stream
}

fn log_in(login: &mut BufReader<TcpStream>) -> String {
    login.get_mut().write_all(FORM.as_bytes()).unwrap();
    let answer = http::read(login).unwrap();
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

fn is_known(server: &Server, cookie: &str) -> bool {
    let ask = Ask::new(server.address, "GET", "/visitor").header("Cookie", cookie);
    !ask.wants_json().send().json().is_null()
}

/// F64: a request that hangs holds the end up for as long as that was allowed, and at most half a second
/// longer; what was answered before is kept.
#[test]
fn a_request_that_hangs_is_left_at_the_deadline() {
    const DEADLINE: Duration = Duration::from_millis(300);
    let dir = tempfile::tempdir().unwrap();
    // A busy machine may be late: it may not be late each time.
    let is_in_time = (0..4).any(|_| {
        let mut server = Server::start(dir.path(), &["--insecure-cookie", "--drain-ms", "300"]);
        let cookie = log_in(&mut begin_login(&server, FORM));
        let mut hanging = begin_login(&server, FORM);
        let asked = Instant::now();
        server.ask_to_stop();
        assert_eq!(server.wait().code(), Some(1), "it says that it left a request");
        let took = asked.elapsed();
        assert!(took >= DEADLINE, "{took:?}");
        let mut rest = Vec::new();
        let read = hanging.read_to_end(&mut rest);
        assert!(read.is_err() || rest.is_empty(), "nobody has answered it");
        assert!(is_known(&Server::start(dir.path(), &["--insecure-cookie"]), &cookie));
        took <= DEADLINE + Duration::from_millis(500)
    });
    assert!(is_in_time);
}

/// F64: asked to stop under load, it answers what is under way, takes nothing more, and ends well.
#[test]
fn a_server_that_is_asked_to_stop_answers_what_is_under_way_and_ends_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &["--insecure-cookie"]);
    let mut logins: Vec<_> = (0..8).map(|_| begin_login(&server, FORM)).collect();
    server.ask_to_stop();
    let end = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(server.address).is_ok() {
        assert!(Instant::now() < end, "it takes new visitors");
        thread::yield_now();
    }
    let cookies: Vec<String> = logins.iter_mut().map(log_in).collect();
    assert!(server.wait().success());
    // And what it answered was kept.
    let server = Server::start(dir.path(), &["--insecure-cookie"]);
    assert!(cookies.iter().all(|cookie| is_known(&server, cookie)));
}
