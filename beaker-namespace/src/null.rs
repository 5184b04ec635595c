//! The namespace that keeps nothing.

use std::sync::Arc;

use crate::{
    Capabilities, Capability, Claim, Clock, Entry, Error, Fulfilled, Key, Latency, Mark, Namespace,
    NamespaceId, Scope, Stats, SystemClock, Wait,
};

/// Keeps nothing: every read finds nothing and every write succeeds.
///
/// For switching a cache off without changing the code around it.
#[derive(Debug)]
pub struct NullNamespace {
    id: NamespaceId,
    clock: Arc<dyn Clock>,
}

impl NullNamespace {
    /// A namespace called `name` that keeps nothing.
    pub fn new(name: &str) -> Self {
        Self::with_clock(name, Arc::new(SystemClock))
    }

    /// The same, with a clock of your own.
    pub fn with_clock(name: &str, clock: Arc<dyn Clock>) -> Self {
        Self { id: NamespaceId::new("null:", name), clock }
    }
}

impl Namespace for NullNamespace {
    fn id(&self) -> &NamespaceId {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(&[Capability::Objects, Capability::Bytes, Capability::Marks])
    }

    fn latency(&self) -> Latency {
        Latency::Inline
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn get(&self, _key: &Key) -> Result<Option<Entry>, Error> {
        Ok(None)
    }

    fn set(&self, _key: &Key, _entry: Entry) -> Result<(), Error> {
        Ok(())
    }

    fn remove(&self, _key: &Key) -> Result<bool, Error> {
        Ok(false)
    }

    fn clear(&self) -> Result<(), Error> {
        Ok(())
    }

    fn claim(&self, _key: &Key, _wait: Wait) -> Result<Option<Claim>, Error> {
        Ok(Some(Claim::new(0)))
    }

    fn fulfil(&self, _key: &Key, _entry: Entry, _claim: Claim) -> Result<Fulfilled, Error> {
        Ok(Fulfilled::Stored)
    }

    /// Forgets the mark: there is never an entry that it could invalidate.
    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        Mark::check_name(name)?;
        Ok(mark)
    }

    fn stats(&self) -> Stats {
        Stats { entries: Some(0), ..Stats::default() }
    }
}
