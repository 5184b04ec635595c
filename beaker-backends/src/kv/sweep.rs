//! Drops what is dead, damaged or belongs to nobody.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_namespace::{Error, Swept, Timestamp, envelope};
use parking_lot::Mutex;

use super::claims;
use super::engine::{Reader, Sharing, Sync, Writer, view};
use super::ledger;
use super::round::Round;
use super::rows::{self, Home};
use super::space::Space;

/// Writes after which some of what is dead is dropped.
const WRITES_PER_PART: u64 = 64;

/// The same where all rows are looked at; see [`Engine::walks_straight`](super::Engine).
const WRITES_PER_PASS: u64 = 8_192;

/// How many times as many writes there are until a pass that is not due. It finds what nobody has noted:
/// damaged entries, and what other namespaces left. So many times fewer rows are looked at in a part that is not due.
const UNASKED: u64 = 16;

/// The rows that a sweep deals with in one change.
pub(super) const ROWS_PER_CHANGE: usize = 1_000;

/// The claims that a sweep ends in one change; their lock files are open at once.
const CLAIMS_PER_CHANGE: usize = 64;

/// How far the writes of this process are with dropping what is dead.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Writes since some was dropped last.
    writes: AtomicU64,
    /// Where the look is that goes part by part.
    round: Mutex<Round>,
    /// The rows of the store, when all were looked at last.
    rows: AtomicU64,
}

impl Progress {
    /// Entries were written of which the first dies at `dies`.
    pub(super) fn wrote(&self, dies: Timestamp) {
        self.round.lock().wrote(dies);
    }

    /// All rows were looked at, and so many there were.
    pub(super) fn saw(&self, rows: u64) {
        self.rows.store(rows, Ordering::Relaxed);
    }
}

/// Rows that may have to go, and where the look at them ended.
#[derive(Debug, Default)]
struct Suspects {
    rows: Vec<Vec<u8>>,
    /// The last row that was looked at; `None` at the end of the namespace.
    last: Option<Vec<u8>>,
}

impl Space {
    /// Counts `writes`; drops some of what is dead when it is time to.
    ///
    /// As many rows are looked at, if some can be dead, and as many purged, as were written since the last time.
    /// Where all have to be looked at, that is done when it is due.
    pub(super) fn sweep_now_and_then(
        &self,
        writer: &mut dyn Writer,
        home: Home,
        now: Timestamp,
        writes: usize,
    ) -> Result<(), Error> {
        let straight = self.engine.walks_straight();
        let every = match straight {
            true => WRITES_PER_PART,
            false => self.progress.rows.load(Ordering::Relaxed).max(WRITES_PER_PASS),
        };
        let writes =
            writes as u64 + self.progress.writes.fetch_add(writes as u64, Ordering::Relaxed);
        let is_time = straight || home.is_due(now) || writes >= every.saturating_mul(UNASKED);
        if writes < every || !is_time {
            return Ok(());
        }
        self.progress.writes.store(0, Ordering::Relaxed);
        match straight {
            true => self.sweep_part(writer, home, now, writes as usize),
            false => self.sweep_in_pass(writer, home, now, writes as usize),
        }
    }

    /// Purges at most `limit` rows, and looks at as many of `home`; drops those of them that are dead.
    fn sweep_part(
        &self,
        writer: &mut dyn Writer,
        home: Home,
        now: Timestamp,
        limit: usize,
    ) -> Result<(), Error> {
        purge(writer, limit)?;
        let mut round = self.progress.round.lock();
        round.go_on_in(home.id);
        let is_due = self.is_shared() || round.is_due(now);
        let limit = if is_due { limit } else { limit.div_ceil(UNASKED as usize) };
        let first = Cell::new(Timestamp::NEVER);
        let is_dead = |_: &[u8], record: &[u8]| {
            let dies = envelope::says_it_dies(record).unwrap_or(ledger::NOW);
            first.set(first.get().min(dies));
            dies <= now
        };
        let suspects = self.suspects(writer, home, round.after(), limit, is_dead)?;
        round.saw(first.get(), suspects.last);
        drop(round);
        self.drop_suspects(writer, home, &suspects.rows, now).map(drop)
    }

