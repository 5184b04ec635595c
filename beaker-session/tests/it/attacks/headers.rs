//! `Cookie` headers that nobody would send who means well.

use crate::browser::Browser;
use crate::site::{Site, ring};

const NAME: &str = "__Host-id";

/// 58: any header is read without a panic, and the session is that of the first four cookies of its name.
#[test]
fn f58_a_session_is_found_in_any_header_that_has_it_and_in_no_other() {
    let found = read_any(10_000);
    assert!(found > 500 && found < 9_500, "{found} of 10,000");
}

/// Reads `count` headers that are made of anything, and says in how many the session was.
pub(crate) fn read_any(count: usize) -> usize {
    let site = Site::with(|builder| builder.with_keys(ring(1)));
    let mut browser = Browser::new();
    browser.visit(&site.sessions, |session| session.insert("user", "ada")).unwrap();
    let header = browser.header();
    let good = header.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('=')).unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut found = 0;
    for _ in 0..count {
        let header = random.header(good);
        let session = site.sessions.begin([&header[..]]).load().unwrap();
        let is_there = session.get::<String>("user").unwrap().is_some();
        assert_eq!(is_there, has(&header, good), "{}", header.escape_ascii());
        found += usize::from(is_there);
    }
    found
}

/// As the rule says it, without a thought of speed.
fn has(header: &[u8], good: &str) -> bool {
    let named = header.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let values = named.filter_map(|pair| pair.strip_prefix(NAME.as_bytes())?.strip_prefix(b"="));
    values.take(4).any(|value| value.trim_ascii() == good.as_bytes())
}

/// Xorshift: the same headers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn header(&mut self, good: &str) -> Vec<u8> {
        let mut header = Vec::new();
        for _ in 0..self.below(12) {
            match self.below(9) {
                0 => header.extend(format!("{NAME}={good}").bytes()),
                1 => header.extend(format!("{NAME}={}; ", &good[..self.below(good.len())]).bytes()),
                2 => header.extend(format!("{NAME}={good}{good}; ").bytes()),
                3 => header.extend(format!("; {NAME}={good} ;").bytes()),
                4 => header.extend(NAME.bytes().map(|byte| byte.to_ascii_uppercase())),
                5 => header.extend(NAME.bytes()),
                6 => header.extend([b"=", b";", b" ", b"\"", b",", b"\t", b"\0"][self.below(7)]),
                7 => header.extend((0..self.below(300)).map(|_| b'x')),
                _ => header.push(u8::try_from(self.below(256)).unwrap()),
            }
        }
        header
    }
}
