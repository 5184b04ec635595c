//! Readers for what Python's Beaker wrote.