    /// Whether other processes write to the store too.
    fn is_shared(&self) -> bool {
        matches!(self.engine.sharing(), Sharing::Host { .. })
    }

    /// Drops everything that is dead, damaged or left behind.
    pub(super) fn sweep(&self, now: Timestamp) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        swept.leftovers += self.sweep_claims()?;
        if !self.engine.walks_straight() {
            swept += self.sweep_in_passes(now)?;
            self.engine.give_back()?;
            return Ok(swept);
        }
        while self.update(Sync::Relaxed, |_, writer| purge(writer, ROWS_PER_CHANGE))? {}
        let mut after = Some(Vec::new());
        while let Some(from) = after {
            let (some, next) = self.sweep_some(from, now)?;
            swept += some;
            after = next;
        }
        self.engine.give_back()?;
        Ok(swept)
    }

    /// Looks at some entries after the row `from`; says what was dropped and where to go on.
    fn sweep_some(&self, from: Vec<u8>, now: Timestamp) -> Result<(Swept, Option<Vec<u8>>), Error> {
        let seen = self.view_home(|reader, home| {
            self.suspects(reader, home, &from, ROWS_PER_CHANGE, self.bad_by(now))
        })?;
        let Some((home, Suspects { rows, last })) = seen else { return Ok(Default::default()) };
        if rows.is_empty() {
            return Ok((Swept::default(), last));
        }
        let dropped = self.update(Sync::Relaxed, move |space, writer| {
            space.drop_suspects(writer, home, &rows, now)
        })?;
        Ok((dropped, last))
    }

    /// The rows that are `suspect`, of the `limit` entries after the row `after`.
    fn suspects<R: Reader + ?Sized>(
        &self,
        reader: &R,
        home: Home,
        after: &[u8],
        limit: usize,
        is_suspect: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<Suspects, Error> {
        let mut suspects = Suspects::default();
        let mut seen = 0;
        let prefix = home.entry(&[]);
        // A row of another id is from before the namespace was cleared.
        let after = after.starts_with(&prefix).then_some(after);
        reader.walk(&prefix, after, &mut |row, record| {
            if is_suspect(row, record) {
                suspects.rows.push(row.to_vec());
            }
            seen += 1;
            if seen < limit {
                return ControlFlow::Continue(());
            }
            suspects.last = Some(row.to_vec());
            ControlFlow::Break(())
        })?;
        Ok(suspects)
    }

    /// The namespace, and what `look` sees of it; `None` if nothing was ever stored there.
    pub(super) fn view_home<T>(
        &self,
        look: impl FnOnce(&dyn Reader, Home) -> Result<T, Error>,
    ) -> Result<Option<(Home, T)>, Error> {
        view(&*self.engine, |reader| {
            let home = Home::find(reader, &self.name)?;
            home.map(|home| Ok((home, look(reader, home)?))).transpose()
        })
    }

    /// Tells what is dead by `now`, or damaged.
    pub(super) fn bad_by(&self, now: Timestamp) -> impl Fn(&[u8], &[u8]) -> bool {
        move |row, record| self.judge(row, record, now) != Judgement::Fine
    }

    fn judge(&self, row: &[u8], record: &[u8], now: Timestamp) -> Judgement {
        match self.decode_row(row, record) {
            Ok((_, entry, _)) if entry.is_dead(now) => Judgement::Dead,
            Ok(_) => Judgement::Fine,
            Err(_) => Judgement::Corrupt,
        }
    }

    /// Drops those rows that are still what they were taken for.
    pub(super) fn drop_suspects(
        &self,
        writer: &mut dyn Writer,
        home: Home,
        suspects: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        if Home::find(writer, &self.name)?.is_none_or(|there| there.id != home.id) {
            return Ok(swept);
        }
        for row in suspects {
            let Some(record) = writer.get(row)? else { continue };
            match self.judge(row, &record, now) {
                Judgement::Fine => continue,
                Judgement::Dead => swept.expired += 1,
                Judgement::Corrupt => swept.corrupt += 1,
            }
            writer.delete(row)?;
        }
        self.counts.expirations.add(swept.expired);
        self.counts.corrupt.add(swept.corrupt);
        Ok(swept)
    }

    /// Drops the tokens of claims that nobody holds any more, and the lock files that killed
    /// processes left.
    fn sweep_claims(&self) -> Result<u64, Error> {
        let Sharing::Host { locks } = self.engine.sharing() else { return Ok(0) };
        let files = beaker_sync::clean(locks)
            .map_err(|error| Error::lock("sweep the claims", error))?
            .removed as u64;
        let Some((home, noted)) = self.noted_claims()? else { return Ok(files) };
        for some in noted.chunks(CLAIMS_PER_CHANGE) {
            let (mut abandoned, mut guards) = (Vec::new(), Vec::new());
            for (row, token) in some {
                let lock = claims::lock_of(locks, &self.name, rows::key_in(row));
                let free =
                    lock.try_lock().map_err(|error| Error::lock("sweep the claims", error))?;
                if let Some(guard) = free {
                    guards.push(guard);
                    abandoned.push((row.clone(), token.clone()));
                }
            }
            if !abandoned.is_empty() {
                self.end_claims(home, abandoned)?;
            }
        }
        Ok(files)
    }

    /// The claims' rows with their tokens, and what they are claims in.
    fn noted_claims(&self) -> Result<Option<(Home, Vec<NotedClaim>)>, Error> {
        self.view_home(|reader, home| {
            let (mut noted, claims) = (Vec::new(), home.claims());
            let mut visit = |row: &[u8], token: &[u8]| {
                if row.starts_with(&claims) {
                    noted.push((row.to_vec(), token.to_vec()));
                }
                ControlFlow::Continue(())
            };
            match self.engine.walks_straight() {
                true => reader.walk(&claims, None, &mut visit)?,
                false => reader.each(&mut visit)?,
            }
            Ok(noted)
        })
    }

    /// Deletes the rows of `abandoned` claims of `home` that still have those tokens.
    fn end_claims(&self, home: Home, abandoned: Vec<NotedClaim>) -> Result<(), Error> {
        self.update(Sync::Relaxed, move |space, writer| {
            let mut ended = 0;
            for (row, token) in &abandoned {
                if writer.get(row)?.is_some_and(|now| now[..] == token[..]) {
                    writer.delete(row)?;
                    ended += 1;
                }
            }
            match Home::find(writer, &space.name)? {
                Some(now) if now.id == home.id => {
                    space.settle(writer, Some(now), now.with_fewer_claims(ended))
                }
                _ => Ok(()),
            }
        })
    }
}

