//! The response of a request with a session.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use super::headers;
use crate::core::Outgoing;
use crate::fields;
use crate::lazy::Goal;
use crate::{Error, LazySession};

type Commit = Pin<Box<dyn Future<Output = Result<Outgoing, Error>> + Send>>;

pin_project! {
    /// The future of [`SessionService`](super::SessionService).
    pub struct SessionFuture<F, R> {
        #[pin]
        inner: F,
        lazy: LazySession,
        // The response, and the commit that it waits for.
        committing: Option<(Response<R>, Commit)>,
    }
}

impl<F, R> SessionFuture<F, R> {
    pub(super) fn new(inner: F, lazy: LazySession) -> Self {
        Self { inner, lazy, committing: None }
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
        let (response, mut commit) = match this.committing.take() {
            Some(committing) => committing,
            None => {
                let response = ready!(this.inner.poll(context))?;
                if this.lazy.commit_untouched() {
                    return Poll::Ready(Ok(response));
                }
                let server_error = response.status().is_server_error();
                if this.lazy.is_inline(Goal::Commit { server_error }) {
                    let committed = this.lazy.commit_as(server_error);
                    return Poll::Ready(Ok(finish(response, committed)));
                }
                let lazy = this.lazy.clone();
                let commit = async move { lazy.commit_as_async(server_error).await };
                (response, Box::pin(commit) as Commit)
            }
        };
        match commit.as_mut().poll(context) {
            Poll::Ready(committed) => Poll::Ready(Ok(finish(response, committed))),
            Poll::Pending => {
                *this.committing = Some((response, commit));
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
        Err(error) => {
            response = Response::default();
            *response.status_mut() = status_of(&error);
        }
    }
    response
}

/// What a client is told of a session that could not be loaded or saved.
pub(crate) fn status_of(error: &Error) -> StatusCode {
    let status = StatusCode::from_u16(fields::status_of(error));
    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl<F, R> fmt::Debug for SessionFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionFuture").field("lazy", &self.lazy).finish_non_exhaustive()
    }
}
