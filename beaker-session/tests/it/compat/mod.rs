//! The bridge to Python's Beaker, held against what Beaker 1.14.1 was seen to do.
//
// The files in `tests/vectors` were recorded while Beaker ran; no vector is left out. Numbers such
// as "SES-2" or "WIRE-5" name the items of `docs/behaviour.md`.

mod bridge;
mod cookie_session;
mod damaged;
#[cfg(feature = "beaker-dbm")]
mod dbm;
mod header;
mod hostile;
mod json;
mod layouts;
mod options;
mod ported;
mod properties;
mod python;
mod reject;
#[cfg(unix)]
mod servers;
mod set_cookie;
mod signed;
mod stores;
#[cfg(feature = "testkit")]
mod suite;
mod turns;
mod upgrade;

use std::collections::BTreeMap;

use beaker_namespace::Timestamp;
use beaker_session::compat::{
    BeakerData, CryptoType, Encryption, NonceSize, PayloadCodec, Serializer,
};
use serde_json::Value;

/// The vectors of a file.
fn read_vectors(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).expect("the vectors are JSON");
    file["vectors"].as_array().expect("a list").clone()
}

macro_rules! vectors {
    ($name:literal) => {
        $crate::compat::read_vectors(include_str!(concat!("../../vectors/", $name, ".json")))
    };
}
use vectors;

/// The text under `name`.
fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}

fn has_tag(vector: &Value, tag: &str) -> bool {
    vector["tags"].as_array().expect("a list").iter().any(|found| found == tag)
}

/// Seconds as Python's `time.time()` gives them.
fn moment(value: &Value) -> Timestamp {
    Timestamp::from_secs_f64(value.as_f64().expect("seconds"))
}

/// How Beaker was configured.
fn codec(options: &Value) -> PayloadCodec {
    let codec = match options["data_serializer"].as_str() {
        Some("json") => PayloadCodec::new(),
        Some("pickle") => PayloadCodec::new().serializer(Serializer::PickleReadOnly),
        other => panic!("unknown serializer {other:?}"),
    };
    let Some(encrypt_key) = options["encrypt_key"].as_str() else { return codec };
    let crypto_type = match options["crypto_type"].as_str() {
        Some("cryptography") => CryptoType::AesGcm,
        Some("pycrypto") => CryptoType::AesCtrReadOnly,
        other => panic!("unknown cipher {other:?}"),
    };
    let bits = options["encrypt_nonce_bits"].as_u64().unwrap_or(128);
    let encryption = Encryption::new(encrypt_key, text(options, "validate_key"))
        .expect("the keys are good")
        .crypto_type(crypto_type)
        .nonce_size(NonceSize::from_bits(bits as u32).expect("the size is good"));
    codec.encryption(encryption)
}

/// The data of an object in a vector.
fn data(object: &Value) -> BeakerData {
    object.as_object().expect("an object").clone().into_iter().collect()
}

/// The program's own values.
fn user_values(data: &BeakerData) -> Value {
    let pairs = data.user_values().map(|(key, value)| (key.to_owned(), value.clone()));
    Value::Object(pairs.collect())
}

/// Counts of something by name.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn count(&mut self, name: &str) {
        *self.0.entry(name.to_owned()).or_default() += 1;
    }

    fn assert_is(&self, expected: &[(&str, usize)]) {
        let found: Vec<(&str, usize)> =
            self.0.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(found, expected);
    }
}
