// What is in the database, version 2 (`PRAGMA user_version`); `application_id` is "BEKR":
//
//   namespaces   the name of each namespace and its number. Numbers are never used again, so
//                `clear` gives the name a new one, and what has the old one is nobody's. Each is
//                higher than the one before by a number drawn by chance: of numbers that follow each
//                other a flipped bit makes one the other, and what was cleared is back.
//   entries      one row for each entry. `record` is the envelope as in every store; it is the
//                truth, and checked at each read. `key` and `dies` repeat what is in it for the
//                indexes: `dies` is NULL for what never dies. In a database with a limit a
//                rewrite gets a new, higher `id`, so the order of `id` is the order of writing,
//                which eviction goes by; in one without, it stays where it is, which is quicker.
//                Nothing is declared NOT NULL and no trigger stands on it: each would make every
//                write slower.
//   tags         the tags of entries that have some. What deletes an entry deletes its tags in the
//                same transaction.
//   claims       who may create a value; see store.rs.
//   barred       tags that were removed while a claim was running.
//   marks        when each name was invalidated; see marks.rs. `ns` is the namespace's name. Since
//                version 2: a program of version 1 that has the database open meanwhile goes on, and
//                knows no marks. One of the first of them does not: it writes a column that leaves
//                (`DROP_TAGGED`), so its sets are errors from then on, and the tags of what it removes stay.
//   purge        numbers that `clear` took from their names, until all their entries are gone.
//
// A version that changes any of this, or writes another envelope, raises `user_version` before it
// writes the first one. So an envelope of a newer version below an older `user_version` is no newer
// envelope but a flipped bit.
//
// A version that writes another envelope, or another mark, renames all tables in its migration, and
// so does one beside which programs of the older version must not go on: whatever they do fails
// then, as an error of kind `Config`. No write looks whether the version is still its own, which
// would cost each of them: it would replace and remove what it cannot read. (A read that meets such
// a record all the same looks, and fails with `Config` too; that is not to be relied on.)

use rusqlite::Connection;

/// "BEKR".
pub(super) const APPLICATION_ID: i32 = 0x4245_4b52;

/// The version that this program writes.
pub(super) const VERSION: i32 = STEPS.len() as i32;

/// Which of the columns of `entries` is the record, counted from zero.
pub(super) const RECORD_COLUMN: usize = 4;

/// From each version to the next, beginning with an empty file.
const STEPS: &[&str] = &[VERSION_1, VERSION_2];

const VERSION_1: &str = "
CREATE TABLE namespaces (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    ns INTEGER,
    key BLOB,
    dies INTEGER,
    record BLOB
);
CREATE UNIQUE INDEX entries_by_key ON entries (ns, key);
CREATE INDEX entries_by_death ON entries (ns, dies) WHERE dies IS NOT NULL;
CREATE TABLE tags (
    entry INTEGER NOT NULL,
    tag TEXT NOT NULL,
    ns INTEGER NOT NULL,
    PRIMARY KEY (entry, tag)
) WITHOUT ROWID;
CREATE INDEX tags_by_tag ON tags (ns, tag, entry);
CREATE TABLE claims (
    ns INTEGER NOT NULL,
    key BLOB NOT NULL,
    token INTEGER NOT NULL,
    PRIMARY KEY (ns, key)
) WITHOUT ROWID;
CREATE TABLE barred (
    token INTEGER NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (token, tag)
) WITHOUT ROWID;
CREATE TRIGGER claims_unbar AFTER DELETE ON claims BEGIN
    DELETE FROM barred WHERE token = OLD.token;
END;
CREATE TABLE purge (ns INTEGER PRIMARY KEY);
";

const VERSION_2: &str = "
CREATE TABLE marks (
    ns TEXT NOT NULL,
    name TEXT NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (ns, name)
) WITHOUT ROWID;
";

/// What the first programs of version 1 had more: a column that is not filled any more, and so lets no entry in, and
/// the trigger that went by it.
const DROP_TAGGED: &str = "
DROP TRIGGER IF EXISTS entries_untag;
ALTER TABLE entries DROP COLUMN tagged;
";

/// Names every table, column and index of the present version, and reads next to nothing.
pub(super) const USES_ALL: &str = "
SELECT id, name FROM namespaces LIMIT 0;
SELECT id, record FROM entries INDEXED BY entries_by_key WHERE ns = 0 AND key = x'' LIMIT 0;
SELECT id FROM entries INDEXED BY entries_by_death WHERE ns = 0 AND dies < 0 LIMIT 0;
SELECT entry FROM tags INDEXED BY tags_by_tag WHERE ns = 0 AND tag = '' LIMIT 0;
SELECT ns, key, token FROM claims LIMIT 0;
SELECT token, tag FROM barred LIMIT 0;
SELECT ns FROM purge LIMIT 0;
SELECT ns, name, record FROM marks LIMIT 0;
";

/// Whose a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody's: there is nothing in it.
    Empty,
    /// Ours, of this version.
    Current,
    /// Ours, of an older version.
    Older(i32),
    /// Ours, of a newer version.
    Newer(i32),
    /// Another program's.
    Foreign,
}

