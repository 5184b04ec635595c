//! A session cookie's value: nothing opens that was not made.

use std::io::Write;
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use beaker_namespace::base64::{STANDARD, b64encode};
use beaker_session::ErrorKind;
use beaker_session::compat::{
    BeakerData, CookieSession, CookieSigner, CryptoType, Encryption, PayloadCodec, Serializer,
    Signed,
};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::allocations::allocated_by;
use crate::sites::{Form, Mutation, NAME};

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
enum Case<'a> {
    Native(Form, Value<'a>),
    Beaker(Cipher, Value<'a>),
    /// Signed as it should be, so that what is inside is looked at.
    Signed(Cipher, Payload<'a>),
}

#[derive(Debug, Arbitrary)]
enum Value<'a> {
    Bytes(&'a [u8]),
    Good,
    Changed(Mutation),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Cipher {
    None,
    Gcm,
    Ctr,
    Pickle,
}

#[derive(Debug, Arbitrary)]
enum Payload<'a> {
    Text(&'a str),
    Base64(&'a [u8]),
    Packed(&'a [u8]),
    Changed(Mutation),
}

/// Sessions of Beaker's in cookies, and what is in the one that was made.
struct Made {
    sessions: CookieSession,
    signer: CookieSigner,
    good: String,
    data: BeakerData,
}

/// More than opening a value ever asks for, what it frees meanwhile included: 256 KiB inflated, in
/// steps, and 10,000 values out of it.
const MAX_ALLOCATED_BYTES: usize = 8 << 20;

static MADE: LazyLock<[Made; 4]> =
    LazyLock::new(|| [Cipher::None, Cipher::Gcm, Cipher::Ctr, Cipher::Pickle].map(Made::new));

/// Opens a value as one of the forms.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    match case {
        Case::Native(form, value) => {
            let site = form.site();
            let header = [NAME.as_bytes(), b"=", &value.of(&site.good)].concat();
            site.check(&[&header]);
        }
        Case::Beaker(cipher, value) => {
            let made = &MADE[cipher as usize];
            if let Ok(value) = std::str::from_utf8(&value.of(&made.good)) {
                made.unsigned(value);
            }
        }
        Case::Signed(cipher, payload) => signed(cipher, &payload),
    }
}

impl Value<'_> {
    fn of(&self, good: &str) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Good => good.into(),
            Self::Changed(mutation) => mutation.apply(good),
        }
    }
}

impl Made {
    fn new(cipher: Cipher) -> Self {
        const KEY: &str = "validate key";
        let encryption = || Encryption::new("encrypt key", KEY).expect("the keys are ASCII");
        let codec = PayloadCodec::new();
        let writer = match cipher {
            Cipher::Gcm => codec.clone().encryption(encryption()),
            _ => codec.clone(),
        };
        let reader = match cipher {
            Cipher::None => codec,
            Cipher::Gcm => writer.clone(),
            Cipher::Ctr => codec.encryption(encryption().crypto_type(CryptoType::AesCtrReadOnly)),
            Cipher::Pickle => codec.serializer(Serializer::PickleReadOnly),
        };
        let session = |codec| CookieSession::new(NAME, KEY, codec).expect("the key is not empty");
        let data: BeakerData = [("user".to_owned(), "ada".into())].into_iter().collect();
        let good = session(writer).seal(&data).expect("a short session fits");
        let signer = CookieSigner::new(KEY).expect("the key is not empty");
        Self { sessions: session(reader), signer, good, data }
    }

    /// A value that nobody signed is refused before anything else.
    fn unsigned(&self, value: &str) {
        let bare = value.trim_matches('"');
        let is_good = bare == self.good;
        match self.signer.verify(value) {
            Signed::Value(payload) => assert!(is_good && self.good.ends_with(payload)),
            Signed::Invalid => assert!(!is_good && !bare.is_empty()),
            Signed::Empty => assert!(bare.is_empty()),
        }
        match self.sessions.open(value) {
            Ok(Some(data)) => assert!(is_good && data == self.data),
            Ok(None) => assert!(bare.is_empty()),
            // What is good may be of another form, and is then no session.
            Err(error) => assert_eq!(error.kind() == ErrorKind::Rejected, !is_good, "{error}"),
        }
    }
}

/// What is signed is read as data or refused; an encrypted one that was changed is refused.
fn signed(cipher: Cipher, payload: &Payload<'_>) {
    let made = &MADE[cipher as usize];
    let Signed::Value(good) = made.signer.verify(&made.good) else { panic!("it is signed") };
    let text = match payload {
        Payload::Text(text) => (*text).to_owned(),
        Payload::Base64(bytes) => b64encode(bytes, &STANDARD),
        Payload::Packed(bytes) => b64encode(packed(bytes), &STANDARD),
        Payload::Changed(mutation) => String::from_utf8_lossy(&mutation.apply(good)).into_owned(),
    };
    let value = made.signer.sign(&text);
    let (opened, bytes) = allocated_by(|| made.sessions.open(&value));
    assert!(bytes <= MAX_ALLOCATED_BYTES, "{bytes} bytes for a value of {}", value.len());
    match opened {
        Ok(Some(data)) => {
            assert!(cipher != Cipher::Gcm || text == good, "a changed payload is decrypted");
            reads_back(&data);
        }
        // Behind a signature there is always a value, if only an empty one.
        Ok(None) => panic!("a signed value is none"),
        // Quotes at the end are not the value's, so it may be another one than was signed.
        Err(error) if error.kind() == ErrorKind::Rejected => assert!(text.ends_with('"')),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What was read can be written, unless the escapes make it too large, and reads back.
fn reads_back(data: &BeakerData) {
    let codec = PayloadCodec::new();
    match codec.encode(data) {
        Ok(text) => assert!(codec.decode(&text).is_ok_and(|again| again == *data)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}"),
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cookie that browsers keep, and that would be megabytes inside.
    #[test]
    fn a_bomb_is_refused_before_it_is_inflated() {
        let zeros = b64encode(packed(&vec![b' '; 3 << 20]), &STANDARD);
        let values = format!("[{}0]", "0,".repeat(400_000));
        let values = b64encode(packed(format!("{{\"a\": {values}}}").as_bytes()), &STANDARD);
        for text in [zeros, values] {
            let made = &MADE[Cipher::None as usize];
            let value = made.signer.sign(&text);
            let (opened, bytes) = allocated_by(|| made.sessions.open(&value));
            assert_eq!(opened.unwrap_err().kind(), ErrorKind::TooLarge);
            assert!(bytes <= 2 << 20, "{bytes} bytes for a value of {}", value.len());
        }
        // The control: what is measured is what is allocated.
        let (_, bytes) = allocated_by(|| packed(&vec![b' '; 3 << 20]));
        assert!(bytes >= 3 << 20);
    }
}
