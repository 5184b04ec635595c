use std::convert::Infallible;

use beaker_namespace::Latency;

use super::BeakerOptions;
use super::read::wrong;
use crate::Error;
use crate::compat::{BeakerId, Change, TextStore};

/// A store that there is none of.
#[derive(Debug)]
pub(super) struct NoDbm(Infallible);

/// Says what to enable.
pub(super) fn files(_: &BeakerOptions) -> Result<NoDbm, Error> {
    Err(wrong("type", "dbm is not compiled in; enable the feature `beaker-dbm`"))
}

impl TextStore for NoDbm {
    fn latency(&self) -> Latency {
        match self.0 {}
    }

    fn read(&self, _: &BeakerId) -> Result<Option<String>, Error> {
        match self.0 {}
    }

    fn update(
        &self,
        _: &BeakerId,
        _: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error> {
        match self.0 {}
    }
}
