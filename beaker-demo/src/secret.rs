//! The secret that signs cookies: made once, and kept beside the rest of the state.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use beaker_session::SecretKey;

use crate::error::Error;

/// The secret in the file at `path`, which is made if it is not there, for this user alone.
///
/// # Errors
///
/// The file cannot be read or made, or holds something else.
pub(crate) fn at(path: &Path) -> Result<SecretKey, Error> {
    let wrong = |error: &dyn std::fmt::Display| {
        Error::failed(format!("cannot use the secret in {}: {error}", path.display()))
    };
    match made(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(|error| wrong(&error))?,
    }
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
    SecretKey::from_text(&text)
        .map_err(|error| wrong(&format!("{error}; delete the file to make a new one")))
}

/// Writes a new secret, unless the file is there.
fn made(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let secret = SecretKey::generate().map_err(io::Error::other)?;
    file.write_all(secret.expose_text().as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_for_its_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let text = at(&path).unwrap().expose_text();
        assert_eq!(at(&path).unwrap().expose_text(), text);
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_holds_no_secret_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "x").unwrap();
        let error = at(&path).unwrap_err().to_string();
        let begin = format!("cannot use the secret in {}: ", path.display());
        assert!(error.starts_with(&begin) && error.ends_with("to make a new one"), "{error}");
    }
}
