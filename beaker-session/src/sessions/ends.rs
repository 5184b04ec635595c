//! Who is told, in this process, that a session may have ended.
//
// 1. Whatever may end a session is a call of the store, and whoever makes it tells then. What came of the call is not
//    looked at: who waits looks himself, and so is not misled by a call that has failed, nor by one whose answer was
//    lost.
// 2. What a request does that ends no session tells nobody, and costs a look at which call it was.
// 3. Who asks the store by himself (a `SessionCore` that is driven elsewhere, another process, other `Sessions` over the
//    same store) tells nobody here. So who waits also looks now and then.
// 4. Where the store is in memory, one is told under the lock of the request's own session, as the store is asked. So a
//    waker that does more than to schedule its task must not use that session.

use beaker_sync::Listener;

use super::Sessions;
use crate::RecordKey;
use crate::core::Op;
use crate::session::Loaded;

/// What may end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The session under a key.
    Session(RecordKey),
    /// All sessions of a subject that are kept in cookies.
    Epoch(String),
}

impl Sessions {
    /// Tells those who wait for what `op` may have ended; to be called when the store has answered.
    #[inline]
    pub(crate) fn tell(&self, op: &Op) {
        let ended = match op {
            Op::Delete(key) | Op::DeleteIf { key, .. } | Op::Rename { from: key, .. } => {
                End::Session(*key)
            }
            // The mark of a session that is kept in its cookie.
            Op::Create { key, .. } if self.0.config.epochs => End::Session(*key),
            Op::RaiseEpoch(subject) => End::Epoch(subject.clone()),
            _ => return,
        };
        self.0.ends.notify(&ended);
    }

    /// Listens for the end of a session.
    pub(crate) fn listen(&self, session: &Loaded) -> Listener<'_, End> {
        let config = &self.0.config;
        let key = match config.sealer {
            Some(_) => session.id.hashed(),
            None => config.wire.key(&session.id),
        };
        let subject = session.base.record.subject().filter(|_| config.epochs);
        let epoch = subject.map(|subject| End::Epoch(subject.to_owned()));
        self.0.ends.listen([End::Session(key)].into_iter().chain(epoch))
    }
}
