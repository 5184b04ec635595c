//! What holds for any input.

use std::collections::BTreeMap;

use beaker_session::compat::{
    BeakerData, BeakerId, BeakerSetCookie, CookieSession, CookieSigner, Encryption, PayloadCodec,
    PayloadLimits, Serializer, Signed, cookie_date, dbm, find_cookie, memcached, redis, session_id,
    to_python_json,
};
use proptest::prelude::*;
use serde_json::{Number, Value};

/// What JSON holds, to a few levels.
fn values() -> impl Strategy<Value = Value> {
    let number = any::<f64>().prop_filter_map("a number", Number::from_f64).prop_map(Value::Number);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        number,
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn datas() -> impl Strategy<Value = BeakerData> {
    prop::collection::btree_map(any::<String>(), values(), 0..6)
        .prop_map(|map: BTreeMap<String, Value>| BeakerData::from(map))
}

/// Texts that look like cookies' headers.
fn headers() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"sid=".to_vec()),
        Just(b";".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b" ".to_vec()),
        Just(b"=".to_vec()),
        Just(b"a".to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn sealed() -> PayloadCodec {
    PayloadCodec::new().encryption(Encryption::new("encrypt", "validate").expect("good keys"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_signed_is_verified_and_nothing_else(
        secret in ".{1,80}", value in "[^\"]{0,80}", at in 0_usize..120, other in any::<char>(),
    ) {
        let signer = CookieSigner::new(&secret).unwrap();
        let coded = signer.sign(&value);
        prop_assert_eq!(signer.verify(&coded), Signed::Value(&value));
        let mut spoiled: Vec<char> = coded.chars().collect();
        let at = at % spoiled.len();
        spoiled[at] = other;
        let spoiled: String = spoiled.into_iter().collect();
        if spoiled != coded && other != '"' {
            prop_assert_eq!(signer.verify(&spoiled), Signed::Invalid);
        }
    }

    #[test]
    fn any_header_gives_a_part_of_itself_or_nothing(header in headers()) {
        let found = find_cookie(&header, "sid");
        if let Some(value) = found {
            let at = value.as_ptr() as usize - header.as_ptr() as usize;
            let before = String::from_utf8_lossy(&header[..at]).trim_end().to_owned();
            prop_assert!(before.ends_with('='), "{before:?}");
        }
        let signer = CookieSigner::new("s").unwrap();
        prop_assert_eq!(session_id(&header, "sid", Some(&signer)), None);
        let id = session_id(&header, "sid", None);
        prop_assert!(id.is_none_or(|id| !id.is_empty()));
    }

    #[test]
    fn what_is_encoded_is_decoded(data in datas()) {
        for codec in [PayloadCodec::new(), sealed()] {
            let text = codec.encode(&data).unwrap();
            prop_assert!(text.is_ascii());
            prop_assert_eq!(&codec.decode(&text).unwrap(), &data);
        }
    }

    #[test]
    fn python_s_json_is_ascii_and_is_read_back(value in values()) {
        let text = to_python_json(&value).unwrap();
        prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_sealed_payload_that_was_changed_is_refused(data in datas(), at in any::<usize>(), bit in 0_u8..7) {
        let text = sealed().encode(&data).unwrap();
        let mut spoiled = text.clone().into_bytes();
        let at = at % spoiled.len();
        spoiled[at] ^= 1 << bit;
        let spoiled = String::from_utf8(spoiled).unwrap();
        prop_assert!(sealed().decode(&spoiled).is_err());
    }

    #[test]
    fn any_text_is_data_or_an_error(
        text in any::<String>(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        flags in any::<u32>(),
    ) {
        let encoded = beaker_namespace::base64::b64encode(&bytes, &beaker_namespace::base64::STANDARD);
        let pickled = PayloadCodec::new().serializer(Serializer::PickleReadOnly);
        for codec in [PayloadCodec::new(), sealed(), pickled] {
            let _ = codec.decode(&text);
            let _ = codec.decode(&encoded);
        }
        let _ = CookieSession::new("s", "v", PayloadCodec::new()).unwrap().open(&text);
        let limits = PayloadLimits::new();
        let _ = (redis::decode(&bytes, limits), memcached::decode(&bytes, flags, limits));
        let _ = (dbm::decode(&bytes, limits), dbm::decode_dumb(&bytes, text.as_bytes(), limits));
    }

    #[test]
    fn a_text_comes_back_from_every_store(len in 0_usize..70_000, letter in "[A-Za-z0-9+/=]") {
        let text = letter.repeat(len);
        let limits = PayloadLimits::new();
        prop_assert_eq!(&redis::decode(&redis::encode(&text), limits).unwrap(), &text);
        let value = memcached::encode(&text);
        for flags in [memcached::FLAGS, memcached::BMEMCACHED_FLAGS] {
            prop_assert_eq!(&memcached::decode(&value, flags, limits).unwrap(), &text);
        }
        let root = tempfile::tempdir().unwrap();
        let sessions = beaker_session::compat::FileSessions::new(root.path());
        let id = BeakerId::from_bytes([1; 16]);
        sessions.write(&id, &text).unwrap();
        prop_assert_eq!(sessions.read(&id).unwrap(), Some(text));
    }

    #[test]
    fn any_id_is_refused_or_names_a_file_below_the_directory(id in "[./\\\\a-z\u{0}é]{0,12}") {
        let Ok(id) = BeakerId::custom(&id) else { return Ok(()) };
        let path = beaker_session::compat::FileSessions::new("/data").path(&id).unwrap();
        prop_assert!(path.starts_with("/data/container_file"));
        prop_assert!(path.components().all(|part| matches!(
            part,
            std::path::Component::RootDir | std::path::Component::Normal(_)
        )));
    }

    #[test]
    fn a_cookie_is_one_cookie_with_its_attributes(
        name in any::<String>(), value in any::<String>(), domain in any::<String>(), path in any::<String>(),
    ) {
        let Ok(cookie) = BeakerSetCookie::new("sid", "x") else { unreachable!() };
        let made = [
            BeakerSetCookie::new(&name, &value),
            cookie.clone().domain(&domain),
            cookie.path(&path),
        ];
        for cookie in made.into_iter().flatten() {
            let text = cookie.to_string();
            prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            // Name and value, and at most the three attributes that were set.
            prop_assert!(text.split(';').count() <= 4, "{text}");
        }
    }

    #[test]
    fn any_moment_has_a_date(micros in any::<i64>()) {
        let date = cookie_date(beaker_namespace::Timestamp::from_micros(micros));
        prop_assert_eq!(date.len(), "Thu, 01-Jan-1970 00:00:00 GMT".len());
    }
}
