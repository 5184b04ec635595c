//! Without the feature `metrics`.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Namespace, NamespaceId};

use crate::RemovalCause;
use crate::life::Count;

#[derive(Debug)]
pub(crate) struct Meter;

impl Meter {
    pub(crate) const fn new(_cache: &NamespaceId) -> Self {
        Self
    }

    pub(crate) const fn watch(&self, _namespace: &Arc<dyn Namespace>) {}

    pub(crate) const fn count(&self, _what: Count) {}

    pub(crate) const fn read(&self, _found: bool, _took: Duration) {}

    pub(crate) const fn invalidated(&self, _cause: &RemovalCause) {}

    pub(crate) const fn created(&self, _took: Duration) {}
}
