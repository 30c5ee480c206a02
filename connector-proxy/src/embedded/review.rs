//! Access reviews. There is no RBAC here: administrators and the cluster's own controllers may do everything, others nothing.

use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use super::identity::Identity;
use super::kinds::Kind;
use super::media::{self, Answer};
use super::write;

/// Users of the control plane itself, whose rights real clusters bind in their bootstrap policy.
fn is_controller(user: &str) -> bool {
    user.starts_with("system:serviceaccount:kube-system:")
        || matches!(user, "system:kube-controller-manager" | "system:kube-aggregator" | "system:aggregator")
}

/// Answers what a user may do, what the caller may do, and who the caller is.
pub(super) fn create(kind: &Kind, parts: &Parts, body: &[u8], identity: &Identity) -> Answer {
    let mut review = write::parse(parts, body)?;
    review["apiVersion"] = kind.api_version().into();
    review["kind"] = kind.kind.clone().into();
    if kind.plural == "selfsubjectreviews" {
        review["status"] = json!({"userInfo": {"username": identity.user, "groups": identity.groups}});
        return Ok(media::document(StatusCode::CREATED, &review));
    }
    let spec = &review["spec"];
    let (user, groups) = if kind.plural == "selfsubjectaccessreviews" {
        (identity.user.clone(), identity.groups.clone())
    } else {
        let groups = spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        (spec["user"].as_str().unwrap_or_default().to_owned(), groups.collect())
    };
    let allowed = is_controller(&user) || groups.iter().any(|group| group == "system:masters");
    review["status"] =
        if allowed { json!({"allowed": true}) } else { json!({"allowed": false, "reason": "no rule allows it"}) };
    Ok(media::document(StatusCode::CREATED, &review))
}
