//! Which run of the computer this is: what lies in a file from an earlier one may be torn by a power cut.

use std::sync::LazyLock;

/// The length of a UUID as a text.
pub(crate) const ID_BYTES: usize = 36;

/// The UUID that this run of the computer has, as a text; `None` where the system gives none.
pub(crate) fn id() -> Option<[u8; ID_BYTES]> {
    static ID: LazyLock<Option<[u8; ID_BYTES]>> = LazyLock::new(|| {
        let text = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
        text.first_chunk().copied()
    });
    *ID
}

/// The first 64 bits of it, which differ from those of other runs as well as made.
#[cfg(any(feature = "redb", feature = "sled", feature = "dbm"))]
pub(crate) fn number() -> Option<u64> {
    static NUMBER: LazyLock<Option<u64>> = LazyLock::new(|| {
        let digits: Vec<u8> = id()?.into_iter().filter(u8::is_ascii_hexdigit).take(16).collect();
        u64::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
    });
    *NUMBER
}
