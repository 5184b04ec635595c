//! Files that come while something is written, under the names that it needs.

use super::*;

/// What another makes under `path` while this one writes the row `k` of `file`, with what comes of the write.
fn made_while_written(file: &File, path: &Path, other: &[u8]) -> Result<(), ErrorKind> {
    let wrote = file.write(soon(), |mut rows| {
        rows.put(b"k", b"value").unwrap();
        fs::write(path, other).unwrap();
        Ok(((), rows.into_changes(), Durability::None))
    });
    wrote.map_err(|error| error.kind())
}

#[test]
fn a_store_that_is_made_in_the_place_of_the_journal_during_a_write_is_left() {
    let dir = quick_dir();
    let file = open(dir.path());
    let journal = dir.path().join("x.dbm-journal");
    assert_eq!(made_while_written(&file, &dir.path().join("control"), b""), Ok(()));
    let store = fs::read(dir.path().join("x.dbm")).unwrap();
    assert_eq!(made_while_written(&file, &journal, &store), Err(ErrorKind::Unavailable));
    assert_eq!(fs::read(&journal).unwrap(), store);
    let again = put(&file, &[(b"k", b"value")]).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Config, "from now on it is told what is there");
    assert_eq!(others(&dir.path().join("x.dbm.locks")).len(), 1, "the lock, and no draft");
}

#[test]
fn a_journal_that_is_written_in_the_place_of_a_new_store_is_left() {
    let dir = quick_dir();
    let path = dir.path().join("x.dbm");
    assert_eq!(made_while_written(&open(dir.path()), &path, b""), Ok(()), "the control: empty");
    assert_eq!(get(&open(dir.path()), b"k").as_deref(), Some(&b"value"[..]));
    fs::remove_file(&path).unwrap();
    let journal = Journal::of(&dir.path().join("x"));
    journal.write(&Images::default(), &Changes::new(), Durability::None).unwrap();
    let bytes = fs::read(journal.path()).unwrap();
    assert_eq!(made_while_written(&open(dir.path()), &path, &bytes), Err(ErrorKind::Unavailable));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_file_that_comes_while_one_is_made_keeps_the_row_that_was_to_be_written() {
    let [dir, other] = [(); 2].map(|()| quick_dir());
    let path = dir.path().join("x.dbm");
    put(&open(other.path()), &[(b"k", b"another's")]).unwrap();
    let bytes = fs::read(other.path().join("x.dbm")).unwrap();
    assert_eq!(made_while_written(&open(dir.path()), &path, &bytes), Err(ErrorKind::Unavailable));
    assert_eq!(others(dir.path()), [""; 0], "no journal is left to do it later");
    assert_eq!(get(&open(dir.path()), b"k").as_deref(), Some(&b"another's"[..]));
}
