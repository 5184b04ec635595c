//! `MergePolicy::Lock` over `SessionCore`: one request of a session at a time, in every order of the locks and of the
//! store's answers. The control is the same with the policy that merges.

use std::time::Duration;

use beaker_session::{Answer, ErrorKind, MergePolicy, Op, Session, SessionCore, Step};

use super::core::{End, LOGOUT, NOW, Network, RENEW, Script, World, explore, is_caught, memory};
use crate::browser::Browser;

fn locking() -> World {
    let at_once = MergePolicy::Lock { wait: Duration::ZERO };
    World::new(memory(), |builder| builder.with_merge(at_once))
}

fn merging() -> World {
    World::new(memory(), |builder| builder)
}

/// Reads a number and puts the next one: of two who do so at the same time one is lost, whatever is merged.
fn take_turn(_: &World, session: &Session) {
    let turn = session.get::<usize>("turn").unwrap().unwrap_or(0);
    // A session that was renewed meanwhile refuses it.
    let _ = session.insert("turn", turn + 1);
}

const TURN: Script<'static> = (&take_turn, false);

fn turn(world: &World) -> usize {
    world.sees("turn").and_then(|turn| turn.as_u64()).unwrap_or(0) as usize
}

fn all_had_their_turn(world: &World, ends: &[End]) {
    assert!(ends.iter().all(Result::is_ok));
    assert_eq!((turn(world), world.sees("user")), (ends.len(), Some("ada".into())));
    assert_eq!((world.sessions.counts().conflicts, world.sessions.locked()), (0, 0));
}

#[test]
fn one_request_at_a_time_has_the_session_in_any_order() {
    let runs = explore(locking, &[TURN; 3], Network::Perfect, all_had_their_turn);
    assert_eq!(runs, 6, "the orders in which three have their turns");
    assert!(is_caught(merging, &[TURN; 3], all_had_their_turn), "control");
}

#[test]
fn whatever_fails_the_next_has_its_turn_and_no_lock_is_left() {
    let runs = explore(locking, &[TURN; 3], Network::LosesOne, |world, ends| {
        let saved = ends.iter().filter(|end| end.is_ok()).count();
        assert!(saved >= 2, "one at most fails");
        assert!((saved..=ends.len()).contains(&turn(world)), "{} of {saved}", turn(world));
        assert_eq!((world.sessions.counts().conflicts, world.sessions.locked()), (0, 0));
    });
    assert!(runs > 20, "{runs} runs");
}

/// Nobody is refused what he did: he was before the logout, or found no session after it.
fn nobody_is_refused(world: &World, ends: &[End]) {
    assert!(ends.iter().all(Result::is_ok));
    assert_eq!(world.sees("user"), None);
    let counts = world.sessions.counts();
    assert_eq!((counts.refused, counts.conflicts, world.sessions.locked()), (0, 0, 0));
}

#[test]
fn who_waited_for_a_logout_or_a_renewal_finds_the_session_gone_in_any_order() {
    for first in [LOGOUT, RENEW] {
        let runs = explore(locking, &[first, TURN], Network::Perfect, |world, ends| {
            nobody_is_refused(world, ends);
            let Some(cookie) = ends[0].as_ref().unwrap().set_cookies().next() else { return };
            let renewed = Browser::with(cookie.split(';').next().unwrap());
            let (user, turn) =
                ["user", "turn"].map(|key| renewed.sees(&world.sessions, key)).into();
            assert!(turn.is_none() || user.is_some() && turn == Some(1.into()));
        });
        assert_eq!(runs, 2);
        assert!(is_caught(merging, &[first, TURN], nobody_is_refused), "control");
    }
}

/// Answers for a core until it asks for a lock or has nothing to ask.
fn answered(world: &World, core: &mut SessionCore, mut step: Step) -> Step {
    while let Step::Ask(op) = &step
        && !matches!(op, Op::Lock(_))
    {
        step = core.answer(op.run(world.sessions.store(), None), NOW).unwrap();
    }
    step
}

/// The cookies of two sessions, and one that was renewed: each that is looked for is locked, and one at a time.
#[test]
fn a_core_has_one_lock_whatever_cookies_come() {
    let world = locking();
    let mut other = Browser::new();
    other.visit(&world.sessions, |session| session.insert("user", "eve")).unwrap();
    let mut renewed = other.clone();
    renewed.visit(&world.sessions, |session| session.renew()).unwrap();
    let header = [other.header(), renewed.header(), world.header()].join("; ");

    let mut core = SessionCore::new(&world.sessions, [header.as_bytes()]);
    let (mut step, mut asked) = (core.begin_load(NOW).unwrap(), Vec::new());
    while let Step::Ask(Op::Lock(key)) = step {
        asked.push(key);
        let locked = world.sessions.lock(&key).unwrap();
        step = core.answer(Answer::Locked(locked), NOW).unwrap();
        step = answered(&world, &mut core, step);
        let is_found = matches!(step, Step::Done);
        assert_eq!(world.sessions.locked(), usize::from(is_found), "none without its session");
    }
    let session = core.session().unwrap();
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("eve"));
    assert_eq!((asked.len(), asked.last()), (2, session.key().as_ref()));
    drop((core, session));
    assert_eq!(world.sessions.locked(), 0);
}

#[test]
fn a_core_takes_no_lock_but_the_one_that_it_asked_for() {
    let world = locking();
    let begin = || SessionCore::new(&world.sessions, [world.header().as_bytes()]);
    let (mut core, mut another) = (begin(), begin());
    let Step::Ask(Op::Lock(key)) = core.begin_load(NOW).unwrap() else { panic!("a lock is first") };
    let of_another_session = beaker_session::SessionId::parse("AAAAAAAAAAAAAAAAAAAAAA").unwrap();
    let wrong = world.sessions.lock(&of_another_session.hashed()).unwrap();
    let error = core.answer(Answer::Locked(wrong), NOW).unwrap_err();
    assert_eq!((error.kind(), world.sessions.locked()), (ErrorKind::Config, 0));

    // It is no store's to give.
    let refused = Op::Lock(key).run(world.sessions.store(), None);
    assert!(matches!(&refused, Answer::Failed(error) if error.kind() == ErrorKind::Unsupported));

    // One that has committed meanwhile has nothing to do with it any more.
    assert!(matches!(another.begin_load(NOW).unwrap(), Step::Ask(Op::Lock(_))));
    assert!(matches!(another.begin_commit(NOW, false).unwrap(), Step::Done));
    let late = world.sessions.lock(&key).unwrap();
    let error = another.answer(Answer::Locked(late), NOW).unwrap_err();
    assert_eq!((error.kind(), world.sessions.locked()), (ErrorKind::AlreadyCommitted, 0));
}
