//! Rewriting of request bodies: what a user writes becomes what the control plane stores.
//!
//! One function for each kind of body: [`create`], [`update`], [`merge_patch`], [`json_patch()`], [`apply_patch`],
//! [`delete_options`]. Each checks names and namespaces in local terms, as the reference server would (wire rules 8.1 to
//! 8.3), then translates; all other checks are left to the control plane.
//!
//! Bodies are edited as text: members keep their order, and every number and unknown member keeps its bytes. Of duplicate
//! keys the last counts, as for the reference server, and the others stay for its strict decoding to find (wire rule 8.17).
//!
//! What is hidden from users is put back into every write: origin labels, the full name where it is too long for a label,
//! the user's owner references, and the names of Secrets as the user wrote them.

mod apply;
mod delete;
mod document;
mod error;
mod fuzz;
mod json_patch;
mod live;
mod members;
mod merge;
mod object;
mod owners;
mod references;
mod secret;
#[cfg(test)]
mod tests;
mod yaml;

pub use self::apply::apply_patch;
pub use self::delete::{delete_options, delete_options_of_none};
pub use self::error::BodyError;
pub use self::json_patch::json_patch;
pub use self::live::{ConnectionSecret, Live, LiveError};
pub use self::merge::merge_patch;
pub use self::object::{check_update, create, generated_name, is_made_up, named_uid, update};
#[cfg(test)]
pub(crate) use self::yaml::to_json as yaml_to_json;
use std::sync::Arc;

use self::references::Found;
use crate::origin::{Form, Hashed, InputSecret};
use crate::references::References;
use crate::status::Cause;

/// What a body is written to, in local terms.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The name scheme in force.
    pub scheme: &'a Hashed,
    /// The form of the API.
    pub form: Form,
    /// Which fields of the kind name Secrets, where that is configured.
    pub references: Option<&'a Arc<References>>,
    /// The API group of the request.
    pub group: &'a str,
    /// The API version of the request.
    pub version: &'a str,
    /// The plural resource name.
    pub resource: &'a str,
    /// The kind of the resource's objects.
    pub kind: &'a str,
    /// The namespace of the request.
    pub namespace: &'a str,
    /// The name in the path; `None` for a create.
    pub name: Option<&'a str>,
    /// The subresource in the path. Of a `scale`, only name and namespace are translated (wire rule 7.19).
    pub subresource: Option<&'a str>,
}

impl Target<'_> {
    fn remote_name(&self, name: &str) -> String {
        self.scheme.remote_name(self.form, self.namespace, name)
    }

    fn remote_namespace(&self) -> &str {
        self.scheme.remote_namespace(self.namespace)
    }

    fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The fields that name Secrets in what is written.
    fn references(&self) -> Option<&References> {
        self.references.map(|references| &**references).filter(|references| !references.is_empty())
    }

    fn is_scale(&self) -> bool {
        self.subresource == Some("scale")
    }
}

/// A body for the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The body.
    pub body: Vec<u8>,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// The local name of the object; of a create with `generateName` the one that was generated. Empty where the body is
    /// for a collection.
    pub name: String,
    /// What is found that the control plane cannot find.
    pub findings: Findings,
    /// The input secrets that the object is to consume and does not consume already, each once: whether it may is for the
    /// caller to say.
    pub inputs: Vec<InputReference>,
    /// The names of the Secrets at the configured fields of the body. What the control plane says of them in an error it says of
    /// the remote ones.
    pub secrets: Vec<SecretName>,
}

/// The two names of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName {
    /// The name that the user wrote.
    pub local: String,
    /// The name in the control plane: a hash, which means nothing else wherever it stands.
    pub remote: String,
}

impl Translated {
    fn new(body: String, content_type: &'static str, name: String, findings: Findings) -> Self {
        let body = body.into_bytes();
        Self { body, content_type, name, findings, inputs: Vec::new(), secrets: Vec::new() }
    }

    /// The same with what was found at the configured fields. A write of the status has the object consume nothing.
    fn naming(self, target: &Target<'_>, found: Found) -> Self {
        let inputs = if target.subresource.is_none() { found.inputs } else { Vec::new() };
        Self { inputs, secrets: found.names, ..self }
    }
}

/// An input secret that an object is to consume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputReference {
    /// The Secret.
    pub secret: InputSecret,
    /// Where the object refers to it, as messages name a field: `spec.users[0].passwordSecretRef`.
    pub field: String,
}

/// What there is to say of what the control plane does not get to see: names, and owner references.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Values that must not be: the client is at fault. 422, together with what else is wrong.
    pub faults: Vec<Cause>,
    /// The owner references may be invalid. The body holds them, for the control plane to say so.
    pub doubted: bool,
    /// Texts to warn the client with.
    pub warnings: Vec<String>,
}

impl Findings {
    /// Whether the write must not be done: the body is what to ask the control plane with, for a try (`dryRun`), what is wrong
    /// with it. It finds one fault more, which [`is_made_up`].
    pub fn forbid(&self) -> bool {
        self.doubted || !self.faults.is_empty()
    }
}

/// What the fuzzer attacks: a body of every kind, against an object that has something of everything.
#[doc(hidden)]
pub fn fuzz_body(data: &[u8]) {
    fuzz::run(data);
}
