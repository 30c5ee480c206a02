//! Where claims come from.

use std::fmt;
use std::str::FromStr;

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::kinds::Resource;

/// Where the claims are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a namespace of the control plane.
    Namespace {
        /// The namespace.
        namespace: String,
        /// Only these. Default: all.
        only: Vec<Pick>,
        /// Only those that a label selector selects, too. Default: all.
        selector: Option<String>,
    },
    /// In YAML or JSON documents, as `kubectl get -o yaml` prints them: claims and their composites.
    Documents {
        /// The text of each file.
        texts: Vec<String>,
        /// Only these. Default: all.
        only: Vec<Pick>,
    },
    /// Nothing new: only what an earlier run left.
    Unfinished,
}

/// One claim or all of a kind, as a user names them: `KIND` or `KIND/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    kind: String,
    name: Option<String>,
}

/// What a user wrote names no claims.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} names no claims: use KIND or KIND/NAME, as kubernetescluster/db")]
pub struct InvalidPick(String);

impl FromStr for Pick {
    type Err = InvalidPick;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text.split_once('/').map_or((text, None), |(kind, name)| (kind, Some(name)));
        if kind.is_empty() || name.is_some_and(|name| name.is_empty() || name.contains('/')) {
            return Err(InvalidPick(text.to_owned()));
        }
        Ok(Self { kind: kind.to_owned(), name: name.map(str::to_owned) })
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

impl Pick {
    pub(super) fn is_of(&self, resource: &Resource, name: &str) -> bool {
        resource.is_called(&self.kind) && self.name.as_deref().is_none_or(|of| of == name)
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn is_kind(&self, resource: &Resource) -> bool {
        resource.is_called(&self.kind)
    }
}

/// Documents cannot be used. The user's: they are to be as `kubectl get -o yaml` prints them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the documents cannot be used: {0}")]
pub struct UnreadableDocuments(String);

/// All objects in the documents; lists are taken apart.
pub(super) fn objects(texts: &[String]) -> Result<Vec<DynamicObject>, UnreadableDocuments> {
    let mut objects = Vec::new();
    for text in texts {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|error| UnreadableDocuments(error.to_string()))?;
        for document in documents {
            take(document, &mut objects)?;
        }
    }
    Ok(objects)
}

fn take(document: Value, objects: &mut Vec<DynamicObject>) -> Result<(), UnreadableDocuments> {
    match document {
        Value::Null => {}
        Value::Object(mut list) if list.get("items").is_some_and(Value::is_array) => {
            for item in list.remove("items").and_then(|items| items.as_array().cloned()).unwrap_or_default() {
                take(item, objects)?;
            }
        }
        document => {
            let object =
                DynamicObject::deserialize(document).map_err(|error| UnreadableDocuments(error.to_string()))?;
            if object.types.is_none() || object.metadata.name.is_none() {
                return Err(UnreadableDocuments(format!("an object {:?} has no kind or no name", object.name_any())));
            }
            objects.push(object);
        }
    }
    Ok(())
}
