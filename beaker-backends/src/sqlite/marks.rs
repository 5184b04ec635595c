use beaker_namespace::{Clock, Error, Mark};
use rusqlite::{Connection, params};

use super::change::Change;
use super::housekeeping::Room;
use super::row;
use super::space::Space;

// Marks are in the table `marks`, under the namespace's name and not its number: so `clear`, which
// gives a new number, leaves them. They are merged in one transaction (rule 2 of store.rs).
//
// What is in a mark's place and is no mark of this name says that there was one, and not when. It
// counts as a hard mark of the moment at which it is met, and is replaced by that.

/// Short, because a prepared statement is found by its text; see row.rs.
const FIND: &str = "SELECT record FROM marks WHERE ns=?1 AND name=?2";

const PUT: &str = "INSERT OR REPLACE INTO marks (ns, name, record) VALUES (?1, ?2, ?3)";

/// The bytes that a mark takes in the database beside its two names, at most about.
const ROW_BYTES: usize = 256;

/// What is in a mark's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Mark(Mark),
    Damaged,
}

impl Space {
    pub(super) fn mark(&self, name: &str, mark: Mark, clock: &dyn Clock) -> Result<Mark, Error> {
        Mark::check_name(name)?;
        let bytes = (ROW_BYTES + self.name.len() + name.len()) as u64;
        self.change("mark a name", Room::of(bytes, clock.coarse()), |change| {
            let holds = match self.find_mark(change.connection, name)? {
                Found::Nothing if mark.is_empty() => return Ok(mark),
                Found::Nothing => mark,
                Found::Mark(held) if held.merge(mark) == held => return Ok(held),
                Found::Mark(held) => held.merge(mark),
                Found::Damaged => mark.merge(self.note_damage(clock)),
            };
            self.put_mark(change, name, holds).map(|()| holds)
        })
    }

    pub(super) fn marks(
        &self,
        names: &mut dyn Iterator<Item = &str>,
        clock: &dyn Clock,
    ) -> Result<Mark, Error> {
        let (all, damaged) = self.database().read("read a mark", |connection| {
            let (mut all, mut damaged) = (Mark::default(), Vec::new());
            for name in names {
                match self.find_mark(connection, name)? {
                    Found::Nothing => {}
                    Found::Mark(mark) => all = all.merge(mark),
                    Found::Damaged => damaged.push(name),
                }
            }
            Ok((all, damaged))
        })?;
        if !damaged.is_empty() {
            self.database().refuse_newer("read a mark")?;
        }
        let mended = damaged.into_iter().map(|name| self.mend_mark(name, clock));
        Ok(mended.fold(all, Mark::merge))
    }

    fn find_mark(&self, connection: &Connection, name: &str) -> rusqlite::Result<Found> {
        let decode = |record: Option<&[u8]>| Mark::from_bytes(&self.name, name, record?);
        let limit = Mark::ENCODED_BYTES as i64;
        let found = row::read(connection, FIND, params![&*self.name, name], limit, decode)?;
        Ok(found.map_or(Found::Nothing, |mark| mark.map_or(Found::Damaged, Found::Mark)))
    }

    fn put_mark(&self, change: &Change<'_>, name: &str, mark: Mark) -> rusqlite::Result<()> {
        let record = mark.to_bytes(&self.name, name);
        change.run(PUT, params![&*self.name, name, record]).map(drop)
    }

    /// What a damaged mark counts as from now on.
    #[cold]
    fn note_damage(&self, clock: &dyn Clock) -> Mark {
        self.counts.corrupt.add(1);
        Mark::hard(clock.now())
    }

    /// Replaces a damaged mark, and says what holds.
    ///
    /// This is in the course of a read, so it neither waits nor fails: what stays is met again, and
    /// says the same of a later moment.
    #[cold]
    fn mend_mark(&self, name: &str, clock: &dyn Clock) -> Mark {
        let unmended = Mark::hard(clock.now());
        let mended = self.store.try_change("mend a mark", self, |change| {
            Ok(match self.find_mark(change.connection, name)? {
                // Somebody has mended it meanwhile.
                Found::Mark(mark) => mark,
                Found::Nothing => unmended,
                Found::Damaged => {
                    let mark = self.note_damage(clock);
                    self.put_mark(change, name, mark)?;
                    mark
                }
            })
        });
        mended.ok().flatten().unwrap_or(unmended)
    }
}
