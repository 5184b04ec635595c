use super::signed::SIGNATURE_CHARS;
use super::{BeakerData, CookieSigner, PayloadCodec, Signed, find_cookie};
use crate::{Error, ErrorKind};

const READ: &str = "read Beaker's cookie";
const WRITE: &str = "write Beaker's cookie";

/// The longest payload that Beaker writes, without the signature.
pub const MAX_PAYLOAD_CHARS: usize = 4064;

/// The most that browsers keep of a cookie: the bytes of its name and its value together.
const MAX_COOKIE_BYTES: usize = 4096;

/// Sessions of type `cookie`: all of the session is in the cookie, signed, and perhaps encrypted.
///
/// A browser that kept an old cookie can always bring it back: neither deleting nor changing such a
/// session makes the old one worthless before its time-out.
///
/// # Examples
///
/// ```
/// use beaker_session::compat::{BeakerData, CookieSession, PayloadCodec};
///
/// let sessions = CookieSession::new("sid", "validate key", PayloadCodec::new())?;
/// let value = sessions.seal(&BeakerData::from_iter([("n".to_owned(), 1.into())]))?;
/// let header = format!("a=b; sid={value}");
/// let data = sessions.load(header.as_bytes())?.ok_or("there is none")?;
/// assert_eq!(data.get("n"), Some(&1.into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CookieSession {
    name: String,
    signer: CookieSigner,
    codec: PayloadCodec,
}

impl CookieSession {
    /// Sessions in the cookie `name`, signed with Beaker's `validate_key`.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if the key is empty.
    pub fn new(name: &str, validate_key: &str, codec: PayloadCodec) -> Result<Self, Error> {
        Ok(Self { name: name.to_owned(), signer: CookieSigner::new(validate_key)?, codec })
    }

    /// Returns the cookie's value for `data`.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) if Beaker would not write it, or no browser would keep it:
    /// Beaker's own limit of 4,064 characters forgets the signature and the name. Otherwise as
    /// [`PayloadCodec::encode`].
    pub fn seal(&self, data: &BeakerData) -> Result<String, Error> {
        let payload = self.codec.encode(data)?;
        let most = MAX_COOKIE_BYTES.saturating_sub(SIGNATURE_CHARS + self.name.len());
        if payload.len() > MAX_PAYLOAD_CHARS.min(most) {
            return Err(Error::new(ErrorKind::TooLarge, WRITE).with_detail(format!(
                "it takes {} characters and browsers would drop it; keep less in it than {}",
                payload.len(),
                MAX_PAYLOAD_CHARS.min(most)
            )));
        }
        Ok(self.signer.sign(&payload))
    }

    /// Returns the data in the cookie's value; `None` if it has none, or nothing but quotes.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) without a good signature; nothing else is then looked at.
    /// Otherwise as [`PayloadCodec::decode`].
    pub fn open(&self, value: &str) -> Result<Option<BeakerData>, Error> {
        match self.signer.verify(value) {
            Signed::Value(payload) => self.codec.decode(payload).map(Some),
            Signed::Empty => Ok(None),
            Signed::Invalid => Err(Error::new(ErrorKind::Rejected, READ)
                .with_detail("it is not signed with `validate_key`")),
        }
    }

    /// As [`open`](Self::open), of the cookie in the value of a request's `Cookie` header.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn load(&self, header: &[u8]) -> Result<Option<BeakerData>, Error> {
        find_cookie(header, &self.name).map_or(Ok(None), |value| self.open(value))
    }
}
