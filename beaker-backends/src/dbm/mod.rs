//! A namespace in a GNU dbm file.
