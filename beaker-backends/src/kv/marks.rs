//! When what has one name was invalidated.

use std::sync::Arc;

use beaker_namespace::{Clock, Error, Mark};

use super::engine::{Reader, Sync, Writer, view};
use super::rows;
use super::space::Space;

// A mark is a row under the names of its namespace and its own. `clear` leaves it, since it gives the
// namespace another id and not another name. Marks are merged within one change.
//
// What is in a mark's place and is no mark of this name says that there was one, and not when. It
// counts as a hard mark of the moment at which it is met, and is replaced by that.

/// What is in a mark's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Mark(Mark),
    Damaged,
}

impl Space {
    pub(super) fn mark(
        &self,
        name: &str,
        mark: Mark,
        clock: &Arc<dyn Clock>,
    ) -> Result<Mark, Error> {
        Mark::check_name(name)?;
        let (name, clock) = (name.to_owned(), Arc::clone(clock));
        self.update(Sync::Configured, move |space, writer| {
            let holds = match space.find_mark(writer, &name)? {
                Found::Nothing if mark.is_empty() => return Ok(mark),
                Found::Nothing => mark,
                Found::Mark(held) if held.merge(mark) == held => return Ok(held),
                Found::Mark(held) => held.merge(mark),
                Found::Damaged => mark.merge(space.note_damage(&*clock)),
            };
            space.put_mark(writer, &name, holds).map(|()| holds)
        })
    }

    pub(super) fn marks(
        &self,
        names: &mut dyn Iterator<Item = &str>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Mark, Error> {
        let (all, damaged) = view(&*self.engine, |reader| {
            let (mut all, mut damaged) = (Mark::default(), Vec::new());
            for name in names {
                match self.find_mark(reader, name)? {
                    Found::Nothing => {}
                    Found::Mark(mark) => all = all.merge(mark),
                    Found::Damaged => damaged.push(name),
                }
            }
            Ok((all, damaged))
        })?;
        let mended = damaged.into_iter().map(|name| self.mend_mark(name, clock));
        Ok(mended.fold(all, Mark::merge))
    }

    fn find_mark<R: Reader + ?Sized>(&self, reader: &R, name: &str) -> Result<Found, Error> {
        let mut found = Found::Nothing;
        reader.look(&rows::mark(&self.name, name), &mut |record| {
            let mark = Mark::from_bytes(&self.name, name, record);
            found = mark.map_or(Found::Damaged, Found::Mark);
        })?;
        Ok(found)
    }

    fn put_mark(&self, writer: &mut dyn Writer, name: &str, mark: Mark) -> Result<(), Error> {
        writer.put(&rows::mark(&self.name, name), &mark.to_bytes(&self.name, name))
    }

    /// What a damaged mark counts as from now on.
    #[cold]
    fn note_damage(&self, clock: &dyn Clock) -> Mark {
        self.counts.corrupt.add(1);
        Mark::hard(clock.now())
    }

    /// Replaces a damaged mark, and says what holds.
    ///
    /// This is in the course of a read, so it does not fail: what stays is met again, and says the
    /// same of a later moment.
    #[cold]
    fn mend_mark(&self, name: &str, clock: &Arc<dyn Clock>) -> Mark {
        let unmended = Mark::hard(clock.now());
        let (name, clock) = (name.to_owned(), Arc::clone(clock));
        let mended = self.update(Sync::Configured, move |space, writer| {
            Ok(match space.find_mark(writer, &name)? {
                // Somebody has mended it meanwhile.
                Found::Mark(mark) => mark,
                Found::Nothing => unmended,
                Found::Damaged => {
                    let mark = space.note_damage(&*clock);
                    space.put_mark(writer, &name, mark)?;
                    mark
                }
            })
        });
        mended.unwrap_or(unmended)
    }
}
