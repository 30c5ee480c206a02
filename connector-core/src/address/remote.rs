//! The request to the control plane that a local request becomes.

use super::labels::{LabelRequirement, LabelSelector};
use super::{Address, AddressError, FieldRequirement, FieldSelector, IncludeObject, LocalRequest, Verb, names, path};
use crate::origin::{Form, Hashed, LABEL_NAME, LABEL_NAMESPACE, RESERVED_PREFIX, name_label};

/// A request to the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The HTTP method.
    pub method: &'static str,
    /// Path and query, ready for the request line.
    pub path_and_query: String,
    /// The remote name of the object, where one is addressed.
    pub name: Option<String>,
    /// The client asked for Table rows without objects: take the objects out of the answer (wire rule 7.13).
    pub strip_object: bool,
}

/// Selects nothing, ever: stands for a selector that no object of the user can meet, so that the control plane still answers
/// with a collection, its resource version and its watch.
const NOTHING: &str = "mcp-connector.upbound.io/app-namespace,!mcp-connector.upbound.io/app-namespace";

impl LocalRequest {
    /// The same request in remote terms.
    ///
    /// A create addresses the collection; the name goes into the body. Everything of wire rule 8.16 passes unchanged,
    /// `pretty` does not (compact JSON is asked for), and a watch is always asked for with `watch=true`.
    pub fn remote(&self, scheme: &Hashed, form: Form) -> Result<Remote, AddressError> {
        let namespace = self.namespace.as_deref();
        let mut query = self.query.clone();
        if query.get("shardSelector").is_some_and(|selector| !selector.is_empty()) {
            return Err(AddressError::ShardSelector);
        }
        query.remove("pretty");
        let strip_object = query.include_object() == Ok(IncludeObject::None);
        if strip_object {
            query.set("includeObject", "Metadata");
        }

        // Only reads and writes of one object have a name in the remote path.
        let on_collection = self.verb.selects() || (self.verb == Verb::Create && self.subresource.is_none());
        let name = match (namespace, self.name.as_deref()) {
            (Some(namespace), Some(name)) if !on_collection => Some(scheme.remote_name(form, namespace, name)),
            _ => None,
        };
        if self.verb.selects() {
            let (labels, fields) = self.selectors(scheme, form)?;
            query.set("labelSelector", labels);
            query.remove("fieldSelector");
            if !fields.requirements.is_empty() {
                query.set("fieldSelector", fields.to_string());
            }
        }
        if self.verb == Verb::Watch {
            query.set("watch", "true");
        }

        let mut path = String::new();
        match self.group.as_str() {
            "" => push(&mut path, "api"),
            group => ["apis", group].iter().for_each(|part| push(&mut path, part)),
        }
        push(&mut path, &self.version);
        // Every object of the app cluster lies in one namespace, so across all namespaces is that namespace too.
        push(&mut path, "namespaces");
        push(&mut path, scheme.remote_namespace(namespace.unwrap_or_default()));
        push(&mut path, &self.resource);
        if let Some(name) = &name {
            push(&mut path, name);
            self.subresource.iter().for_each(|subresource| push(&mut path, subresource));
        }
        let query = query.render();
        if !query.is_empty() {
            path.push('?');
            path.push_str(&query);
        }
        Ok(Remote { method: self.verb.method(), path_and_query: path, name, strip_object })
    }

