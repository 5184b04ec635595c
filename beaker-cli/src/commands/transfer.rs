//! `export` and `import`.

use std::error::Error as StdError;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use beaker_namespace::transfer::{self, Existing, Exported};
use beaker_namespace::{Error, ErrorKind, Namespace, Scan};

use crate::args::{ExportArgs, ImportArgs, StoreArgs};
use crate::commands::{open, parse_key};
use crate::exit::{Failure, IO, OK, Outcome, chain};
use crate::output;

/// The name of standard input and output.
const STANDARD: &str = "-";

pub(super) fn export(args: &ExportArgs, store: &StoreArgs) -> Outcome {
    let prefix = args.prefix.as_deref().map(parse_key).transpose()?;
    let scan = prefix.iter().fold(Scan::new(), Scan::prefix);
    let namespace = open(store)?;
    if args.file == Path::new(STANDARD) {
        to_stdout(&*namespace, scan).map_err(failure)?;
        return Ok(OK);
    }
    let done = transfer::export_to_file(&*namespace, scan, &args.file).map_err(failure)?;
    let text = format!("exported {}, left out {}\n", done.entries, done.left_out);
    output::print(text.as_bytes())?;
    Ok(OK)
}

fn to_stdout(namespace: &dyn Namespace, scan: Scan) -> Result<Exported, Error> {
    transfer::export(namespace, scan, &mut BufWriter::new(Stdout))
}

pub(super) fn import(args: &ImportArgs, store: &StoreArgs) -> Outcome {
    let existing = if args.keep { Existing::Keep } else { Existing::Replace };
    let namespace = open(store)?;
    let done = if args.file == Path::new(STANDARD) {
        transfer::import(&*namespace, existing, &mut BufReader::new(io::stdin()))
    } else {
        transfer::import_from_file(&*namespace, existing, &args.file)
    };
    let done = done.map_err(failure)?;
    let text =
        format!("imported {}, kept {}, left out {}\n", done.entries, done.kept, done.left_out);
    output::print(text.as_bytes())?;
    Ok(OK)
}

/// What failed: the stream, or the store.
fn failure(error: Error) -> Failure {
    let is_stream = [transfer::READ, transfer::WRITE].contains(&error.operation());
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match source.filter(|_| is_stream).map(io::Error::kind) {
        Some(io::ErrorKind::BrokenPipe) => Failure::broken_pipe(),
        Some(_) if !matches!(error.kind(), ErrorKind::Full | ErrorKind::Denied) => {
            Failure::new(IO, chain(&error))
        }
        _ => error.into(),
    }
}

/// Standard output without a buffer of its own.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        output::write_all(io::stdout(), bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
