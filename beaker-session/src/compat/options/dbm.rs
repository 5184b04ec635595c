use super::BeakerOptions;
use super::read::wrong;
use crate::Error;
use crate::compat::{DbmFormat, DbmSessions};

/// The files of the type `dbm`.
pub(super) fn files(options: &BeakerOptions) -> Result<DbmSessions, Error> {
    options.check_directories("dbm_dir")?;
    let mut files = DbmSessions::new(options.data_dir.clone().unwrap_or_default());
    if let Some(directory) = &options.own_dir {
        files = files.directory(directory);
    }
    if let Some(directory) = &options.lock_dir {
        files = files.lock_directory(directory);
    }
    let format = match options.dbm_module.as_deref() {
        None | Some("dbm" | "dbm.gnu" | "gdbm") => DbmFormat::Gnu,
        Some("dbm.dumb" | "dumbdbm") => DbmFormat::Dumb,
        Some(_) => return Err(wrong("dbmmodule", "write dbm.gnu or dbm.dumb")),
    };
    Ok(files.format(format).limits(options.limits))
}
