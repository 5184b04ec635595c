//! Structs that are no session, and changes that are not understood.

#![allow(unreachable_patterns, reason = "what serde says of two fields of one name")]

use beaker_macros::SessionData;
use serde::{Deserialize, Serialize};

#[derive(SessionData)]
struct Unnumbered {
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 0)]
struct Zeroth {
    pages: u32,
}

#[derive(SessionData)]
#[session(version = "2")]
struct NoNumber {
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
#[session(version = 3)]
struct Twice {
    pages: u32,
}

#[derive(SessionData)]
#[session(verison = 2)]
struct Misspelt {
    pages: u32,
}

#[derive(SessionData)]
#[session(version)]
struct NoValue {
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 1, migrate)]
struct NoFunction {
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2, drop = "colour", before = 2)]
struct NotAlone {
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
#[session(drop = "colour")]
struct DroppedWhen {
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
#[session(drop = colour, before = 2)]
struct NoText {
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct RenamedWhen {
    #[session(was = "hits")]
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct WasWhat {
    #[session(before = 2)]
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct OfTheStruct {
    #[session(drop = "hits", before = 2)]
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct NotYet {
    #[session(was = "hits", before = 3)]
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct BeforeAll {
    #[session(was = "hits", before = 0)]
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct Same {
    #[session(was = "pages", before = 2)]
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct TwoChanges {
    #[session(was = "hits", before = 2)]
    #[session(convert = u32::from_be, before = 2)]
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct BothWere {
    #[session(was = "hits", before = 2)]
    pages: u32,
    #[session(was = "hits", before = 2)]
    views: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
#[session(drop = "hits", before = 2)]
struct DroppedAndRenamed {
    #[session(was = "hits", before = 2)]
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 3)]
struct BothAre {
    #[session(was = "hits", before = 2)]
    #[session(was = "count", before = 3)]
    pages: u32,
    #[session(was = "visits", before = 2)]
    count: u32,
}

#[derive(SessionData)]
#[session(version = 3)]
struct BothAreBetween {
    #[session(was = "x", before = 2)]
    y: u32,
    #[session(was = "y", before = 3)]
    b: u32,
}

#[derive(Serialize, Deserialize, SessionData)]
#[session(version = 3)]
struct BothAreNow {
    #[session(was = "x", before = 2)]
    y: u32,
    #[serde(rename = "y")]
    b: u32,
}

#[derive(SessionData)]
#[session(version = 3)]
#[session(drop = "y", before = 3)]
struct DroppedAndThere {
    #[session(was = "x", before = 2)]
    y: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct NotTheirs {
    #[session(was = "_hits", before = 2)]
    pages: u32,
}

#[derive(SessionData)]
#[session(version = 2)]
struct NotTheirsNow {
    _pages: u32,
}

#[derive(Serialize, Deserialize, SessionData)]
#[session(version = 2)]
struct Skipped {
    #[serde(skip)]
    #[session(was = "hits", before = 2)]
    pages: u32,
}

#[derive(Serialize, Deserialize)]
struct Inner {
    pages: u32,
}

#[derive(Serialize, Deserialize, SessionData)]
#[session(version = 2)]
struct Flattened {
    #[serde(flatten)]
    #[session(was = "hits", before = 2)]
    inner: Inner,
}

#[derive(Serialize, Deserialize, SessionData)]
#[session(version = 2)]
struct TwoNames {
    #[serde(rename(serialize = "pages", deserialize = "hits"))]
    pages: u32,
}

#[derive(Serialize, Deserialize, SessionData)]
#[serde(rename_all(serialize = "UPPERCASE"))]
#[session(version = 2)]
struct TwoRules {
    pages: u32,
}

#[derive(Serialize, Deserialize, SessionData)]
#[serde(transparent)]
#[session(version = 2)]
struct Transparent {
    inner: Inner,
}

#[derive(SessionData)]
#[session(version = 2)]
struct Tuple(u32);

#[derive(SessionData)]
#[session(version = 2)]
enum Either {
    Pages(u32),
}

#[derive(SessionData)]
#[session(version = 2)]
struct Borrowing<'a> {
    name: &'a str,
}

fn main() {}
