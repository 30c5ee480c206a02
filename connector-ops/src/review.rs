//! What somebody may do in a cluster, as the cluster itself says.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::ask::{Unanswered, ask};

/// What is asked about a resource, perhaps with a subresource after a slash; without a namespace, in all of them.
pub(crate) fn attributes(verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> ResourceAttributes {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        namespace: namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    }
}

/// Whether who asks may do it.
///
/// # Errors
/// The cluster did not answer, or takes no such questions.
pub(crate) async fn may_i(cluster: &Client, attributes: ResourceAttributes) -> Result<bool, Unanswered> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews = Api::<SelfSubjectAccessReview>::all(cluster.clone());
    Ok(ask(reviews.create(&PostParams::default(), &review)).await?.status.is_some_and(|status| status.allowed))
}
