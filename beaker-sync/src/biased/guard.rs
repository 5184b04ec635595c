//! The rights to read and to write.
#![allow(unsafe_code, reason = "a guard is what makes the access sound")]

use std::ops::{Deref, DerefMut};
use std::{fmt, marker::PhantomData};

use super::lock::BiasedRwLock;
use super::seat::Seat;
use crate::primitive::{BelowReadGuard, BelowWriteGuard};

/// By what a reader keeps writers out.
pub(super) enum Held<'a> {
    Seat(&'static Seat),
    Below(#[expect(dead_code, reason = "it is held, and dropped")] BelowReadGuard<'a>),
}

impl Drop for Held<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Self::Seat(seat) = self {
            seat.rise();
        }
    }
}

/// The right to read; others may read, too.
///
/// It stays on its thread:
///
/// ```compile_fail,E0277
/// # use beaker_sync::BiasedRwLock;
/// static ROUTES: BiasedRwLock<Vec<u32>> = BiasedRwLock::new(Vec::new());
/// let guard = ROUTES.read();
/// std::thread::spawn(move || drop(guard));
/// ```
#[must_use = "the lock is given back when this is dropped"]
pub struct BiasedReadGuard<'a, T: ?Sized> {
    lock: &'a BiasedRwLock<T>,
    _held: Held<'a>,
    /// A seat is its thread's: the guard is not `Send`.
    _thread: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for BiasedReadGuard<'_, T> {}

impl<'a, T: ?Sized> BiasedReadGuard<'a, T> {
    #[inline(always)]
    pub(super) const fn new(lock: &'a BiasedRwLock<T>, held: Held<'a>) -> Self {
        Self { lock, _held: held, _thread: PhantomData }
    }
}

impl<T: ?Sized> Deref for BiasedReadGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: while `_held` is there no writer has passed `BiasedRwLock::shut`, so nobody has `&mut T`.
        unsafe { &*self.lock.value() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for BiasedReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The right to write: nobody else reads or writes. It stays on its thread.
#[must_use = "the lock is given back when this is dropped"]
pub struct BiasedWriteGuard<'a, T: ?Sized> {
    lock: &'a BiasedRwLock<T>,
    _below: BelowWriteGuard<'a>,
    /// Its thread's, whatever parking_lot's features say of the guard below.
    _thread: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for BiasedWriteGuard<'_, T> {}

impl<'a, T: ?Sized> BiasedWriteGuard<'a, T> {
    /// The caller has shut the readers out.
    #[inline(always)]
    pub(super) const fn new(lock: &'a BiasedRwLock<T>, below: BelowWriteGuard<'a>) -> Self {
        Self { lock, _below: below, _thread: PhantomData }
    }
}

impl<T: ?Sized> Deref for BiasedWriteGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: `_below` keeps out all who would take the lock below, and `BiasedRwLock::shut` those who
        // would pass it.
        unsafe { &*self.lock.value() }
    }
}

impl<T: ?Sized> DerefMut for BiasedWriteGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { &mut *self.lock.value() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for BiasedWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
