//! The calls in a trace of strace, and what they did to the files below one directory.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::disk::{Change, Node, Op, ROOT, Recording};

/// The calls that are looked at. What changes a file in a way that is not understood here fails the
/// test, rather than being left out of the images.
pub(super) const CALLS: &str = "openat,open,creat,close,dup,dup2,dup3,fcntl,lseek,read,write,pwrite64,\
     writev,pwritev,pwritev2,copy_file_range,sendfile,splice,fsync,fdatasync,sync_file_range,ftruncate,\
     truncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,\
     symlink,symlinkat,mmap";

/// What a child says, on standard output.
const SAYS: &str = "child says ";

/// Reads a trace made with `-f -xx`, of a child whose directory `root` was empty.
pub(super) fn read(trace: &str, root: &Path) -> Recording {
    let mut files = Files::new(root);
    let mut unfinished: HashMap<&str, &str> = HashMap::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, begun);
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let (_, end) = resumed.split_once("resumed>").expect("how strace goes on");
            let begun = unfinished.remove(thread).unwrap_or_default();
            files.take(&format!("{begun}{end}"));
        } else {
            files.take(rest);
        }
    }
    files.recording
}

/// One call that succeeded.
struct Call<'a> {
    name: &'a str,
    args: Vec<&'a str>,
    returned: i64,
}

impl<'a> Call<'a> {
    /// `None` for a call that failed, and for lines that are no calls.
    fn parse(line: &'a str) -> Option<Self> {
        let (call, returned) = line.rsplit_once(" = ")?;
        let returned = returned.split(' ').next()?;
        let returned = match returned.strip_prefix("0x") {
            Some(_address) => 0,
            None => returned.parse().ok().filter(|number| *number >= 0)?,
        };
        // Texts are written as numbers, so no comma and no bracket is in one.
        let (name, args) = call.trim_end().strip_suffix(')')?.split_once('(')?;
        // What strace had to interrupt has a space where it goes on.
        Some(Self { name, args: args.split(", ").map(str::trim).collect(), returned })
    }

    fn number(&self, at: usize) -> i64 {
        let text = self.args[at];
        match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).expect("a number"),
            None => text.parse().expect("a number"),
        }
    }

    fn bytes(&self, at: usize) -> Vec<u8> {
        let text = self.args[at].strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let text = text.expect("a whole text: raise the limit of strace");
        let digits = text.split("\\x").skip(1);
        digits.map(|digits| u8::from_str_radix(digits, 16).expect("two digits")).collect()
    }

    fn has(&self, at: usize, flag: &str) -> bool {
        self.args.get(at).is_some_and(|flags| flags.split('|').any(|found| found == flag))
    }
}

/// An open file; several descriptors may be of one.
struct Opened {
    node: usize,
    at: u64,
    appends: bool,
}

/// The files as the child sees them.
struct Files {
    root: PathBuf,
    recording: Recording,
    /// The names in each directory.
    names: HashMap<usize, BTreeMap<OsString, usize>>,
    lengths: HashMap<usize, u64>,
    descriptors: HashMap<i64, usize>,
    opened: Vec<Opened>,
}

