use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use sha1::{Digest, Sha1};

use super::verify_directory;

/// How [`encoded_path`] turns identifiers into a path.
///
/// # Examples
///
/// ```
/// use beaker_namespace::compat::{EncodedPathOptions, FileNames, encoded_path};
///
/// let options = EncodedPathOptions::new().extension(".cache").file_names(FileNames::Plain);
/// let path = encoded_path(&["papa"], &options)?;
/// assert_eq!(path.to_str(), Some("p/pa/papa.cache"));
/// # Ok::<(), beaker_namespace::compat::UnsafePath>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPathOptions {
    extension: String,
    depth: usize,
    file_names: FileNames,
}

/// What the name of a file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "digest_filenames")]
pub enum FileNames {
    /// The SHA-1 digest of the identifiers, 40 hexadecimal digits. The default.
    Digest,
    /// The identifiers themselves, less all up to the last `/` and every dot. Session files use it.
    Plain,
}

/// The identifiers and the extension name no file below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsafePath;

impl EncodedPathOptions {
    /// Beaker's defaults: extension `.enc`, depth 3, digested names.
    pub fn new() -> Self {
        Self { extension: ".enc".to_owned(), depth: 3, file_names: FileNames::Digest }
    }

    /// What follows the name, its dot included. Default: `.enc`.
    #[must_use]
    pub fn extension(mut self, extension: &str) -> Self {
        extension.clone_into(&mut self.extension);
        self
    }

    /// Levels of the tree, the file's own among them: 0 and 1 give no directory. Default: 3.
    ///
    /// The path grows with the square of the depth; it is meant for one-digit numbers.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Default: [`FileNames::Digest`].
    #[must_use]
    pub fn file_names(mut self, file_names: FileNames) -> Self {
        self.file_names = file_names;
        self
    }
}

impl Default for EncodedPathOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for UnsafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the identifiers and the extension name no file below the root")
    }
}

impl std::error::Error for UnsafePath {}

/// Returns the path, relative to a root, under which Beaker keeps what `identifiers` name.
///
/// The identifiers are joined by `_` and digested if the options say so; of plain names only what
/// follows the last `/` remains, without its dots. The first character, the first two, and so on
/// up to `depth - 1` are the directories. A name shorter than a level is repeated, and an empty
/// name has no directories. Nothing is read or made on disk.
///
/// # Collisions
///
/// The names are Beaker's, so these share a file:
///
/// - `["a_b", "c"]` and `["a", "b_c"]`, with either kind of name;
/// - with plain names `x/b` and `b`, `a.b` and `ab`, and all of the empty name, `.`, `..` and
///   `x/`, which become the bare extension.
///
/// # Errors
///
/// [`UnsafePath`] if the result would leave the root or name no file: possible only through the
/// extension (`/../x`, or an empty one behind an empty name), and on Windows through `\` and `:`
/// in plain names.
#[doc(alias = "digest_filenames")]
pub fn encoded_path(
    identifiers: &[&str],
    options: &EncodedPathOptions,
) -> Result<PathBuf, UnsafePath> {
    let name = file_stem(identifiers, options.file_names);
    let mut path = PathBuf::new();
    if !name.is_empty() {
        for level in 1..options.depth {
            push_plain(&mut path, first_chars(&name, level))?;
        }
    }
    push_plain(&mut path, &format!("{name}{}", options.extension))?;
    Ok(path)
}

/// Returns [`encoded_path`] below `root`, after making the directories it lies in.
///
/// The file itself is not made. Several threads or processes may make the same directories at
/// once.
///
/// # Errors
///
/// `InvalidInput` for an [`UnsafePath`]; otherwise what [`verify_directory`] returns.
pub fn encoded_path_in(
    root: &Path,
    identifiers: &[&str],
    options: &EncodedPathOptions,
) -> io::Result<PathBuf> {
    let relative = encoded_path(identifiers, options)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let path = root.join(relative);
    verify_directory(path.parent().unwrap_or(root))?;
    Ok(path)
}

/// Returns the SHA-1 digest of `text` as 40 lower-case hexadecimal digits.
///
/// It spreads names, it does not protect them: SHA-1 collisions can be made on purpose.
pub fn sha1_hex(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(text.as_bytes()) {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    hex
}

fn file_stem(identifiers: &[&str], file_names: FileNames) -> String {
    let joined = identifiers.join("_");
    match file_names {
        FileNames::Digest => sha1_hex(&joined),
        FileNames::Plain => {
            let last = joined.rsplit('/').next().unwrap_or_default();
            last.replace('.', "")
        }
    }
}

fn first_chars(name: &str, count: usize) -> &str {
    name.char_indices().nth(count).map_or(name, |(end, _)| &name[..end])
}

/// Appends `part` if the operating system, too, takes it for one ordinary name.
fn push_plain(path: &mut PathBuf, part: &str) -> Result<(), UnsafePath> {
    let mut components = Path::new(part).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(name)), None) if name == part => {
            path.push(part);
            Ok(())
        }
        _ => Err(UnsafePath),
    }
}
