//! What a request addresses: the path and query parsed as kube-apiserver parses them, and the request to the control plane
//! that they become.
//!
//! [`Address::parse`] follows `RequestInfo` of `k8s.io/apiserver` (`endpoints/request/requestinfo.go`), because the front has
//! authorized what *it* read out of the same URL: whatever is read differently here would be a hole. Where a URL can be read
//! in two ways (dot segments, encoded slashes, empty segments) it is refused.
//!
//! [`LocalRequest::remote`] renders the request line for the control plane: namespace, name and selectors translated, the
//! origin selector added to everything that addresses a collection (wire rule 6.15).

mod fields;
mod labels;
mod media;
pub(crate) mod names;
mod path;
mod query;
mod remote;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use self::fields::{FieldRequirement, FieldSelector};
pub use self::labels::{LabelOperator, LabelRequirement, LabelSelector};
pub use self::media::{BodyType, Format, Kind, MediaError, Negotiated, PatchType, is_pretty};
pub use self::query::{IncludeObject, Query, field_manager};
pub use self::remote::Remote;
use crate::status::{Details, Status, qualified};

/// What a client does to a resource, in the words of Kubernetes authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection, or one object through the legacy path.
    Watch,
    /// Create an object.
    Create,
    /// Replace an object.
    Update,
    /// Change an object, or create it through apply (wire rule 9.10).
    Patch,
    /// Delete one object.
    Delete,
    /// Delete a collection.
    DeleteCollection,
}

impl Verb {
    /// The verb as RBAC and access reviews write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// The HTTP method of the request to the control plane.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Get | Self::List | Self::Watch => "GET",
            Self::Create => "POST",
            Self::Update => "PUT",
            Self::Patch => "PATCH",
            Self::Delete | Self::DeleteCollection => "DELETE",
        }
    }

    /// Whether the verb works on a collection by selector. Such a request always carries the origin selector.
    pub const fn selects(self) -> bool {
        matches!(self, Self::List | Self::Watch | Self::DeleteCollection)
    }
}

/// What a URL addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Something that is no API resource: discovery, OpenAPI, health.
    Other {
        /// The HTTP method in lower case, which is the verb of authorization (wire rule 9.7).
        verb: String,
        /// The decoded path.
        path: String,
        /// The query.
        query: Query,
    },
    /// An API resource.
    Resource(LocalRequest),
}

/// A request for an API resource, in local terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRequest {
    /// What the client does.
    pub verb: Verb,
    /// The API group; empty for the core group.
    pub group: String,
    /// The API version.
    pub version: String,
    /// The namespace; `None` across all namespaces, which only [`Verb::List`] and [`Verb::Watch`] may be.
    pub namespace: Option<String>,
    /// The plural resource name.
    pub resource: String,
    /// The name in the path.
    pub name: Option<String>,
    /// The subresource, known or not.
    pub subresource: Option<String>,
    /// The path begins with `watch/`. Authorization by selectors does not look at such a request (wire rule 9.8).
    pub legacy_watch: bool,
    /// The query.
    pub query: Query,
}

/// A request cannot be addressed. The client is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The path or query cannot be read in one way only, or is not text. 400.
    #[error("the URL of the request is invalid: {0}")]
    Unreadable(&'static str),
    /// No API is served at such a path, such as a write across all namespaces (wire rule 7.25). 404.
    #[error("no API is served at this path")]
    NoSuchPath,
    /// The method has no meaning for a resource. 405.
    #[error("{verb} is not supported on resources of kind {:?}", qualified(group, resource))]
    MethodNotAllowed {
        /// What kube-apiserver calls it: nothing, or `proxy`.
        verb: &'static str,
        /// The API group.
        group: String,
        /// The plural resource name.
        resource: String,
    },
    /// The verb needs a name and the path has none. 400.
    #[error("name must be provided")]
    NameMissing,
    /// A label or field selector does not parse; the text is kube-apiserver's. 400.
    #[error("{0}")]
    Selector(String),
    /// The query asks for a name other than that of the path. 400.
    #[error("fieldSelector metadata.name doesn't match requested name")]
    NameMismatch,
    /// The query parameter `includeObject` has a value that nobody knows (wire rule 7.13). 400.
    #[error(
        "Unable to convert to Table as requested: includeObject: Invalid value: {0:?}: \
         must be 'Metadata', 'Object', 'None', or empty"
    )]
    IncludeObject(String),
    /// The query parameter `shardSelector` would be evaluated on remote namespaces (wire rule 8.16). 400; ask without it.
    #[error("shardSelector is not supported for this resource")]
    ShardSelector,
}

impl AddressError {
    /// The answer to the client.
    pub fn status(&self) -> Status {
        match self {
            Self::NoSuchPath => Status::no_such_path(),
            Self::MethodNotAllowed { group, resource, .. } => {
                let details = Details::of(group, resource, "");
                Status::failure(405, "MethodNotAllowed", self.to_string()).about(details)
            }
            _ => Status::bad_request(self.to_string()),
        }
    }
}

