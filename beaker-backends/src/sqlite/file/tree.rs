use beaker_namespace::Key;
use bytes::Bytes;

use super::pages::{FIRST, HEADER_BYTES, Pages, Place, u16_at, u32_at};
use super::record::{Columns, Value, varint};

/// More levels than any tree has: with two cells in each page it has room for more than a file does.
const MAX_DEPTH: usize = 32;

/// Enough for what describes a table or an index, and for all of an entry but its record.
const MAX_SHORT_BYTES: usize = 2 * Key::MAX_BYTES;

/// The most pages of the list of tables and indexes that are looked through. Ours take one.
const MAX_LIST_PAGES: usize = 32;

/// The number of the page that the table or index called `name` begins at.
pub(in crate::sqlite) fn root_of(pages: &Pages<'_>, name: &str) -> Option<u32> {
    let mut left = vec![FIRST];
    for _ in 0..MAX_LIST_PAGES {
        let list = Page::of(pages, left.pop()?)?;
        match list.kind {
            Kind::TableNode => left.extend((0..=list.cells).filter_map(|at| list.child(at))),
            Kind::TableLeaf => {
                let root = (0..list.cells)
                    .find_map(|at| root_in(&list.row(pages, at, MAX_SHORT_BYTES)?.1, name));
                if root.is_some() {
                    return root;
                }
            }
            Kind::IndexNode | Kind::IndexLeaf => return None,
        }
    }
    None
}

/// The number in a row of the list, if it is that of `name`.
fn root_in(record: &[u8], name: &str) -> Option<u32> {
    // The type, its own name, that of the table, and the page.
    let mut columns = Columns::of(record)?.skip(1);
    if columns.next()? != Value::Text(name.as_bytes()) {
        return None;
    }
    match columns.nth(1)? {
        Value::Integer(root) => u32::try_from(root).ok(),
        _ => None,
    }
}

/// The bytes in a `column` of the row called `row` in the table at `root`, if they are at most
/// `max_bytes`.
pub(in crate::sqlite) fn find_blob(
    pages: &Pages<'_>,
    root: u32,
    row: i64,
    column: usize,
    max_bytes: usize,
) -> Option<Bytes> {
    let limit = max_bytes.saturating_add(MAX_SHORT_BYTES);
    let record = Bytes::from(find_row(pages, root, row, limit)?);
    let Value::Blob(blob) = Columns::of(&record)?.nth(column)? else { return None };
    (blob.len() <= max_bytes).then(|| record.slice_ref(blob))
}

/// The record of `row` in the table at `root`, if it has at most `max_bytes`.
fn find_row(pages: &Pages<'_>, root: u32, row: i64, max_bytes: usize) -> Option<Vec<u8>> {
    let mut number = root;
    for _ in 0..MAX_DEPTH {
        let page = Page::of(pages, number)?;
        match page.kind {
            Kind::TableNode => {
                let at = first(page.cells, |at| Some(page.row_below(at)? >= row))?;
                number = page.child(at)?;
            }
            Kind::TableLeaf => {
                let at = first(page.cells, |at| Some(page.row_number(at)? >= row))?;
                let (found, record) = page.row(pages, at, max_bytes)?;
                return (found == row).then_some(record);
            }
            Kind::IndexNode | Kind::IndexLeaf => return None,
        }
    }
    None
}

