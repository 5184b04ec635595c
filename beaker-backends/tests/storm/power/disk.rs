//! A disk that forgets what was not synced.
//
// The rules, which are harsher than a file system with a journal:
// 1. What was done to a file's bytes is safe once the file was synced after it.
// 2. Names are made, changed and removed one at a time; a rename changes two at once or none. Such a
//    change is safe once one of its directories was synced after it.
// 3. The name that a file or a directory was made under is also safe once it was synced itself, and so
//    are those of the directories it lies in. POSIX does not say so; ext4, XFS and btrfs do so.
// 4. Of what is not safe, each change is there or not, whatever became of the others; of a write
//    larger than a sector, each sector is. Changes that are there happened in their order.
// 5. Nobody knows what was in a file that was mapped for writing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::support::files::Random;

/// The directory that the images are of.
pub(super) const ROOT: usize = 0;

/// What a disk writes whole.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File,
    /// A file with bytes that were changed in memory.
    Mapped,
}

#[derive(Debug)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug)]
pub(super) enum Op {
    Data {
        node: usize,
        change: Change,
    },
    /// Names in directories, and what they are of from now on; the node that was made with it.
    Names {
        names: Vec<(usize, OsString, Option<usize>)>,
        creates: Option<usize>,
    },
    Sync(usize),
    /// A word of the child.
    Said(String),
}

/// What was done to the files of a directory that was empty at first.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) nodes: Vec<Node>,
    pub(super) ops: Vec<Op>,
}

/// What a disk does when it is told to sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    Honest,
    /// It says that it has done so. The control: stores must lose what they promised to keep.
    Lies,
}

impl Recording {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Dir], ops: Vec::new() }
    }

    /// For each operation, after how many it is safe; `usize::MAX` for never.
    pub(super) fn safe_after(&self, disk: Disk) -> Vec<usize> {
        let mut safe = vec![usize::MAX; self.ops.len()];
        if disk == Disk::Lies {
            return safe;
        }
        let mut pending: Vec<usize> = Vec::new();
        for (now, op) in self.ops.iter().enumerate() {
            let Op::Sync(synced) = op else {
                pending.push(now);
                continue;
            };
            let made = self.makers(*synced, now);
            pending.retain(|&earlier| {
                let is_safe = made.contains(&earlier)
                    || match &self.ops[earlier] {
                        Op::Data { node, .. } => node == synced,
                        Op::Names { names, .. } => names.iter().any(|(dir, ..)| dir == synced),
                        Op::Sync(_) | Op::Said(_) => true,
                    };
                if is_safe {
                    safe[earlier] = now + 1;
                }
                !is_safe
            });
        }
        safe
    }

    /// The operations before `now` that made `node` and the directories it was made in.
    fn makers(&self, mut node: usize, now: usize) -> Vec<usize> {
        let mut made = Vec::new();
        while node != ROOT {
            let maker = self.ops[..now].iter().position(
                |op| matches!(op, Op::Names { creates: Some(created), .. } if *created == node),
            );
            let Some(maker) = maker else { break };
            made.push(maker);
            let Op::Names { names, .. } = &self.ops[maker] else { break };
            node = names[0].0;
        }
        made
    }

    /// Writes to `dir` what the disk may have had when the power was cut after `cut` operations.
    pub(super) fn image(&self, cut: usize, safe: &[usize], random: &mut Random, dir: &Path) {
        // Percent of what is not safe that is there all the same.
        let kept = [0, 10, 50, 50, 90, 100][random.below(6) as usize];
        let mut image = Image::default();
        for (at, op) in self.ops[..cut].iter().enumerate() {
            let is_safe = safe[at] <= cut;
            match op {
                Op::Data { node, change } => {
                    image.change(*node, change, if is_safe { 100 } else { kept }, random);
                }
                Op::Names { names, .. } if is_safe || random.below(100) < kept => {
                    image.rename(names);
                }
                _ => {}
            }
        }
        self.write(&image, ROOT, random, dir);
    }

    fn write(&self, image: &Image, node: usize, random: &mut Random, path: &Path) {
        match self.nodes[node] {
            Node::Dir => {
                fs::create_dir_all(path).unwrap();
                for (name, node) in image.names.get(&node).into_iter().flatten() {
                    self.write(image, *node, random, &path.join(name));
                }
            }
            Node::File => {
                let bytes = image.bytes.get(&node).map(Vec::as_slice).unwrap_or_default();
                fs::write(path, bytes).unwrap();
            }
            Node::Mapped => {
                let length = image.bytes.get(&node).map_or(0, Vec::len);
                fs::write(path, random.bytes(length)).unwrap();
            }
        }
    }
}

/// The files as a disk has them.
#[derive(Debug, Default)]
struct Image {
    names: BTreeMap<usize, BTreeMap<OsString, usize>>,
    bytes: BTreeMap<usize, Vec<u8>>,
}

impl Image {
    fn rename(&mut self, changes: &[(usize, OsString, Option<usize>)]) {
        for (dir, name, node) in changes {
            let names = self.names.entry(*dir).or_default();
            match node {
                Some(node) => drop(names.insert(name.clone(), *node)),
                None => drop(names.remove(name)),
            }
        }
    }

    fn change(&mut self, node: usize, change: &Change, kept: u64, random: &mut Random) {
        let file = self.bytes.entry(node).or_default();
        match change {
            Change::Length(length) => {
                if random.below(100) < kept {
                    file.resize(*length as usize, 0);
                }
            }
            Change::Write(at, bytes) => {
                // One write in four of those that can tear does so.
                let tears = kept < 100 && bytes.len() > SECTOR_BYTES && random.below(4) == 0;
                let whole = random.below(100) < kept;
                let mut at = *at as usize;
                for sector in sectors(at, bytes) {
                    if if tears { random.below(100) < kept } else { whole } {
                        write_at(file, at, sector);
                    }
                    at += sector.len();
                }
            }
        }
    }
}

/// The parts of `bytes`, which begin at `at`, by the sectors that they are in.
fn sectors(at: usize, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = (SECTOR_BYTES - at % SECTOR_BYTES).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    std::iter::once(head).chain(rest.chunks(SECTOR_BYTES))
}

fn write_at(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}
