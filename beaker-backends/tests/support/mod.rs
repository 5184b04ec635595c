//! What the fault tests and the storms share.
//!
//! The table of stores and the control that does everything wrong; children, which are this test
//! binary run again; damage to files; and the lines of the report.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod bare;
pub(crate) mod children;
pub(crate) mod files;
pub(crate) mod report;
pub(crate) mod stores;
pub(crate) mod values;
