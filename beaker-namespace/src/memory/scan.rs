//! Listing, some entries at a time.
//
// Entries are listed shard by shard, and in a shard in the order of (hash, key). That order does
// not change while the namespace lives, whatever is written meanwhile; so a cursor is the place of
// the last entry listed, and no lock and no state is kept between pages. A page looks at all of a
// shard: its cost is the shard's size, not the page's.

use std::collections::BinaryHeap;

use super::{MemoryNamespace, hash_key};
use crate::{Cursor, Key, Listed, Page, Scan, Timestamp};

/// The place of one entry in the listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    shard: usize,
    hash: u64,
    key: Key,
}

impl MemoryNamespace {
    pub(super) fn page(&self, scan: &Scan, now: Timestamp) -> Page {
        let after = scan.cursor().and_then(Place::decode);
        let first = after.as_ref().map_or(0, |place| place.shard);
        let mut page = Page::default();
        for shard in first..self.shards.len() {
            let room = scan.page_limit() - page.entries.len();
            let after = after.as_ref().filter(|place| place.shard == shard);
            // One more than there is room for tells whether the shard has a next page.
            let mut found = self.list(shard, scan, after, room.saturating_add(1), now);
            let more = found.len() > room;
            found.truncate(room);
            let last = found.last().map(|(place, _)| place.clone());
            page.entries.extend(found.into_iter().map(|(_, listed)| listed));
            if page.entries.len() >= scan.page_limit() && (more || shard + 1 < self.shards.len()) {
                page.next = last.map(|place| place.encode());
                if page.next.is_some() {
                    break;
                }
            }
        }
        page
    }

    /// The first `limit` entries of a shard that are wanted and lie behind `after`.
    fn list(
        &self,
        shard: usize,
        scan: &Scan,
        after: Option<&Place>,
        limit: usize,
        now: Timestamp,
    ) -> Vec<(Place, Listed)> {
        let mut first = BinaryHeap::new();
        for node in &self.shards[shard].read().table {
            let key = node.key();
            if !scan.matches(&key) || node.entry().is_dead(now) {
                continue;
            }
            let place = Place { shard, hash: hash_key(&self.hasher, &key), key: key.clone() };
            if after.is_some_and(|after| place <= *after) {
                continue;
            }
            let listed = Listed::new(key, node.entry());
            first.push(ByPlace(place, listed));
            if first.len() > limit {
                first.pop();
            }
        }
        first.into_sorted_vec().into_iter().map(|ByPlace(place, listed)| (place, listed)).collect()
    }
}

#[derive(Debug)]
struct ByPlace(Place, Listed);

impl PartialEq for ByPlace {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for ByPlace {}

impl PartialOrd for ByPlace {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByPlace {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Place {
    fn encode(&self) -> Cursor {
        let mut bytes = (self.shard as u64).to_be_bytes().to_vec();
        bytes.extend(self.hash.to_be_bytes());
        bytes.extend(self.key.as_bytes());
        Cursor::new(bytes)
    }

    /// A cursor of another kind of store starts from the beginning.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (shard, rest) = bytes.split_first_chunk()?;
        let (hash, key) = rest.split_first_chunk()?;
        Some(Self {
            shard: usize::try_from(u64::from_be_bytes(*shard)).ok()?,
            hash: u64::from_be_bytes(*hash),
            key: Key::from_encoded(key)?,
        })
    }
}
