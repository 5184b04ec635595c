//! A record as bytes: JSON, since any program can read it. Version 1.
//
// A version that is not known is Corrupt, never guessed at. A field that is not known is kept from
// nobody: it is ignored, so that an older program can read what a newer one wrote. Nesting is
// bounded by the parser (128 levels), size by the caller.

use std::time::Duration;

use beaker_namespace::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fields, Own, Record};
use crate::data::Values;
use crate::{CookieLife, Error, ErrorKind, RecordKey};

const FORMAT: u8 = 1;

/// Times in microseconds since 1970, durations in microseconds.
#[derive(Serialize, Deserialize)]
struct Wire<D> {
    v: u8,
    created: i64,
    written: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absolute: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// `browser` or `session`.
    #[serde(skip_serializing_if = "Option::is_none")]
    life: Option<CookieLife>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bridged: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    limits_changed: bool,
    data: D,
}

pub(crate) fn encode(record: &Record) -> Result<Vec<u8>, Error> {
    let wire = Wire {
        v: FORMAT,
        created: record.created.as_micros(),
        written: record.written.as_micros(),
        idle: record.idle.map(|idle| u64::try_from(idle.as_micros()).unwrap_or(u64::MAX)),
        absolute: record.absolute.map(Timestamp::as_micros),
        path: record.own.path.clone(),
        domain: record.own.domain.clone(),
        life: record.own.life,
        subject: record.own.subject.clone(),
        label: record.own.label.clone(),
        bridged: record.own.bridged.as_ref().and_then(RecordKey::to_text),
        limits_changed: record.own.limits_changed,
        data: &record.values,
    };
    serde_json::to_vec(&wire)
        .map_err(|error| Error::new(ErrorKind::Codec, "encode session").with_source(error))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Record, Error> {
    let corrupt = || Error::new(ErrorKind::Corrupt, "decode session");
    // The parser's error would show a part of the text.
    let wire: Wire<Values> = serde_json::from_slice(bytes).map_err(|_unshown| corrupt())?;
    if wire.v != FORMAT {
        return Err(
            corrupt().with_detail("it has a format version that this program does not know")
        );
    }
    let bridged = wire.bridged.as_deref().map(RecordKey::parse).transpose();
    Ok(Record {
        created: Timestamp::from_micros(wire.created),
        written: Timestamp::from_micros(wire.written),
        idle: wire.idle.map(Duration::from_micros),
        absolute: wire.absolute.map(Timestamp::from_micros),
        own: Own::from(Fields {
            path: wire.path,
            domain: wire.domain,
            life: wire.life,
            subject: wire.subject,
            label: wire.label,
            bridged: bridged.map_err(|_unshown| corrupt())?,
            limits_changed: wire.limits_changed,
        }),
        values: wire.data,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Data;

    #[test]
    fn every_field_is_read_back() {
        let time = Timestamp::from_micros(1_700_000_000_000_000);
        let mut record = Record::new(time)
            .with_limits(Some(Duration::from_secs(60)), Some(time))
            .with_cookie(Some("/app".to_owned()), Some("example.org".to_owned()))
            .with_data(Data::from([("cart".to_owned(), json!([1, "two", null]))]));
        record.own.edit().subject = Some("ada".to_owned());
        record.own.edit().label = Some("phone".to_owned());
        record.own.edit().life = Some(CookieLife::Session);
        record.own.edit().limits_changed = true;
        record.own.edit().bridged = Some(crate::SessionId::from_bytes([7; 16]).end_mark());
        assert_eq!(decode(&encode(&record).unwrap()).unwrap(), record);
    }

    #[test]
    fn another_version_is_corrupt_and_an_unknown_field_is_ignored() {
        let text = br#"{"v":1,"created":0,"written":0,"data":{},"new":true}"#;
        assert_eq!(decode(text).unwrap(), Record::new(Timestamp::from_micros(0)));
        let newer = br#"{"v":2,"created":0,"written":0,"data":{}}"#;
        assert_eq!(decode(newer).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn deep_nesting_is_corrupt_and_does_not_overflow_the_stack() {
        let deep = "[".repeat(100_000);
        let text = format!(r#"{{"v":1,"created":0,"written":0,"data":{{"a":{deep}"#);
        assert_eq!(decode(text.as_bytes()).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _either = decode(&bytes);
        }
    }
}
