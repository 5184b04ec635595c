//! The ciphers over bytes: initialization vector, tag, and what is encrypted, in this order.

use aes::Aes256;
use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{AeadInOut, Aes256Gcm, Nonce, Tag};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroizing;

use super::{OPEN, SEAL, corrupt};
use crate::{Error, ErrorKind};

pub(super) const KEY_BYTES: usize = 32;
pub(super) const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

pub(super) fn seal(
    key: &[u8; KEY_BYTES],
    iv: [u8; IV_BYTES],
    plain: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let cipher = Aes256Gcm::new(key.into());
    let sealed = cipher
        .encrypt(&Nonce::from(iv), &Zeroizing::new(plain)[..])
        .map_err(|error| Error::new(ErrorKind::TooLarge, SEAL).with_source(error))?;
    // The crate puts the tag behind, Beaker before.
    let (text, tag) = sealed.split_at(sealed.len().saturating_sub(TAG_BYTES));
    Ok([&iv[..], tag, text].concat())
}

pub(super) fn open(
    key: &[u8; KEY_BYTES],
    mut sealed: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let too_short = || corrupt("it is shorter than an empty message");
    let (head, text) = sealed.split_at_mut_checked(IV_BYTES + TAG_BYTES).ok_or_else(too_short)?;
    let (iv, tag) = head.split_at(IV_BYTES);
    let iv = <[u8; IV_BYTES]>::try_from(iv).map_err(|_| too_short())?;
    let tag = <[u8; TAG_BYTES]>::try_from(tag).map_err(|_| too_short())?;
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(&Nonce::from(iv), b"", (&mut *text).into(), &Tag::from(tag))
        .map_err(|error| {
            Error::new(ErrorKind::Corrupt, OPEN)
                .with_detail("it was changed, or encrypted with other keys")
                .with_source(error)
        })?;
    let plain = Zeroizing::new(text.to_vec());
    zeroize::Zeroize::zeroize(&mut sealed);
    Ok(plain)
}

/// Every text is one that could have been encrypted: whether it is ours is seen from what it holds.
pub(super) fn open_ctr(key: &[u8; KEY_BYTES], mut sealed: Vec<u8>) -> Zeroizing<Vec<u8>> {
    // The key is used once, so its counter begins at zero.
    let mut cipher = Ctr128BE::<Aes256>::new(key.into(), &[0; 16].into());
    cipher.apply_keystream(&mut sealed);
    Zeroizing::new(sealed)
}
