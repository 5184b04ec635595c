//! A database's file, read without SQLite.
//
// What a look at one entry needs of SQLite's file format (https://sqlite.org/fileformat2.html), and no
// more: to start SQLite, open a connection and prepare a statement takes longer than a whole replay of
// a stored file. The rules:
//
// 1. Nothing is written, and nothing in the file is trusted: a number is checked before it is used,
//    each walk has an end, and beside the caller's limit no more is allocated than a page or a run of
//    pages (64 KiB). What does not fit, or is not supported here, is `None`.
// 2. An answer is no more than a guess: who asks checks the record itself (see glance.rs). So pages of
//    different moments do no harm.

mod pages;
mod record;
mod tree;

pub(super) use self::pages::Pages;
pub(super) use self::record::Value;
pub(super) use self::tree::{find_blob, find_entry, root_of};