    /// The selectors of a collection: the user's, translated, and the origin's (wire rules 6.15, 8.15).
    fn selectors(&self, scheme: &Hashed, form: Form) -> Result<(String, FieldSelector), AddressError> {
        let namespace = self.namespace.as_deref();
        // Of two that are wrong, this one is told.
        let labels = self.label_selector()?;
        let mut fields = self.field_selector()?;
        // The legacy watch of one object names it in the path.
        if let Some(name) = &self.name {
            match fields.exact_name() {
                Some(selected) if selected == name => {}
                None if fields.requirements.is_empty() => {
                    let field = "metadata.name".to_owned();
                    fields.requirements.push(FieldRequirement { field, equal: true, value: name.clone() });
                }
                _ => return Err(AddressError::NameMismatch),
            }
        }

        let mut wanted = Selected::default();
        let mut remote = FieldSelector::default();
        for one in fields.requirements {
            match (one.field.as_str(), namespace) {
                ("metadata.name", Some(namespace)) => {
                    let value = scheme.remote_name(form, namespace, &one.value);
                    remote.requirements.push(FieldRequirement { value, ..one });
                }
                // A name cannot be hashed without its namespace.
                ("metadata.name", None) if names::subdomain_faults(&one.value).is_empty() => {
                    wanted.labels.push(LabelRequirement::one(LABEL_NAME, one.equal, &name_label(&one.value)));
                }
                ("metadata.namespace", None) if !one.value.is_empty() && names::is_label_value(&one.value) => {
                    wanted.labels.push(LabelRequirement::one(LABEL_NAMESPACE, one.equal, &one.value));
                }
                // No object is called so, or the namespace is known already.
                ("metadata.name", None) => wanted.nothing |= one.equal,
                ("metadata.namespace", _) => wanted.nothing |= one.equal != (namespace == Some(one.value.as_str())),
                _ => remote.requirements.push(one),
            }
        }
        for one in labels.requirements {
            // To the user, no object has a label of ours.
            if one.key.starts_with(RESERVED_PREFIX) {
                wanted.nothing |= !one.operator.accepts_absence();
            } else {
                wanted.labels.push(one);
            }
        }

        // What is no label value is no namespace either, and must not be written into a selector.
        let known = namespace.is_none_or(names::is_label_value);
        let mut selector = scheme.label_selector(namespace.filter(|_| known));
        if wanted.nothing || !known {
            selector.push(',');
            selector.push_str(NOTHING);
        }
        if !wanted.labels.is_empty() {
            selector.push(',');
            selector.push_str(&LabelSelector { requirements: wanted.labels }.to_string());
        }
        Ok((selector, remote))
    }
}

/// What the user's selectors come to.
#[derive(Default)]
struct Selected {
    labels: Vec<LabelRequirement>,
    /// No object of the user can meet them.
    nothing: bool,
}

fn push(path: &mut String, segment: &str) {
    path.push('/');
    path.push_str(&path::encode(segment));
}

/// Whatever comes in, what goes out stays in the claim namespace and carries the origin selector.
pub(super) fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let (method, path, query) = (lines.next().unwrap_or("GET"), lines.next().unwrap_or("/"), lines.next());
    let Ok(Address::Resource(request)) = Address::parse(method, path, query) else { return };
    let scheme = Hashed { cluster: "c1".parse().expect("a valid id"), claim_namespace: "claims".into() };
    let Ok(remote) = request.remote(&scheme, Form::Claim) else { return };

    let (path, query) = remote.path_and_query.split_once('?').unwrap_or((&remote.path_and_query, ""));
    let Ok(Address::Resource(again)) = Address::parse(remote.method, path, Some(query)) else {
        panic!("the remote request does not parse: {remote:?}");
    };
    // A subresource that is called as one of a namespace, or a resource called `watch`, is read differently; no such API
    // is offered.
    if [&request.resource, &request.group]
        .iter()
        .any(|part| ["status", "finalize", "watch", "proxy"].contains(&part.as_str()))
    {
        return;
    }
    assert_eq!(again.namespace.as_deref(), Some("claims"));
    assert_eq!((again.resource, again.name), (request.resource.clone(), remote.name.clone()));
    if request.verb.selects() {
        let selector = again.query.get("labelSelector").unwrap_or_default();
        let labels: LabelSelector = selector.parse().expect("what is rendered parses");
        for own in scheme.label_selector(None).parse::<LabelSelector>().expect("ours parses").requirements {
            assert!(labels.requirements.contains(&own), "{selector} lacks {own}");
        }
        if let Some(namespace) = request.namespace.as_deref() {
            let narrowed = labels.requirements.contains(&LabelRequirement::one(LABEL_NAMESPACE, true, namespace));
            assert!(narrowed || selector.contains(NOTHING), "{selector} is not narrowed to {namespace}");
        }
    }
}
