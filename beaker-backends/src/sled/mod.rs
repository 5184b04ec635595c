//! A namespace in a sled directory: legacy.
