//! The response of a request with a session.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::dev::ServiceResponse;
use pin_project_lite::pin_project;

use super::headers;
use crate::core::Outgoing;
use crate::lazy::InTask;
use crate::{Error, ErrorKind, LazySession};

type Answer<B> = Result<ServiceResponse<B>, actix_web::Error>;
type Commit = Pin<Box<dyn Future<Output = Result<Outgoing, Error>>>>;

pin_project! {
    /// The future of [`SessionService`](super::SessionService).
    pub struct CommitFuture<F, B> {
        // `None` if the request was refused.
        #[pin]
        inner: Option<F>,
        lazy: LazySession,
        // The answer, and the commit that it waits for.
        committing: Option<(Answer<B>, Commit)>,
    }
}

impl<F, B> CommitFuture<F, B> {
    pub(super) fn new(inner: Option<F>, lazy: LazySession) -> Self {
        Self { inner, lazy, committing: None }
    }
}

impl<F, B> Future for CommitFuture<F, B>
where
    F: Future<Output = Answer<B>>,
{
    type Output = Answer<B>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (answer, mut commit) = match this.committing.take() {
            Some(committing) => committing,
            None => {
                let Some(inner) = this.inner.as_pin_mut() else {
                    let refused = Error::new(ErrorKind::Rejected, "admit request");
                    return Poll::Ready(Err(refused.into()));
                };
                let answer = ready!(inner.poll(context));
                let server_error = is_server_error(&answer);
                match this.lazy.commit_in_task(server_error) {
                    InTask::Untouched => return Poll::Ready(answer),
                    InTask::Committed(committed) => return Poll::Ready(finish(answer, committed)),
                    InTask::Blocks => {}
                }
                let lazy = this.lazy.clone();
                let commit = async move { lazy.commit_as_async(server_error).await };
                (answer, Box::pin(commit) as Commit)
            }
        };
        match commit.as_mut().poll(context) {
            Poll::Ready(committed) => Poll::Ready(finish(answer, committed)),
            Poll::Pending => {
                *this.committing = Some((answer, commit));
                Poll::Pending
            }
        }
    }
}

fn is_server_error<B>(answer: &Answer<B>) -> bool {
    match answer {
        Ok(response) => response.status().is_server_error(),
        Err(error) => error.as_response_error().status_code().is_server_error(),
    }
}

fn finish<B>(answer: Answer<B>, committed: Result<Outgoing, Error>) -> Answer<B> {
    let outgoing = committed?;
    match answer {
        Ok(mut response) => {
            headers::add(response.headers_mut(), &outgoing);
            Ok(response)
        }
        Err(mut error) => {
            error.add_response_mapper(move |mut response| {
                headers::add(response.headers_mut(), &outgoing);
                response
            });
            Err(error)
        }
    }
}

impl<F, B> fmt::Debug for CommitFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitFuture").field("lazy", &self.lazy).finish_non_exhaustive()
    }
}
