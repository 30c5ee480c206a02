//! Writes that the cluster makes itself: manifests it is started with, and what its controllers do.

use connector_core::status::Status;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::api::Api;
use super::kinds::Kind;
use super::object;
use super::request::{Params, Target};
use super::store::{Key, Shared};
use super::write::Write;

/// Which object an internal write is about.
pub(super) struct Place<'a> {
    pub(super) kind: &'a Kind,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

impl Api {
    /// Creates an object, or makes the stored one like it.
    pub(super) fn install(&self, object: &Value, manager: &str) -> Result<Shared, Status> {
        let kind = self.kinds().of_object(object).ok_or_else(|| {
            let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
            let (version, kind) = (version.unwrap_or_default(), kind.unwrap_or_default());
            Status::bad_request(format!("no kind {kind:?} is served in version {version:?}"))
        })?;
        let namespace = match object::namespace(object) {
            "" if kind.namespaced => "default",
            namespace => namespace,
        };
        let place = Place { kind: &kind, namespace, name: object::name(object) };
        self.patch(&place, None, "application/apply-patch+yaml", manager, object)
    }

    /// Patches an object, or one of its subresources, as a manager.
    pub(super) fn patch(
        &self,
        place: &Place<'_>,
        subresource: Option<&str>,
        format: &str,
        manager: &str,
        body: &Value,
    ) -> Result<Shared, Status> {
        let request = http::Request::builder().header(CONTENT_TYPE, format).body(());
        let (parts, ()) = request.map_err(|error| Status::internal(&error.to_string()))?.into_parts();
        let mut query = vec![("fieldManager", manager)];
        if format == "application/apply-patch+yaml" {
            query.push(("force", "true"));
        }
        let target = Target {
            group: place.kind.group.clone(),
            version: place.kind.version.clone(),
            namespace: place.namespace.to_owned(),
            plural: place.kind.plural.clone(),
            name: Some(place.name.to_owned()),
            subresource: subresource.map(str::to_owned),
        };
        let params = Params::from_pairs(&query);
        let write = Write { api: self, kind: place.kind, target: &target, params: &params, parts: &parts };
        write.patch(&object::to_json(body))?;
        let stored = self.store.get(&place.kind.resource, &Key::new(place.namespace, place.name));
        stored.ok_or_else(|| Status::not_found(&place.kind.group, &place.kind.plural, place.name))
    }
}
