//! Faults that a model puts in on purpose. The places that ask for one are nothing in an ordinary build.

#[cfg(beaker_loom)]
pub(super) use self::built_in::has;
#[cfg(beaker_loom)]
pub use self::built_in::with_fault;

/// A fault of the locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(beaker_loom), expect(unreachable_pub, reason = "public to the models alone"))]
pub enum Fault {
    /// Who is handed the lock is not told.
    SilentHandOver,
    /// A task looks, and leaves its waker only afterwards.
    WakerLeftLate,
    /// Who gives up does not look whether he was handed the lock just then.
    GivesUpDeaf,
}

#[cfg(not(beaker_loom))]
pub(super) const fn has(_fault: Fault) -> bool {
    false
}

#[cfg(beaker_loom)]
mod built_in {
    use std::cell::Cell;

    use super::Fault;

    std::thread_local! {
        // Loom runs its threads on the one that calls it, so this is one value for a whole model.
        static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    pub(in super::super) fn has(fault: Fault) -> bool {
        FAULT.get() == Some(fault)
    }

    /// Runs `model` with one fault built in.
    pub fn with_fault(fault: Fault, model: impl FnOnce()) {
        // Set back also when the model finds the fault, by a panic.
        struct Reset;
        impl Drop for Reset {
            fn drop(&mut self) {
                FAULT.set(None);
            }
        }
        let _reset = Reset;
        FAULT.set(Some(fault));
        model();
    }
}
