//! What is kept of a run, and its replay.
//
// The stored bytes, raw in the envelope's sense, which has a checksum over them:
//
//   offset  bytes  what
//        0      8  "bkrun\0\0" and the version, 1
//        8      1  the exit code
//        9      8  the length of standard output, little-endian
//       17      …  standard output, then standard error to the end
//
// Nothing is copied on the way from the store to the two streams.

use std::io;

use beaker_namespace::{CodecId, Entry, Payload};
use bytes::Bytes;

use crate::exit::{Failure, IO};
use crate::output;

const MAGIC: &[u8; 8] = b"bkrun\0\0\x01";

/// The bytes before standard output.
const HEAD_BYTES: usize = 17;

/// Everything that a caller of the command sees of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recording {
    pub(crate) exit_code: u8,
    pub(crate) stdout: Bytes,
    pub(crate) stderr: Bytes,
}

impl Recording {
    /// As it is stored.
    pub(crate) fn encode(&self) -> Payload {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.stdout.len() + self.stderr.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(self.exit_code);
        bytes.extend_from_slice(&(self.stdout.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.stdout);
        bytes.extend_from_slice(&self.stderr);
        Payload::raw(bytes)
    }

    /// What is in `entry`; `None` if something else wrote it.
    pub(crate) fn decode(entry: &Entry) -> Option<Self> {
        let Payload::Bytes { codec: CodecId::RAW, bytes } = entry.payload() else { return None };
        let (&exit_code, rest) = bytes.strip_prefix(MAGIC)?.split_first()?;
        let (length, _) = rest.split_first_chunk::<8>()?;
        let output = bytes.slice(HEAD_BYTES..);
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        (length <= output.len()).then(|| Self {
            exit_code,
            stdout: output.slice(..length),
            stderr: output.slice(length..),
        })
    }

    /// Writes what the command wrote, each stream in one piece, and gives its exit code.
    pub(crate) fn replay(&self) -> Result<u8, Failure> {
        // A closed standard error is no reason to keep the output back.
        let _ = output::write_all(io::stderr(), &self.stderr);
        match output::write_all(io::stdout(), &self.stdout) {
            Ok(()) => Ok(self.exit_code),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::broken_pipe()),
            Err(error) => {
                Err(Failure::new(IO, format!("cannot write to standard output: {error}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use beaker_namespace::Timestamp;

    use super::*;

    fn entry(payload: Payload) -> Entry {
        Entry::new(payload, Timestamp::default())
    }

    #[test]
    fn any_bytes_come_back() {
        let every: Bytes = (0..=255_u8).collect();
        for (stdout, stderr) in [(every.clone(), Bytes::new()), (Bytes::new(), every)] {
            let recording = Recording { exit_code: 255, stdout, stderr };
            assert_eq!(Recording::decode(&entry(recording.encode())), Some(recording));
        }
    }

    #[test]
    fn what_something_else_wrote_is_no_recording() {
        let plain = Recording { exit_code: 0, stdout: Bytes::from("out"), stderr: Bytes::new() };
        let Payload::Bytes { bytes, .. } = plain.encode() else { panic!("not bytes") };
        assert!(Recording::decode(&entry(Payload::raw(bytes.clone()))).is_some());
        for length in 0..bytes.len() {
            let cut = Payload::raw(bytes.slice(..length));
            assert_eq!(Recording::decode(&entry(cut)), None, "{length}");
        }
        let mut newer = bytes.to_vec();
        newer[7] = 2;
        assert_eq!(Recording::decode(&entry(Payload::raw(newer))), None);
        let other = Payload::Bytes { codec: CodecId::JSON, bytes };
        assert_eq!(Recording::decode(&entry(other)), None);
    }
}
