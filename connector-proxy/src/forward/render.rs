//! How answers are written: the JSON that the corridor makes goes out as it comes, indented for people, or as YAML.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use connector_core::address::{Format, Negotiated, Query, is_pretty};
use connector_core::answer::{AnswerError, Indenter, Yaml};
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tracing::Span;

use super::{AnswerBody, BoxError};
use crate::telemetry::Repeated;

/// How a client wants its answer written.
pub(super) struct Wish {
    /// An object or a collection.
    objects: Format,
    /// A failure, or a document of discovery.
    documents: Format,
    /// The path is that of a resource.
    resource: bool,
    /// Or below `/apis/`, whose answers alone are ever anything but compact JSON.
    api: bool,
}

impl Wish {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let query = Query::parse(request.uri().query().unwrap_or_default()).unwrap_or_default();
        let pretty = is_pretty(&query, header(header::USER_AGENT).unwrap_or_default());
        let format = |format: Format| match format {
            Format::Json { pretty: asked } => Format::Json { pretty: pretty || asked },
            Format::Yaml => Format::Yaml,
        };
        // What can be told in no form that the client takes is told to people (wire rule 7.23).
        let for_people = Format::Json { pretty: true };
        let accept = header(header::ACCEPT);
        let path = request.uri().path();
        Self {
            objects: Negotiated::parse(accept).map_or(for_people, |negotiated| format(negotiated.format)),
            documents: Negotiated::parse_for_document(accept)
                .map_or(for_people, |negotiated| format(negotiated.format)),
            resource: path.trim_matches('/').split('/').count() > 3,
            api: path.starts_with("/apis/"),
        }
    }

    /// The answer as it is wished. To be called while the request's span is entered.
    pub(super) fn fulfil(&self, mut answer: Response<AnswerBody>, watch: bool) -> Response<AnswerBody> {
        let status = answer.status();
        let is_json = answer.headers().get(header::CONTENT_TYPE).is_some_and(|media| media == "application/json");
        let failed = status.is_client_error() || status.is_server_error();
        if !self.api || !is_json || (watch && !failed) {
            return answer;
        }
        let printer = match if failed || !self.resource { self.documents } else { self.objects } {
            Format::Json { pretty: false } => return answer,
            Format::Json { pretty: true } => Printer::Indented(Indenter::default()),
            Format::Yaml => {
                answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
                Printer::Yaml(Box::default())
            }
        };
        answer.map(|body| {
            Rendered { body, chunk: Bytes::new(), printer, ended: false, span: Span::current() }.boxed_unsync()
        })
    }
}

/// What makes text out of compact JSON, piece by piece.
enum Printer {
    Indented(Indenter),
    Yaml(Box<Yaml>),
}

impl Printer {
    fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Bytes>, AnswerError> {
        match self {
            Self::Indented(indenter) => Ok(indenter.next(chunk)),
            Self::Yaml(yaml) => yaml.next(chunk),
        }
    }

    fn finish(&self) -> Result<(), AnswerError> {
        match self {
            Self::Indented(_) => Ok(()),
            Self::Yaml(yaml) => yaml.finish(),
        }
    }
}

/// Pulls JSON as the client takes the text.
struct Rendered {
    body: AnswerBody,
    /// What has come and is not written yet.
    chunk: Bytes,
    printer: Printer,
    ended: bool,
    /// The request's.
    span: Span,
}

impl Rendered {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>> {
        loop {
            if let Some(piece) = self.printer.next(&mut self.chunk)? {
                return Poll::Ready(Ok(Some(piece)));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                // Trailers are none of ours.
                Some(frame) => self.chunk = frame?.into_data().unwrap_or_default(),
                None => {
                    self.printer.finish()?;
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }
}

impl Body for Rendered {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.poll_piece(cx)).transpose();
        self.ended = !matches!(piece, Some(Ok(_)));
        if let Some(Err(error)) = &piece {
            static TOLD: Repeated = Repeated::new();
            self.span.in_scope(|| {
                if let Some(suppressed) = TOLD.pass("") {
                    tracing::warn!(%error, suppressed, "an answer was broken off");
                }
            });
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }
}
