//! What a control plane offers, asked once.

use connector_core::offer::{Offered, Offers, from_crd, from_xrd};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};

use crate::ask::{Unanswered, ask};

/// How many definitions are asked for at a time; a control plane can have a thousand CRDs of megabytes each.
const PAGE: u32 = 100;

/// Reads XRDs, or the CRDs made of them where those may not be read, as the connector does.
///
/// # Errors
/// The control plane did not answer, or neither may be read. Refused with code 404: it has no Crossplane.
pub(crate) async fn of(control_plane: &Client) -> Result<Offers, Unanswered> {
    match definitions(control_plane, "apiextensions.crossplane.io", "CompositeResourceDefinition", |xrd| {
        from_xrd(xrd).unwrap_or_default()
    })
    .await
    {
        Err(refused) if refused.is_forbidden() => {
            let crds = definitions(control_plane, "apiextensions.k8s.io", "CustomResourceDefinition", |crd| {
                from_crd(crd).into_iter().collect()
            });
            // The right that is missing is the one to read XRDs.
            crds.await.map_err(|_| refused)
        }
        answer => answer,
    }
}

async fn definitions(
    control_plane: &Client,
    group: &str,
    kind: &str,
    read: impl Fn(&serde_json::Value) -> Vec<Offered>,
) -> Result<Offers, Unanswered> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    let api = Api::<DynamicObject>::all_with(control_plane.clone(), &resource);
    let mut offered = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = ask(api.list(&page)).await?;
        // What cannot be read is not offered by the connector either.
        let values = list.items.iter().filter_map(|object| serde_json::to_value(object).ok());
        offered.extend(values.flat_map(|value| read(&value)));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(offered.into_iter().collect()),
        }
    }
}