impl Address {
    /// Reads a request line: method, percent-encoded path, and raw query without `?`.
    pub fn parse(method: &str, path: &str, query: Option<&str>) -> Result<Self, AddressError> {
        let segments = path::segments(path)?;
        let query = Query::parse(query.unwrap_or_default())?;
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => {
                LocalRequest::from_parts(method, "", version, rest, query).map(Self::Resource)
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                LocalRequest::from_parts(method, group, version, rest, query).map(Self::Resource)
            }
            parts => {
                let path = format!("/{}", parts.join("/"));
                Ok(Self::Other { verb: method.to_ascii_lowercase(), path, query })
            }
        }
    }
}

impl LocalRequest {
    /// `parts` are the segments after the version; there is at least one.
    fn from_parts(
        method: &str,
        group: &str,
        version: &str,
        mut parts: &[&str],
        query: Query,
    ) -> Result<Self, AddressError> {
        let proxied = parts[0] == "proxy";
        let by_path = match parts[0] {
            "watch" => Some(Verb::Watch),
            _ => None,
        };
        if by_path.is_some() || proxied {
            parts = &parts[1..];
        }
        let mut namespace = None;
        if let ["namespaces", given, rest @ ..] = parts {
            namespace = Some(*given);
            // `status` and `finalize` are subresources of the namespace itself.
            if rest.first().is_some_and(|part| !["status", "finalize"].contains(part)) {
                parts = rest;
            }
        }
        // Anything after the subresource is ignored, as kube-apiserver does.
        let resource = *parts.first().ok_or(AddressError::NoSuchPath)?;
        let (name, subresource) = (parts.get(1), parts.get(2));
        let not_allowed = |verb| {
            let (group, resource) = (group.to_owned(), resource.to_owned());
            Err(AddressError::MethodNotAllowed { verb, group, resource })
        };
        if proxied {
            return not_allowed("proxy");
        }

        let verb = match (by_path, method) {
            (Some(verb), _) => verb,
            // A name makes it a plain get, whatever `watch` says (wire rule 7.24).
            (None, "GET" | "HEAD") if name.is_some() => Verb::Get,
            (None, "GET" | "HEAD") if query.flag("watch") => Verb::Watch,
            (None, "GET" | "HEAD") => Verb::List,
            (None, "POST") => Verb::Create,
            (None, "PUT") => Verb::Update,
            (None, "PATCH") => Verb::Patch,
            (None, "DELETE") if name.is_some() => Verb::Delete,
            (None, "DELETE") => Verb::DeleteCollection,
            _ => return not_allowed(""),
        };
        if namespace.is_none() && !matches!(verb, Verb::List | Verb::Watch) {
            return Err(AddressError::NoSuchPath);
        }
        if name.is_none() && matches!(verb, Verb::Update | Verb::Patch) {
            return Err(AddressError::NameMissing);
        }
        Ok(Self {
            verb,
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.map(str::to_owned),
            resource: resource.to_owned(),
            name: name.map(|name| (*name).to_owned()),
            subresource: subresource.map(|subresource| (*subresource).to_owned()),
            legacy_watch: by_path.is_some(),
            query,
        })
    }

    /// The name that authorization sees: that of the path, else the one that the field selector of a list or watch asks for
    /// (wire rule 9.8).
    pub fn authorized_name(&self) -> Option<String> {
        let by_selector = matches!(self.verb, Verb::List | Verb::Watch) && !self.legacy_watch;
        // Options that do not decode as a whole give no name.
        if self.name.is_some() || !by_selector || !self.query.is_decodable() || self.label_selector().is_err() {
            return self.name.clone();
        }
        let fields = self.field_selector().ok()?;
        let name = fields.exact_name()?;
        names::is_path_segment(name).then(|| name.to_owned()).filter(|name| !name.is_empty())
    }

    /// The selectors that authorization sees: those of the user, as far as they can be read, for they only narrow (wire rule
    /// 9.8).
    pub fn authorized_selectors(&self) -> (FieldSelector, LabelSelector) {
        if !self.verb.selects() || self.legacy_watch {
            return Default::default();
        }
        (self.field_selector().unwrap_or_default(), self.label_selector().unwrap_or_default())
    }

    /// The user's label selector; empty where none is given.
    pub fn label_selector(&self) -> Result<LabelSelector, AddressError> {
        self.query.get("labelSelector").unwrap_or_default().parse()
    }

    /// The user's field selector; empty where none is given.
    pub fn field_selector(&self) -> Result<FieldSelector, AddressError> {
        self.query.get("fieldSelector").unwrap_or_default().parse()
    }
}

/// What the fuzzer attacks: method, path and query from bytes.
#[doc(hidden)]
pub fn fuzz_request(data: &[u8]) {
    remote::fuzz(data);
}