impl State {
    /// Looks without changing anything.
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        // All of one moment: between two looks another process may make the tables.
        let snapshot = connection.is_autocommit().then(|| connection.unchecked_transaction());
        let _snapshot = snapshot.transpose()?;
        let number =
            |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        let (application, version) = (number("application_id")?, number("user_version")?);
        if application != APPLICATION_ID {
            let things = "SELECT EXISTS (SELECT 1 FROM sqlite_schema)";
            let used = connection.query_row(things, [], |row| row.get::<_, bool>(0))?;
            let empty = !used && application == 0 && version == 0;
            return Ok(if empty { Self::Empty } else { Self::Foreign });
        }
        Ok(match version {
            VERSION => Self::Current,
            version if version > VERSION => Self::Newer(version),
            version => Self::Older(version),
        })
    }

    /// Whether a newer version has migrated the database.
    pub(super) fn is_newer(self) -> bool {
        matches!(self, Self::Newer(_))
    }
}

/// Takes the database from `version` to the present one, in one transaction.
///
/// The caller holds the writers' lock.
pub(super) fn migrate(connection: &Connection, version: i32) -> rusqlite::Result<()> {
    migrate_by(STEPS, connection, version)
}

fn migrate_by(steps: &[&str], connection: &Connection, version: i32) -> rusqlite::Result<()> {
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
    if has_tagged(&transaction)? {
        transaction.execute_batch(DROP_TAGGED)?;
    }
    let from = usize::try_from(version).unwrap_or_default();
    for step in steps.iter().skip(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", steps.len() as i32)?;
    transaction.commit()
}

/// Whether the column is still there that lets no entry in. An earlier program of version 2 left it where it took a
/// database over.
pub(super) fn has_tagged(connection: &Connection) -> rusqlite::Result<bool> {
    let columns =
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info('entries') WHERE name = 'tagged')";
    connection.query_row(columns, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_being_made_is_never_taken_for_somebody_elses() {
        for _ in 0..40 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("cache.db");
            let (maker, looker) =
                (Connection::open(&path).unwrap(), Connection::open(&path).unwrap());
            looker.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
            maker.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
            let wal = "PRAGMA journal_mode = WAL";
            maker.query_row(wal, [], |row| row.get::<_, String>(0)).unwrap();
            std::thread::scope(|scope| {
                let (looks, looked) = std::sync::mpsc::channel();
                let seen = scope.spawn(move || {
                    loop {
                        let state = State::of(&looker).unwrap();
                        let _first = looks.send(());
                        if state != State::Empty {
                            return state;
                        }
                    }
                });
                looked.recv().unwrap();
                migrate(&maker, 0).unwrap();
                assert_eq!(seen.join().unwrap(), State::Current);
            });
        }
    }

    /// A database of version 1 with one entry in it.
    fn version_1() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        migrate_by(&[VERSION_1], &connection, 0).unwrap();
        let fill = "INSERT INTO namespaces (name) VALUES ('n');
             INSERT INTO entries (ns, key, record) VALUES (1, x'01', x'02');";
        connection.execute_batch(fill).unwrap();
        connection
    }

    fn version(connection: &Connection) -> i32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_older_database_is_taken_to_the_present_with_what_is_in_it() {
        let connection = version_1();
        migrate(&connection, 1).unwrap();
        assert_eq!(version(&connection), VERSION);
        let next = "ALTER TABLE entries ADD COLUMN weight INTEGER NOT NULL DEFAULT 1";
        migrate_by(&[VERSION_1, VERSION_2, next], &connection, 2).unwrap();
        assert_eq!(version(&connection), 3);
        let read = "SELECT record, weight FROM entries";
        let row: (Vec<u8>, i64) =
            connection.query_row(read, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, (vec![2], 1));
    }

    #[test]
    fn version_2_has_marks_and_the_entries_of_version_1() {
        let connection = version_1();
        let marks = "INSERT INTO marks (ns, name, record) VALUES ('n', 'm', x'00')";
        assert!(connection.execute_batch(marks).is_err(), "the control");
        migrate(&connection, 1).unwrap();
        assert_eq!(State::of(&connection), Ok(State::Current));
        connection.execute_batch(marks).unwrap();
        let read = "SELECT record FROM entries WHERE ns = 1 AND key = x'01'";
        assert_eq!(connection.query_row(read, [], |row| row.get(0)), Ok(vec![2_u8]));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_older_version_whole() {
        let connection = version_1();
        let steps = [VERSION_1, "DROP TABLE entries", "not a statement"];
        assert!(migrate_by(&steps, &connection, 1).is_err());
        assert_eq!(version(&connection), 1);
        let count = "SELECT count(*) FROM entries";
        assert_eq!(connection.query_row(count, [], |row| row.get(0)), Ok(1));
    }

    #[test]
    fn whose_a_database_is_can_be_told() {
        let connection = Connection::open_in_memory().unwrap();
        let state = || State::of(&connection).unwrap();
        assert_eq!(state(), State::Empty);
        migrate(&connection, 0).unwrap();
        assert_eq!(state(), State::Current);
        connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert_eq!(state(), State::Newer(VERSION + 1));
        connection.pragma_update(None, "user_version", VERSION - 1).unwrap();
        assert_eq!(state(), State::Older(VERSION - 1));
        connection.pragma_update(None, "application_id", 7).unwrap();
        assert_eq!(state(), State::Foreign);
    }
}
