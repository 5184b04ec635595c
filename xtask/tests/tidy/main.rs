//! Rules for the tree itself. Each rule is a function from a text to what is wrong with it,
//! so that each has a test in which it finds something.
#![forbid(unsafe_code)]

mod docs;
mod manifests;
mod sources;
mod tree;
