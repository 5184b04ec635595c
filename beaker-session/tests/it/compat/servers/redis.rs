//! A small client of redis: `GET`, and a write that fails if somebody else wrote what is watched.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use beaker_namespace::Latency;
use beaker_session::compat::{BeakerId, Change, PayloadLimits, TextStore, backend_timeout, redis};
use beaker_session::{Error, ErrorKind};

use super::Kept;
use super::process::Connection;

/// Beaker's sessions in the redis at a socket.
#[derive(Debug, Clone)]
pub(super) struct RedisTexts {
    pub(super) socket: PathBuf,
    /// Beaker's.
    pub(super) timeout: Option<Duration>,
}

/// What redis answers; an error is one here too.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Nothing,
    Number(i64),
    Bytes(Vec<u8>),
    List(Vec<Answer>),
}

impl RedisTexts {
    fn connect(&self) -> Result<Redis, Error> {
        Connection::open(&self.socket).map(Redis).map_err(unavailable)
    }

    /// What the server has of a session.
    pub(super) fn kept(&self, id: &BeakerId) -> Option<Kept> {
        let mut redis = self.connect().expect("it is there");
        let key = redis::key(id);
        let value = redis.get(&key).expect("it answers")?;
        let left = redis.ask(&[b"PTTL", key.as_bytes()]).expect("it answers");
        let Answer::Number(left) = left else { panic!("no number") };
        // For ever is minus one.
        let left = u64::try_from(left).ok().map(Duration::from_millis);
        Some(Kept { value, flags: 0, left })
    }
}

impl TextStore for RedisTexts {
    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn read(&self, id: &BeakerId) -> Result<Option<String>, Error> {
        let value = self.connect()?.get(&redis::key(id)).map_err(unavailable)?;
        value.map(|value| redis::decode(&value, PayloadLimits::new())).transpose()
    }

    fn update(
        &self,
        id: &BeakerId,
        decide: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error> {
        // A connection of its own: what it watches is forgotten with it.
        let mut redis = self.connect()?;
        let key = redis::key(id);
        loop {
            redis.ask(&[b"WATCH", key.as_bytes()]).map_err(unavailable)?;
            let found = redis.get(&key).map_err(unavailable)?;
            let text = found.map(|value| redis::decode(&value, PayloadLimits::new())).transpose();
            let change = decide(text)?;
            let ttl = backend_timeout(self.timeout);
            if change == Change::Keep || redis.exchange(&key, &change, ttl).map_err(unavailable)? {
                return Ok(());
            }
        }
    }
}

struct Redis(Connection);

impl Redis {
    fn get(&mut self, key: &str) -> io::Result<Option<Vec<u8>>> {
        match self.ask(&[b"GET", key.as_bytes()])? {
            Answer::Bytes(value) => Ok(Some(value)),
            Answer::Nothing => Ok(None),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    /// Whether `change` was made; not if somebody changed what is watched.
    fn exchange(&mut self, key: &str, change: &Change, ttl: Option<Duration>) -> io::Result<bool> {
        let key = key.as_bytes();
        self.ask(&[b"MULTI"])?;
        match (change, ttl) {
            (Change::Replace(text), Some(ttl)) => {
                let seconds = ttl.as_secs().to_string();
                self.ask(&[b"SETEX", key, seconds.as_bytes(), &redis::encode(text)])?
            }
            (Change::Replace(text), None) => self.ask(&[b"SET", key, &redis::encode(text)])?,
            (Change::Remove | Change::Keep, _) => self.ask(&[b"DEL", key])?,
        };
        Ok(self.ask(&[b"EXEC"])? != Answer::Nothing)
    }

    fn ask(&mut self, words: &[&[u8]]) -> io::Result<Answer> {
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            command.extend(format!("${}\r\n", word.len()).bytes());
            command.extend(*word);
            command.extend(b"\r\n");
        }
        self.0.send(&command)?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let line = self.0.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::InvalidData)?;
        let number = || rest.parse::<i64>().map_err(io::Error::other);
        Ok(match kind {
            "+" => Answer::Bytes(rest.as_bytes().to_vec()),
            ":" => Answer::Number(number()?),
            "$" => match usize::try_from(number()?) {
                Ok(count) => Answer::Bytes(self.0.bytes(count)?),
                Err(_) => Answer::Nothing,
            },
            "*" => match number()? {
                ..0 => Answer::Nothing,
                count => {
                    (0..count).map(|_| self.answer()).collect::<Result<_, _>>().map(Answer::List)?
                }
            },
            _ => return Err(io::Error::other(line)),
        })
    }
}

fn unavailable(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "talk to redis").with_source(error)
}
