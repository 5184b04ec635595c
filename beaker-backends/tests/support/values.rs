//! Entries of bytes, and values that show whose they are and whether they are whole.

use beaker_namespace::{Entry, Error, Key, Namespace, Payload, Timestamp};

pub(crate) fn entry(value: impl Into<Vec<u8>>) -> Entry {
    Entry::new(Payload::raw(value.into()), Timestamp::from_micros(1))
}

pub(crate) fn bytes(entry: &Entry) -> Vec<u8> {
    let Payload::Bytes { bytes, .. } = entry.payload() else { panic!("stores hold bytes") };
    bytes.to_vec()
}

/// The value under `key`.
pub(crate) fn value(store: &dyn Namespace, key: &Key) -> Result<Option<Vec<u8>>, Error> {
    Ok(store.get(key)?.as_ref().map(bytes))
}

/// A value that says whose it is and where it ends.
pub(crate) fn sealed(key: u64, writer: u32, round: u64, longest: u64) -> Vec<u8> {
    let filling = "x".repeat((round.wrapping_mul(104_729) % longest) as usize);
    let text = format!("{key}|{writer}|{round}|{filling}|");
    format!("{text}{}", text.len()).into_bytes()
}

/// Whether `value` was written whole, under `key`.
pub(crate) fn is_whole(key: u64, value: &[u8], longest: u64) -> bool {
    let text = String::from_utf8_lossy(value);
    let mut parts = text.split('|').map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().flatten();
    let (Some(found), Some(writer), Some(round)) = (next(), next(), next()) else { return false };
    found == key && value == sealed(found, writer as u32, round, longest)
}
