//! `ls`.

use beaker_namespace::{Error, Listed, Namespace, Scan, Timestamp};

use crate::args::{ListArgs, StoreArgs};
use crate::commands::{open, parse_key};
use crate::exit::{Failure, OK, Outcome};
use crate::marks::Marks;
use crate::output;
use crate::report::{Life, json_line, table};
use crate::size;

pub(super) fn ls(args: &ListArgs, store: &StoreArgs) -> Outcome {
    let prefix = args.prefix.as_deref().map(parse_key).transpose()?;
    let namespace = open(store)?;
    let mut entries = Vec::new();
    let scan = prefix.iter().fold(Scan::new(), Scan::prefix);
    for_each(&*namespace, scan, |listed| {
        entries.push(listed);
        Ok(())
    })?;
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let now = namespace.clock().now();
    let mut marks = Marks::new(&*namespace);
    let rows = entries.into_iter().map(|listed| Row::new(listed, now, &mut marks));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let text = if args.json {
        rows.iter().map(json_line).collect()
    } else if rows.is_empty() {
        String::new()
    } else {
        table(["SIZE", "AGE", "EXPIRES", "KEY"], &rows.iter().map(cells).collect::<Vec<_>>())
    };
    output::print(text.as_bytes())?;
    Ok(OK)
}

/// Calls `each` for every entry that `scan` lists, page by page.
pub(super) fn for_each(
    namespace: &dyn Namespace,
    mut scan: Scan,
    mut each: impl FnMut(Listed) -> Result<(), Error>,
) -> Result<(), Failure> {
    loop {
        let page = namespace.scan(&scan)?;
        page.entries.into_iter().try_for_each(&mut each)?;
        match page.next {
            Some(next) => scan = scan.after(next),
            None => return Ok(()),
        }
    }
}

/// What is said of one entry.
#[derive(Debug, serde::Serialize)]
struct Row {
    key: String,
    size_bytes: Option<u64>,
    #[serde(flatten)]
    life: Life,
    tags: Vec<String>,
}

impl Row {
    fn new(listed: Listed, now: Timestamp, marks: &mut Marks<'_>) -> Result<Self, Error> {
        let life = Life::new(listed.began, listed.expires, now);
        let invalidated = marks.invalidate(&listed.tags, listed.began)?;
        Ok(Self {
            key: listed.key.to_string(),
            size_bytes: listed.size_bytes,
            life: if invalidated { life.invalidated() } else { life },
            tags: listed.tags,
        })
    }
}

fn cells(row: &Row) -> [String; 4] {
    let size = row.size_bytes.map_or_else(|| "-".to_owned(), size::display);
    [size, row.life.age(), row.life.expiry(), row.key.clone()]
}
