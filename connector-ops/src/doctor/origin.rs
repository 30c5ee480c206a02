//! Claims in the control plane that are under this cluster's id, and seem not to be its own.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::{Commands, Finding, joined, options};
use crate::ask::ask;
use crate::claims::{Selection, list};

const CHECK: &str = "cluster-id";

/// Whose claims are looked at.
pub(super) struct Of<'a> {
    pub(super) cluster: &'a str,
    pub(super) namespace: &'a str,
    pub(super) installed: bool,
}

impl Of<'_> {
    /// Two clusters with one id see and erase each other's claims (wire rule 11.18). Nothing in the control plane tells clusters of one
    /// id apart but the namespaces of their claims: those that are not here are another's, or were deleted during an outage.
    pub(super) async fn look(&self, app: &Client, control_plane: &Client, commands: &Commands) -> Vec<Finding> {
        let Self { cluster, namespace, installed } = self;
        let Ok(id) = cluster.parse() else {
            return vec![Finding::error(
                CHECK,
                format!("{cluster:?} is no cluster id: at most 63 letters, digits, -, _ and ."),
            )];
        };
        let selection = Selection { cluster: Some(id), claim_namespace: Some((*namespace).to_owned()) };
        let namespaces = Api::<Namespace>::all(app.clone());
        let every = ListParams::default();
        let (listing, namespaces) =
            futures::join!(list(control_plane, &selection), ask(namespaces.list_metadata(&every)));
        let (Ok(listing), Ok(namespaces)) = (listing, namespaces) else {
            return vec![Finding::warning(
                CHECK,
                format!("the claims of cluster {cluster} cannot be compared with its namespaces"),
            )];
        };
        let here: BTreeSet<String> = namespaces.items.iter().map(ResourceExt::name_any).collect();
        let mut elsewhere: BTreeMap<&str, usize> = BTreeMap::new();
        for claim in listing.claims.iter().filter(|claim| !here.contains(&claim.namespace)) {
            *elsewhere.entry(&claim.namespace).or_default() += 1;
        }
        let look =
            format!("kubectl connector claims{} --cluster {cluster} -n {namespace}", options(&commands.control_plane));
        let count = listing.claims.len();
        if !elsewhere.is_empty() {
            let of = joined(elsewhere.iter().map(|(namespace, count)| format!("{namespace} ({count})")));
            let what = format!(
                "claims of cluster {cluster} are of namespaces that this cluster does not have: {of}. Either another cluster has the same \
                 id, and the two erase each other's claims, or the namespaces were deleted while the control plane was away"
            );
            return vec![Finding::warning(CHECK, what).mend(look)];
        }
        if !installed && count > 0 {
            let what = format!(
                "{count} claims of cluster {cluster} are in namespace {namespace} already: of an earlier install, or of another cluster with \
                 the same id"
            );
            return vec![Finding::warning(CHECK, what).mend(look)];
        }
        vec![Finding::ok(
            CHECK,
            format!("the id is {cluster}; none of its {count} claims is of a namespace that is not here"),
        )]
    }
}
