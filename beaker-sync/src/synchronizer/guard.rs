use std::marker::PhantomData;

use crate::Synchronizer;

/// Proof that this thread reads; dropping it gives the access back, with the last guard for good.
///
/// Not [`Send`]: an access belongs to the thread that asked for it. A thread can thus give back only
/// what it holds, as often as it holds it.
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<beaker_sync::ReadGuard<'static>>();
/// ```
#[must_use = "the access is given back as soon as the guard is dropped"]
#[derive(Debug)]
pub struct ReadGuard<'a>(#[expect(dead_code, reason = "held for its drop")] pub(super) Hold<'a>);

/// Proof that this thread alone writes; dropping it gives the access back, with the last guard for
/// good.
///
/// Not [`Send`]: an access belongs to the thread that asked for it.
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<beaker_sync::WriteGuard<'static>>();
/// ```
#[must_use = "the access is given back as soon as the guard is dropped"]
#[derive(Debug)]
pub struct WriteGuard<'a>(#[expect(dead_code, reason = "held for its drop")] pub(super) Hold<'a>);

/// One entry of this thread, undone by the drop.
#[derive(Debug)]
pub(super) struct Hold<'a> {
    synchronizer: &'a Synchronizer,
    _not_send: PhantomData<*const ()>,
}

impl<'a> Hold<'a> {
    /// Takes over the duty to leave `synchronizer`, which this thread has entered.
    pub(super) fn new(synchronizer: &'a Synchronizer) -> Self {
        Self { synchronizer, _not_send: PhantomData }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.synchronizer.leave();
    }
}
