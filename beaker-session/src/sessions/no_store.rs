//! The store of sessions that need none.

use std::sync::Arc;

use beaker_namespace::{Latency, Timestamp};

use crate::record::{Record, Version};
use crate::store::{Created, Deleted, Loaded, Renamed, Renaming, SessionStore, Touched, Updated};
use crate::{Error, ErrorKind, RecordKey};

/// Cookie-only sessions ask no store; a program may, and is told so.
#[derive(Debug)]
pub(super) struct NoStore;

fn none<T>(operation: &'static str) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Unsupported, operation)
        .with_detail("these sessions are kept in cookies, and there is no store"))
}

impl SessionStore for NoStore {
    fn latency(&self) -> Latency {
        Latency::Inline
    }

    fn create(&self, _: &RecordKey, _: &Arc<Record>) -> Result<Created, Error> {
        none("create session")
    }

    fn load(&self, _: &RecordKey) -> Result<Loaded, Error> {
        none("load session")
    }

    fn update(&self, _: &RecordKey, _: Version, _: &Arc<Record>) -> Result<Updated, Error> {
        none("update session")
    }

    fn touch(&self, _: &RecordKey, _: Timestamp) -> Result<Touched, Error> {
        none("touch session")
    }

    fn delete(&self, _: &RecordKey) -> Result<Deleted, Error> {
        none("delete session")
    }

    fn rename(&self, _: &Renaming<'_>) -> Result<Renamed, Error> {
        none("renew session")
    }
}