impl Files {
    fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            recording: Recording::new(),
            names: HashMap::from([(ROOT, BTreeMap::new())]),
            lengths: HashMap::new(),
            descriptors: HashMap::new(),
            opened: Vec::new(),
        }
    }

    fn take(&mut self, line: &str) {
        let Some(call) = Call::parse(line) else { return };
        match call.name {
            "openat" => self.open(&call, call.args[0], 1),
            "open" => self.open(&call, "AT_FDCWD", 0),
            "close" => drop(self.descriptors.remove(&call.number(0))),
            "dup" | "dup2" | "dup3" => self.duplicate(&call),
            "fcntl" if call.args[1].starts_with("F_DUPFD") => self.duplicate(&call),
            "fcntl" => {}
            "lseek" => self.seek(&call, |_| call.returned as u64),
            "read" => self.seek(&call, |at| at + call.returned as u64),
            "write" => self.write(&call),
            "pwrite64" => self.write_at(&call, call.number(3) as u64),
            "fsync" | "fdatasync" => {
                if let Some(node) = self.node_of(call.number(0)) {
                    self.recording.ops.push(Op::Sync(node));
                }
            }
            "ftruncate" => self.set_length(&call, call.number(1) as u64),
            "fallocate" => self.allocate(&call),
            "rename" => self.rename(None, &call, 0),
            "renameat" | "renameat2" => self.rename(Some(0), &call, 1),
            "unlink" | "rmdir" => self.unlink("AT_FDCWD", &call, 0),
            "unlinkat" => self.unlink(call.args[0], &call, 1),
            "mkdir" => self.mkdir("AT_FDCWD", &call, 0),
            "mkdirat" => self.mkdir(call.args[0], &call, 1),
            "mmap" => self.map(&call),
            // It does not wait for the disk's own cache, and not for the file's length.
            "sync_file_range" => {}
            _ => self.refuse(&call),
        }
    }

    /// No call may change a file behind the model's back.
    fn refuse(&self, call: &Call<'_>) {
        let of_ours = |arg: &&str| {
            let by_descriptor = arg.parse().is_ok_and(|fd| self.node_of(fd).is_some());
            let by_name = arg.starts_with('"') && self.place("AT_FDCWD", call, 0).is_some();
            by_descriptor || by_name
        };
        let harmless = !call.args.iter().any(of_ours);
        assert!(harmless, "the model of the disk does not know `{}`", call.name);
    }

    fn node_of(&self, descriptor: i64) -> Option<usize> {
        self.descriptors.get(&descriptor).map(|&opened| self.opened[opened].node)
    }

    /// The directory and the name that a call speaks of; `None` outside the root.
    fn place(&self, start: &str, call: &Call<'_>, at: usize) -> Option<(usize, OsString)> {
        if !call.args[at].starts_with('"') {
            return None;
        }
        let path = PathBuf::from(OsString::from_vec(call.bytes(at)));
        let (mut node, rest) = match (path.strip_prefix(&self.root), path.is_absolute()) {
            (Ok(rest), _) => (ROOT, rest.to_owned()),
            (Err(_), false) if start != "AT_FDCWD" => {
                (self.node_of(start.parse().ok()?)?, path.clone())
            }
            _ => return None,
        };
        let parts: Vec<_> = rest.components().filter(|part| *part != Component::CurDir).collect();
        let (last, dirs) = parts.split_last()?;
        for part in dirs {
            node = *self.names.get(&node)?.get(part.as_os_str())?;
        }
        Some((node, last.as_os_str().to_owned()))
    }

    fn find(&self, place: &(usize, OsString)) -> Option<usize> {
        self.names.get(&place.0)?.get(&place.1).copied()
    }

    /// `at` is where the name is; the flags come after it.
    fn open(&mut self, call: &Call<'_>, start: &str, at: usize) {
        self.descriptors.remove(&call.returned);
        let is_root = self.root == Path::new(&OsString::from_vec(call.bytes(at)));
        let node = if is_root { Some(ROOT) } else { self.open_below(call, start, at) };
        let Some(node) = node else { return };
        if call.has(at + 1, "O_TRUNC") && self.length(node) > 0 {
            self.change(node, Change::Length(0));
        }
        self.opened.push(Opened { node, at: 0, appends: call.has(at + 1, "O_APPEND") });
        self.descriptors.insert(call.returned, self.opened.len() - 1);
    }

    fn open_below(&mut self, call: &Call<'_>, start: &str, at: usize) -> Option<usize> {
        let place = self.place(start, call, at)?;
        let found = self.find(&place);
        // What was opened without being made is there; if it is not known, the model is wrong.
        assert!(found.is_some() || call.has(at + 1, "O_CREAT"), "a file from nowhere: {place:?}");
        Some(found.unwrap_or_else(|| self.create(place, Node::File)))
    }

    fn create(&mut self, (dir, name): (usize, OsString), kind: Node) -> usize {
        let node = self.recording.nodes.len();
        if kind == Node::Dir {
            self.names.insert(node, BTreeMap::new());
        }
        self.recording.nodes.push(kind);
        self.link(vec![(dir, name, Some(node))], Some(node));
        node
    }

    /// Changes names, all or none of them.
    fn link(&mut self, names: Vec<(usize, OsString, Option<usize>)>, creates: Option<usize>) {
        for (dir, name, node) in &names {
            let names = self.names.entry(*dir).or_default();
            match node {
                Some(node) => drop(names.insert(name.clone(), *node)),
                None => drop(names.remove(name)),
            }
        }
        self.recording.ops.push(Op::Names { names, creates });
    }

    fn duplicate(&mut self, call: &Call<'_>) {
        match self.descriptors.get(&call.number(0)).copied() {
            Some(opened) => drop(self.descriptors.insert(call.returned, opened)),
            None => drop(self.descriptors.remove(&call.returned)),
        }
    }

    fn seek(&mut self, call: &Call<'_>, to: impl FnOnce(u64) -> u64) {
        if let Some(&opened) = self.descriptors.get(&call.number(0)) {
            self.opened[opened].at = to(self.opened[opened].at);
        }
    }

    fn length(&self, node: usize) -> u64 {
        self.lengths.get(&node).copied().unwrap_or_default()
    }

    fn write(&mut self, call: &Call<'_>) {
        let descriptor = call.number(0);
        let Some(&opened) = self.descriptors.get(&descriptor) else {
            if descriptor == 1 {
                self.hear(&call.bytes(1));
            }
            return;
        };
        let Opened { node, at, appends } = self.opened[opened];
        let at = if appends { self.length(node) } else { at };
        self.write_at(call, at);
        self.opened[opened].at = at + call.returned as u64;
    }

    fn hear(&mut self, said: &[u8]) {
        let said = String::from_utf8_lossy(said);
        let words = said.lines().filter_map(|line| line.split_once(SAYS));
        self.recording.ops.extend(words.map(|(_, word)| Op::Said(word.to_owned())));
    }

    fn write_at(&mut self, call: &Call<'_>, at: u64) {
        let Some(node) = self.node_of(call.number(0)) else { return };
        let mut bytes = call.bytes(1);
        bytes.truncate(call.returned as usize);
        self.change(node, Change::Write(at, bytes));
    }

    fn set_length(&mut self, call: &Call<'_>, length: u64) {
        if let Some(node) = self.node_of(call.number(0)) {
            self.change(node, Change::Length(length));
        }
    }

    fn allocate(&mut self, call: &Call<'_>) {
        let Some(node) = self.node_of(call.number(0)) else { return };
        if call.args[1] == "FALLOC_FL_KEEP_SIZE" {
            return; // Room for bytes to come; there are none yet.
        }
        assert_eq!(call.args[1], "0", "the model of the disk knows no other allocation");
        let end = (call.number(2) + call.number(3)) as u64;
        if end > self.length(node) {
            self.change(node, Change::Length(end));
        }
    }

    fn change(&mut self, node: usize, change: Change) {
        let length = match &change {
            Change::Length(length) => *length,
            Change::Write(at, bytes) => self.length(node).max(at + bytes.len() as u64),
        };
        self.lengths.insert(node, length);
        self.recording.ops.push(Op::Data { node, change });
    }

    fn rename(&mut self, starts: Option<usize>, call: &Call<'_>, from: usize) {
        let (first, second, to) = match starts {
            None => ("AT_FDCWD", "AT_FDCWD", from + 1),
            Some(start) => (call.args[start], call.args[start + 2], from + 2),
        };
        let from = self.place(first, call, from);
        let to = self.place(second, call, to);
        let (Some(from), Some(to)) = (from, to) else { return };
        assert!(!call.has(4, "RENAME_EXCHANGE"), "the model of the disk knows no exchange");
        let node = self.find(&from).expect("what is renamed is there");
        self.link(vec![(from.0, from.1, None), (to.0, to.1, Some(node))], None);
    }

    fn unlink(&mut self, start: &str, call: &Call<'_>, at: usize) {
        if let Some((dir, name)) = self.place(start, call, at) {
            self.link(vec![(dir, name, None)], None);
        }
    }

    fn mkdir(&mut self, start: &str, call: &Call<'_>, at: usize) {
        if let Some(place) = self.place(start, call, at) {
            self.create(place, Node::Dir);
        }
    }

    fn map(&mut self, call: &Call<'_>) {
        let shared = call.has(3, "MAP_SHARED") && call.has(2, "PROT_WRITE");
        let Some(node) = call.args[4].parse().ok().and_then(|fd| self.node_of(fd)) else { return };
        if shared {
            self.recording.nodes[node] = Node::Mapped;
        }
    }
}
