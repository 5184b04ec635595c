//! The store of sessions that are to ask none.

use std::sync::Arc;

use beaker_namespace::{Latency, Timestamp};

use crate::record::{Record, Version};
use crate::store::{Created, Deleted, Loaded, Renamed, Renaming, SessionStore, Touched, Updated};
use crate::{Error, ErrorKind, RecordKey};

/// The sessions ask none; a program may, and is told why there is none.
#[derive(Debug, Clone, Copy)]
pub(super) enum NoStore {
    /// They are in their cookies.
    InCookies,
    /// It is asked by who drives the core.
    Driven,
}

impl NoStore {
    fn none<T>(self, operation: &'static str) -> Result<T, Error> {
        Err(Error::new(ErrorKind::Unsupported, operation).with_detail(match self {
            Self::InCookies => "these sessions are kept in cookies, and there is no store",
            Self::Driven => "a core has no store; begin it by the core, and drive that",
        }))
    }
}

impl SessionStore for NoStore {
    fn latency(&self) -> Latency {
        Latency::Inline
    }

    fn create(&self, _: &RecordKey, _: &Arc<Record>) -> Result<Created, Error> {
        self.none("create session")
    }

    fn load(&self, _: &RecordKey) -> Result<Loaded, Error> {
        self.none("load session")
    }

    fn update(&self, _: &RecordKey, _: Version, _: &Arc<Record>) -> Result<Updated, Error> {
        self.none("update session")
    }

    fn touch(&self, _: &RecordKey, _: Timestamp) -> Result<Touched, Error> {
        self.none("touch session")
    }

    fn delete(&self, _: &RecordKey) -> Result<Deleted, Error> {
        self.none("delete session")
    }

    fn rename(&self, _: &Renaming<'_>) -> Result<Renamed, Error> {
        self.none("renew session")
    }
}
