use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::directories::{self, ATTEMPTS};
use super::layout::MarkPlace;
use super::record;
use super::store::Store;
use crate::atomic_write::AtomicWrite;
use crate::{Clock, Error, Mark};

// How processes work on the marks of one namespace:
// 1. A mark's file gets its name when it is complete, as that of an entry. So readers take no lock,
//    and a name that was never marked costs them one open that fails.
// 2. Marks are merged under the writer lock of the name's stripe: of two that are made at the same
//    time, the second one reads what the first one wrote.
// 3. What is in a mark's place and is no mark of this name says that there was one, and not when. It
//    counts as a hard mark of the moment at which it is met, and is replaced by that; so what is
//    made afterwards is good again.
// 4. `clear` does not touch marks; see `Namespace::mark`.

/// What is in a mark's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Mark(Mark),
    Damaged,
}

impl Store {
    pub(super) fn mark(&self, name: &str, mark: Mark, clock: &dyn Clock) -> Result<Mark, Error> {
        Mark::check_name(name)?;
        let place = self.layout().mark(name);
        for _ in 0..ATTEMPTS {
            if let Some(holds) = self.try_mark(name, &place, mark, clock)? {
                return Ok(holds);
            }
            self.directories.prepare_marks()?;
        }
        Err(directories::vanishes(directories::parent(place.path())))
    }

    /// `None` if the directory of the marks is absent.
    fn try_mark(
        &self,
        name: &str,
        place: &MarkPlace,
        mark: Mark,
        clock: &dyn Clock,
    ) -> Result<Option<Mark>, Error> {
        let _writer = self.writers.lock(place.stripe())?;
        self.check_format("mark a name")?;
        let holds = match self.find_mark(name, place.path())? {
            Found::Nothing if mark.is_empty() => return Ok(Some(mark)),
            Found::Nothing => mark,
            Found::Mark(held) if held.merge(mark) == held => {
                // Whoever wrote it may have been killed before it was safe from a power cut.
                self.directories.sync(directories::parent(place.path()))?;
                return Ok(Some(held));
            }
            Found::Mark(held) => held.merge(mark),
            Found::Damaged => mark.merge(self.note_damage(clock)),
        };
        match self.write_mark(name, place.path(), holds) {
            Ok(()) => Ok(Some(holds)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("mark a name", place.path(), error)),
        }
    }

    fn write_mark(&self, name: &str, path: &Path, mark: Mark) -> io::Result<()> {
        let mut file = AtomicWrite::new(path)?;
        file.write_all(&mark.to_bytes(&self.name, name))?;
        self.commit(file)
    }

    pub(super) fn marks(
        &self,
        names: &mut dyn Iterator<Item = &str>,
        clock: &dyn Clock,
    ) -> Result<Mark, Error> {
        let mut all = Mark::default();
        for name in names {
            let place = self.layout().mark(name);
            match self.find_mark(name, place.path())? {
                Found::Nothing => {}
                Found::Mark(mark) => all = all.merge(mark),
                Found::Damaged => {
                    self.check_format("read a mark")?;
                    all = all.merge(self.mend_mark(name, &place, clock)?);
                }
            }
        }
        Ok(all)
    }

    fn find_mark(&self, name: &str, path: &Path) -> Result<Found, Error> {
        let read = record::open(path).and_then(|file| read_whole(&file));
        match read {
            Ok(bytes) => {
                Ok(Mark::from_bytes(&self.name, name, &bytes).map_or(Found::Damaged, Found::Mark))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            // Something that is no plain file.
            Err(error) if record::is_link(&error) => Ok(Found::Damaged),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(Found::Damaged),
            Err(error) => Err(Error::io("read a mark", path, error)),
        }
    }

    /// What a damaged mark counts as from now on; see rule 3.
    #[cold]
    fn note_damage(&self, clock: &dyn Clock) -> Mark {
        self.counts.corrupt.add(1);
        Mark::hard(clock.now())
    }

    /// Replaces a damaged mark, and says what holds.
    ///
    /// This is in the course of a read, so it does not wait: what stays is met again, and says the
    /// same of a later moment. It fails only if what is there is a newer version's.
    #[cold]
    pub(super) fn mend_mark(
        &self,
        name: &str,
        place: &MarkPlace,
        clock: &dyn Clock,
    ) -> Result<Mark, Error> {
        let unmended = Mark::hard(clock.now());
        let Ok(Some(_writer)) = self.writers.try_lock(place.stripe()) else { return Ok(unmended) };
        // Before the lock was had a newer version may have come.
        self.check_format("read a mark")?;
        Ok(match self.find_mark(name, place.path()) {
            // Somebody has mended it meanwhile.
            Ok(Found::Mark(mark)) => mark,
            Ok(Found::Damaged) => {
                let mark = self.note_damage(clock);
                let _mended = self.write_mark(name, place.path(), mark);
                mark
            }
            _ => unmended,
        })
    }
}

/// The bytes of a file that should have [`Mark::ENCODED_BYTES`]; of a longer one some more.
fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(Mark::ENCODED_BYTES + 1);
    file.take(Mark::ENCODED_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
