//! The namespace in this process's memory.

use std::sync::Arc;

use crate::{Clock, Error, Namespace, StoreUrl};

pub(crate) fn open(
    _url: &StoreUrl,
    _name: &str,
    _clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    Err(Error::new(crate::ErrorKind::Unsupported, "open"))
}
