//! One session in the list of a user's sessions.

use std::time::Duration;

use beaker_namespace::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, RecordKey};

/// A session in the list of its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where the session is kept.
    pub key: RecordKey,
    /// When it ends at the latest; the list forgets it then.
    pub until: Timestamp,
}

/// How a list looks in a store: JSON, in the order in which they were enrolled first: who goes through it
/// finds where a session goes by a renewal behind where it was.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Roll {
    members: Vec<Row>,
}

/// The key as text, when the session ends at the latest, and when it was enrolled or last found to be
/// there; times in microseconds since 1970. Lists of before there was the last one lack it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row(String, i64, #[serde(default)] i64);

impl Row {
    pub(super) fn key(&self) -> Option<RecordKey> {
        RecordKey::parse(&self.0).ok()
    }
}

impl Roll {
    /// Adds `member` and drops those that are over. One that was listed until later stays so: its record may
    /// still say that, or say so again, and who is listed for too long is taken off once it is not there.
    pub(super) fn enroll(&mut self, member: &Member, now: Timestamp) -> Result<(), Error> {
        let plain = || {
            Error::new(ErrorKind::Unsupported, "list a user's sessions")
                .with_detail("sessions under plain ids are not listed")
        };
        let key = member.key.to_text().ok_or_else(plain)?;
        self.members.retain(|row| row.0 == key || row.1 > now.as_micros());
        let (until, now) = (member.until.as_micros(), now.as_micros());
        match self.members.iter_mut().find(|row| row.0 == key) {
            Some(row) => (row.1, row.2) = (row.1.max(until), now),
            None => self.members.push(Row(key, until, now)),
        }
        Ok(())
    }

    /// At most `most` of those that nobody has looked at for so long, the longest first.
    pub(super) fn unseen_for(&self, age: Duration, most: usize, now: Timestamp) -> Vec<Row> {
        let latest = now.saturating_sub(age).as_micros();
        let mut unseen: Vec<_> =
            self.members.iter().filter(|row| row.2 <= latest).cloned().collect();
        unseen.sort_by_key(|row| row.2);
        unseen.truncate(most);
        unseen
    }

    /// Drops those of `looked_at` that were not `there`, and notes that the others were. One that was
    /// enrolled again meanwhile is as it is.
    pub(super) fn prune(&mut self, looked_at: &[(Row, bool)], now: Timestamp) {
        for (row, is_there) in looked_at {
            let Some(at) = self.members.iter().position(|other| other == row) else { continue };
            if *is_there {
                self.members[at].2 = now.as_micros();
            } else {
                self.members.remove(at);
            }
        }
    }

    pub(super) fn members(&self, now: Timestamp) -> Vec<Member> {
        let live = self.members.iter().filter(|row| row.1 > now.as_micros());
        live.filter_map(|row| {
            Some(Member { key: row.key()?, until: Timestamp::from_micros(row.1) })
        })
        .collect()
    }

    /// When the whole list can go.
    pub(super) fn until(&self) -> Timestamp {
        let latest = self.members.iter().map(|row| row.1).max();
        latest.map_or(Timestamp::NEVER, Timestamp::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionId;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn roll(seconds: std::ops::Range<u8>) -> Roll {
        let mut roll = Roll::default();
        for second in seconds {
            let key = SessionId::from_bytes([second; 16]).hashed();
            let member = Member { key, until: Timestamp::NEVER };
            roll.enroll(&member, at(second.into())).unwrap();
        }
        roll
    }

    #[test]
    fn only_those_that_were_enrolled_long_ago_are_looked_at_the_oldest_first() {
        let roll = roll(0..10);
        let looked_at = |age: u32, most| roll.unseen_for(SECOND * age, most, at(10));
        assert_eq!(looked_at(6, 8), roll.members[..5]);
        assert_eq!(looked_at(6, 2), roll.members[..2]);
        assert_eq!(looked_at(11, 8), []);
    }

    #[test]
    fn who_is_enrolled_again_with_an_earlier_end_is_listed_until_the_later_one() {
        let mut list = Roll::default();
        let key = SessionId::from_bytes([7; 16]).hashed();
        for (now, until) in [(1, 5), (2, 9), (3, 4)] {
            list.enroll(&Member { key, until: at(until) }, at(now)).unwrap();
        }
        assert_eq!(list.members, [Row(key.to_text().unwrap(), 9_000_000, 3_000_000)]);
    }

    #[test]
    fn a_list_without_the_last_times_is_read_and_looked_at_first() {
        let key = SessionId::from_bytes([7; 16]).hashed().to_text().unwrap();
        let text = format!(r#"{{"members":[["{key}",9000000]]}}"#);
        let roll: Roll = serde_json::from_str(&text).unwrap();
        assert_eq!(roll.members(at(8))[0].until, at(9));
        assert_eq!(roll.unseen_for(SECOND, 4, at(8)), [Row(key, 9_000_000, 0)]);
    }

    #[test]
    fn who_is_there_has_its_time_and_its_place_and_who_was_enrolled_again_stays() {
        let mut list = roll(0..3);
        let [gone, again, there] = [0, 1, 2].map(|row: usize| list.members[row].clone());
        let member = Member { key: again.key().unwrap(), until: Timestamp::NEVER };
        list.enroll(&member, at(5)).unwrap();
        let newest = Member { key: gone.key().unwrap(), until: Timestamp::NEVER };
        list.prune(&[(gone, false), (again, false), (there.clone(), true)], at(9));
        list.enroll(&newest, at(9)).unwrap();
        let left: Vec<_> = list.members.iter().map(|row| (row.key().unwrap(), row.2)).collect();
        let there = there.key().unwrap();
        assert_eq!(left, [(member.key, 5_000_000), (there, 9_000_000), (newest.key, 9_000_000)]);
        // The one that was looked at last comes last, wherever it stands.
        let next = list.unseen_for(SECOND, 1, at(20));
        assert_eq!(next[0].key().unwrap(), member.key);
    }
}
