//! The response of a request with a session.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use super::headers;
use crate::core::{Outgoing, watch};
use crate::fields;
use crate::lazy::InTask;
use crate::{Error, ErrorKind, LazySession};

type Commit = Pin<Box<dyn Future<Output = Result<Outgoing, Error>> + Send>>;

pin_project! {
    /// The future of [`SessionService`](super::SessionService).
    pub struct SessionFuture<F, R> {
        // `None` if the request was refused.
        #[pin]
        pub(super) inner: Option<F>,
        pub(super) lazy: LazySession,
        // Boxed, as few commits wait.
        pub(super) committing: Option<Box<Committing<R>>>,
    }
}

/// The response, and the commit that it waits for.
pub(super) struct Committing<R> {
    response: Response<R>,
    commit: Commit,
}

impl<F, R> SessionFuture<F, R> {
    /// Of a request that does not reach the service.
    #[cold]
    #[inline(never)]
    pub(super) fn refused(lazy: LazySession) -> Self {
        Self { inner: None, lazy, committing: None }
    }
}

impl<F, R, E> Future for SessionFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.committing.is_none() {
            let Some(inner) = this.inner.as_pin_mut() else {
                let refused = Error::new(ErrorKind::Rejected, "admit request");
                return Poll::Ready(Ok(empty(status_of(&refused))));
            };
            let answered = inner.poll(context);
            let Poll::Ready(Ok(response)) = &answered else { return answered };
            // As it came: a response is large to be taken out and put in again.
            if this.lazy.was_left_alone() {
                return answered;
            }
            let server_error = response.status().is_server_error();
            let in_task = this.lazy.commit_in_task(server_error);
            if let InTask::Untouched = in_task {
                return answered;
            }
            let response = ready!(answered)?;
            if let InTask::Committed(committed) = in_task {
                return Poll::Ready(Ok(finish(response, committed)));
            }
            let lazy = this.lazy.clone();
            let commit = Box::pin(async move { lazy.commit_as_async(server_error).await });
            *this.committing = Some(Box::new(Committing { response, commit }));
        }
        let Some(mut committing) = this.committing.take() else { return Poll::Pending };
        match committing.commit.as_mut().poll(context) {
            Poll::Ready(committed) => Poll::Ready(Ok(finish(committing.response, committed))),
            Poll::Pending => {
                *this.committing = Some(committing);
                Poll::Pending
            }
        }
    }
}

fn finish<R: Default>(
    mut response: Response<R>,
    committed: Result<Outgoing, Error>,
) -> Response<R> {
    match committed {
        Ok(outgoing) => headers::add(response.headers_mut(), outgoing),
        Err(error) => response = empty(status_of(&error)),
    }
    response
}

fn empty<R: Default>(status: StatusCode) -> Response<R> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// What a client is told of a session that could not be loaded or saved. Why, is told to whoever watches.
pub(crate) fn status_of(error: &Error) -> StatusCode {
    let status = fields::status_of(error);
    watch::unsaid(error, status);
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl<F, R> fmt::Debug for SessionFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionFuture").field("lazy", &self.lazy).finish_non_exhaustive()
    }
}
