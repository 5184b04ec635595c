//! Claims about the inside of a memory namespace.