/// The number of the row that the index at `root` has under `wanted`, its columns.
pub(in crate::sqlite) fn find_entry(
    pages: &Pages<'_>,
    root: u32,
    wanted: &[Value<'_>],
) -> Option<i64> {
    let mut number = root;
    for _ in 0..MAX_DEPTH {
        let page = Page::of(pages, number)?;
        if matches!(page.kind, Kind::TableNode | Kind::TableLeaf) {
            return None;
        }
        let at = first(page.cells, |at| is_at_least(&page.entry(pages, at)?, wanted))?;
        if at < page.cells
            && let Some(row) = row_of(&page.entry(pages, at)?, wanted)
        {
            return Some(row);
        }
        number = page.child(at)?;
    }
    None
}

fn is_at_least(entry: &[u8], wanted: &[Value<'_>]) -> Option<bool> {
    let mut columns = Columns::of(entry)?;
    for value in wanted {
        match columns.next()?.compare(value) {
            std::cmp::Ordering::Equal => {}
            unequal => return Some(unequal.is_gt()),
        }
    }
    Some(true)
}

/// The number of the row behind the columns of `entry`, if they are those that are `wanted`.
fn row_of(entry: &[u8], wanted: &[Value<'_>]) -> Option<i64> {
    let mut columns = Columns::of(entry)?;
    for value in wanted {
        (columns.next()? == *value).then_some(())?;
    }
    match columns.next()? {
        Value::Integer(row) => Some(row),
        _ => None,
    }
}

/// The first of `count` cells that `is_right`, as all behind it are; `count` if none is.
fn first(count: usize, is_right: impl Fn(usize) -> Option<bool>) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = usize::midpoint(low, high);
        match is_right(middle)? {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    Some(low)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    TableNode,
    TableLeaf,
    IndexNode,
    IndexLeaf,
}

/// A page of a tree: cells in the order of what is in them.
struct Page {
    bytes: Vec<u8>,
    kind: Kind,
    cells: usize,
    /// Where the page's own header begins.
    start: usize,
}

impl Page {
    fn of(pages: &Pages<'_>, number: u32) -> Option<Self> {
        let bytes = pages.page(number)?;
        let start = if number == FIRST { HEADER_BYTES } else { 0 };
        let kind = match *bytes.get(start)? {
            2 => Kind::IndexNode,
            5 => Kind::TableNode,
            10 => Kind::IndexLeaf,
            13 => Kind::TableLeaf,
            _ => return None,
        };
        let cells = usize::from(u16_at(&bytes, start + 3)?);
        Some(Self { bytes, kind, cells, start })
    }

    /// The bytes from the cell of the index `at` on.
    fn cell(&self, at: usize) -> Option<&[u8]> {
        let header_bytes = match self.kind {
            Kind::TableNode | Kind::IndexNode => 12,
            Kind::TableLeaf | Kind::IndexLeaf => 8,
        };
        let cell = u16_at(&self.bytes, self.start + header_bytes + 2 * at)?;
        self.bytes.get(usize::from(cell)..)
    }

    /// The page with what comes before the cell `at`, or behind the last one.
    fn child(&self, at: usize) -> Option<u32> {
        match self.kind {
            Kind::TableLeaf | Kind::IndexLeaf => None,
            _ if at == self.cells => u32_at(&self.bytes, self.start + 8),
            _ => u32_at(self.cell(at)?, 0),
        }
    }

    /// The highest number of a row below the cell `at` of a table's node.
    fn row_below(&self, at: usize) -> Option<i64> {
        Some(varint(&mut self.cell(at)?.get(4..)?)? as i64)
    }

    fn row_number(&self, at: usize) -> Option<i64> {
        let mut cell = self.cell(at)?;
        varint(&mut cell)?;
        Some(varint(&mut cell)? as i64)
    }

    /// The number and the record of the row `at` of a table's leaf.
    fn row(&self, pages: &Pages<'_>, at: usize, max_bytes: usize) -> Option<(i64, Vec<u8>)> {
        let mut cell = (at < self.cells).then(|| self.cell(at))??;
        let bytes = length(&mut cell, max_bytes)?;
        let row = varint(&mut cell)? as i64;
        Some((row, pages.payload(cell, bytes, Place::Table)?))
    }

    /// The columns of the cell `at` of an index.
    fn entry(&self, pages: &Pages<'_>, at: usize) -> Option<Vec<u8>> {
        let mut cell = self.cell(at)?;
        if self.kind == Kind::IndexNode {
            cell = cell.get(4..)?;
        }
        let bytes = length(&mut cell, MAX_SHORT_BYTES)?;
        pages.payload(cell, bytes, Place::Index)
    }
}

fn length(cell: &mut &[u8], max_bytes: usize) -> Option<usize> {
    usize::try_from(varint(cell)?).ok().filter(|&bytes| bytes <= max_bytes)
}
