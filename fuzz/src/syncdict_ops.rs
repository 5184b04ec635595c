//! Calls on a `SyncDict` of each kind in any order, creators that call it among them.
//
// The model is a list of what was put in, the most recently used last. It holds weak pointers, so it
// keeps nothing alive; in a strong or LRU dictionary each of them must live.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Weak as Pointer};

use arbitrary::{Arbitrary, Unstructured};
use beaker_syncdict::{CreateError, Lru, Storage, Strong, SyncDict, Weak};

/// More calls than this find nothing new.
const MAX_OPS: usize = 300;

/// Creators that run inside each other.
const MAX_DEPTH: usize = 4;

/// Keys are below this.
const KEYS: u8 = 12;

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
struct Case {
    kind: Choice,
    shards: u8,
    ops: Vec<Op>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Choice {
    Strong,
    Weak,
    Lru(u8),
}

#[derive(Debug, Clone, Arbitrary)]
enum Op {
    Get(u8),
    /// A look with a predicate that takes even values, or odd ones.
    GetValid(u8, bool),
    Insert {
        key: u8,
        hold: bool,
    },
    Remove(u8),
    Create {
        key: u8,
        how: How,
        hold: bool,
        inner: Vec<Op>,
    },
    Clear,
    /// Keeps the keys whose bits are set.
    Retain(u16),
    LetGo(u8),
    Sweep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum How {
    Plain,
    Try,
    Fail,
    IfEven,
    IfEvenFail,
}

/// Makes the calls on a dictionary of one kind and checks each.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let shards = usize::from(case.shards % 9);
    match case.kind {
        Choice::Strong => {
            let dict = SyncDict::<u8, Arc<Value>, Strong>::with_shards(shards);
            Harness::new(dict, None, |_| 0, true).run(&case.ops);
        }
        Choice::Weak => {
            let dict = SyncDict::<u8, Value, Weak>::weak_with_shards(shards);
            Harness::new(dict, None, SyncDict::sweep, false).run(&case.ops);
        }
        Choice::Lru(capacity) => {
            let capacity = NonZeroUsize::MIN.saturating_add(usize::from(capacity % 8));
            let dict = SyncDict::<u8, Arc<Value>, Lru>::lru(capacity);
            Harness::new(dict, Some(capacity.get()), |_| 0, true).run(&case.ops);
        }
    }
}

/// A value that calls the dictionary when it is dropped; hangs if that holds a lock then.
struct Value {
    number: u64,
    dict: Pointer<dyn Touch>,
}

trait Touch: Send + Sync {
    fn touch(&self);
}

impl<V: ?Sized, S: Storage<u8, V>> Touch for SyncDict<u8, V, S>
where
    Self: Send + Sync,
{
    fn touch(&self) {
        let _there = (self.contains_key(&0), self.len());
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if let Some(dict) = self.dict.upgrade() {
            dict.touch();
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

/// What an overtaken creation makes is not stored.
#[derive(Debug)]
struct Creation {
    key: u8,
    overtaken: bool,
}

struct Harness<V: ?Sized, S: Storage<u8, V>> {
    dict: Arc<SyncDict<u8, V, S>>,
    capacity: Option<usize>,
    sweep: fn(&SyncDict<u8, V, S>) -> usize,
    keeps: bool,
    /// What was put in, the most recently used last.
    model: RefCell<Vec<(u8, Pointer<Value>)>>,
    creations: RefCell<Vec<Creation>>,
    held: RefCell<Vec<Arc<Value>>>,
    next: Cell<u64>,
    calls: Cell<usize>,
}

impl<V, S> Harness<V, S>
where
    V: ?Sized + 'static,
    S: Storage<u8, V, Value = Arc<Value>> + 'static,
    SyncDict<u8, V, S>: Touch,
{
    fn new(
        dict: SyncDict<u8, V, S>,
        capacity: Option<usize>,
        sweep: fn(&SyncDict<u8, V, S>) -> usize,
        keeps: bool,
    ) -> Self {
        Self {
            dict: Arc::new(dict),
            capacity,
            sweep,
            keeps,
            model: RefCell::default(),
            creations: RefCell::default(),
            held: RefCell::default(),
            next: Cell::new(0),
            calls: Cell::new(0),
        }
    }

    fn run(&self, ops: &[Op]) {
        for op in ops {
            if self.calls.replace(self.calls.get() + 1) >= MAX_OPS {
                return;
            }
            self.apply(op);
            self.check();
        }
    }

    fn apply(&self, op: &Op) {
        match *op {
            Op::Get(key) => {
                let key = key % KEYS;
                let expected = self.used(key);
                assert_eq!(self.dict.get(&key), expected);
            }
            Op::GetValid(key, even) => {
                let key = key % KEYS;
                let expected = self.used(key).filter(|value| is_even(value) == even);
                assert_eq!(self.dict.get_valid(&key, |value| is_even(value) == even), expected);
            }
            Op::Insert { key, hold } => self.insert(key % KEYS, hold),
            Op::Remove(key) => self.remove(key % KEYS),
            Op::Create { key, how, hold, ref inner } => self.create(key % KEYS, how, hold, inner),
            Op::Clear => {
                self.overtake(|_| true);
                self.model.take();
                self.dict.clear();
            }
            Op::Retain(bits) => {
                let kept = |key: u8| bits & (1 << key) != 0;
                // A value that vanished is not asked about, and left to the next sweep.
                let stays = |value: &Pointer<Value>| !self.keeps && value.strong_count() == 0;
                self.model.borrow_mut().retain(|(key, value)| kept(*key) || stays(value));
                self.dict.retain(|key, _| kept(*key));
            }
            Op::LetGo(number) => self.let_go(number),
            Op::Sweep => self.sweep(),
        }
    }

    fn insert(&self, key: u8, hold: bool) {
        let value = self.make();
        self.hold(hold, &value);
        self.overtake(|other| other == key);
        let expected = self.peek(key);
        let displaced = self.put(key, &value);
        let old = self.dict.insert(key, value);
        assert_eq!(old, expected);
        drop(displaced);
    }

    fn remove(&self, key: u8) {
        self.overtake(|other| other == key);
        let expected = self.peek(key);
        self.model.borrow_mut().retain(|(other, _)| *other != key);
        assert_eq!(self.dict.remove(&key), expected);
    }

    fn create(&self, key: u8, how: How, hold: bool, inner: &[Op]) {
        let is_conditional = matches!(how, How::IfEven | How::IfEvenFail);
        // Held, so that a weak value does not vanish between the look and the call.
        let found = self.used(key).filter(|value| !is_conditional || is_even(value));
        let reentrant = self.reentrant(key);
        let ran = Cell::new(false);
        let create = || {
            ran.set(true);
            assert!(found.is_none(), "a value is made although there is one");
            self.creator(key, how, inner)
        };
        let made = match how {
            How::Plain => self
                .dict
                .get_or_create(&key, || create().expect("it does not fail"))
                .map_err(|_| CreateError::Reentrant),
            How::Try | How::Fail => self.dict.get_or_try_create(&key, create),
            How::IfEven | How::IfEvenFail => {
                self.dict.get_or_try_create_if(&key, |value| is_even(value), create)
            }
        };
        if ran.get() {
            assert_ne!(reentrant, Reentrant::Yes);
            self.landed(key, &made);
        } else if let Some(found) = &found {
            assert_eq!(made.as_ref(), Ok(found));
        } else {
            assert_ne!(reentrant, Reentrant::No);
            assert_eq!(made, Err(CreateError::Reentrant));
        }
        if let Ok(value) = &made {
            self.hold(hold, value);
        }
    }

    /// What a creator does: calls of its own, then a value or an error.
    fn creator(&self, key: u8, how: How, inner: &[Op]) -> Result<Arc<Value>, u64> {
        self.creations.borrow_mut().push(Creation { key, overtaken: false });
        if self.creations.borrow().len() <= MAX_DEPTH {
            self.run(inner);
        }
        let value = self.make();
        match how {
            How::Fail | How::IfEvenFail => Err(value.number),
            _ => Ok(value),
        }
    }

    /// The innermost creation has ended.
    fn landed(&self, key: u8, made: &Result<Arc<Value>, CreateError<u64>>) {
        let creation = self.creations.borrow_mut().pop().expect("it was running");
        assert_eq!(creation.key, key);
        match made {
            Ok(value) if !creation.overtaken => drop(self.put(key, value)),
            Ok(_) | Err(CreateError::Create(_)) => {}
            Err(CreateError::Reentrant) => panic!("a creation that ran is re-entrant"),
        }
    }

    fn reentrant(&self, key: u8) -> Reentrant {
        let creations = self.creations.borrow();
        let mut of_key = creations.iter().filter(|creation| creation.key == key).peekable();
        if of_key.peek().is_none() {
            Reentrant::No
        } else if of_key.any(|creation| !creation.overtaken) {
            Reentrant::Yes
        } else {
            // What was overtaken is made still, but no more for the dictionary.
            Reentrant::Either
        }
    }

    fn overtake(&self, which: impl Fn(u8) -> bool) {
        for creation in self.creations.borrow_mut().iter_mut().filter(|other| which(other.key)) {
            creation.overtaken = true;
        }
    }

    fn sweep(&self) {
        let dead = |pointer: &Pointer<Value>| pointer.strong_count() == 0;
        let most = self.model.borrow().iter().filter(|(_, value)| dead(value)).count();
        assert!((self.sweep)(&self.dict) <= most);
        self.model.borrow_mut().retain(|(_, value)| !dead(value));
    }

    fn make(&self) -> Arc<Value> {
        self.next.set(self.next.get() + 1);
        let dict: Arc<dyn Touch> = self.dict.clone();
        Arc::new(Value { number: self.next.get(), dict: Arc::downgrade(&dict) })
    }

    fn hold(&self, hold: bool, value: &Arc<Value>) {
        if hold {
            self.held.borrow_mut().push(Arc::clone(value));
        }
    }

    fn let_go(&self, number: u8) {
        let count = self.held.borrow().len();
        if count > 0 {
            let value = self.held.borrow_mut().swap_remove(usize::from(number) % count);
            drop(value);
        }
    }

    fn peek(&self, key: u8) -> Option<Arc<Value>> {
        let model = self.model.borrow();
        model.iter().find(|(other, _)| *other == key).and_then(|(_, value)| value.upgrade())
    }

    /// The value under `key`, which becomes the most recently used.
    fn used(&self, key: u8) -> Option<Arc<Value>> {
        let mut model = self.model.borrow_mut();
        if let Some(at) = model.iter().position(|(other, _)| *other == key) {
            let entry = model.remove(at);
            model.push(entry);
        }
        drop(model);
        self.peek(key)
    }

    /// Puts `value` into the model; what comes back is dropped without a borrow.
    fn put(&self, key: u8, value: &Arc<Value>) -> Vec<(u8, Pointer<Value>)> {
        let mut model = self.model.borrow_mut();
        let mut gone: Vec<_> = model.extract_if(.., |(other, _)| *other == key).collect();
        model.push((key, Arc::downgrade(value)));
        if self.capacity.is_some_and(|capacity| model.len() > capacity) {
            gone.push(model.remove(0));
        }
        gone
    }

    /// The dictionary holds what the model says, and nothing else.
    fn check(&self) {
        let mut expected: Vec<u8> = Vec::new();
        for (key, value) in self.model.borrow().iter() {
            assert!(!self.keeps || value.strong_count() > 0, "a value that is kept was dropped");
            expected.extend((value.strong_count() > 0).then_some(*key));
        }
        expected.sort_unstable();
        let mut keys = self.dict.keys();
        keys.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!((self.dict.len(), self.dict.is_empty()), (keys.len(), keys.is_empty()));
        for key in 0..KEYS {
            assert_eq!(self.dict.contains_key(&key), expected.contains(&key));
            assert_eq!(self.dict.waiting(&key), 0);
        }
        let running = self.creations.borrow().iter().filter(|other| !other.overtaken).count();
        let creations = self.dict.creations();
        assert!(creations >= running && creations <= self.creations.borrow().len());
    }
}

/// Whether a creation must be refused because its creator is running already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reentrant {
    No,
    Either,
    Yes,
}

fn is_even(value: &Value) -> bool {
    value.number.is_multiple_of(2)
}
