//! Rewriting of answers: what the control plane says of its objects becomes what the app cluster sees of them.
//!
//! | item | what it is for |
//! |---|---|
//! | [`Rewriter`] | an answer that comes in chunks: one object, a list, a Table, a watch |
//! | [`object()`], [`scale()`] | an answer that is whole in memory |
//! | [`Indenter`] | indented answers, for people |
//! | [`Yaml`] | answers in YAML |
//! | [`status()`], [`is_status`] | a `Status`, alone or in a watch |
//!
//! # What changes in an object
//!
//! Its labels tell whose it is ([`Hashed::origin`]). One that is not what was asked for does not exist for the client. In the
//! `metadata` of the others name and namespace become local, whatever carries [`RESERVED_PREFIX`] goes, in `managedFields` too,
//! `ownerReferences` are the user's own again (wire rule 6.9), and `spec.writeConnectionSecretToRef.name` and the names of
//! Secrets at configured fields ([`References`]) are what the user wrote. Every other byte stays as it is: numbers, unknown members, order, whitespace (wire rule 7.2).
//!
//! [`RESERVED_PREFIX`]: crate::origin::RESERVED_PREFIX

mod applied;
mod event;
mod hold;
mod indent;
mod managed;
mod metadata;
mod object;
mod out;
mod rewriter;
mod scale;
mod secrets;
mod status;
mod table;
mod yaml;

#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use thiserror::Error;

use crate::json;
use crate::origin::{Form, Hashed, Origin};
use crate::references::References;

pub(crate) use applied::KEY as LAST_APPLIED;
pub use indent::Indenter;
pub(crate) use managed::shown as shown_managers;
pub use object::object;
pub use rewriter::Rewriter;
pub use scale::scale;
pub use status::{is_status, status};
pub use yaml::Yaml;

/// What the request asked for, in local terms: it decides which objects exist for the client, and how they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How local and remote names belong together.
    pub scheme: Arc<Hashed>,
    /// The form of the API that was asked.
    pub form: Form,
    /// The namespace that was asked for; `None` for all.
    pub namespace: Option<String>,
    /// The object that was asked for; `None` for all.
    pub name: Option<String>,
    /// Which fields of the kind name Secrets, where that is configured. Without costs nothing; with, each object whose annotations
    /// say such names costs an allocation or more.
    pub references: Option<Arc<References>>,
}

impl Asked {
    /// Whether an object is among what was asked for.
    fn covers(&self, origin: &Origin<impl AsRef<str>>) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| namespace == origin.namespace.as_ref())
            && self.name.as_ref().is_none_or(|name| name == origin.name.as_ref())
    }

    /// The remote name of the one object that was asked for.
    fn remote_name(&self) -> Option<String> {
        Some(self.scheme.remote_name(self.form, self.namespace.as_ref()?, self.name.as_ref()?))
    }
}

/// What the answer to a request looks like. The request decides it, the control plane having been asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One object, whole or as `PartialObjectMetadata`.
    Object,
    /// A list, whole or as `PartialObjectMetadataList`; `deletecollection` answers one too (wire rule 7.17).
    List,
    /// One object as a Table of one row (wire rule 7.14). An answer that is the object instead is taken as well.
    ObjectTable(RowObject),
    /// A list as a Table (wire rules 7.12, 7.13). An answer that is a list instead is taken as well.
    Table(RowObject),
    /// Watch events, one JSON object each (wire rule 7.5).
    Watch,
    /// Watch events whose objects are Tables (wire rule 7.10), or plain objects instead.
    TableWatch(RowObject),
}

/// What the client sees as `object` of a Table row. The control plane is always asked for one: it tells the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowObject {
    /// What came, rewritten: the client asked for `includeObject` `Metadata` or `Object`.
    Show,
    /// `null`: the client asked for `includeObject=None`.
    Null,
}

/// The most bytes that are held back, waiting for what tells the origin of an object: 8 MiB.
///
/// More than etcd stores of one object (1.5 MiB by default), as JSON in a Table row or watch event.
pub const MAX_HELD: usize = 8 << 20;

/// Why an answer cannot be given to the client. After bytes have gone out the answer must be broken off, not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The one object that was asked for is not of this app cluster, or is another one that happens to share its remote name
    /// (wire rule 8.7). Nobody is at fault: for the client it does not exist, and nothing has gone out.
    #[error("the object belongs to another origin")]
    Foreign,
    /// The control plane, or something before it, sent what is not JSON or not of the shape that was asked for.
    #[error("the answer of the control plane is malformed at byte {at}")]
    Malformed {
        /// Offset in the answer.
        at: u64,
    },
    /// The control plane sent more than [`json::MAX_DEPTH`] levels.
    #[error("the answer of the control plane is nested too deep")]
    TooDeep,
    /// The control plane sent an object of which more than [`MAX_HELD`] bytes came before its identity.
    #[error("the answer of the control plane has an object of which more than {MAX_HELD} bytes must be held")]
    TooLarge,
    /// The answer of the control plane ended early: the connection or the control plane is at fault; a read may be tried again.
    #[error("the answer of the control plane ended early")]
    Truncated,
}

impl AnswerError {
    /// An error of what began at byte `base` of the answer.
    fn of(error: json::Error, base: u64) -> Self {
        match error {
            json::Error::Syntax { at } => Self::Malformed { at: base + at as u64 },
            json::Error::TooDeep => Self::TooDeep,
        }
    }
}
