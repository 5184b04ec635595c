//! `Cookie` headers: any bytes are looked through, and what is found stands in them.

use arbitrary::{Arbitrary, Unstructured};
use beaker_session::compat::{CookieSigner, find_cookie, session_id};

use crate::sites::{Form, Mutation, NAME};

/// What a session of Beaker's is signed for here.
const ID: &str = "0123456789abcdef0123456789abcdef";

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
struct Case<'a> {
    form: Form,
    headers: Vec<Vec<Piece<'a>>>,
}

/// A part of a header, mostly one that means something.
#[derive(Debug, Arbitrary)]
enum Piece<'a> {
    Bytes(&'a [u8]),
    Byte(u8),
    Name,
    Equals,
    Semicolon,
    Space,
    Quote,
    Good,
    Changed(Mutation),
    Pair,
}

/// Looks for the session's cookie as this crate does and as Beaker does.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let site = case.form.site();
    let headers: Vec<Vec<u8>> = written(&case.headers, &site.good);
    site.check(&headers.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let signer = CookieSigner::new("secret").expect("the secret is not empty");
    for header in written(&case.headers, &signer.sign(ID)) {
        beaker(&header, &signer);
    }
}

fn written(headers: &[Vec<Piece<'_>>], good: &str) -> Vec<Vec<u8>> {
    let header = |pieces: &Vec<Piece<'_>>| pieces.iter().flat_map(|p| p.bytes(good)).collect();
    headers.iter().map(header).collect()
}

impl Piece<'_> {
    fn bytes(&self, good: &str) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Byte(byte) => vec![*byte],
            Self::Name => NAME.into(),
            Self::Equals => b"=".to_vec(),
            Self::Semicolon => b";".to_vec(),
            Self::Space => b" ".to_vec(),
            Self::Quote => b"\"".to_vec(),
            Self::Good => good.into(),
            Self::Changed(mutation) => mutation.apply(good),
            Self::Pair => format!("{NAME}={good}; ").into(),
        }
    }
}

/// What is found is a part of the header, behind its name; what is said to be signed is signed.
fn beaker(header: &[u8], signer: &CookieSigner) {
    let found = find_cookie(header, NAME);
    let signed = session_id(header, NAME, Some(signer));
    let plain = session_id(header, NAME, None);
    let Some(value) = found else { return assert_eq!((signed, plain), (None, None)) };
    let at = value.as_ptr() as usize - header.as_ptr() as usize;
    assert_eq!(&header[at..at + value.len()], value.as_bytes());
    let before = header[..at].trim_ascii_end();
    // Python's white space is a character more than Rust's.
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let end = before.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1);
    let name = before[..end].strip_suffix(b"=").expect("a value stands behind `=`");
    let end = name.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1);
    assert!(name[..end].ends_with(NAME.as_bytes()));
    if let Some(id) = signed {
        assert_eq!(id, ID, "nobody else signs");
        assert_eq!(value.trim_matches('"'), signer.sign(&id));
    }
    // An escape of four characters becomes one of at most two bytes.
    assert!(plain.is_none_or(|id| !id.is_empty() && id.len() <= value.len()));
}
