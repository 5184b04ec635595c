//! What is told to whoever watches, with the feature `tracing`. Never an id, a key or a value: a
//! session is called by a short hash of its id under a key (see `keys/ids.rs`).

pub(crate) use self::told::*;

#[cfg(feature = "tracing")]
mod told {
    use std::error::Error as StdError;
    use std::{fmt, io};

    use crate::config::Config;
    use crate::cookie::Refusal;
    use crate::{Error, SessionId};

    const TARGET: &str = "beaker_session";

    /// Another request has changed the session, and the changes are merged or refused.
    #[cold]
    pub(crate) fn conflict(config: &Config, id: Option<&SessionId>) {
        let session = Named(config, id);
        tracing::debug!(target: TARGET, %session, "another request changed the session");
    }

    /// A cookie of the session's name that we did not make, or no longer accept.
    #[cold]
    pub(crate) fn rejected_cookie(reason: Refusal) {
        tracing::debug!(target: TARGET, %reason, "a cookie was refused");
    }

    /// A cookie that is good, whose session is not.
    #[cold]
    pub(crate) fn refused_cookie(config: &Config, reason: Refusal, id: &SessionId) {
        let session = Named(config, Some(id));
        tracing::debug!(target: TARGET, %reason, %session, "a cookie was refused");
    }

    /// Another request had the session for too long.
    #[cold]
    pub(crate) fn busy(config: &Config, id: &SessionId) {
        let session = Named(config, Some(id));
        tracing::warn!(target: TARGET, %session, "another request had the session for too long");
    }

    /// The session was ended by another request, so its changes were not stored.
    #[cold]
    pub(crate) fn refused(config: &Config, id: Option<&SessionId>) {
        let session = Named(config, id);
        tracing::debug!(
            target: TARGET,
            %session,
            "the session was ended meanwhile, its changes are not stored"
        );
    }

    /// The store failed, or a record could not be read back.
    #[cold]
    pub(crate) fn failed(config: &Config, error: &Error, id: Option<&SessionId>) {
        let session = Named(config, id);
        tracing::warn!(target: TARGET, kind = ?error.kind(), %session, "{}", Why(error));
    }

    /// A client is told a status and no more: the reason is here or nowhere.
    #[cfg(any(feature = "actix", feature = "tower"))]
    #[cold]
    pub(crate) fn unsaid(error: &Error, status: u16) {
        let (kind, why) = (error.kind(), Why(error));
        if status >= 500 {
            tracing::warn!(target: TARGET, status, ?kind, "answered without a body: {why}");
        } else {
            tracing::debug!(target: TARGET, status, ?kind, "answered without a body: {why}");
        }
    }

    /// The service let shared caches keep a response that sets a cookie.
    #[cfg(any(feature = "actix", feature = "tower"))]
    #[cold]
    pub(crate) fn public_cookie() {
        tracing::warn!(
            target: TARGET,
            "a response with `Cache-Control: public` sets the session's cookie; `no-store` is sent \
             instead"
        );
    }

    /// An error, and what it comes from as far as that names no key and no value: the store's errors do not, nor do
    /// the operating system's.
    struct Why<'a>(&'a Error);

    impl fmt::Display for Why<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut said = self.0.to_string();
            f.write_str(&said)?;
            let mut source = self.0.source();
            while let Some(below) = source.filter(|below| is_plain(*below)) {
                let reason = below.to_string();
                // Some errors have it as their detail.
                if !said.ends_with(&reason) {
                    write!(f, ": {reason}")?;
                }
                said = reason;
                source = below.source();
            }
            Ok(())
        }
    }

    fn is_plain(error: &(dyn StdError + 'static)) -> bool {
        let system = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        system.is_some() || error.is::<beaker_namespace::Error>()
    }

    /// A session's name in a log; `new` where it has no id yet.
    struct Named<'a>(&'a Config, Option<&'a SessionId>);

    impl fmt::Display for Named<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.1 {
                Some(id) => write!(f, "{:08x}", self.0.id_keys.log_name(id)),
                None => f.write_str("new"),
            }
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod told {
    use crate::config::Config;
    use crate::cookie::Refusal;
    use crate::{Error, SessionId};

    pub(crate) fn conflict(_: &Config, _: Option<&SessionId>) {}
    pub(crate) fn rejected_cookie(_: Refusal) {}
    pub(crate) fn refused_cookie(_: &Config, _: Refusal, _: &SessionId) {}
    pub(crate) fn busy(_: &Config, _: &SessionId) {}
    pub(crate) fn refused(_: &Config, _: Option<&SessionId>) {}
    pub(crate) fn failed(_: &Config, _: &Error, _: Option<&SessionId>) {}
    #[cfg(any(feature = "actix", feature = "tower"))]
    pub(crate) fn unsaid(_: &Error, _: u16) {}
    #[cfg(any(feature = "actix", feature = "tower"))]
    pub(crate) fn public_cookie() {}
}
