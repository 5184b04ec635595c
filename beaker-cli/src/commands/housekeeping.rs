//! `stats`, `clear` and `gc`.

use beaker_container::CLEARED;
use beaker_namespace::{
    Condition, ConditionalSet, Entry, Mark, Namespace, Payload, Scan, Timestamp, Wait,
};
use serde::Serialize;

use crate::args::{JsonArgs, StoreArgs};
use crate::commands::listing::for_each;
use crate::commands::{names, open};
use crate::exit::{Failure, OK, Outcome};
use crate::marks::Marks;
use crate::output;
use crate::report::{json_line, table};
use crate::size;
use crate::store::Store;

/// The counts of one namespace.
#[derive(Debug, Serialize)]
struct Counts {
    namespace: String,
    entries: u64,
    /// Or invalidated.
    expired: u64,
    size_bytes: u64,
}

pub(super) fn stats(args: &JsonArgs, store: &StoreArgs) -> Outcome {
    let opened = Store::from_args(store)?;
    let counts = names(store).into_iter().map(|name| count(&opened, name));
    let counts = counts.collect::<Result<Vec<_>, _>>()?;
    let text = if args.json {
        counts.iter().map(json_line).collect()
    } else {
        let rows = counts.iter().map(cells).collect::<Vec<_>>();
        table(["ENTRIES", "EXPIRED", "SIZE", "NAMESPACE"], &rows)
    };
    output::print(text.as_bytes())?;
    Ok(OK)
}

fn count(store: &Store, name: &str) -> Result<Counts, Failure> {
    let namespace = store.open(name)?;
    let now = namespace.clock().now();
    let mut counts = Counts { namespace: name.to_owned(), entries: 0, expired: 0, size_bytes: 0 };
    let mut marks = Marks::new(&*namespace);
    for_each(&*namespace, Scan::new(), |listed| {
        let invalidated = marks.invalidate(&listed.tags, listed.began)?;
        counts.entries += 1;
        counts.expired += u64::from(invalidated || listed.expires <= now);
        counts.size_bytes += listed.size_bytes.unwrap_or(0);
        Ok(())
    })?;
    Ok(counts)
}

fn cells(counts: &Counts) -> [String; 4] {
    [
        counts.entries.to_string(),
        counts.expired.to_string(),
        size::display(counts.size_bytes),
        counts.namespace.clone(),
    ]
}

pub(super) fn clear(store: &StoreArgs) -> Outcome {
    let namespace = open(store)?;
    namespace.clear()?;
    // For `why`. It is cleared, whether or not the store can note when.
    let _noted = namespace.mark(CLEARED, Mark::hard(namespace.clock().now()));
    // What the store would delete behind the call, which ends with this process.
    namespace.sweep()?;
    Ok(OK)
}

pub(super) fn gc(store: &StoreArgs) -> Outcome {
    let opened = Store::from_args(store)?;
    let mut text = String::new();
    for name in names(store) {
        let namespace = opened.open(name)?;
        let gone = end_invalidated(&*namespace)?;
        let swept = namespace.sweep()?;
        text += &format!("{name}: dropped {} expired, ", swept.expired.saturating_sub(gone));
        if gone > 0 {
            text += &format!("{gone} invalidated, ");
        }
        text += &format!("{} corrupt, {} left over\n", swept.corrupt, swept.leftovers);
    }
    output::print(text.as_bytes())?;
    Ok(OK)
}

/// Makes dead what was invalidated for good, so that a sweep drops it. Says how many entries that were.
///
/// By a conditional write, under the claim: what is made anew meanwhile stays, and who makes it is not
/// told that it was for nothing.
fn end_invalidated(namespace: &dyn Namespace) -> Result<u64, Failure> {
    let mut gone = Vec::new();
    let mut marks = Marks::new(namespace);
    for_each(namespace, Scan::new(), |listed| {
        if marks.remove(&listed.tags, listed.began)? {
            gone.push((listed.key, listed.generation));
        }
        Ok(())
    })?;
    let mut ended = 0;
    for (key, generation) in gone {
        let Some(_claim) = namespace.claim(&key, Wait::Never)? else { continue };
        let past = Timestamp::from_micros(0);
        let dead = Entry::new(Payload::raw(""), past).times(past, past);
        let set = namespace.set_if(&key, dead, Condition::Generation(generation))?;
        ended += u64::from(matches!(set, ConditionalSet::Stored { .. }));
    }
    Ok(ended)
}
