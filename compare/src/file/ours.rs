//! Our store of files, through a cache of texts.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use beaker_container::Cache;
use beaker_namespace::{FileConfig, FileNamespace};

use super::{OURS, Store, timed};
use crate::args::Args;

pub(super) fn store(dir: &Path, entries: usize, args: &Args) -> Result<Store, Box<dyn Error>> {
    let namespace = FileNamespace::open("compare", FileConfig::new(dir.join("beaker")))?;
    let cache = Cache::<String, String>::new(Arc::new(namespace));
    let reads = cache.with_ttl(Duration::from_secs(3600));
    let writes = reads.clone();
    timed(
        OURS,
        entries,
        args,
        move |key| Ok(reads.get(key)?.is_some()),
        move |key, value| Ok(writes.insert(key, value)?),
    )
}
