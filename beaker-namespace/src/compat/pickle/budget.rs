use super::OPERATION;
use crate::{Error, ErrorKind};

/// How much reading may take.
///
/// The limits hold for one reading: of one pickle, or of all records of one namespace together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    pub(super) bytes: u32,
    pub(super) values: u32,
}

impl Limits {
    /// 256 MiB, and 4 Mi (4,194,304) values.
    pub const fn new() -> Self {
        Self { bytes: 256 << 20, values: 4 << 20 }
    }

    /// The most bytes read from files, and again the most bytes of texts and byte strings made from
    /// them. Default: 256 MiB; zero reads nothing.
    pub const fn max_bytes(mut self, bytes: u32) -> Self {
        self.bytes = bytes;
        self
    }

    /// The most values made, containers and what is in them, and again the most that a pickle may
    /// have before values that it uses twice are doubled. Each takes 32 bytes while it is read and
    /// 32 when it is made. Default: 4,194,304.
    pub const fn max_values(mut self, values: u32) -> Self {
        self.values = values;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// What is left of the [`Limits`] of one reading.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    input: u32,
    nodes: u32,
    text: u32,
    values: u32,
}

impl Budget {
    /// All that `limits` allow.
    pub fn new(limits: Limits) -> Self {
        let Limits { bytes, values } = limits;
        Self { limits, input: bytes, nodes: values, text: bytes, values }
    }

    /// The bytes that may still be read.
    pub fn input_left(&self) -> u64 {
        self.input.into()
    }

    /// Counts bytes that are to be read or parsed.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) if there are more than are left.
    pub fn take_input(&mut self, bytes: usize) -> Result<(), Error> {
        let limit = self.limits.bytes;
        take(&mut self.input, bytes).ok_or_else(|| beyond(limit, "bytes in files"))
    }

    /// Counts one node or one note of the machine.
    pub(super) fn take_node(&mut self) -> Result<(), Error> {
        let limit = self.limits.values;
        take(&mut self.nodes, 1).ok_or_else(|| beyond(limit, "values in the file"))
    }

    /// Counts bytes of a text that is to be made.
    pub(super) fn take_text(&mut self, bytes: usize) -> Result<(), Error> {
        let limit = self.limits.bytes;
        take(&mut self.text, bytes).ok_or_else(|| beyond(limit, "bytes of texts"))
    }

    /// Counts values that are to be made.
    pub(super) fn take_values(&mut self, count: usize) -> Result<(), Error> {
        let limit = self.limits.values;
        take(&mut self.values, count).ok_or_else(|| beyond(limit, "values"))
    }
}

fn take(left: &mut u32, count: usize) -> Option<()> {
    *left = left.checked_sub(u32::try_from(count).ok()?)?;
    Some(())
}

fn beyond(limit: u32, what: &str) -> Error {
    Error::new(ErrorKind::TooLarge, OPERATION)
        .with_detail(format!("the records hold more than {limit} {what}; raise the limit"))
}
