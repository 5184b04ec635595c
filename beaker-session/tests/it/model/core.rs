//! `SessionCore` by hand: every order of the store's answers, and every answer that fails.
//
// 1. A player is one request. It stops at each question for the store. When all have stopped, one
//    question is answered: by the store; or by a failure, before the store did anything or after,
//    as a network loses a question or an answer. At most one fails in a run.
// 2. The runs are a tree, played as in `explorer`, without threads: nothing here waits. Who asks for a lock that another
//    has is not answered before it is free; if nobody else can be answered then, the run fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::testkit::FaultStore;
use beaker_namespace::{MemoryConfig, MemoryNamespace, Namespace, Timestamp};
use beaker_session::{
    AccessPolicy, Answer, Builder, Error, ErrorKind, Op, Outgoing, Session, SessionCore, Sessions,
    Step,
};

use crate::browser::Browser;
use crate::site::blinded;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// What a request does with its session, and whether its response is a server error.
pub(super) type Script<'a> = (&'a dyn Fn(&World, &Session), bool);

/// Whatever is done with it.
#[test]
fn a_core_has_no_store() {
    let namespace = Arc::new(FaultStore::new(memory()));
    let world = World::new(Arc::clone(&namespace), |builder| builder);
    let (header, handles) = (world.browser.header(), Arc::strong_count(&namespace));
    let mut core = SessionCore::new(&world.sessions, [header.as_bytes()]);
    let mut step = core.begin_load(NOW).unwrap();
    while let Step::Ask(op) = step {
        step = core.answer(op.run(world.sessions.store(), None), NOW).unwrap();
    }
    let (session, asked) = (core.session().unwrap(), namespace.operations());
    session.insert("more", 1).unwrap();
    assert_eq!(session.save().unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(namespace.operations(), asked);
    assert!(matches!(core.begin_save(NOW).unwrap(), Step::Ask(Op::Update { .. })), "it is kept");

    assert_eq!(Arc::strong_count(&namespace), handles);
    drop(world);
    assert_eq!(Arc::strong_count(&namespace), 1, "who has a core and its session has no store");
}

/// A site with one session in it, and the browser that has its cookie.
pub(super) struct World {
    pub(super) sessions: Sessions,
    browser: Browser,
}

impl World {
    pub(super) fn new(namespace: impl Namespace, settings: impl Fn(Builder) -> Builder) -> Self {
        let clock = Arc::new(beaker_namespace::ManualClock::new(NOW));
        let builder = Sessions::builder()
            .with_namespace(Arc::new(namespace))
            .with_clock(clock)
            .with_access(AccessPolicy::Never);
        let sessions = settings(builder).build().unwrap();
        let mut browser = Browser::new();
        browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
        Self { sessions, browser }
    }

    pub(super) fn header(&self) -> String {
        self.browser.header()
    }

    pub(super) fn sees(&self, key: &str) -> Option<serde_json::Value> {
        self.browser.sees(&self.sessions, key)
    }
}

pub(super) fn memory() -> Arc<MemoryNamespace> {
    let clock = Arc::new(beaker_namespace::ManualClock::new(NOW));
    MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).unwrap()
}

fn sound() -> World {
    World::new(memory(), |builder| builder)
}

fn upserting() -> World {
    World::new(blinded(memory()), |builder| builder)
}

/// How a request ended, and what it sends.
pub(super) type End = Result<Outgoing, Error>;

/// One request on its way.
struct Player<'a> {
    core: Option<SessionCore>,
    script: Script<'a>,
    asked: Option<Op>,
    committing: bool,
    end: Option<End>,
}

impl<'a> Player<'a> {
    fn begin(world: &World, script: Script<'a>) -> Self {
        let header = world.browser.header();
        let mut core = SessionCore::new(&world.sessions, [header.as_bytes()]);
        let step = core.begin_load(NOW);
        let mut player =
            Self { core: Some(core), script, asked: None, committing: false, end: None };
        player.go(world, step);
        player
    }

    /// Whether there is an answer to what it asks.
    fn may_go_on(&self, world: &World) -> bool {
        match &self.asked {
            Some(Op::Lock(key)) => world.sessions.lock(key).is_ok(),
            asked => asked.is_some(),
        }
    }

    fn answer(&mut self, world: &World, how: How) {
        let op = self.asked.take().expect("it has asked");
        if let Op::Lock(key) = &op {
            let locked = world.sessions.lock(key).into();
            let step = self.core.as_mut().expect("it is under way").answer(locked, NOW);
            return self.go(world, step);
        }
        let lost = || Answer::Failed(Error::new(ErrorKind::Unavailable, "ask the store"));
        let answer = match how {
            How::Answered => op.run(world.sessions.store(), None),
            How::QuestionLost => lost(),
            How::AnswerLost => {
                let _ = op.run(world.sessions.store(), None);
                lost()
            }
        };
        let step = self.core.as_mut().expect("it is under way").answer(answer, NOW);
        self.go(world, step);
    }

