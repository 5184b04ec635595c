use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use beaker_namespace::Timestamp;
use serde_json::Value;

const CREATED: &str = "_creation_time";
const ACCESSED: &str = "_accessed_time";
const DOMAIN: &str = "_domain";
const PATH: &str = "_path";
const ID: &str = "_id";

/// The names that Beaker itself uses.
pub(super) const OWN_NAMES: [&str; 5] = [CREATED, ACCESSED, DOMAIN, PATH, ID];

/// How much longer than the session a store keeps its record.
const BACKEND_GRACE: Duration = Duration::from_secs(120);

/// What a session of Beaker's holds: the program's values, and Beaker's own beside them.
///
/// Beaker's own have names that begin with `_`: when the session was made and last used (seconds
/// since 1970), and its cookie's domain and path. A session that is all in the cookie has its id
/// there too.
///
/// `Debug` shows how many values there are, and none of them.
#[derive(Clone, PartialEq, Default)]
pub struct BeakerData(BTreeMap<String, Value>);

impl BeakerData {
    /// A session without values, made at `now`, whose cookie is for `domain` and `path`.
    pub fn fresh(now: Timestamp, domain: Option<&str>, path: &str) -> Self {
        let mut data = Self::default();
        data.insert(DOMAIN, domain.map_or(Value::Null, Value::from));
        data.insert(PATH, path.into());
        data.insert(CREATED, now.as_secs_f64().into());
        data.insert(ACCESSED, now.as_secs_f64().into());
        data
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Puts `value` under `key`, and returns what was there.
    pub fn insert(&mut self, key: &str, value: Value) -> Option<Value> {
        self.0.insert(key.to_owned(), value)
    }

    /// Takes away what is under `key`.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// When the session was made, if it says.
    pub fn created(&self) -> Option<Timestamp> {
        self.seconds(CREATED).map(Timestamp::from_secs_f64)
    }

    /// When it was last used, if it says.
    pub fn accessed(&self) -> Option<Timestamp> {
        self.seconds(ACCESSED).map(Timestamp::from_secs_f64)
    }

    /// The domain of its cookie, if that has one.
    pub fn domain(&self) -> Option<&str> {
        self.get(DOMAIN)?.as_str()
    }

    /// The path of its cookie: `/` if it does not say.
    pub fn path(&self) -> &str {
        self.own_path().unwrap_or("/")
    }

    pub(super) fn own_path(&self) -> Option<&str> {
        self.get(PATH)?.as_str()
    }

    pub(super) fn set_times(&mut self, created: Timestamp, accessed: Timestamp) {
        self.insert(CREATED, created.as_secs_f64().into());
        self.insert(ACCESSED, accessed.as_secs_f64().into());
    }

    /// The id that it holds, of a session that is all in the cookie.
    pub fn id(&self) -> Option<&str> {
        self.get(ID)?.as_str()
    }

    /// Sets the cookie's domain; it stays until it is set again, whatever is configured.
    pub fn set_domain(&mut self, domain: Option<&str>) {
        self.insert(DOMAIN, domain.map_or(Value::Null, Value::from));
    }

    /// Sets the cookie's path; it stays until it is set again, whatever is configured.
    pub fn set_path(&mut self, path: &str) {
        self.insert(PATH, path.into());
    }

    /// Sets the id of a session that is all in the cookie.
    pub fn set_id(&mut self, id: &str) {
        self.insert(ID, id.into());
    }

    /// Notes that the session is used at `now`, and returns when it was before.
    pub fn touch(&mut self, now: Timestamp) -> Option<Timestamp> {
        let before = self.accessed();
        self.insert(ACCESSED, now.as_secs_f64().into());
        before
    }

    /// Whether it is over at `now`: not used for longer than `timeout`.
    ///
    /// A session that was used exactly that long ago is not over yet. Without a `timeout`, or
    /// without a time of its last use, it never is.
    pub fn is_expired(&self, now: Timestamp, timeout: Option<Duration>) -> bool {
        match (timeout, self.seconds(ACCESSED)) {
            (Some(timeout), Some(accessed)) => now.as_secs_f64() - accessed > timeout.as_secs_f64(),
            _ => false,
        }
    }

    /// Whether there is nothing in it, not even a time: for Beaker that is no session.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The program's own values: those whose names do not begin with `_`.
    pub fn user_values(&self) -> impl Iterator<Item = (&str, &Value)> {
        let all = self.0.iter().map(|(key, value)| (key.as_str(), value));
        all.filter(|(key, _)| !key.starts_with('_'))
    }

    /// All values.
    pub fn as_map(&self) -> &BTreeMap<String, Value> {
        &self.0
    }

    /// All values.
    pub fn into_map(self) -> BTreeMap<String, Value> {
        self.0
    }

    fn seconds(&self, key: &str) -> Option<f64> {
        self.get(key)?.as_f64().filter(|seconds| seconds.is_finite())
    }
}

impl From<BTreeMap<String, Value>> for BeakerData {
    fn from(map: BTreeMap<String, Value>) -> Self {
        Self(map)
    }
}

impl FromIterator<(String, Value)> for BeakerData {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl fmt::Debug for BeakerData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BeakerData({} values)", self.0.len())
    }
}

/// How long a store keeps a record by itself: two minutes longer than the session lives, so that it
/// does not vanish while it is read. `None` is for ever.
pub fn backend_timeout(timeout: Option<Duration>) -> Option<Duration> {
    timeout.map(|timeout| timeout.saturating_add(BACKEND_GRACE))
}
