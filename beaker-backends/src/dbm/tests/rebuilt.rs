//! A file that is rebuilt, in which buckets lead to rows that no look-up finds.

use super::*;

fn position(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|part| part == wanted).expect("it is there")
}

/// Where a bucket has the first four bytes of the key `number`, which the place of the row follows.
fn slot(bytes: &[u8], number: u32) -> usize {
    let row = position(bytes, &[b"beaker:", &number.to_be_bytes()[..]].concat());
    position(bytes, &[b"beak", &(row as u64).to_le_bytes()[..]].concat())
}

#[test]
fn what_was_removed_or_written_again_does_not_come_back() {
    let dir = quick_dir();
    let file = numbered(dir.path());
    let path = dir.path().join("x.dbm");
    let mut bytes = fs::read(&path).unwrap();
    for number in 7..20 {
        let slot = slot(&bytes, number);
        bytes[slot] ^= 1;
    }
    fs::write(&path, &bytes).unwrap();
    put_numbers(&file, 7..20, b"other");
    let removed = (7..13_u32).map(|key| ([b"beaker:", &key.to_be_bytes()[..]].concat(), None));
    let removed = removed.collect();
    file.write(soon(), |_| Ok(((), removed, Durability::None))).unwrap();
    // One that leads to no place in the file, for which it has to be rebuilt.
    let mut bytes = fs::read(&path).unwrap();
    let unsound = slot(&bytes, 100) + 4;
    bytes[unsound..unsound + 8].fill(0x7f);
    fs::write(&path, &bytes).unwrap();
    let none = (Images::default(), Changes::new());
    journal(dir.path()).write(&none.0, &none.1, Durability::None).unwrap();

    check_numbers(&file, 0..7, b"value");
    for number in (7..13_u32).chain([100]) {
        assert_eq!(get(&file, &number.to_be_bytes()), None, "{number}");
    }
    check_numbers(&file, 13..20, b"other");
    check_numbers(&file, 20..100, b"value");
    check_numbers(&file, 101..300, b"value");
    assert_eq!(driver(dir.path()).verify().expect("it is sound").records, 300 - 6 - 1);
    assert_eq!(others(dir.path()), [""; 0]);
}
