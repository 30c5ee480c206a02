//! Answers for people: indented JSON (wire rule 7.3).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use connector_core::address::{Negotiated, Query, is_pretty};
use connector_core::answer::Indenter;
use http::{HeaderName, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use super::{AnswerBody, BoxError};

/// Whether a client wants its answer indented.
pub(super) struct Wish {
    /// What the client asked for.
    asked: bool,
    /// The path is one of the API, whose answers are ever indented.
    api: bool,
}

impl Wish {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let query = Query::parse(request.uri().query().unwrap_or_default()).unwrap_or_default();
        let by_accept = || Negotiated::parse(header(header::ACCEPT)).is_ok_and(|negotiated| negotiated.pretty);
        Self {
            asked: is_pretty(&query, header(header::USER_AGENT).unwrap_or_default()) || by_accept(),
            api: request.uri().path().starts_with("/apis/"),
        }
    }

    /// The answer as it is wished. What cannot be served is told to people, whoever asked (wire rule 7.23).
    pub(super) fn fulfil(&self, answer: Response<AnswerBody>, watch: bool) -> Response<AnswerBody> {
        let status = answer.status();
        let is_json = answer.headers().get(header::CONTENT_TYPE).is_some_and(|media| media == "application/json");
        let streams = watch && status.is_success();
        let indents = (self.api && self.asked && !streams) || status == StatusCode::NOT_ACCEPTABLE;
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
