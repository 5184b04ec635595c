//! A namespace in a redb file.
