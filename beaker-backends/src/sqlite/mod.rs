//! A namespace in an SQLite database.
