// What lies where, below the directory of the store:
//
//   <name, readable>-<20 digits of SHA-256 of the name>/    one directory for each namespace
//     format                    who may open it; see format.rs
//     entries/<hh>/<hash>       one file for each entry; <hh> are the first two digits of <hash>
//     entries/<hh>/.tmp-…       an entry being written
//     marks/<hash>              one file for each name that was marked; <hash> is of the name
//     claims/<hash>.lock        an entry being created
//     writers/…/<sha1>.lock     held for the microseconds of a change; sixteen, by the first digit
//     trash-…/                  what a `clear` took away and has not deleted yet
//
// <hash> is 40 hexadecimal digits of SHA-256, of the key's encoded form for an entry. Neither names nor keys
// reach the file system, but for lower-case letters, digits, `_` and `-` at the front of a
// namespace's directory. So case-folding file systems, `../`, long names and control characters
// are all the same to it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Key, new_generation};

/// The digits of a name's readable part.
const READABLE_MAX: usize = 40;

/// The bytes of the hash that name an entry's file.
const HASH_BYTES: usize = 20;

/// The digits that name an entry's file.
const HASH_DIGITS: usize = 2 * HASH_BYTES;

const TRASH_PREFIX: &str = "trash-";

/// The paths of one namespace.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    entries: PathBuf,
    marks: PathBuf,
}

impl Layout {
    pub(super) fn new(dir: &Path, name: &str) -> Self {
        let root = dir.join(directory_name(name));
        Self { entries: root.join("entries"), marks: root.join("marks"), root }
    }

    /// The namespace's own directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of all entries, replaced as a whole by `clear`.
    pub(super) fn entries(&self) -> &Path {
        &self.entries
    }

    pub(super) fn claims(&self) -> PathBuf {
        self.root.join("claims")
    }

    /// The directory of the marks; absent until something is marked.
    pub(super) fn marks(&self) -> &Path {
        &self.marks
    }

    pub(super) fn mark(&self, name: &str) -> MarkPlace {
        let hash = hash_of(name.as_bytes());
        MarkPlace { stripe: stripe_of(&hash), path: self.marks.join(hash) }
    }

    pub(super) fn writers(&self) -> PathBuf {
        self.root.join("writers")
    }

    pub(super) fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    /// A name that nothing has yet, for what is being deleted.
    pub(super) fn new_trash(&self) -> PathBuf {
        self.root.join(format!("{TRASH_PREFIX}{:016x}", new_generation()))
    }

    pub(super) fn is_trash(name: &OsStr) -> bool {
        name.as_encoded_bytes().starts_with(TRASH_PREFIX.as_bytes())
    }

    /// The directory of the entries whose hash begins with `index`.
    pub(super) fn leaf(&self, index: u8) -> PathBuf {
        self.entries.join(format!("{index:02x}"))
    }

    pub(super) fn place(&self, key: &Key) -> Place {
        self.place_of(hash_of(key.as_bytes()))
    }

    /// The place of the entry whose file is called `name`; `None` if no entry's file is.
    pub(super) fn place_named(&self, name: &OsStr) -> Option<Place> {
        let name = name.to_str()?;
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (name.len() == HASH_DIGITS && name.bytes().all(digit))
            .then(|| self.place_of(name.to_owned()))
    }

    fn place_of(&self, hash: String) -> Place {
        let mut path = PathBuf::with_capacity(self.entries.as_os_str().len() + HASH_DIGITS + 4);
        path.push(&self.entries);
        path.push(&hash[..2]);
        path.push(&hash);
        Place { hash, path }
    }

    pub(super) fn claim(&self, place: &Place) -> PathBuf {
        let mut path = self.claims();
        path.push(format!("{}.lock", place.hash));
        path
    }
}

/// Where one key's entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    hash: String,
    path: PathBuf,
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The hash in hexadecimal, which orders a scan.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// Which of the [`STRIPES`](super::writers::STRIPES) locks guards changes here.
    pub(super) fn stripe(&self) -> usize {
        stripe_of(&self.hash)
    }

    /// Whether this is the place of `key`.
    pub(super) fn is_of(&self, key: &Key) -> bool {
        self.hash == hash_of(key.as_bytes())
    }
}

/// Where the mark of one name is.
#[derive(Debug)]
pub(super) struct MarkPlace {
    stripe: usize,
    path: PathBuf,
}

impl MarkPlace {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Which of the [`STRIPES`](super::writers::STRIPES) locks guards changes here.
    pub(super) fn stripe(&self) -> usize {
        self.stripe
    }
}

fn hash_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..HASH_BYTES])
}

fn stripe_of(hash: &str) -> usize {
    let digit = hash.chars().next().and_then(|digit| digit.to_digit(16));
    digit.unwrap_or_default() as usize
}

