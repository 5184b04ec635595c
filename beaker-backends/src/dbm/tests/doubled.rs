//! A bucket that leads to two rows of one key.

use super::*;

/// What a bucket has of each row.
const ROW_BYTES: usize = 24;

/// Where a bucket says how many rows it has.
const COUNT_AT: usize = 108;

const BLOCK_BYTES: usize = 2_048;

/// Where `part` is in `bytes`, if it is there.
fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|some| some == part)
}

/// Gives a bucket's row whose next place is free a twin there, and makes its value one byte shorter. Gives its key.
fn double(bytes: &mut [u8]) -> u32 {
    let doubled = (0..300_u32).find_map(|number| {
        let row = find(bytes, &[b"beaker:", &number.to_be_bytes()[..]].concat())?;
        // Where the row is comes after its hash and the beginning of its key.
        let place = [b"beak", &(row as u64).to_le_bytes()[..]].concat();
        let at = find(bytes, &place)? - 4;
        let next = bytes.get(at + ROW_BYTES..at + 2 * ROW_BYTES)?;
        next.starts_with(&[0xff; 4]).then_some((number, at))
    });
    let (number, at) = doubled.expect("there is one");
    bytes.copy_within(at..at + ROW_BYTES, at + ROW_BYTES);
    bytes[at + ROW_BYTES - 4] -= 1;
    // So many rows are in the bucket, which begins with a block.
    bytes[at - at % BLOCK_BYTES + COUNT_AT] += 1;
    number
}

#[test]
fn a_row_is_written_in_place_only_where_the_driver_finds_it() {
    let dir = quick_dir();
    let file = numbered(dir.path());
    let path = dir.path().join("x.dbm");
    let mut bytes = fs::read(&path).unwrap();
    let number = double(&mut bytes);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(get(&file, &number.to_be_bytes()).as_deref(), Some(&b"valu"[..]));
    for (value, through_driver) in [(&b"other"[..], 1), (b"othe", 0)] {
        let changes = numbers_put(number..number + 1, value);
        let plan = Plan::make(&driver(dir.path()), &path, &changes).unwrap();
        assert_eq!(plan.others.len(), through_driver, "{} bytes", value.len());
    }
}
