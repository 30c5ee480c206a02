//! Answers for people: indented JSON (wire rule 7.3).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use connector_core::address::{Negotiated, Query, is_pretty};
use connector_core::answer::Indenter;
use http::{HeaderName, Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use super::{AnswerBody, BoxError};

/// Whether a client wants its answer indented.
pub(super) struct Wish {
    /// What the client asked for.
    asked: bool,
    /// The path is one of the API, whose answers are ever indented.
    api: bool,
    /// A failure cannot be told in any form that the client takes, so it is told to people (wire rule 7.23).
    failures: bool,
}

impl Wish {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let query = Query::parse(request.uri().query().unwrap_or_default()).unwrap_or_default();
        let by_accept = || Negotiated::parse(header(header::ACCEPT)).is_ok_and(|negotiated| negotiated.pretty);
        Self {
            asked: is_pretty(&query, header(header::USER_AGENT).unwrap_or_default()) || by_accept(),
            failures: !Negotiated::takes_failures(header(header::ACCEPT).unwrap_or_default()),
            api: request.uri().path().starts_with("/apis/"),
        }
    }

    /// The answer as it is wished.
    pub(super) fn fulfil(&self, answer: Response<AnswerBody>, watch: bool) -> Response<AnswerBody> {
        let status = answer.status();
        let is_json = answer.headers().get(header::CONTENT_TYPE).is_some_and(|media| media == "application/json");
        let streams = watch && status.is_success();
        let failed = status.is_client_error() || status.is_server_error();
        let indents = self.api && ((self.asked && !streams) || (self.failures && failed));
        if !indents || !is_json {
            return answer;
        }
        answer.map(|body| Indented { body, indenter: Indenter::default() }.boxed_unsync())
    }
}

struct Indented {
    body: AnswerBody,
    indenter: Indenter,
}

impl Body for Indented {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let indenter = &mut self.indenter;
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|chunk| indenter.push(&chunk).into()))))
    }
}
