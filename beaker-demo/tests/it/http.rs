//! One HTTP request over one connection: all that these tests need of a client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

/// A request that is put together.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    address: SocketAddr,
    method: &'a str,
    path: &'a str,
    headers: String,
    body: String,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(address: SocketAddr, method: &'a str, path: &'a str) -> Self {
        Self { address, method, path, headers: String::new(), body: String::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn form(self, body: &str) -> Self {
        self.body("application/x-www-form-urlencoded", body)
    }

    pub(crate) fn body(mut self, kind: &str, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.header("Content-Type", kind)
    }

    pub(crate) fn wants_json(self) -> Self {
        self.header("Accept", "application/json")
    }

    pub(crate) fn send(self) -> Answer {
        self.try_send().unwrap()
    }

    pub(crate) fn try_send(self) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let host = match self.headers.contains("Host: ") {
            true => String::new(),
            false => format!("Host: {}\r\n", self.address),
        };
        let Self { method, path, headers, body, .. } = self;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        )?;
        read(&mut BufReader::new(stream))
    }
}

pub(crate) fn read(stream: &mut impl BufRead) -> std::io::Result<Answer> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("the connection was closed"))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(": ").or_else(|| line.trim_end().split_once(':')) {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut answer = Answer { status, headers, body: String::new() };
    match answer.header("content-length").and_then(|text| text.parse().ok()) {
        Some(length) => stream.take(length).read_to_string(&mut answer.body)?,
        None => stream.read_to_string(&mut answer.body)?,
    };
    Ok(answer)
}
