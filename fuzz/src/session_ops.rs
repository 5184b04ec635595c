//! Two requests of one session, with their calls in any order, held against a plain model.
//
// The model keeps what each request has seen and what it did since. A save does that again upon what is
// stored by then. A session that was renewed by the other request is gone for this one, and one that
// was ended is gone for both, also if it was ended by an old id. A save may be stopped at one of its
// calls of the store while the other request saves; until its last call it has changed nothing, so the
// other one was first.

use std::sync::{Arc, Mutex, PoisonError};

use arbitrary::{Arbitrary, Unstructured};
use beaker_session::{Data, Error, ErrorKind, LazySession, Origin, Session, SessionId, Value};

use crate::sites::{NAME, Site};

const MAX_CALLS: usize = 64;

/// Each kind of value has keys of its own.
const NUMBER: &str = "number";
const LIST: &str = "list";
const SET: &str = "set";
const PLAIN: [&str; 2] = ["plain 0", "plain 1"];

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
struct Case {
    calls: Vec<(bool, Call)>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Call {
    Insert(bool, u8),
    Remove(bool),
    Add(i8),
    Push(u8),
    Join(u8),
    Leave(u8),
    Revert,
    Renew,
    Delete,
    Save,
    /// A save that is stopped after so many calls of the store, and the other request saves.
    SaveBehind(u8),
    /// Ends the request, and begins the next one with the session's cookie, or with an older one.
    Commit {
        old: bool,
    },
}

/// What a call does to the values.
#[derive(Debug, Clone, Copy)]
enum Effect {
    Insert(bool, u8),
    Remove(bool),
    Add(i8),
    Push(u8),
    Join(u8),
    Leave(u8),
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Values {
    number: Option<i64>,
    list: Option<Vec<u8>>,
    set: Option<Vec<u8>>,
    plain: [Option<u8>; 2],
}

impl Values {
    fn after(mut self, effects: &[Effect]) -> Self {
        effects.iter().for_each(|effect| self.apply(*effect));
        self
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Insert(key, value) => self.plain[usize::from(key)] = Some(value),
            Effect::Remove(key) => self.plain[usize::from(key)] = None,
            Effect::Add(more) => *self.number.get_or_insert(0) += i64::from(more),
            Effect::Push(item) => self.list.get_or_insert_default().push(item),
            Effect::Join(member) => {
                let set = self.set.get_or_insert_default();
                if !set.contains(&member) {
                    set.push(member);
                }
            }
            Effect::Leave(member) => {
                self.set.get_or_insert_default().retain(|other| *other != member);
            }
        }
    }

    fn is_member(&self, member: u8) -> bool {
        self.set.as_ref().is_some_and(|set| set.contains(&member))
    }

