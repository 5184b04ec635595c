//! `ls`.

use beaker_namespace::{Listed, Namespace, Scan, Timestamp};

use crate::args::{ListArgs, StoreArgs};
use crate::commands::{open, parse_key};
use crate::exit::{Failure, OK, Outcome};
use crate::output;
use crate::report::{Life, json_line, table};
use crate::size;

pub(super) fn ls(args: &ListArgs, store: &StoreArgs) -> Outcome {
    let prefix = args.prefix.as_deref().map(parse_key).transpose()?;
    let namespace = open(store)?;
    let mut entries = Vec::new();
    let scan = prefix.iter().fold(Scan::new(), Scan::prefix);
    for_each(&*namespace, scan, |listed| entries.push(listed))?;
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let now = namespace.clock().now();
    let text = if args.json {
        entries.iter().map(|listed| json_line(&Row::new(listed, now))).collect()
    } else {
        let rows = entries.iter().map(|listed| cells(&Row::new(listed, now))).collect::<Vec<_>>();
        if rows.is_empty() {
            String::new()
        } else {
            table(["SIZE", "AGE", "EXPIRES", "KEY"], &rows)
        }
    };
    output::print(text.as_bytes())?;
    Ok(OK)
}

/// Calls `each` for every entry that `scan` lists, page by page.
pub(super) fn for_each(
    namespace: &dyn Namespace,
    mut scan: Scan,
    mut each: impl FnMut(Listed),
) -> Result<(), Failure> {
    loop {
        let page = namespace.scan(&scan)?;
        page.entries.into_iter().for_each(&mut each);
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
}

impl Row {
    fn new(listed: &Listed, now: Timestamp) -> Self {
        Self {
            key: listed.key.to_string(),
            size_bytes: listed.size_bytes,
            life: Life::new(listed.began, listed.expires, now),
        }
    }
}

fn cells(row: &Row) -> [String; 4] {
    let size = row.size_bytes.map_or_else(|| "-".to_owned(), size::display);
    [size, row.life.age(), row.life.expiry(), row.key.clone()]
}
