//! A GNU program puts another file under the name while somebody waits for its lock.

use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Instant;

use super::*;

/// What `gdbmtool reorganize` does while it has `opened`: a new file, with the rows of `rows`, gets the name.
fn reorganize(dir: &Path, rows: &Path, opened: gdbm_native::Gdbm) {
    let draft = dir.join("draft");
    fs::copy(rows, &draft).expect("a copy");
    fs::rename(draft, dir.join("x.dbm")).expect("it gets the name");
    opened.close().expect("it is closed");
}

/// How often this process has the file of this number open.
fn times_open(inode: u64) -> usize {
    let list = fs::read_dir("/proc/self/fd").expect("a list");
    let number = |file: fs::DirEntry| Some(fs::metadata(file.path()).ok()?.ino());
    list.filter_map(|file| number(file.ok()?)).filter(|number| *number == inode).count()
}

/// Does `work` in a thread, and has the file reorganized when it has opened it and waits for the lock.
fn while_reorganized<T: Send>(dir: &Path, rows: &Path, work: impl FnOnce() -> T + Send) -> T {
    let inode = fs::metadata(dir.join("x.dbm")).expect("the file").ino();
    let gnu = driver(dir);
    thread::scope(|scope| {
        let works = scope.spawn(work);
        let began = Instant::now();
        while times_open(inode) < 2 {
            assert!(began.elapsed() < Duration::from_secs(20), "it never opens the file");
            thread::yield_now();
        }
        reorganize(dir, rows, gnu);
        works.join().expect("it does not panic")
    })
}

#[test]
fn what_is_written_while_the_file_is_reorganized_is_in_the_new_one_as_a_whole() {
    let dir = quick_dir();
    let file = numbered(dir.path());
    // Some that stay in their places, and some that do not.
    let mut mixed = numbers_put(0..10, b"other");
    mixed.append(&mut numbers_put(10..20, b"longer than it was"));
    while_reorganized(dir.path(), &dir.path().join("x.dbm"), || {
        file.write(soon(), |_| Ok(((), mixed, Durability::None))).expect("it is written");
    });
    check_numbers(&file, 0..10, b"other");
    check_numbers(&file, 10..20, b"longer than it was");
    check_numbers(&file, 20..300, b"value");
}

#[test]
fn what_is_read_while_the_file_is_reorganized_is_of_the_new_one() {
    let dir = quick_dir();
    let file = numbered(dir.path());
    let new = quick_dir();
    // GNU programs may write to it, too.
    put_numbers(&numbered(new.path()), 7..8, b"other");
    let new = new.path().join("x.dbm");
    let read = while_reorganized(dir.path(), &new, || get(&file, &7_u32.to_be_bytes()));
    assert_eq!(read.as_deref(), Some(&b"other"[..]));
}