    /// As a session has them; a set has no order.
    fn data(&self) -> Data {
        let mut data = Data::new();
        let mut put = |key: &str, value: Option<Value>| {
            value.and_then(|value| data.insert(key.to_owned(), value));
        };
        put(NUMBER, self.number.map(Value::from));
        put(LIST, self.list.clone().map(Value::from));
        let sorted = self.set.clone().map(|mut set| {
            set.sort_unstable();
            Value::from(set)
        });
        put(SET, sorted);
        put(PLAIN[0], self.plain[0].map(Value::from));
        put(PLAIN[1], self.plain[1].map(Value::from));
        data
    }
}

/// How many renewals in a row a logout with an old id follows.
const MAX_FOLLOWED: u32 = 7;

/// The session as it is stored.
struct Model {
    id: SessionId,
    old_id: Option<SessionId>,
    values: Values,
    ended: bool,
    /// Which session it is, after those that were ended.
    number: u32,
    renewals: u32,
}

impl Model {
    fn new(site: &Site, number: u32) -> Self {
        let id = first(site);
        Self { id, old_id: None, values: Values::default(), ended: false, number, renewals: 0 }
    }
}

/// One request, and what is known of it.
struct Request {
    lazy: LazySession,
    session: Session,
    id: Option<SessionId>,
    seen: Values,
    done: Vec<Effect>,
    renews: bool,
    deletes: bool,
    ended: bool,
    /// Those of the model when its id was this request's.
    number: u32,
    renewals: u32,
}

/// Makes the calls, and compares what each request and the store have after each.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let site = Site::plain();
    let mut model = Model::new(&site, 0);
    let begin = |id: SessionId, model: &Model| Request::begin(&site, id, model);
    let mut requests = [begin(model.id, &model), begin(model.id, &model)];
    for (number, call) in case.calls.into_iter().take(MAX_CALLS) {
        let (first, second) = requests.split_at_mut(1);
        let (request, other) = match number {
            false => (&mut first[0], &mut second[0]),
            true => (&mut second[0], &mut first[0]),
        };
        match call {
            Call::Commit { old } => {
                let saved = request.lazy.commit().map(drop);
                request.settle(&mut model, saved, true);
                if model.ended {
                    model = Model::new(&site, model.number + 1);
                }
                let id = model.old_id.filter(|_| old).unwrap_or(model.id);
                *request = begin(id, &model);
            }
            Call::Save => {
                let saved = request.session.save();
                request.settle(&mut model, saved, false);
            }
            Call::SaveBehind(calls) => {
                let saves = other.session.clone();
                let after_conflict = if request.renews { 2 } else { 1 };
                let said = Arc::new(Mutex::new(None));
                let says = Arc::clone(&said);
                let save = move || *lock(&says) = Some(saves.save());
                site.interruption.set(calls % 3, Box::new(save));
                let saved = request.session.save();
                site.interruption.clear();
                if let Some(before) = lock(&said).take() {
                    // It was stopped after it had met a conflict and knew what is there: an update
                    // is told with the conflict, a renewal loads again.
                    if calls % 3 >= after_conflict {
                        request.seen = model.values.clone();
                    }
                    other.settle(&mut model, before, false);
                }
                request.settle(&mut model, saved, false);
            }
            call => request.call(call),
        }
        request.check();
        other.check();
        if !model.ended {
            begin(model.id, &model).check();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stored session without values.
fn first(site: &Site) -> SessionId {
    let request = site.sessions.begin([]);
    let session = request.load().expect("there is no cookie");
    session.insert(PLAIN[0], 0).expect("a number is stored");
    session.save().expect("memory stores");
    session.clear().expect("values can be dropped");
    session.save().expect("memory stores");
    session.id().expect("it is stored")
}

impl Request {
    fn begin(site: &Site, id: SessionId, model: &Model) -> Self {
        let cookie = format!("{NAME}={}", id.expose_text());
        let lazy = site.sessions.begin([cookie.as_bytes()]);
        let session = lazy.load().expect("memory answers");
        let known = id == model.id;
        assert_eq!(session.origin(), if known { Origin::Known } else { Origin::Renewed });
        let seen = if known { model.values.clone() } else { Values::default() };
        let id = known.then_some(id);
        // An old id is that of one renewal before.
        let renewals = model.renewals - u32::from(!known);
        Self {
            lazy,
            session,
            id,
            seen,
            done: Vec::new(),
            renews: false,
            deletes: false,
            ended: !known,
            number: model.number,
            renewals,
        }
    }

    fn view(&self) -> Values {
        self.seen.clone().after(&self.done)
    }

    fn call(&mut self, call: Call) {
        let view = self.view();
        let result = self.make(call, &view);
        if let Call::Delete = call {
            result.expect("a session can be ended more than once");
            self.done.clear();
            self.seen = Values::default();
            self.renews = false;
            (self.deletes, self.ended) = (true, true);
            return;
        }
        if self.ended {
            let error = result.expect_err("a session that was ended is not changed");
            return assert_eq!(error.kind(), ErrorKind::Ended);
        }
        match result.expect("a living session is changed") {
            Some(effect) => self.done.push(effect),
            None if matches!(call, Call::Revert) => {
                self.done.clear();
                self.renews = false;
            }
            None => self.renews |= matches!(call, Call::Renew),
        }
    }

    /// Makes the call, and gives what it does to the values.
    fn make(&self, call: Call, view: &Values) -> Result<Option<Effect>, Error> {
        let session = &self.session;
        Ok(match call {
            Call::Insert(key, value) => {
                session.insert(PLAIN[usize::from(key)], value)?;
                (view.plain[usize::from(key)] != Some(value)).then_some(Effect::Insert(key, value))
            }
            Call::Remove(key) => {
                let removed: Option<u8> = session.remove(PLAIN[usize::from(key)])?;
                assert_eq!(removed, view.plain[usize::from(key)]);
                removed.map(|_| Effect::Remove(key))
            }
            Call::Add(more) => {
                let sum = session.add(NUMBER, more.into())?;
                assert_eq!(sum, view.number.unwrap_or(0) + i64::from(more));
                Some(Effect::Add(more))
            }
            Call::Push(item) => {
                session.push(LIST, item)?;
                Some(Effect::Push(item))
            }
            Call::Join(member) => {
                let is_new = session.join(SET, member % 4)?;
                assert_eq!(is_new, !view.is_member(member % 4));
                is_new.then_some(Effect::Join(member % 4))
            }
            Call::Leave(member) => {
                let was_there = session.leave(SET, member % 4)?;
                assert_eq!(was_there, view.is_member(member % 4));
                was_there.then_some(Effect::Leave(member % 4))
            }
            Call::Revert => session.revert().map(|()| None)?,
            Call::Renew => session.renew().map(|()| None)?,
            Call::Delete => session.delete().map(|()| None)?,
            Call::Save | Call::SaveBehind(_) | Call::Commit { .. } => None,
        })
    }

    /// Does in the model what was saved, and looks whether that was so.
    fn settle(&mut self, model: &mut Model, saved: Result<(), Error>, is_commit: bool) {
        if self.deletes {
            saved.expect("memory deletes");
            model.ended |= self.reaches(model);
            return;
        }
        let writes = !self.done.is_empty() || self.renews;
        if writes && (self.id != Some(model.id) || model.ended) {
            // At a commit the response stands all the same.
            assert_eq!(
                saved.err().map(|error| error.kind()),
                (!is_commit).then_some(ErrorKind::Ended)
            );
            self.done.clear();
            self.renews = false;
            self.ended = true;
            return;
        }
        saved.expect("memory stores");
        if !writes {
            return;
        }
        model.values = model.values.clone().after(&self.done);
        self.seen = model.values.clone();
        self.done.clear();
        if std::mem::take(&mut self.renews) {
            let id = self.session.id().expect("it is stored");
            assert_ne!(id, model.id, "a renewed session has another id");
            model.old_id = Some(std::mem::replace(&mut model.id, id));
            model.renewals += 1;
        }
        self.id = Some(model.id);
        self.renewals = model.renewals;
    }

    /// Whether a logout here ends the session of the model.
    fn reaches(&self, model: &Model) -> bool {
        self.number == model.number && model.renewals - self.renewals <= MAX_FOLLOWED
    }

    fn check(&self) {
        let mut data = self.session.data();
        if let Some(Value::Array(set)) = data.get_mut(SET) {
            set.sort_by_key(Value::as_u64);
        }
        assert_eq!(data, self.view().data());
    }
}
