//! Drops what is dead where a walk reads all rows: in passes over all of them, in whatever order they come.
//
// A pass notes so many rows at most, and what it notes is dropped in changes of `ROWS_PER_CHANGE`. So what a
// sweep reads grows with the rows, and not with their square, as it would by pages.

use std::ops::ControlFlow;

use beaker_namespace::{Error, Swept, Timestamp, envelope};

use super::engine::{Reader, Sync, Writer, view};
use super::ledger::{self, Ledger};
use super::rows::{self, Home};
use super::space::Space;
use super::sweep::{ROWS_PER_CHANGE, purge, seems_dead};

/// The rows that a sweep notes in one pass.
const ROWS_PER_PASS: usize = 64 * ROWS_PER_CHANGE;

/// What a pass came by.
#[derive(Debug)]
struct Seen {
    /// All rows of the store.
    rows: u64,
    /// Entries that are suspect, as many as were asked for at most.
    suspects: Vec<Vec<u8>>,
    /// Whether there is something to be purged.
    purges: bool,
    /// What is known of the namespace once the suspects are gone.
    ledger: Ledger,
}

impl Space {
    /// Looks at all rows once for at most `limit` dead ones, and drops these; purges at most as many, if there
    /// is something to purge.
    pub(super) fn sweep_in_pass(
        &self,
        writer: &mut dyn Writer,
        home: Home,
        now: Timestamp,
        limit: usize,
    ) -> Result<(), Error> {
        let mut seen = look_through(writer, home, limit, |_, record| seems_dead(record, now))?;
        self.progress.saw(seen.rows);
        if seen.purges && purge(writer, limit)? {
            seen.ledger.due = ledger::NOW;
        }
        self.drop_suspects(writer, home, &seen.suspects, now)?;
        self.settle(writer, Some(home), Home { ledger: Some(seen.ledger), ..home })
    }

    /// Drops all that is to be purged, and all entries that are dead or damaged.
    pub(super) fn sweep_in_passes(&self, now: Timestamp) -> Result<Swept, Error> {
        self.purge_in_passes()?;
        let mut swept = Swept::default();
        loop {
            let seen = self.view_home(|reader, home| {
                look_through(reader, home, ROWS_PER_PASS, self.bad_by(now))
            })?;
            let Some((home, seen)) = seen else { return Ok(swept) };
            for some in seen.suspects.chunks(ROWS_PER_CHANGE) {
                let some = some.to_vec();
                swept += self.update(Sync::Relaxed, move |space, writer| {
                    space.drop_suspects(writer, home, &some, now)
                })?;
            }
            if seen.suspects.len() < ROWS_PER_PASS {
                return Ok(swept);
            }
        }
    }

    /// Deletes what is left of the ids that are to be purged, whichever namespace had them.
    fn purge_in_passes(&self) -> Result<(), Error> {
        let purges = view(&*self.engine, |reader| rows_below(reader, &[rows::PURGES.to_vec()]))?;
        if purges.is_empty() {
            return Ok(());
        }
        let below: Vec<_> = purges.iter().flat_map(|purge| rows::leftovers(purge)).collect();
        loop {
            let mut left = view(&*self.engine, |reader| rows_below(reader, &below))?;
            let is_last = left.len() < ROWS_PER_PASS;
            if is_last {
                left.extend_from_slice(&purges);
            }
            for some in left.chunks(ROWS_PER_CHANGE) {
                let some = some.to_vec();
                self.update(Sync::Relaxed, move |_, writer| {
                    some.iter().try_for_each(|row| writer.delete(row))
                })?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Looks at all rows once: notes at most `limit` of the entries of `home` that are suspect.
fn look_through<R: Reader + ?Sized>(
    reader: &R,
    home: Home,
    limit: usize,
    is_suspect: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<Seen, Error> {
    let (entries, claims) = (home.entry(&[]), home.claims());
    let ledger = Ledger::EMPTY;
    let mut seen = Seen { rows: 0, suspects: Vec::new(), purges: false, ledger };
    reader.each(&mut |row, record| {
        seen.rows += 1;
        if row.starts_with(rows::PURGES) {
            seen.purges = true;
        } else if row.starts_with(&claims) {
            seen.ledger.claims = seen.ledger.claims.saturating_add(1);
        } else if row.starts_with(&entries) {
            if seen.suspects.len() < limit && is_suspect(row, record) {
                seen.suspects.push(row.to_vec());
            } else {
                // One that says nothing is damaged, and due.
                let dies = envelope::says_it_dies(record).unwrap_or(ledger::NOW);
                seen.ledger.due = seen.ledger.due.min(dies);
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(seen)
}

/// Rows that begin with one of `prefixes`, [`ROWS_PER_PASS`] at most.
fn rows_below(reader: &dyn Reader, prefixes: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Error> {
    let mut found = Vec::new();
    reader.each(&mut |row, _| {
        if prefixes.iter().any(|prefix| row.starts_with(prefix)) {
            found.push(row.to_vec());
        }
        if found.len() < ROWS_PER_PASS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}
