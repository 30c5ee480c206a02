//! What can be answered while the control plane is away.

use std::time::Duration;

use connector_core::address::{Kind, Negotiated};
use http::{Response, StatusCode};
use serde_json::json;

use super::{AnswerBody, Corridor, Passage, full};
use crate::failure::Failure;

/// How long the control plane is waited for where the answer is known without it.
const PATIENCE: Duration = Duration::from_secs(5);

impl Corridor {
    /// What `work` answers; or, of a namespace that is being deleted and is known to hold nothing, that it holds nothing, if
    /// the control plane does not say so itself. Else an outage would hold up the deletion of every namespace.
    pub(super) async fn or_known_empty(
        &self,
        passage: &Passage<'_>,
        negotiated: &Negotiated,
        work: impl Future<Output = Result<Response<AnswerBody>, Failure>>,
    ) -> Result<Response<AnswerBody>, Failure> {
        let Some(empty) = self.known_empty(passage, negotiated) else {
            return work.await;
        };
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Err(failure)) if failure.is_outage() => Ok(empty),
            Ok(answered) => answered,
            Err(_) => Ok(empty),
        }
    }

    /// The empty collection, where it is known to be that.
    fn known_empty(&self, passage: &Passage<'_>, negotiated: &Negotiated) -> Option<Response<AnswerBody>> {
        let request = passage.request;
        let namespace = request.namespace.as_deref().filter(|namespace| self.namespaces.is_terminating(namespace))?;
        let resource_version = self.claims.empty_as_of(&request.group, &request.resource, namespace)?;
        let metadata = json!({ "resourceVersion": resource_version });
        let list = match &negotiated.kind {
            Kind::Object => json!({
                "apiVersion": format!("{}/{}", request.group, request.version),
                "items": [],
                "kind": passage.offered.list_kind,
                "metadata": metadata,
            }),
            Kind::PartialObjectMetadata { list: true, version } => json!({
                "apiVersion": format!("meta.k8s.io/{version}"),
                "items": [],
                "kind": "PartialObjectMetadataList",
                "metadata": metadata,
            }),
            Kind::PartialObjectMetadata { list: false, .. } | Kind::Table { .. } => return None,
        };
        Some(super::answer::json(StatusCode::OK, full(format!("{list}\n"))))
    }
}
