//! A small client of memcached: `gets`, and `cas`, `add` and `md`, which fail if somebody else wrote.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use beaker_namespace::Latency;
use beaker_session::compat::{BeakerId, Change, PayloadLimits, TextStore, memcached};
use beaker_session::{Error, ErrorKind};

use super::Kept;
use super::process::Connection;

/// Beaker's sessions in the memcached at a socket.
#[derive(Debug, Clone)]
pub(super) struct MemcachedTexts {
    pub(super) socket: PathBuf,
    /// Of what is written.
    pub(super) flags: u32,
}

/// A value, and the number of its last change.
struct Found {
    value: Vec<u8>,
    flags: u32,
    change: u64,
}

impl Found {
    fn text(self) -> Result<String, Error> {
        memcached::decode(&self.value, self.flags, PayloadLimits::new())
    }
}

impl MemcachedTexts {
    fn connect(&self) -> Result<Memcached, Error> {
        Connection::open(&self.socket).map(Memcached).map_err(unavailable)
    }

    /// What the server has of a session.
    pub(super) fn kept(&self, id: &BeakerId) -> Option<Kept> {
        let mut memcached = self.connect().expect("it is there");
        let key = memcached::key(id);
        let Found { value, flags, .. } = memcached.get(&key).expect("it answers")?;
        let left = memcached.ask(&format!("mg {key} t\r\n")).expect("it answers");
        // For ever is minus one second.
        let left = left.strip_prefix("HD t").and_then(|seconds| seconds.parse().ok());
        Some(Kept { value, flags, left: left.map(Duration::from_secs) })
    }
}

impl TextStore for MemcachedTexts {
    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn read(&self, id: &BeakerId) -> Result<Option<String>, Error> {
        let found = self.connect()?.get(&memcached::key(id)).map_err(unavailable)?;
        found.map(Found::text).transpose()
    }

    fn update(
        &self,
        id: &BeakerId,
        decide: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error> {
        let mut memcached = self.connect()?;
        let key = memcached::key(id);
        loop {
            let found = memcached.get(&key).map_err(unavailable)?;
            let last = found.as_ref().map(|found| found.change);
            let is_made = match decide(found.map(Found::text).transpose())? {
                Change::Keep => Ok(true),
                Change::Replace(text) => memcached.store(&key, &text, self.flags, last),
                Change::Remove => memcached.remove(&key, last),
            };
            if is_made.map_err(unavailable)? {
                return Ok(());
            }
        }
    }
}

struct Memcached(Connection);

impl Memcached {
    fn get(&mut self, key: &str) -> io::Result<Option<Found>> {
        let line = self.ask(&format!("gets {key}\r\n"))?;
        let words: Vec<&str> = line.split(' ').collect();
        let (flags, length, change) = match words[..] {
            ["END"] => return Ok(None),
            ["VALUE", _, flags, length, change] => (flags, length, change),
            _ => return Err(io::Error::other(line)),
        };
        let length = length.parse().map_err(io::Error::other)?;
        let found = Found {
            value: self.0.bytes(length)?,
            flags: flags.parse().map_err(io::Error::other)?,
            change: change.parse().map_err(io::Error::other)?,
        };
        match self.0.line()?.as_str() {
            "END" => Ok(Some(found)),
            other => Err(io::Error::other(other.to_owned())),
        }
    }

    /// Whether the text is there now; not if there was a change after `last`.
    fn store(&mut self, key: &str, text: &str, flags: u32, last: Option<u64>) -> io::Result<bool> {
        let value = memcached::encode(text);
        let (verb, last) = match last {
            Some(last) => ("cas", format!(" {last}")),
            None => ("add", String::new()),
        };
        let line = format!("{verb} {key} {flags} 0 {}{last}\r\n", value.len());
        self.0.send(&[line.as_bytes(), &value, b"\r\n"].concat())?;
        let answer = self.0.line()?;
        match answer.as_str() {
            "STORED" => Ok(true),
            "NOT_STORED" | "EXISTS" | "NOT_FOUND" => Ok(false),
            _ => Err(io::Error::other(answer)),
        }
    }

    /// Whether it is gone now; not if there was a change after `last`.
    fn remove(&mut self, key: &str, last: Option<u64>) -> io::Result<bool> {
        let Some(last) = last else { return Ok(true) };
        let answer = self.ask(&format!("md {key} C{last}\r\n"))?;
        match answer.as_str() {
            "HD" => Ok(true),
            "EX" | "NF" => Ok(false),
            _ => Err(io::Error::other(answer)),
        }
    }

    fn ask(&mut self, command: &str) -> io::Result<String> {
        self.0.send(command.as_bytes())?;
        self.0.line()
    }
}

fn unavailable(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "talk to memcached").with_source(error)
}
