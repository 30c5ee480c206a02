//! Kubernetes `Status`: every failure that a client sees, as data.
//!
//! Constructors give the texts and codes of kube-apiserver (`apimachinery/pkg/api/errors`), so that clients which act on
//! reasons, codes and causes act the same through the connector.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// An answer of kind `Status`, in the member order of the reference encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Always `Status`.
    pub kind: String,
    /// Always `v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// List metadata; may carry `continue` on a 410 (wire rule 7.16), so it is kept as it came.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// `Failure`, or `Success` as the answer to a deletion.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// What a person reads. Names in it are local.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What a program reads, such as `NotFound`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the failure is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// The HTTP status code.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub code: u16,
}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// The object's local name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The plural resource name; the kind for `Invalid` (wire rule 7.15).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's UID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// One entry for each single cause.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds to wait before a retry; also sent as the header `Retry-After`.
    #[serde(default, rename = "retryAfterSeconds", skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u16,
}

/// One cause of a [`Status`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The kind of cause, such as `FieldValueInvalid`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What a person reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The field at fault, as a path.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

impl Status {
    /// A failure with nothing but a code, a reason and a message.
    pub fn failure(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self {
            kind: "Status".into(),
            api_version: "v1".into(),
            metadata: serde_json::Map::new(),
            status: "Failure".into(),
            message: message.into(),
            reason: reason.into(),
            details: None,
            code,
        }
    }

    /// The same failure, said to be about something.
    pub fn about(mut self, details: Details) -> Self {
        self.details = Some(details);
        self
    }

    /// 400 `BadRequest`: the client's request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(400, "BadRequest", message)
    }

    /// 401 `Unauthorized`: nobody is authenticated.
    pub fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized")
    }

    /// 403 `Forbidden` of a named resource; `message` says why.
    pub fn forbidden(group: &str, resource: &str, name: &str, message: &str) -> Self {
        let message = match (resource, name) {
            ("", _) => format!("forbidden: {message}"),
            (_, "") => format!("{} is forbidden: {message}", qualified(group, resource)),
            _ => format!("{} {name:?} is forbidden: {message}", qualified(group, resource)),
        };
        Self::failure(403, "Forbidden", message).about(Details::of(group, resource, name))
    }

    /// 404 `NotFound` of a named object. It must be true: controllers delete what depends on it (wire rule 6.5).
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::failure(404, "NotFound", format!("{} {name:?} not found", qualified(group, resource)))
            .about(Details::of(group, resource, name))
    }

    /// 404 `NotFound` of a path that no API serves.
    pub fn no_such_path() -> Self {
        Self::failure(404, "NotFound", "the server could not find the requested resource").about(Details::default())
    }

    /// 405 `MethodNotAllowed`.
    pub fn method_not_allowed() -> Self {
        Self::failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .about(Details::default())
    }

    /// 406 `NotAcceptable`: the client takes none of the formats that are served.
    pub fn not_acceptable(accepted: &str) -> Self {
        Self::failure(406, "NotAcceptable", format!("only the following media types are accepted: {accepted}"))
    }

    /// 409 `AlreadyExists` of a named object.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self::failure(409, "AlreadyExists", format!("{} {name:?} already exists", qualified(group, resource)))
            .about(Details::of(group, resource, name))
    }

    /// 409 `Conflict` of a named object; `message` says with what.
    pub fn conflict(group: &str, resource: &str, name: &str, message: &str) -> Self {
        Self::failure(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {} {name:?}: {message}", qualified(group, resource)),
        )
        .about(Details::of(group, resource, name))
    }

    /// 413 `RequestEntityTooLarge`; `limit` in bytes (wire rule 1.26).
    pub fn too_large(limit: usize) -> Self {
        Self::failure(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    /// 415 `UnsupportedMediaType`; clients such as the garbage collector fall back on it (wire rule 6.7).
    pub fn unsupported_media_type(accepted: &str) -> Self {
        Self::failure(
            415,
            "UnsupportedMediaType",
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
        )
    }

    /// 422 `Invalid` of an object of a kind; `causes` name the fields.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        // What is told more than once among the causes is told once here.
        let mut seen = HashSet::new();
        let told = causes.iter().filter(|cause| seen.insert((&cause.field, &cause.message)));
        let told: Vec<String> = told.map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let told = match told.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        Self::failure(422, "Invalid", format!("{} {name:?} is invalid: {told}", qualified(group, kind)))
            .about(Details { causes, ..Details::of(group, kind, name) })
    }

    /// 500 `InternalError`: the fault is ours, or something that the client cannot mend.
    pub fn internal(message: &str) -> Self {
        Self::failure(500, "InternalError", format!("Internal error occurred: {message}")).about(Details {
            causes: vec![Cause { message: message.into(), ..Cause::default() }],
            ..Details::default()
        })
    }

    /// 503 `ServiceUnavailable`; the client may try again after `retry_after` seconds.
    pub fn unavailable(message: impl Into<String>, retry_after: u16) -> Self {
        Self::failure(503, "ServiceUnavailable", message)
            .about(Details { retry_after_seconds: retry_after, ..Details::default() })
    }

    /// 504 `Timeout`; `message` says what took too long.
    pub fn timeout(message: &str) -> Self {
        Self::failure(504, "Timeout", format!("Timeout: {message}")).about(Details::default())
    }

    /// Seconds for the header `Retry-After`, where a retry is asked for.
    pub fn retry_after(&self) -> Option<u16> {
        self.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0)
    }

    /// The body of the answer: compact JSON and a newline, as the reference server writes it (wire rule 7.4).
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).expect("a Status holds nothing that cannot be written as JSON");
        json.push(b'\n');
        json
    }
}

impl Details {
    /// Details that name an object of a resource.
    pub fn of(group: &str, kind: &str, name: &str) -> Self {
        Self { name: name.into(), group: group.into(), kind: kind.into(), ..Self::default() }
    }
}

/// `resource.group`, or the resource alone in the core group.
pub(crate) fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_order_is_the_reference_encoders() {
        let status = Status::not_found("k8s.starter.org", "kubernetesclusters", "a");
        assert_eq!(
            String::from_utf8(status.to_json()).unwrap(),
            concat!(
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","#,
                r#""message":"kubernetesclusters.k8s.starter.org \"a\" not found","reason":"NotFound","#,
                r#""details":{"name":"a","group":"k8s.starter.org","kind":"kubernetesclusters"},"code":404}"#,
                "\n"
            )
        );
    }

    #[test]
    fn retry_after_is_told_in_details() {
        assert_eq!(Status::unavailable("away", 2).retry_after(), Some(2));
        assert_eq!(Status::internal("x").retry_after(), None);
    }
}
