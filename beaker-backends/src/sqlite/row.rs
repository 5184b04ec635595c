use beaker_namespace::{
    Condition, Damage, Entry, Error, ErrorKind, Fingerprint, Key, Timestamp, envelope,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, ToSql};

use crate::common::AROUND_VALUE_BYTES;

/// Two statements: for the record of a key, and for when that dies, which can be told of what is not read.
///
/// Short, because a prepared statement is found by its text, which is hashed and copied each time.
#[derive(Debug, Clone, Copy)]
pub(super) struct By {
    pub(super) record: &'static str,
    pub(super) dies: &'static str,
}

/// In the namespace of a name.
pub(super) const BY_NAME: By = By {
    record: "SELECT record FROM entries WHERE ns=(SELECT id FROM namespaces WHERE name=?1) AND key=?2",
    dies: "SELECT dies FROM entries WHERE ns=(SELECT id FROM namespaces WHERE name=?1) AND key=?2",
};

/// In the namespace of a number.
pub(super) const BY_NUMBER: By = By {
    record: "SELECT record FROM entries WHERE ns=?1 AND key=?2",
    dies: "SELECT dies FROM entries WHERE ns=?1 AND key=?2",
};

/// The longest record that is read, for values up to `max_value_bytes`.
pub(super) fn limit(max_value_bytes: u64) -> i64 {
    i64::try_from(max_value_bytes.saturating_add(AROUND_VALUE_BYTES)).unwrap_or(i64::MAX)
}

/// The limit of SQLite's own that lets such records pass, with key and index beside them. What is
/// longer is refused before anything is allocated for it.
pub(super) fn sqlite_limit(max_value_bytes: u64) -> i32 {
    let row = limit(max_value_bytes).saturating_add(2 * Key::MAX_BYTES as i64);
    i32::try_from(row).unwrap_or(i32::MAX)
}

/// Gives the record that `sql` finds to `take`; `None` in it if it is longer than `limit`.
pub(super) fn read<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    limit: i64,
    take: impl FnOnce(Option<&[u8]>) -> T,
) -> rusqlite::Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    match rows.next() {
        Ok(None) => Ok(None),
        // What is no record at all is as good as an empty one.
        Ok(Some(row)) => {
            let record = row.get_ref(0)?.as_blob().unwrap_or_default();
            Ok(Some(take((record.len() as i64 <= limit).then_some(record))))
        }
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::TooBig) => Ok(Some(take(None))),
        Err(error) => Err(error),
    }
}

/// An entry as it is stored.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) record: Vec<u8>,
    /// `None` if it never dies.
    pub(super) dies: Option<i64>,
    pub(super) tags: Vec<String>,
    pub(super) generation: u64,
}

impl Row {
    /// Encodes `entry` with `generation`, within the limits that apply to reading it back.
    pub(super) fn new(
        namespace: &str,
        key: &Key,
        entry: Entry,
        generation: u64,
        max_value_bytes: u64,
    ) -> Result<Self, Error> {
        let entry = entry.with_generation(generation);
        let record = envelope::encode_within(namespace, key, &entry, max_value_bytes)?;
        let dies = (!entry.dies().is_never()).then(|| entry.dies().as_micros());
        let tags = entry.tag_list().to_vec();
        Ok(Self { key: key.clone(), record, dies, tags, generation })
    }

    /// The bytes that it takes in the database, about.
    pub(super) fn room(&self) -> u64 {
        let tags: usize = self.tags.iter().map(|tag| 2 * tag.len() + 64).sum();
        (self.record.len() + 2 * self.key.as_bytes().len() + tags + 64) as u64
    }
}

pub(super) fn too_large(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::TooLarge, "write an entry").with_detail(detail)
}

/// What is under a key.
#[derive(Debug)]
pub(super) enum Found {
    Absent,
    Living(Entry),
    Dead(Entry),
    /// It cannot be read back, why, and what it is known by.
    Corrupt(Error, Fingerprint),
    /// It lives, and has more bytes than may be read.
    TooLarge,
    /// The same, dead.
    DeadTooLarge,
}

impl Found {
    /// Judges a record, which is `None` if it is too long: as one that lives, for it does not say.
    pub(super) fn judge(
        namespace: &str,
        key: &Key,
        record: Option<&[u8]>,
        max_value_bytes: u64,
        now: Timestamp,
    ) -> Self {
        let Some(record) = record else { return Self::TooLarge };
        match envelope::decode_from(namespace, key, record) {
            Ok(entry) => match (exceeds(&entry, max_value_bytes), entry.is_dead(now)) {
                (false, false) => Self::Living(entry),
                (false, true) => Self::Dead(entry),
                (true, false) => Self::TooLarge,
                (true, true) => Self::DeadTooLarge,
            },
            Err(error) => Self::Corrupt(error, Fingerprint::of(record)),
        }
    }

    /// Whether `condition` holds where it is; `None` if that is not known, for it lives and is not read.
    pub(super) fn admits(&self, condition: Condition) -> Option<bool> {
        Some(match self {
            Self::Corrupt(error, fingerprint) => condition.holds_over(&damage(error, *fingerprint)),
            Self::Living(entry) => condition.holds(Some(entry.generation())),
            Self::Absent | Self::Dead(_) | Self::DeadTooLarge => condition.holds(None),
            Self::TooLarge if condition == Condition::TooLarge => true,
            Self::TooLarge => return None,
        })
    }
}

/// What is where something is not read, which `sql` says the death of: one statement later, so it may have gone.
pub(super) fn unread(
    connection: &Connection,
    sql: &str,
    place: &[&dyn ToSql],
    now: Timestamp,
) -> rusqlite::Result<Found> {
    let mut find = connection.prepare_cached(sql)?;
    // What is no time is as good as none.
    let dies = find.query_row(place, |row| Ok(row.get_ref(0)?.as_i64().ok())).optional()?;
    Ok(match dies {
        None => Found::Absent,
        Some(Some(dies)) if dies <= now.as_micros() => Found::DeadTooLarge,
        Some(_) => Found::TooLarge,
    })
}

/// Whether the value of `entry` is longer than may be read. Its record may be longer, by key and tags.
pub(super) fn exceeds(entry: &Entry, max_value_bytes: u64) -> bool {
    entry.payload().len_bytes().unwrap_or_default() as u64 > max_value_bytes
}

pub(super) fn damage(error: &Error, fingerprint: Fingerprint) -> Damage {
    Damage::new(error.to_string()).with_fingerprint(fingerprint)
}