/// A claim's row and its token.
type NotedClaim = (Vec<u8>, Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Fine,
    Dead,
    Corrupt,
}

/// Whether `record`, which is not checked, says that it is dead by `now`, or says nothing. A closer look
/// follows.
pub(super) fn seems_dead(record: &[u8], now: Timestamp) -> bool {
    envelope::says_it_dies(record).is_none_or(|dies| dies <= now)
}

/// Deletes at most `limit` rows that belong to no namespace; says whether some may be left.
pub(super) fn purge(writer: &mut dyn Writer, limit: usize) -> Result<bool, Error> {
    let Some(purge) = first(writer, rows::PURGES, 1)?.pop() else { return Ok(false) };
    let mut rows = Vec::new();
    for prefix in rows::leftovers(&purge) {
        rows.append(&mut first(writer, &prefix, limit - rows.len())?);
    }
    for row in &rows {
        writer.delete(row)?;
    }
    if rows.len() < limit {
        writer.delete(&purge)?;
    }
    Ok(true)
}

/// The first `limit` rows that begin with `prefix`.
fn first(writer: &mut dyn Writer, prefix: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Error> {
    let mut rows = Vec::new();
    if limit == 0 {
        return Ok(rows);
    }
    writer.walk(prefix, None, &mut |row, _| {
        rows.push(row.to_vec());
        if rows.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(rows)
}

const _: fn() = || {
    fn assert<T: Send + std::marker::Sync>() {}
    assert::<Arc<Space>>();
};