fn directory_name(name: &str) -> String {
    let readable = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let mut directory: String =
        name.chars().take(READABLE_MAX).map(|c| readable(c.to_ascii_lowercase())).collect();
    directory.push('-');
    directory.push_str(&hex(&Sha256::digest(name.as_bytes())[..10]));
    directory
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f48_a_hostile_name_stays_one_plain_directory_name() {
        let long = "x".repeat(10_000);
        for name in ["", ".", "..", "../../etc", "a/b", "a\0b", "a\r\nb", "*", "ÄÖ", &long] {
            let directory = directory_name(name);
            assert!(directory.len() <= READABLE_MAX + 21, "{directory}");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
            assert!(directory.chars().all(plain), "{directory}");
        }
    }

    #[test]
    fn f48_names_that_a_file_system_may_fold_stay_apart() {
        let folded = ["cache", "Cache", "CACHE", "cache ", "cache_", "\u{e9}", "e\u{301}"];
        let mut names: Vec<_> = folded.iter().map(|name| directory_name(name)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), folded.len());
    }

    #[test]
    fn a_place_is_found_again_by_its_file_name() {
        let layout = Layout::new(Path::new("/store"), "n");
        let place = layout.place(&Key::new("key"));
        let name = place.path().file_name().unwrap();
        assert_eq!(layout.place_named(name), Some(place.clone()));
        assert!(place.is_of(&Key::new("key")) && !place.is_of(&Key::new("other")));
        for wrong in ["", ".tmp-1-2-3", "abc", &"g".repeat(40), &"A".repeat(40)] {
            assert_eq!(layout.place_named(OsStr::new(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn the_stripe_is_the_first_digit() {
        let layout = Layout::new(Path::new("/store"), "n");
        for digit in "0123456789abcdef".chars() {
            let name: String = std::iter::once(digit).chain("0".repeat(39).chars()).collect();
            let place = layout.place_named(OsStr::new(&name)).unwrap();
            assert_eq!(Some(place.stripe()), digit.to_digit(16).map(|value| value as usize));
        }
    }

    /// How often the storm of keys compares; a million times in a long run.
    fn pairs() -> u64 {
        let seconds = std::env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
        if seconds.unwrap_or(1.0) >= 30.0 { 1_000_000 } else { 10_000 }
    }

    /// A text of up to three hostile pieces.
    fn hostile(random: u64) -> String {
        const PIECES: [&str; 24] = [
            "",
            "a",
            "b",
            "ab",
            "bc",
            "A",
            "\0",
            "/",
            "..",
            "../",
            "\r\n",
            "\n",
            "*",
            "?",
            " ",
            "_",
            ".",
            "\u{e9}",
            "e\u{301}",
            "\u{130}",
            "\u{ff}",
            "\\",
            "%2e",
            "\u{10ffff}",
        ];
        let piece = |at: u64| PIECES[(at % 24) as usize];
        let repeated = if random.is_multiple_of(97) { 100 } else { 1 };
        [piece(random >> 8), piece(random >> 16), piece(random >> 24)].concat().repeat(repeated)
    }

    #[test]
    fn f48_storm_no_two_hostile_keys_have_one_place_and_none_leaves_the_directory() {
        use std::collections::HashMap;
        use std::hash::{BuildHasher, RandomState};
        let layout = Layout::new(Path::new("/store"), "../n");
        let (mut places, mut joined, mut outside) = (HashMap::new(), HashMap::new(), 0);
        let (asked, mut collisions, mut control) = (RandomState::new(), 0, 0);
        let mut random = 1_u64;
        let mut next = || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            hostile(random >> 20)
        };
        let mut parts = <[String; 3]>::default();
        for at in 0..pairs() {
            // Every other pair is the one before it, with a part of one text in the other.
            if at.is_multiple_of(2) {
                parts = [next(), next(), next()];
            }
            let [one, between, other] = &parts;
            let pair = match at % 2 {
                0 => (one.clone(), [between.as_str(), other].concat()),
                _ => ([one.as_str(), between].concat(), other.clone()),
            };
            let place = layout.place(&Key::new(&(pair.0.as_str(), pair.1.as_str())));
            let below = place.path().strip_prefix("/store").ok().and_then(Path::to_str);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/_-".contains(c);
            outside += usize::from(!below.is_some_and(|below| below.chars().all(plain)));
            let number = u128::from_str_radix(&place.hash()[..32], 16).unwrap();
            let of_pair = asked.hash_one(&pair);
            collisions += usize::from(*places.entry(number).or_insert(of_pair) != of_pair);
            // The control: keys that are no more than their parts in a row.
            let in_a_row = asked.hash_one(pair.0.clone() + &pair.1);
            control += usize::from(*joined.entry(in_a_row).or_insert(of_pair) != of_pair);
        }
        let holds = outside == 0 && collisions == 0 && control > 100;
        let measured = format!(
            "pairs={} distinct={} outside={outside} collisions={collisions} control={control}",
            pairs(),
            places.len()
        );
        println!("STORM|F48 hostile keys|file|{measured}|{}", if holds { "ok" } else { "FAILED" });
        assert!(holds, "{measured}");
    }
}
