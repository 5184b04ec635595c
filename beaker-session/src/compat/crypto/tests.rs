use std::collections::BTreeMap;

use beaker_namespace::base64::{STANDARD, b64decode};
use pbkdf2::pbkdf2_hmac;
use serde_json::Value;
use sha1::Sha1;

use super::*;

fn vectors(kind: &str) -> Vec<Value> {
    let text = include_str!("../../../tests/vectors/crypto.json");
    let file: Value = serde_json::from_str(text).expect("the vectors are JSON");
    let all = file["vectors"].as_array().expect("a list");
    all.iter().filter(|vector| vector["kind"] == kind).cloned().collect()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().expect("a text")
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    b64decode(text(value, name), &STANDARD).expect("base64")
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16);
    digits.map(|pair| byte(pair).expect("digits")).collect()
}

// 15, WIRE-5.
#[test]
fn every_derived_key_is_the_one_that_beaker_derives() {
    let vectors = vectors("pbkdf2");
    let mut derived = 0;
    for vector in &vectors {
        let input = &vector["input"];
        let (password, salt) = (text(input, "password"), text(input, "salt"));
        let Some(expected) = vector["expect"]["key_hex"].as_str() else {
            // Beaker refuses what is not ASCII, and so do we: see the test below.
            assert!(!password.is_ascii() || !salt.is_ascii(), "{}", vector["id"]);
            continue;
        };
        let rounds = input["iterations"].as_u64().unwrap() as u32;
        let mut key = vec![0; input["dklen"].as_u64().unwrap() as usize];
        pbkdf2_hmac::<Sha1>(password.as_bytes(), salt.as_bytes(), rounds, &mut key);
        assert_eq!(key, hex(expected), "{}", vector["id"]);
        derived += 1;
    }
    assert_eq!((vectors.len(), derived), (20, 16));
}

// 15, D60.
#[test]
fn keys_that_beaker_refuses_are_refused_when_it_is_configured() {
    for vector in vectors("pbkdf2") {
        let (password, salt) = (text(&vector["input"], "password"), text(&vector["input"], "salt"));
        let refused = vector["expect"]["error"].is_object();
        let made = Encryption::new(password, salt);
        assert_eq!(made.as_ref().err().map(Error::kind), refused.then_some(ErrorKind::Config));
        // Neither the error nor the keys show what they are made of.
        let shown = format!("{made:?}");
        assert!(!shown.contains(password) && !shown.contains(salt), "{shown}");
    }
    for (encrypt_key, validate_key) in [("", "v"), ("e", "")] {
        let error = Encryption::new(encrypt_key, validate_key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

// 14, WIRE-6.
#[test]
fn every_nonce_size_is_beakers() {
    let vectors = vectors("nonce_size");
    for vector in &vectors {
        let bits = vector["input"]["bits"].as_u64().unwrap() as u32;
        let found = NonceSize::from_bits(bits);
        match vector["expect"]["ok"].as_array() {
            Some(size) => {
                let found = found.unwrap();
                assert_eq!([found.bytes(), found.chars()], [&size[0], &size[1]].map(as_usize));
            }
            None => assert_eq!(found.unwrap_err().kind(), ErrorKind::Config, "{bits}"),
        }
    }
    assert_eq!(vectors.len(), 20);
    assert_eq!(NonceSize::from_bits(0).unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(NonceSize::from_bits(u32::MAX - 7).unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(NonceSize::from_bits(128).unwrap(), NonceSize::DEFAULT);
    assert_eq!(NonceSize::from_bits(48).unwrap(), NonceSize::BEFORE_1_8);
}

fn as_usize(value: &Value) -> usize {
    value.as_u64().expect("a number") as usize
}

// 16.
#[test]
fn every_encrypted_text_is_beakers_and_is_read_back() {
    let vectors = vectors("aes_gcm");
    for vector in &vectors {
        let key: [u8; 32] = hex(text(&vector["input"], "key_hex")).try_into().unwrap();
        let iv: [u8; 12] = hex(text(&vector["input"], "iv_hex")).try_into().unwrap();
        let plain = bytes(&vector["input"], "plaintext_b64");
        let sealed = cipher::seal(&key, iv, plain.clone()).unwrap();
        assert_eq!(sealed, bytes(&vector["expect"], "blob_b64"), "{}", vector["id"]);
        assert_eq!(sealed[12..28], hex(text(&vector["expect"], "tag_hex")));
        assert_eq!(*cipher::open(&key, sealed).unwrap(), plain);
    }
    assert_eq!(vectors.len(), 8);
}

// 21, and the other half of 15, 16 and 17: values that were recorded from Beaker by hand.
#[test]
fn the_golden_values_are_beakers() {
    let nonce = format!("{}==", "A".repeat(22));
    let encryption = Encryption::new("ek", "vk").unwrap();
    let key = encryption.key(&nonce);
    assert_eq!(key[..], hex("631d0854868aa43f4de32ce9c6bf12a59e57c1a3121d803df6088cac17b4dfb9"));
    let sealed = "AAAAAAAAAAAAAAAA8+WQ/BH7i1JzO9NOoDZmvWaip52hPk1T";
    assert_eq!(encryption.open(&format!("{nonce}{sealed}")).unwrap()[..], *b"{\"a\": 1}");
    assert_eq!(cipher::open_ctr(&key, hex("a8c45dfe45fd25fb"))[..], *b"{\"a\": 1}");
}

/// Bytes that are counted, so that each draw is another; after so many there are none.
#[derive(Debug)]
struct Counted(std::sync::Mutex<(u8, usize)>);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        let mut state = self.0.lock().expect("no panic");
        let left = state.1.checked_sub(1);
        state.1 = left.ok_or_else(|| Error::new(ErrorKind::Entropy, "draw random bytes"))?;
        state.0 += 1;
        bytes.fill(state.0);
        Ok(())
    }
}

// Attack 22.
#[test]
fn without_random_bytes_nothing_is_encrypted() {
    let encryption = Encryption::new("ek", "vk").unwrap();
    let seal =
        |draws| encryption.seal(&Counted(std::sync::Mutex::new((0, draws))), b"secret".to_vec());
    for draws in [0, 1] {
        assert_eq!(seal(draws).unwrap_err().kind(), ErrorKind::Entropy);
    }
    // The control: with a nonce and an initialization vector, neither of them zero.
    let text = seal(2).unwrap();
    assert!(text.starts_with("AQEBAQEBAQEBAQEBAQEBAQ==AgICAgICAgICAgIC"), "{text}");
    assert_eq!(encryption.open(&text).unwrap()[..], *b"secret");
}

#[test]
fn no_two_payloads_have_a_nonce_in_common() {
    let encryption = Encryption::new("ek", "vk").unwrap().nonce_size(NonceSize::BEFORE_1_8);
    let texts: BTreeMap<String, usize> = (0..64)
        .map(|at| (encryption.seal(&crate::SystemEntropy, Vec::new()).unwrap()[..8].to_owned(), at))
        .collect();
    assert_eq!(texts.len(), 64);
}

// Attack 6.
#[test]
fn counter_mode_is_never_written() {
    let encryption = Encryption::new("ek", "vk").unwrap().crypto_type(CryptoType::AesCtrReadOnly);
    let error = encryption.seal(&crate::SystemEntropy, b"secret".to_vec()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`crypto_type`"), "{error}");
}
