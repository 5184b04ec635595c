//! Tokens that prove that a form came from this session.
//
// 1. The session's secret is a hash of its id under a key: nothing is stored, a renewal changes
//    it, and it says nothing about the id. A token is made with the active key and accepted under
//    every key of the ring, as cookies are.
// 2. A token is the secret under a new random mask, with the mask in front. So no page has the
//    same text twice, and a compressed page cannot be probed for it (BREACH).

use zeroize::Zeroizing;

use super::Session;
use crate::core::unexpected;
use crate::entropy::draw;
use crate::{Error, ErrorKind, SessionId, text64};

const SECRET_BYTES: usize = 32;

impl Session {
    /// A token for a form of this session: 86 characters of URL-safe base64. Each call gives
    /// another; all of them hold until the session is [renewed](Self::renew) or ends, or the key
    /// that was active is dropped from the [ring](crate::KeyRing). A visitor without a session gets
    /// one.
    ///
    /// # Errors
    ///
    /// [`Entropy`](ErrorKind::Entropy), and those of [the type](Self#errors).
    pub fn csrf_token(&self) -> Result<String, Error> {
        let mut core = self.lazy().core();
        let open = core.open_mut()?;
        let config = self.lazy().sessions().config();
        let id = match open.coming_id() {
            Some(id) => id,
            None => {
                let id = SessionId::random(config.entropy.as_ref())?;
                open.draft.new_id = Some(id);
                id
            }
        };
        // The id must be there again when the form comes back.
        open.draft.needed |= open.base.is_none() || open.draft.next.ends();
        let mask = draw::<SECRET_BYTES>(config.entropy.as_ref())?;
        let secret = config.id_keys.form_secret(&id).ok_or_else(unexpected)?;
        let masked = mask.iter().zip(&secret[..]).map(|(mask, byte)| mask ^ byte);
        let token: Vec<u8> = mask.iter().copied().chain(masked).collect();
        Ok(text64::encode(token))
    }

    /// Whether `token` was made for this session. It takes the same time wherever a difference is.
    ///
    /// # Errors
    ///
    /// [`Rejected`](ErrorKind::Rejected) if it was not.
    pub fn verify_csrf(&self, token: &str) -> Result<(), Error> {
        let rejected = || {
            Error::new(ErrorKind::Rejected, "verify form")
                .with_detail("its token is not of this session: load the form again")
        };
        let token: [u8; 2 * SECRET_BYTES] = text64::decode(token.as_bytes())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(rejected)?;
        let id = self.id().ok_or_else(rejected)?;
        let (mask, masked) = token.split_at(SECRET_BYTES);
        let mut unmasked = Zeroizing::new([0; SECRET_BYTES]);
        for ((byte, mask), masked) in unmasked.iter_mut().zip(mask).zip(masked) {
            *byte = mask ^ masked;
        }
        let sessions = self.lazy().sessions();
        let now = sessions.0.clock.now();
        match sessions.config().id_keys.is_form_secret(&id, &unmasked, now) {
            true => Ok(()),
            false => Err(rejected()),
        }
    }
}
