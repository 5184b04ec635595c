use std::fs::File;
use std::os::unix::fs::FileExt;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The bytes of the file's header, which the first page begins with.
pub(super) const HEADER_BYTES: usize = 100;

/// The page that the list of all tables and indexes begins at.
pub(super) const FIRST: u32 = 1;

/// The page size that SQLite takes by itself.
const USUAL_PAGE_BYTES: usize = 4096;

/// The most of a chain that is read at once: the same memory then does for one piece after the other.
const MAX_RUN_BYTES: usize = 64 * 1024;

/// The file of a database, as pages.
#[derive(Debug)]
pub(in crate::sqlite) struct Pages<'a> {
    file: &'a File,
    page_bytes: usize,
    /// The bytes at a page's start that SQLite uses.
    usable_bytes: usize,
    first: Vec<u8>,
}

impl<'a> Pages<'a> {
    /// Reads the header of `file`.
    pub(in crate::sqlite) fn of(file: &'a File) -> Option<Self> {
        let mut first = read(file, 0, USUAL_PAGE_BYTES)?;
        let page_bytes = match u16_at(&first, 16)? {
            1 => 1 << 16,
            bytes => usize::from(bytes),
        };
        // It is the older or the newer way to read, and texts are UTF-8.
        let is_readable = matches!(first.get(19)?, 1 | 2) && u32_at(&first, 56)? == 1;
        let has_size = page_bytes.is_power_of_two() && page_bytes >= 512;
        if !first.starts_with(MAGIC) || !is_readable || !has_size {
            return None;
        }
        let usable_bytes = page_bytes - usize::from(*first.get(20)?);
        // Less is not allowed, and the sums below rely on it.
        if usable_bytes < 480 {
            return None;
        }
        if page_bytes > first.len() {
            first = read(file, 0, page_bytes)?;
        }
        first.truncate(page_bytes);
        Some(Self { file, page_bytes, usable_bytes, first })
    }

    /// The number that `PRAGMA user_version` gives.
    pub(in crate::sqlite) fn user_version(&self) -> Option<i32> {
        Some(u32_at(&self.first, 60)? as i32)
    }

    /// The number that `PRAGMA application_id` gives.
    pub(in crate::sqlite) fn application_id(&self) -> Option<i32> {
        Some(u32_at(&self.first, 68)? as i32)
    }

    /// The bytes of the page called `number`, without what SQLite does not use.
    pub(super) fn page(&self, number: u32) -> Option<Vec<u8>> {
        let mut page = match number {
            FIRST => self.first.clone(),
            number => self.run(number, 1)?,
        };
        page.truncate(self.usable_bytes);
        (page.len() == self.usable_bytes).then_some(page)
    }

    /// As many of `count` pages from `number` on as the file has.
    fn run(&self, number: u32, count: usize) -> Option<Vec<u8>> {
        let before = u64::from(number.checked_sub(1)?);
        read(self.file, before * self.page_bytes as u64, count * self.page_bytes)
    }

    /// The payload of `payload_bytes` that `cell` begins with. What has no room in its page is in a
    /// chain of others.
    pub(super) fn payload(
        &self,
        cell: &[u8],
        payload_bytes: usize,
        place: Place,
    ) -> Option<Vec<u8>> {
        let here = self.bytes_in_page(payload_bytes, place);
        let mut payload = Vec::new();
        payload.try_reserve_exact(payload_bytes).ok()?;
        payload.extend_from_slice(cell.get(..here)?);
        if here < payload_bytes {
            self.follow(u32_at(cell, here)?, payload_bytes, &mut payload)?;
        }
        Some(payload)
    }

    /// Adds what the chain that begins at the page called `next` holds, up to `payload_bytes` in all.
    fn follow(&self, mut next: u32, payload_bytes: usize, payload: &mut Vec<u8>) -> Option<()> {
        // A chain that was written in one go is in one piece: while it is, ever more is read at once.
        let mut pages = 1;
        while payload.len() < payload_bytes {
            let left = (payload_bytes - payload.len()).div_ceil(self.usable_bytes - 4);
            let first = next;
            let run = self.run(first, pages.min(left))?;
            let mut chunks = run.chunks_exact(self.page_bytes).zip(first..=u32::MAX).peekable();
            chunks.peek()?;
            let mut is_whole = true;
            for (page, number) in chunks {
                is_whole = next == number;
                if !is_whole {
                    break;
                }
                let missing = payload_bytes - payload.len();
                let part = page.get(4..self.usable_bytes)?;
                payload.extend_from_slice(&part[..missing.min(part.len())]);
                next = u32_at(page, 0)?;
            }
            let most = (MAX_RUN_BYTES / self.page_bytes).max(1);
            pages = if is_whole { most.min(pages * 4) } else { 1 };
        }
        Some(())
    }

    /// How many bytes of a payload stand in its own page.
    fn bytes_in_page(&self, payload_bytes: usize, place: Place) -> usize {
        let usable = self.usable_bytes;
        let most = match place {
            Place::Table => usable - 35,
            Place::Index => (usable - 12) * 64 / 255 - 23,
        };
        if payload_bytes <= most {
            return payload_bytes;
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let filled = least + (payload_bytes - least) % (usable - 4);
        if filled <= most { filled } else { least }
    }
}

/// What a payload is in, which says how much of it stands in its page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Table,
    Index,
}

/// As many of `bytes` from `at` on as the file has.
fn read(file: &File, at: u64, bytes: usize) -> Option<Vec<u8>> {
    let mut read = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(&mut read[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    read.truncate(filled);
    Some(read)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_may_end_at_the_last_page_that_has_a_number() {
        let file = tempfile::tempfile().unwrap();
        // Most of the file is a hole.
        file.set_len(8 << 32).unwrap();
        let pages = Pages { file: &file, page_bytes: 8, usable_bytes: 8, first: Vec::new() };
        let mut payload = Vec::new();
        assert_eq!(pages.follow(u32::MAX, 4, &mut payload), Some(()));
        assert_eq!(payload, [0; 4]);
    }
}
