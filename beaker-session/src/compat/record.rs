//! Our record as Beaker's data, and back.
//
// What Beaker has no name for is under one name of our own, which Beaker carries along: it stores
// what it has loaded. A session that Python made lacks it.

use std::time::Duration;

use beaker_namespace::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BeakerData;
use super::data::OWN_NAMES;
use crate::record::{Fields, Own, Record};
use crate::{CookieLife, Data, Error, ErrorKind, RecordKey, SessionId};

/// The name of what is ours.
const OURS: &str = "_beaker_rs";

/// What Beaker has no name for.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Ours {
    /// When the values were last stored, in microseconds since 1970.
    written: Option<i64>,
    /// Microseconds without use, and a moment, at which it ends.
    limits: Option<(Option<u64>, Option<i64>)>,
    subject: Option<String>,
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    life: Option<CookieLife>,
    /// The key of the mark that another system's session has ended, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    bridged: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    limits_changed: bool,
    epoch: u64,
    /// The new id of a session that was renewed, and until when that is to be known.
    renewed: Option<(String, i64)>,
}

/// How the program's sessions are configured, for what a session of Python's does not say.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) timeout: Option<Duration>,
    pub(super) path: String,
    pub(super) domain: Option<String>,
    /// Whether a session's own path and domain are passed on.
    pub(super) keeps_cookie: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { timeout: None, path: "/".to_owned(), domain: None, keeps_cookie: true }
    }
}

/// What is under an id.
#[derive(Debug)]
pub(super) enum Content {
    Session { record: Record, accessed: Timestamp, epoch: u64 },
    Renewed { to: SessionId, until: Timestamp },
}

pub(super) fn from_beaker(data: BeakerData, defaults: &Defaults) -> Result<Content, Error> {
    let ours = ours(&data)?;
    let accessed = data.accessed();
    if let (Some((to, until)), None) = (&ours.renewed, data.user_values().next()) {
        let to = super::BeakerId::parse(to).map_err(|_unshown| not_ours())?;
        let to = to.to_bytes().map(SessionId::from_bytes).ok_or_else(not_ours)?;
        return Ok(Content::Renewed { to, until: Timestamp::from_micros(*until) });
    }
    let created = data.created().or(accessed).unwrap_or(Timestamp::from_micros(0));
    // Without the time of its last use a session does not end, as in Beaker.
    let timeout = defaults.timeout.filter(|_| accessed.is_some());
    let accessed = accessed.unwrap_or(created);
    let (idle, absolute) = match ours.limits {
        Some((idle, absolute)) => {
            (idle.map(Duration::from_micros), absolute.map(Timestamp::from_micros))
        }
        None => (timeout, None),
    };
    let own = |value: Option<&str>, configured: Option<&str>| {
        value.filter(|_| defaults.keeps_cookie && value != configured).map(str::to_owned)
    };
    let path = own(data.own_path(), Some(&defaults.path));
    let domain = own(data.domain(), defaults.domain.as_deref());
    let written = ours.written.map_or(accessed, Timestamp::from_micros);
    let mut map = data.into_map();
    map.retain(|key, _| !is_reserved(key));
    let mut record = Record::new(created)
        .with_times(created, written)
        .with_limits(idle, absolute)
        .with_data(map);
    let bridged = ours.bridged.as_deref().map(RecordKey::parse).transpose();
    let bridged = bridged.map_err(|_unshown| not_ours())?;
    let Ours { subject, label, life, limits_changed, .. } = ours;
    record.own = Own::from(Fields { path, domain, life, subject, label, bridged, limits_changed });
    Ok(Content::Session { record, accessed, epoch: ours.epoch })
}

pub(super) fn to_beaker(
    record: &Record,
    accessed: Timestamp,
    epoch: u64,
) -> Result<BeakerData, Error> {
    let mut data = checked(record.data())?;
    data.set_times(record.created(), accessed);
    if let Some(path) = record.cookie_path() {
        data.set_path(path);
    }
    if let Some(domain) = record.cookie_domain() {
        data.set_domain(Some(domain));
    }
    let micros = |idle: Duration| u64::try_from(idle.as_micros()).unwrap_or(u64::MAX);
    put(
        &mut data,
        &Ours {
            written: Some(record.written().as_micros()),
            limits: Some((record.idle().map(micros), record.absolute().map(Timestamp::as_micros))),
            subject: record.subject().map(str::to_owned),
            label: record.label().map(str::to_owned),
            life: record.cookie_life(),
            bridged: record.own.bridged.as_ref().and_then(RecordKey::to_text),
            limits_changed: record.own.limits_changed,
            epoch,
            renewed: None,
        },
    )?;
    Ok(data)
}

/// What is left of a session that was renewed: for Beaker a session without values.
pub(super) fn renewed(
    to: &SessionId,
    now: Timestamp,
    until: Timestamp,
) -> Result<BeakerData, Error> {
    let mut data = BeakerData::default();
    data.set_times(now, now);
    let to = super::BeakerId::from_bytes(*to.as_bytes()).expose_text().to_owned();
    put(&mut data, &Ours { renewed: Some((to, until.as_micros())), ..Ours::default() })?;
    Ok(data)
}

/// Notes a use, and changes nothing that [`from_beaker`] gives but its time.
pub(super) fn touch(data: &mut BeakerData, accessed: Timestamp) -> Result<(), Error> {
    let mut ours = ours(data)?;
    if let (None, Some(before)) = (ours.written, data.accessed()) {
        ours.written = Some(before.as_micros());
        put(data, &ours)?;
    }
    data.touch(accessed);
    Ok(())
}

fn checked(data: Data) -> Result<BeakerData, Error> {
    if data.keys().any(|key| is_reserved(key)) {
        return Err(Error::new(ErrorKind::Codec, "write Beaker's session").with_detail(format!(
            "a value has a name that Beaker uses itself ({}); give it another",
            OWN_NAMES.join(", ")
        )));
    }
    Ok(BeakerData::from(data))
}

fn is_reserved(key: &str) -> bool {
    key == OURS || OWN_NAMES.contains(&key)
}

fn ours(data: &BeakerData) -> Result<Ours, Error> {
    match data.get(OURS) {
        None => Ok(Ours::default()),
        Some(value) => Ours::deserialize(value).map_err(|_unshown| not_ours()),
    }
}

fn put(data: &mut BeakerData, ours: &Ours) -> Result<(), Error> {
    let value: Value = serde_json::to_value(ours).map_err(|error| {
        Error::new(ErrorKind::Codec, "write Beaker's session").with_source(error)
    })?;
    data.insert(OURS, value);
    Ok(())
}

fn not_ours() -> Error {
    Error::new(ErrorKind::Corrupt, "read Beaker's session")
        .with_detail(format!("what is under `{OURS}` is not what this crate writes there"))
}