    /// On to the next question, or to the end.
    fn go(&mut self, world: &World, mut step: Result<Step, Error>) {
        loop {
            match step {
                Ok(Step::Ask(op)) => {
                    self.asked = Some(op);
                    return;
                }
                Ok(Step::Done) if !self.committing => {
                    let core = self.core.as_mut().expect("it is under way");
                    let (work, server_error) = self.script;
                    work(world, &core.session().expect("it is loaded"));
                    self.committing = true;
                    step = core.begin_commit(NOW, server_error);
                }
                ended => {
                    let core = self.core.take().expect("it is under way");
                    // Who could not load it has no session, and answers with an error.
                    self.end = Some(match self.committing {
                        true => core.finish(ended.map(drop)),
                        false => ended.map(|_| Outgoing::default()),
                    });
                    return;
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum How {
    Answered,
    QuestionLost,
    AnswerLost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    Perfect,
    LosesOne,
}

/// Plays the requests in every order and checks how each run ended; says how many runs there were.
pub(super) fn explore(
    world: impl Fn() -> World,
    scripts: &[Script<'_>],
    network: Network,
    check: impl Fn(&World, &[End]),
) -> usize {
    let mut path: Vec<usize> = Vec::new();
    for run in 1..=200_000 {
        let world = world();
        let (taken, ends) = play(&world, scripts, network, &path);
        let orders: Vec<usize> = taken.iter().map(|(choice, _)| *choice).collect();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&world, &ends))) {
            eprintln!("run {run}, the choices {orders:?}");
            resume_unwind(panic);
        }
        let Some(last) = taken.iter().rposition(|(choice, of)| choice + 1 < *of) else {
            return run;
        };
        path = orders[..=last].to_vec();
        path[last] += 1;
    }
    panic!("there is no end of runs");
}

fn play(
    world: &World,
    scripts: &[Script<'_>],
    network: Network,
    path: &[usize],
) -> (Vec<(usize, usize)>, Vec<End>) {
    let mut players: Vec<Player<'_>> =
        scripts.iter().map(|script| Player::begin(world, *script)).collect();
    let (mut taken, mut may_lose) = (Vec::new(), network == Network::LosesOne);
    loop {
        let stopped = (0..players.len()).filter(|number| players[*number].may_go_on(world));
        let hows = |number: usize| -> &[How] {
            match players[number].asked {
                Some(Op::Lock(_)) => &[How::Answered],
                _ if may_lose => &[How::Answered, How::QuestionLost, How::AnswerLost],
                _ => &[How::Answered],
            }
        };
        let options: Vec<(usize, How)> =
            stopped.flat_map(|number| hows(number).iter().map(move |how| (number, *how))).collect();
        if options.is_empty() {
            assert!(
                players.iter().all(|player| player.asked.is_none()),
                "they wait for each other"
            );
            return (taken, players.into_iter().filter_map(|player| player.end).collect());
        }
        let choice = path.get(taken.len()).copied().unwrap_or(0);
        taken.push((choice, options.len()));
        let (number, how) = options[choice];
        may_lose &= matches!(how, How::Answered);
        players[number].answer(world, how);
    }
}

/// Whether `check` fails in some order.
pub(super) fn is_caught(
    world: impl Fn() -> World,
    scripts: &[Script<'_>],
    check: impl Fn(&World, &[End]),
) -> bool {
    let explored = || explore(world, scripts, Network::Perfect, check);
    catch_unwind(AssertUnwindSafe(explored)).is_err()
}

fn click(_: &World, session: &Session) {
    // A session that has ended meanwhile refuses it, which its commit tells.
    let _ = session.add("clicks", 1);
}

fn logout(_: &World, session: &Session) {
    session.delete().unwrap();
}

fn renew(_: &World, session: &Session) {
    let _ = session.renew();
}

const CLICK: Script<'static> = (&click, false);
pub(super) const LOGOUT: Script<'static> = (&logout, false);
pub(super) const RENEW: Script<'static> = (&renew, false);
const RENEW_THEN_500: Script<'static> = (&renew, true);

fn clicks(world: &World) -> usize {
    world.sees("clicks").and_then(|clicks| clicks.as_u64()).unwrap_or(0) as usize
}

/// Each request that was told so has its click in the session.
fn what_was_said_is_there(world: &World, ends: &[End]) {
    let saved = ends.iter().filter(|end| end.is_ok()).count();
    let lost = ends.len() - saved;
    assert!((saved..=saved + lost).contains(&clicks(world)), "{} of {saved}", clicks(world));
    assert_eq!(world.sees("user"), Some("ada".into()));
}

#[test]
fn a_core_loses_no_update_in_any_order() {
    let runs = explore(sound, &[CLICK; 3], Network::Perfect, |world, ends| {
        assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 3);
        assert_eq!(clicks(world), 3);
    });
    assert!(runs > 50, "{runs} runs");
    assert!(is_caught(upserting, &[CLICK; 3], what_was_said_is_there), "control");
}

#[test]
fn a_core_whose_store_s_answer_is_lost_says_so_or_has_saved() {
    let runs = explore(sound, &[CLICK; 2], Network::LosesOne, what_was_said_is_there);
    assert!(runs >= 50, "{runs} runs");
}

fn stays_logged_out(world: &World, ends: &[End]) {
    // A logout that fails says so, and may have been done or not.
    if ends[0].is_ok() {
        assert_eq!(world.sees("user"), None);
    }
}

#[test]
fn a_core_brings_no_session_back_in_any_order() {
    for network in [Network::Perfect, Network::LosesOne] {
        for other in [CLICK, RENEW] {
            let runs = explore(sound, &[LOGOUT, other], network, stays_logged_out);
            assert!(runs >= 6, "{runs} runs");
        }
    }
    assert!(is_caught(upserting, &[LOGOUT, CLICK], stays_logged_out), "control");
}

/// The browser, which got no cookie by the 500, is still logged in.
fn is_still_logged_in(world: &World, ends: &[End]) {
    if let Ok(outgoing) = &ends[0] {
        assert_eq!(outgoing.set_cookies().len(), 0);
    }
    assert_eq!(world.sees("user"), Some("ada".into()));
}

#[test]
fn a_core_that_renews_and_then_fails_leaves_the_old_session_in_any_order() {
    for network in [Network::Perfect, Network::LosesOne] {
        explore(sound, &[RENEW_THEN_500, CLICK], network, is_still_logged_in);
    }
    // What others do: the old id goes first.
    let deletes_first = |world: &World, session: &Session| {
        let _gone = world.sessions.store().delete(&session.key().unwrap()).unwrap();
    };
    assert!(is_caught(sound, &[(&deletes_first, true), CLICK], is_still_logged_in), "control");
}

/// Under the old cookie, or under the one that was sent, there is the session: never under none.
#[test]
fn a_renewal_whose_answer_is_lost_leaves_the_session_under_one_of_both_ids() {
    explore(sound, &[RENEW], Network::LosesOne, |world, ends| {
        let sent = ends[0].as_ref().ok().and_then(|outgoing| outgoing.set_cookies().next());
        match sent.and_then(|cookie| cookie.split(';').next()) {
            Some(pair) => {
                let renewed = Browser::with(pair);
                assert_eq!(renewed.sees(&world.sessions, "user"), Some("ada".into()));
                assert_eq!(world.sees("user"), None);
            }
            None => {
                // The store may have done it, and the answer been lost: then nobody knows the new
                // id, and the old one says that it was renewed.
                let old = world.browser.begin(&world.sessions).load().unwrap();
                let origin = old.origin();
                assert!(world.sees("user") == Some("ada".into()) || ends[0].is_err(), "{origin:?}");
            }
        }
    });
}

/// The session that the requests have left is on its subject's list, for as long as it may live.
fn is_listed_as_whose_it_is(world: &World, ends: &[End]) {
    let sent = ends.iter().flatten().find_map(|outgoing| outgoing.set_cookies().next());
    let renewed = sent.and_then(|cookie| cookie.split(';').next()).map(Browser::with);
    let browser = renewed.as_ref().unwrap_or(&world.browser);
    let session = browser.begin(&world.sessions).load().unwrap();
    let (subject, key) = (session.subject().unwrap(), session.key().unwrap());
    let members = world.sessions.store().members(&subject).unwrap();
    let member = members.iter().find(|member| member.key == key);
    let until = member.expect("its subject's list has it").until;
    assert_eq!(until, session.expires().unwrap(), "no request of this test uses idle time-outs");
}

/// A renewal puts the session on a list under its new key, and then meets who has made it another's, or
/// has let it live longer: so it is put on that one's list, or once more.
#[test]
fn a_renewed_session_is_on_the_list_of_whose_it_has_become_in_any_order() {
    let of_ada = || {
        let world = sound();
        let session = world.browser.begin(&world.sessions).load().unwrap();
        session.set_subject("ada", None).unwrap();
        session.set_limits(None, Some(DAY)).unwrap();
        session.save().unwrap();
        world
    };
    let becomes_bob_s = |_: &World, session: &Session| {
        let _ = session.set_subject("bob", None);
    };
    let lives_longer = |_: &World, session: &Session| {
        let _ = session.set_limits(None, Some(7 * DAY));
    };
    let others: [Script<'_>; 2] = [(&becomes_bob_s, false), (&lives_longer, false)];
    for other in others {
        let runs = explore(of_ada, &[RENEW, other], Network::Perfect, is_listed_as_whose_it_is);
        assert!(runs >= 6, "{runs} runs");
    }
}

#[test]
fn an_answer_to_no_question_is_refused() {
    let world = sound();
    let mut core = SessionCore::new(&world.sessions, []);
    let error = core.answer(Answer::Enrolled, NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(core.session().is_none() && !core.is_open());
    // Without a cookie there is nothing to ask.
    assert!(matches!(core.begin_load(NOW), Ok(Step::Done)));
    assert!(core.session().is_some());
    // The answer to another question is no answer.
    let header = world.browser.header();
    let mut core = SessionCore::new(&world.sessions, [header.as_bytes()]);
    assert!(matches!(core.begin_load(NOW), Ok(Step::Ask(Op::Load(_)))));
    assert_eq!(core.answer(Answer::Enrolled, NOW).unwrap_err().kind(), ErrorKind::Config);
}
