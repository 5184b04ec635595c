//! What a namespace's row says of its other rows, where it costs much to look at those.
//
// An engine that cannot walk straight (see `Engine::walks_straight`) pays as much for a look-up as for a
// row that it reads, and for a walk as much as for all rows. There the row of the namespace has a ledger,
// which spares a batch the look whether each of its keys is claimed, and a pass that would find nothing.
//
// The rules:
// 1. What adds or deletes a claim's row of the namespace counts it in the change that does so.
// 2. No pass over all rows finds something to drop before `due`. What writes an entry that dies sooner, or
//    leaves something to be purged, brings it forward in the same change.
// 3. Whoever finds no ledger, or one whose numbers do not fit their inverted twins, believes nothing: each
//    key is looked up, and a pass is due. A pass sees all rows, and writes the ledger anew.
// 4. So a count that is too high, as after a loss of rows, costs time only, and until the next pass. One
//    that is too low would let a claim stand that a set should have voided, so a count that would fall
//    below zero makes the ledger one that says nothing.
// 5. An earlier version does not know rule 1. The version of the store is raised before the first ledger.
// 6. A power cut may keep the row of a claim and not its count. So a ledger says in which run of the computer
//    it was written, and one of another run is not believed, nor any where that is not known.

use beaker_namespace::{Error, Timestamp};

use super::engine::Writer;
use super::rows::Home;
use super::space::Space;
use super::version;
use crate::boot;

/// What is known of a namespace's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ledger {
    /// The rows of claims.
    pub(super) claims: u32,
    /// When a pass over all rows may find something to drop, at the earliest.
    pub(super) due: Timestamp,
}

/// When a pass is due that is due already.
pub(super) const NOW: Timestamp = Timestamp::from_micros(i64::MIN);

/// The length of a ledger in the namespace's row.
const BYTES: usize = 2 * (4 + 8 + 8);

impl Ledger {
    /// Of a namespace that has no rows, and leaves none.
    pub(super) const EMPTY: Self = Self { claims: 0, due: Timestamp::NEVER };

    /// The numbers and that of this run of the computer, little-endian, and the same inverted; `None` where the
    /// run is not known.
    pub(super) fn to_bytes(self) -> Option<[u8; BYTES]> {
        boot::number().map(|boot| self.of_boot(boot))
    }

    /// As it is written in the run of the computer with this number.
    pub(super) fn of_boot(self, boot: u64) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let (plain, inverted) = bytes.split_at_mut(BYTES / 2);
        plain[..4].copy_from_slice(&self.claims.to_le_bytes());
        plain[4..12].copy_from_slice(&self.due.as_micros().to_le_bytes());
        plain[12..].copy_from_slice(&boot.to_le_bytes());
        inverted.iter_mut().zip(plain).for_each(|(twin, byte)| *twin = !*byte);
        bytes
    }

    /// `None` if `bytes` are damaged, of another run of the computer, or none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (claims, rest) = bytes.split_first_chunk()?;
        let ledger = Self {
            claims: u32::from_le_bytes(*claims),
            due: Timestamp::from_micros(i64::from_le_bytes(*rest.first_chunk()?)),
        };
        (ledger.to_bytes()? == bytes).then_some(ledger)
    }
}

/// What a change does to what is known, if something is.
impl Home {
    /// Whether it is known that no key is claimed.
    pub(super) fn has_no_claims(self) -> bool {
        self.ledger.is_some_and(|ledger| ledger.claims == 0)
    }

    /// Whether a pass over all rows may find something to drop by `now`.
    pub(super) fn is_due(self, now: Timestamp) -> bool {
        self.ledger.is_none_or(|ledger| ledger.due <= now)
    }

    pub(super) fn with_a_claim_more(self) -> Self {
        self.counting(|claims| claims.checked_add(1))
    }

    pub(super) fn with_fewer_claims(self, fewer: u32) -> Self {
        self.counting(|claims| claims.checked_sub(fewer))
    }

    /// A pass has something to do at `dies`, if not before.
    pub(super) fn due_at(self, dies: Timestamp) -> Self {
        let ledger = self.ledger.map(|ledger| Ledger { due: ledger.due.min(dies), ..ledger });
        Self { ledger, ..self }
    }

    fn counting(self, count: impl FnOnce(u32) -> Option<u32>) -> Self {
        let counted = |ledger: Ledger| Some(Ledger { claims: count(ledger.claims)?, ..ledger });
        Self { ledger: self.ledger.and_then(counted), ..self }
    }
}

impl Space {
    /// What the row of a new namespace says of its rows.
    pub(super) fn new_ledger(&self) -> Option<Ledger> {
        (!self.engine.walks_straight()).then_some(Ledger::EMPTY)
    }

    /// Writes the namespace's row, if it is not `before` any more.
    pub(super) fn settle(
        &self,
        writer: &mut dyn Writer,
        before: Option<Home>,
        after: Home,
    ) -> Result<(), Error> {
        if before == Some(after) {
            return Ok(());
        }
        if before.is_none_or(|before| before.ledger.is_none() && after.ledger.is_some()) {
            version::note(&*self.engine, writer)?;
        }
        self.place.begin();
        after.put(writer, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(ledger: Option<Ledger>) -> Home {
        Home { id: 1, epoch: 2, ledger }
    }

    #[test]
    fn a_ledger_that_is_cut_or_has_a_flipped_bit_says_nothing() {
        let ledger = Ledger { claims: 3, due: Timestamp::from_micros(-4) };
        let bytes = ledger.to_bytes().unwrap();
        assert_eq!(Ledger::parse(&bytes), Some(ledger));
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Ledger::parse(&flipped), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Ledger::parse(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(Ledger::parse(&[&bytes[..], b"?"].concat()), None, "one byte more");
    }

    #[test]
    fn a_ledger_of_another_run_of_the_computer_says_nothing() {
        let boot = boot::number().unwrap();
        assert_eq!(Ledger::parse(&Ledger::EMPTY.of_boot(boot)), Some(Ledger::EMPTY));
        assert_eq!(Ledger::parse(&Ledger::EMPTY.of_boot(!boot)), None);
    }

    #[test]
    fn where_nothing_is_known_all_is_possible_and_stays_so() {
        let unknown = home(None);
        assert!(!unknown.has_no_claims());
        assert!(unknown.is_due(NOW));
        let changed = unknown.with_a_claim_more().with_fewer_claims(1).due_at(Timestamp::NEVER);
        assert_eq!(changed, unknown);
    }

    #[test]
    fn a_count_that_would_fall_below_zero_says_nothing_any_more() {
        let one = home(Some(Ledger::EMPTY)).with_a_claim_more();
        assert!(!one.has_no_claims());
        assert!(one.with_fewer_claims(1).has_no_claims());
        assert_eq!(one.with_fewer_claims(2), home(None));
    }
}
