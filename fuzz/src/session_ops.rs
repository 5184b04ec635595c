//! Two requests of one session, with their calls in any order, held against a plain model.
//
// The model keeps what each request has seen and what it did since. A save does that again upon what is
// stored by then. A session that was renewed by the other request is gone for this one.

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
    Save,
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

/// The session as it is stored.
struct Model {
    id: SessionId,
    old_id: Option<SessionId>,
    values: Values,
}

/// One request, and what is known of it.
struct Request {
    lazy: LazySession,
    session: Session,
    id: Option<SessionId>,
    seen: Values,
    done: Vec<Effect>,
    renews: bool,
    ended: bool,
}

/// Makes the calls, and compares what each request and the store have after each.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let site = Site::plain();
    let id = first(&site);
    let mut model = Model { id, old_id: None, values: Values::default() };
    let begin = |id: SessionId, model: &Model| Request::begin(&site, id, model);
    let mut requests = [begin(id, &model), begin(id, &model)];
    for (number, call) in case.calls.into_iter().take(MAX_CALLS) {
        let request = &mut requests[usize::from(number)];
        match call {
            Call::Commit { old } => {
                request.save(&mut model, |request| request.lazy.commit().map(drop), true);
                let id = model.old_id.filter(|_| old).unwrap_or(model.id);
                *request = begin(id, &model);
            }
            Call::Save => request.save(&mut model, |request| request.session.save(), false),
            call => request.call(call),
        }
        request.check();
        begin(model.id, &model).check();
    }
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
        Self { lazy, session, id, seen, done: Vec::new(), renews: false, ended: !known }
    }

    fn view(&self) -> Values {
        self.seen.clone().after(&self.done)
    }

    fn call(&mut self, call: Call) {
        let view = self.view();
        let result = self.make(call, &view);
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
            Call::Save | Call::Commit { .. } => None,
        })
    }

    fn save(
        &mut self,
        model: &mut Model,
        save: impl FnOnce(&Self) -> Result<(), Error>,
        is_commit: bool,
    ) {
        let saved = save(self);
        let writes = !self.done.is_empty() || self.renews;
        if writes && self.id != Some(model.id) {
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
        }
        self.id = Some(model.id);
    }

    fn check(&self) {
        let mut data = self.session.data();
        if let Some(Value::Array(set)) = data.get_mut(SET) {
            set.sort_by_key(Value::as_u64);
        }
        assert_eq!(data, self.view().data());
    }
}
