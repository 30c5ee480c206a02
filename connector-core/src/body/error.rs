//! What can be wrong with a body, and the answer that the reference server gives then.

use thiserror::Error;

use super::Target;
use crate::origin::RESERVED_PREFIX;
use crate::status::{Cause, Details, Status};

/// The most bytes of a body (wire rule 1.26).
pub(super) const BODY_MAX: usize = 3 * 1024 * 1024;

/// A body cannot be translated. The client is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    /// The body is no object in the format it claims. 400.
    #[error("{reason} ({summary})")]
    Unrecognized {
        /// What the parser says.
        reason: String,
        /// How the body begins.
        summary: String,
    },
    /// A member has the wrong type. 400.
    #[error("json: cannot unmarshal {found} into Go {place} of type {expected}", place = place(field))]
    WrongType {
        /// The name of the member in metadata; empty for metadata itself.
        field: &'static str,
        /// The type it has.
        found: &'static str,
        /// The type it must have.
        expected: &'static str,
    },
    /// The body's API version is not that of the URL (wire rule 8.3). 400.
    #[error("the API version in the data ({found}) does not match the expected API version ({expected})")]
    ApiVersion {
        /// That of the body.
        found: String,
        /// That of the URL.
        expected: String,
    },
    /// The body's namespace is not that of the URL (wire rule 8.1). 400.
    #[error("the namespace of the provided object does not match the namespace sent on the request")]
    NamespaceMismatch,
    /// The body's name is not that of the URL (wire rule 8.2). 400.
    #[error("the name of the object ({found}) does not match the name on the URL ({expected})")]
    NameMismatch {
        /// That of the body.
        found: String,
        /// That of the URL.
        expected: String,
    },
    /// The object would have no name (wire rule 8.2). 400.
    #[error("the name of the object ({0} based on URL) was undeterminable: name must be provided")]
    NameUndeterminable(String),
    /// A label or annotation under [`RESERVED_PREFIX`] is written (wire rule 11.17). 422; leave it out.
    #[error("{key:?} is reserved")]
    Reserved {
        /// The local name of the object, where it is known.
        name: String,
        /// `metadata.labels` or `metadata.annotations`.
        field: &'static str,
        /// The key.
        key: String,
    },
    /// A patch does not decode. 400.
    #[error("error decoding patch: {0}")]
    Patch(String),
    /// A merge patch is `null`. 400.
    #[error("Invalid JSON Patch")]
    NoPatch,
    /// A patch gives a member the wrong type. 422.
    #[error("{reason}")]
    Unfit {
        /// The object that it makes.
        outcome: String,
        /// What is wrong.
        reason: String,
    },
    /// An apply patch does not decode. 400.
    #[error("error decoding YAML: {0}")]
    Apply(String),
    /// An apply patch gives a member the wrong type, or an owner twice. 500; the control plane finds it, too, and says more of it.
    #[error("failed to create typed patch object: {0}")]
    NotApplicable(String),
    /// An apply patch says nothing of its type. 400.
    #[error("invalid object type: /, Kind=")]
    Untyped,
    /// A JSON patch has too many operations (wire rule 8.10). 413.
    #[error("The allowed maximum operations in a JSON patch is {limit}, got {found}", limit = super::json_patch::OPERATIONS_MAX)]
    TooManyOperations {
        /// How many it has.
        found: usize,
    },
    /// A patch becomes larger than a body may be. 413; send it in parts.
    #[error("Request entity too large: limit is {BODY_MAX}")]
    TooLarge,
    /// An operation of a JSON patch does not apply to the object, or a test fails (wire rule 8.10). 422.
    #[error("the server rejected our request due to an error in our request")]
    Inapplicable,
    /// Delete options do not decode. 400.
    #[error("{0}")]
    DeleteOptions(String),
}

impl BodyError {
    /// The answer to the client, in local terms.
    pub fn status(&self, target: &Target<'_>) -> Status {
        match self {
            Self::Unrecognized { reason, summary } => Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): {reason} ({summary})",
                target.kind
            )),
            Self::WrongType { .. } => Status::bad_request(format!(
                "{kind} in version {:?} cannot be handled as a {kind}: {self}",
                target.version,
                kind = target.kind
            )),
            Self::NotApplicable(_) => Status::failure(500, "", self.to_string()),
            Self::Reserved { name, field, key } => {
                let message = format!("Forbidden: {key:?} must not be set: keys under {RESERVED_PREFIX} are reserved");
                let reason = "FieldValueForbidden".to_owned();
                let cause = Cause { reason, message, field: (*field).to_owned() };
                Status::invalid(target.group, target.kind, name, vec![cause])
            }
            Self::TooManyOperations { .. } => {
                Status::failure(413, "RequestEntityTooLarge", format!("Request entity too large: {self}"))
            }
            Self::Unfit { outcome, reason } => {
                Status::invalid("", "", "", vec![invalid_value("patch", outcome, reason)])
            }
            Self::TooLarge => Status::too_large(BODY_MAX),
            Self::Inapplicable => Status::failure(422, "Invalid", self.to_string()).about(Details::default()),
            Self::ApiVersion { .. }
            | Self::NamespaceMismatch
            | Self::NameMismatch { .. }
            | Self::NameUndeterminable(_)
            | Self::Patch(_)
            | Self::NoPatch
            | Self::Apply(_)
            | Self::Untyped
            | Self::DeleteOptions(_) => Status::bad_request(self.to_string()),
        }
    }

    /// The same for a patch, whose outcome has the wrong type.
    pub(super) fn of_patch(self, outcome: &str) -> Self {
        match self {
            Self::WrongType { .. } => Self::Unfit { outcome: outcome.to_owned(), reason: self.to_string() },
            other => other,
        }
    }

    /// The same for an apply.
    pub(super) fn of_applied(self) -> Self {
        match self {
            Self::WrongType { .. } => Self::NotApplicable(self.to_string()),
            other => other,
        }
    }

    /// A body that does not parse; it is shown as the reference server shows it.
    pub(super) fn unrecognized(reason: impl ToString, body: &[u8]) -> Self {
        const SHOWN: usize = 30;
        let shown = &body[..body.len().min(SHOWN)];
        let mut summary = match shown.first() {
            None => "<empty>".to_owned(),
            Some(b'{') => String::from_utf8_lossy(shown).into_owned(),
            Some(_) => shown.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        if body.len() > SHOWN {
            summary.push_str(" ...");
        }
        Self::Unrecognized { reason: reason.to_string(), summary }
    }
}

fn place(field: &str) -> String {
    if field.is_empty() { "value".to_owned() } else { format!("struct field ObjectMeta.{field}") }
}

/// A cause for a member whose value must not be.
pub(super) fn invalid_value(field: &str, value: &str, fault: &str) -> Cause {
    let message = format!("Invalid value: {value:?}: {fault}");
    Cause { reason: "FieldValueInvalid".into(), message, field: field.into() }
}
