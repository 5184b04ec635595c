//! Store URLs: read without a panic, and equal to what they were made from.

use std::path::{Path, PathBuf};

use arbitrary::{Arbitrary, Unstructured};
use beaker_namespace::{StoreUrl, Stores, UrlOptions};

/// A text that stands in values only, never in names.
const SECRET: &str = "zq7secret";

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
enum Case<'a> {
    Text(&'a str),
    Parts { scheme: String, path: Vec<u8>, options: Vec<(String, String)> },
    Open { memory: bool, rest: &'a str },
}

/// Reads texts as URLs, makes URLs of parts, and opens what stays in memory.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    match case {
        Case::Text(text) => {
            if let Ok(url) = text.parse::<StoreUrl>() {
                take_all(url.options());
                let _shown = format!("{url} {url:?} {:?}", url.options());
            }
        }
        Case::Parts { scheme, path, options } => of_parts(&scheme, &path, &options),
        // The other stores would touch paths of the fuzzer's choice.
        Case::Open { memory, rest } => {
            let scheme = if memory { "memory" } else { "null" };
            if let Ok(url) = format!("{scheme}:{rest}").parse() {
                let _opened = Stores::new().open(&url, "fuzz");
            }
        }
    }
}

/// A URL written with escapes is the URL of the same parts, and shows no option's value.
fn of_parts(scheme: &str, path: &[u8], options: &[(String, String)]) {
    let names: std::collections::BTreeSet<&str> =
        options.iter().map(|(name, _)| name.as_str()).collect();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    if scheme.is_empty() || !scheme.chars().all(plain) {
        return;
    }
    let readable = !path.contains(&0) && names.len() == options.len();
    let mut text = format!("{scheme}://{}", escaped(path));
    let mut made = StoreUrl::new(scheme).with_path(path_of(path));
    for (index, (name, value)) in options.iter().enumerate() {
        let value = format!("{SECRET}{value}");
        let separator = if index == 0 { '?' } else { '&' };
        text.push_str(&format!(
            "{separator}{}={}",
            escaped(name.as_bytes()),
            escaped(value.as_bytes())
        ));
        made = made.with_option(name, value);
    }
    match text.parse::<StoreUrl>() {
        Ok(url) => {
            assert!(readable);
            assert!(url == made, "{url} is not {made}");
            assert_eq!(url.path(), path_of(path));
            let place = format!("{scheme} {}", url.path().display());
            if !place.contains(SECRET) && !names.iter().any(|name| name.contains(SECRET)) {
                let shown = format!("{url} {url:?} {:?}", url.options());
                assert!(!shown.contains(SECRET), "{shown}");
            }
        }
        Err(error) => assert!(!readable, "{error}"),
    }
}

fn take_all(mut options: UrlOptions) {
    let mut again = options.clone();
    let _none = (again.take_u64("size"), again.take_bool("durable"), again.take_millis("timeout"));
    let _rest = again.finish();
    let _text = options.take_text("");
    let _rest = options.finish();
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes)).to_owned()
}

/// Every byte as an escape, so that nothing in it means anything.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}
