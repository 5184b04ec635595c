use super::claims;
use super::layout::Place;
use super::record::Content;
use super::store::Store;
use super::sweep::list;
use crate::{Cursor, Entry, Error, ErrorKind, Key, Listed, Page, Scan, Timestamp};

// A scan goes through the entries' files in the order of their names, which are hashes; its cursor
// is the name of the last file it looked at. So it needs no lock: an entry that stays is met once,
// whatever comes and goes around it.

impl Store {
    pub(super) fn scan(&self, scan: &Scan, now: Timestamp) -> Result<Page, Error> {
        let mut page = Page::default();
        let after = scan.cursor().map(parse_cursor).transpose()?.unwrap_or_default();
        let first = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        for leaf in first.unwrap_or_default()..=u8::MAX {
            for place in self.places_in(leaf, after)? {
                if page.entries.len() == scan.page_limit() {
                    return Ok(page);
                }
                if let Some((key, entry)) = self.living_at(&place, now)?
                    && scan.matches(&key)
                {
                    page.entries.push(Listed::new(key, &entry));
                }
                page.next = Some(Cursor::new(place.hash()));
            }
        }
        page.next = None;
        Ok(page)
    }

    pub(super) fn remove_tag(&self, tag: &str, now: Timestamp) -> Result<u64, Error> {
        self.check_format("remove by tag")?;
        // What is being created may carry the tag, and nobody knows yet. What is stored before its
        // mark, the search below meets.
        claims::void_all(self.layout(), self.settings.network)?;
        let mut removed = 0;
        for leaf in 0..=u8::MAX {
            for place in self.places_in(leaf, "")? {
                let Some((key, entry)) = self.living_at(&place, now)? else { continue };
                if entry.tag_list().iter().any(|found| found == tag) {
                    removed += u64::from(self.remove_tagged(&key, &place, tag, now)?);
                }
            }
        }
        Ok(removed)
    }

    /// The entries' places in one directory, in order, those after the hash `after`.
    fn places_in(&self, leaf: u8, after: &str) -> Result<Vec<Place>, Error> {
        let names = list(&self.layout().leaf(leaf))?;
        let mut places: Vec<_> = names
            .iter()
            .filter_map(|name| self.layout().place_named(name))
            .filter(|place| place.hash() > after)
            .collect();
        places.sort_unstable_by(|a, b| a.hash().cmp(b.hash()));
        Ok(places)
    }

    /// What lives at `place`, if it is whole and belongs there. A value that is too long to be read is no
    /// obstacle, unless the file was not read either.
    fn living_at(&self, place: &Place, now: Timestamp) -> Result<Option<(Key, Entry)>, Error> {
        Ok(match self.read(place, None)?.map(|record| record.content) {
            Some(Content::Entry(key, entry)) if !entry.is_dead(now) => Some((key, entry)),
            _ => None,
        })
    }

    /// Removes the entry if it still has the tag.
    fn remove_tagged(
        &self,
        key: &Key,
        place: &Place,
        tag: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.remove_where(place, || {
            let current = self.living_at(place, now)?.filter(|(found, _)| found == key);
            Ok(current.is_some_and(|(_, entry)| entry.tag_list().iter().any(|found| found == tag)))
        })
        .inspect(|&removed| {
            if removed {
                self.counts.removes.add(1);
            }
        })
    }
}

fn parse_cursor(bytes: &[u8]) -> Result<&str, Error> {
    let digits = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits.ok_or_else(|| {
        Error::new(ErrorKind::Config, "list entries").with_detail("the cursor is of another store")
    })
}
