//! SHA-256 (FIPS 180-4) and HMAC-SHA256 (RFC 2104) of what fits into one block.
//
// A request's id is hashed for its signature and for the store. It is so short that the message, its
// padding and its length are one block, which is laid out here and handed to the compression
// function. A hasher for any length takes half as long again, for its buffer.

use sha2::block_api::compress256;
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

const BLOCK_BYTES: usize = 64;

/// Bytes of the length, at the end of the last block; one more is the end of the message.
const LENGTH_BYTES: usize = 8;

type State = [u32; 8];

/// The state in front of the first block.
const START: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The hash of `first` and then `second`.
#[inline]
pub(crate) fn sha256<const A: usize, const B: usize>(
    first: &[u8; A],
    second: &[u8; B],
) -> [u8; 32] {
    bytes_of(end(START, 0, first, second))
}

/// A key that authenticates messages of `N` bytes.
///
/// What it keeps of the key is wiped from memory when it is dropped.
pub(crate) struct BlockMac<const N: usize> {
    /// The states after the key's block, for the inner and the outer hash.
    inner: Zeroizing<State>,
    outer: Zeroizing<State>,
}

impl<const N: usize> BlockMac<N> {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let keyed = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK_BYTES]);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = Zeroizing::new(START);
            compress256(&mut state, std::slice::from_ref(&*block));
            state
        };
        Self { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    #[inline]
    pub(crate) fn sign(&self, message: &[u8; N]) -> [u8; 32] {
        bytes_of(self.hash(message))
    }

    /// Whether `signature` is that of `message`. It takes the same time wherever a difference is.
    #[inline]
    pub(crate) fn verify(&self, message: &[u8; N], signature: &[u8; 32]) -> bool {
        let words = signature.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word));
        let differences = self.hash(message).into_iter().zip(words).map(|(one, other)| one ^ other);
        differences.fold(0, |all, some| all | some).ct_eq(&0).into()
    }

    #[inline]
    fn hash(&self, message: &[u8; N]) -> State {
        let hash = end(*self.inner, BLOCK_BYTES, message, &[]);
        end(*self.outer, BLOCK_BYTES, &bytes_of(hash), &[])
    }
}

// Both fields are.
impl<const N: usize> ZeroizeOnDrop for BlockMac<N> {}

/// The state after `first` and `second`, which end the message, where `state` is that after the
/// `before` bytes in front of them.
#[inline]
fn end<const A: usize, const B: usize>(
    mut state: State,
    before: usize,
    first: &[u8; A],
    second: &[u8; B],
) -> State {
    const { assert!(A + B < BLOCK_BYTES - LENGTH_BYTES, "it takes more than one block") };
    let mut block = [0; BLOCK_BYTES];
    block[A + B] = 0x80;
    let bits = (before + A + B) as u64 * 8;
    block[BLOCK_BYTES - LENGTH_BYTES..].copy_from_slice(&bits.to_be_bytes());
    block[..A].copy_from_slice(first);
    block[A..A + B].copy_from_slice(second);
    compress256(&mut state, &[block]);
    state
}

#[inline]
fn bytes_of(state: State) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    fn hasher(message: &[u8]) -> [u8; 32] {
        Sha256::digest(message).into()
    }

    proptest! {
        #[test]
        fn it_is_the_hash_that_the_hasher_gives(first: [u8; 32], second: [u8; 16], last: u8) {
            let both = [&first[..], &second].concat();
            prop_assert_eq!(sha256(&first, &second), hasher(&both));
            prop_assert_eq!(sha256(&[], &[last]), hasher(&[last]));
        }

        #[test]
        fn it_is_the_signature_that_hmac_gives(key: [u8; 32], message: [u8; 16]) {
            let by_hasher = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(message);
            let by_hasher: [u8; 32] = by_hasher.finalize().into_bytes().into();
            prop_assert_eq!(BlockMac::new(&key).sign(&message), by_hasher);
        }
    }

    #[test]
    fn the_longest_message_fits() {
        let (first, second) = ([1; 30], [2; 25]);
        let both = [&first[..], &second].concat();
        assert_eq!(sha256(&first, &second), hasher(&both));
    }

    #[test]
    fn a_signature_with_any_wrong_bit_is_refused() {
        let mac = BlockMac::new(&[5; 32]);
        let good = mac.sign(&[6; 16]);
        assert!(mac.verify(&[6; 16], &good) && !mac.verify(&[7; 16], &good));
        for bit in 0..256 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!mac.verify(&[6; 16], &bad), "bit {bit}");
        }
    }
}
