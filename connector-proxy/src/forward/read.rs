//! Get, list and watch.

use connector_core::address::{Kind, Negotiated, Remote};
use connector_core::answer::{Rewriter, RowObject, Shape};
use http::Response;
use http_body_util::BodyExt;

use super::stream::{RewrittenBody, Watch};
use super::{AnswerBody, Corridor, Passage};
use crate::failure::Failure;
use crate::upstream::Body;

impl Corridor {
    pub(super) async fn get(&self, passage: &Passage<'_>) -> Result<Response<AnswerBody>, Failure> {
        let negotiated = passage.negotiated()?;
        let remote = self.remote(passage)?;
        // Subresources may come without labels (wire rule 7.19): the object itself tells whose it is.
        if passage.request.subresource.is_some() && self.live(passage).await?.is_none() {
            return Err(passage.not_found());
        }
        let answer = self.send(passage, &remote, &negotiated.upstream_accept(), None).await?;
        self.single(passage, &remote, answer, negotiated.shape(&remote, false)).await
    }

    pub(super) async fn list(&self, passage: &Passage<'_>) -> Result<Response<AnswerBody>, Failure> {
        let negotiated = passage.negotiated()?;
        let remote = self.remote(passage)?;
        let work = async {
            let answer = self.send(passage, &remote, &negotiated.upstream_accept(), None).await?;
            self.stream(passage, answer, negotiated.shape(&remote, true), None).await
        };
        self.or_known_empty(passage, &negotiated, work).await
    }

    pub(super) async fn watch(&self, passage: &Passage<'_>) -> Result<Response<AnswerBody>, Failure> {
        let negotiated = passage.negotiated()?;
        let remote = self.remote(passage)?;
        let answer = self.send(passage, &remote, &negotiated.upstream_accept(), None).await?;
        // The reference server tells other faults first.
        if answer.status().is_success() {
            negotiated.check_streamed().map_err(|error| Failure::client(error.status()))?;
        }
        let shape = match negotiated.kind {
            Kind::Table { .. } => Shape::TableWatch(row_object(&remote)),
            _ => Shape::Watch,
        };
        let open = Watch::new(
            self.drain.clone(),
            self.metrics.requests.watch(&passage.request.group, &passage.request.resource),
        );
        self.stream(passage, answer, shape, Some(open)).await
    }

    /// An answer that is rewritten as it passes.
    pub(super) async fn stream(
        &self,
        passage: &Passage<'_>,
        answer: Response<Body>,
        shape: Shape,
        watch: Option<Watch>,
    ) -> Result<Response<AnswerBody>, Failure> {
        if !answer.status().is_success() {
            return Err(self.failed(passage, None, answer).await);
        }
        super::answer::check_json(&answer)?;
        let (parts, body) = answer.into_parts();
        let rewriter = Rewriter::new(self.asked(passage), shape);
        let rewriting = self.metrics.requests.of_verb(passage.request.verb.as_str()).rewriting();
        let body = RewrittenBody::new(body, rewriter, watch, rewriting, self.metrics.clone()).boxed_unsync();
        let mut answer = super::answer::json(parts.status, body);
        super::answer::pass_headers(&parts.headers, answer.headers_mut());
        Ok(answer)
    }
}

pub(super) trait ShapeOf {
    fn shape(&self, remote: &Remote, list: bool) -> Shape;
}

impl ShapeOf for Negotiated {
    /// What the control plane answers, having been asked for it.
    fn shape(&self, remote: &Remote, list: bool) -> Shape {
        match (&self.kind, list) {
            (Kind::Table { .. }, true) => Shape::Table(row_object(remote)),
            (Kind::Table { .. }, false) => Shape::ObjectTable(row_object(remote)),
            (_, true) => Shape::List,
            (_, false) => Shape::Object,
        }
    }
}

pub(super) fn row_object(remote: &Remote) -> RowObject {
    if remote.strip_object { RowObject::Null } else { RowObject::Show }
}
