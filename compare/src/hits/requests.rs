//! Requests: drawn, or read from traces.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use ruzstd::decoding::StreamingDecoder;

use crate::load::{Rng, Zipf};

pub(super) struct Trace {
    pub(super) name: String,
    pub(super) requests: Vec<u32>,
}

/// Zipf's law, the same with scans between, and loops.
pub(super) fn synthetic(requests: usize) -> Vec<Trace> {
    let keys = requests / 10;
    let mut traces: Vec<Trace> =
        [0.7, 0.9, 1.1].iter().map(|exponent| zipf(*exponent, keys, requests)).collect();
    traces.push(zipf_and_scans(keys, requests));
    traces.push(loops(keys / 2, requests));
    traces
}

fn zipf(exponent: f64, keys: usize, requests: usize) -> Trace {
    let zipf = Zipf::new(keys, exponent);
    let mut rng = Rng::new(exponent.to_bits());
    let requests = (0..requests).map(|_| zipf.draw(&mut rng) as u32).collect();
    Trace { name: format!("zipf {exponent}"), requests }
}

/// Zipf 0.9; a fifth of the requests are scans of a thousand keys that are asked for once.
fn zipf_and_scans(keys: usize, requests: usize) -> Trace {
    let Trace { requests: mut drawn, .. } = zipf(0.9, keys, requests);
    let mut fresh = keys as u32;
    for block in drawn.chunks_mut(5_000) {
        let scanned = block.len() / 5;
        for request in &mut block[..scanned] {
            *request = fresh;
            fresh += 1;
        }
    }
    Trace { name: "zipf 0.9 + scans".to_owned(), requests: drawn }
}

fn loops(keys: usize, requests: usize) -> Trace {
    let requests = (0..keys as u32).cycle().take(requests).collect();
    Trace { name: format!("loop of {keys}"), requests }
}

/// Every trace in `dir`, by name, at most `limit` requests of each.
pub(super) fn read_dir(dir: &Path, limit: usize) -> Result<Vec<Trace>, Box<dyn Error>> {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .map_err(|error| format!("{}: {error}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let mut traces = Vec::new();
    for path in paths {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let requests = if file_name.ends_with(".lis.zst") {
            arc(BufReader::new(decoder(&path)?), limit)
        } else if file_name.ends_with(".u32.zst") {
            numbers(decoder(&path)?, limit)
        } else {
            continue;
        };
        let requests = requests.map_err(|error| format!("{}: {error}", path.display()))?;
        let name = file_name.split('.').next().unwrap_or_default().to_owned();
        traces.push(Trace { name, requests });
    }
    if traces.is_empty() {
        return Err(format!("{}: neither *.lis.zst nor *.u32.zst", dir.display()).into());
    }
    Ok(traces)
}

fn decoder(path: &Path) -> Result<impl Read, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let decoder = StreamingDecoder::new(BufReader::new(file));
    Ok(decoder.map_err(|error| format!("{}: {error}", path.display()))?)
}

/// ARC's format: `first count _ _` a line, for the requests `first`, `first + 1`, …
fn arc(text: impl BufRead, limit: usize) -> Result<Vec<u32>, Box<dyn Error>> {
    let mut requests = Vec::new();
    for line in text.lines() {
        let line = line?;
        let mut words = line.split_ascii_whitespace();
        let (Some(first), Some(count)) = (words.next(), words.next()) else { continue };
        let (first, count): (u32, u32) = (first.parse()?, count.parse()?);
        let room = limit - requests.len();
        requests.extend((first..first.saturating_add(count)).take(room));
        if requests.len() == limit {
            break;
        }
    }
    Ok(requests)
}

fn numbers(bytes: impl Read, limit: usize) -> Result<Vec<u32>, Box<dyn Error>> {
    let mut all = Vec::new();
    bytes.take(limit as u64 * 4).read_to_end(&mut all)?;
    let (numbers, rest) = all.as_chunks();
    if !rest.is_empty() {
        return Err("the length is no multiple of four".into());
    }
    Ok(numbers.iter().copied().map(u32::from_le_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_arc_is_a_run_of_blocks() {
        let text = "5 2 0 0\n9 1 0 1\n\n100 3 0 2\n";
        assert_eq!(arc(text.as_bytes(), 100).unwrap(), [5, 6, 9, 100, 101, 102]);
        assert_eq!(arc(text.as_bytes(), 4).unwrap(), [5, 6, 9, 100]);
        assert!(arc(&b"five 2 0 0\n"[..], 4).is_err());
    }

    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(numbers(&[1, 0, 0, 0, 0, 1, 0, 0][..], 9).unwrap(), [1, 256]);
        assert!(numbers(&[1, 0, 0][..], 9).is_err());
    }

    #[test]
    fn scans_never_repeat_a_key() {
        let trace = zipf_and_scans(1_000, 50_000);
        let mut scanned: Vec<u32> =
            trace.requests.into_iter().filter(|key| *key >= 1_000).collect();
        assert_eq!(scanned.len(), 10_000);
        scanned.dedup();
        assert_eq!(scanned.len(), 10_000);
    }
}
