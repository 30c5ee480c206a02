//! What the control plane tells of all its APIs at once: enough to see of which something changed.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use connector_core::discovery::Aggregated;
use connector_core::offer::GroupVersion;
use serde::Deserialize;

use super::documents::{FetchError, fetch};
use crate::upstream::Upstream;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What was told last.
#[derive(Default)]
pub(super) struct Overview {
    /// The validator of the aggregated discovery.
    etag: Option<Bytes>,
    /// Hashes of what that says of each group and version.
    discovered: BTreeMap<GroupVersion, Option<u64>>,
    hasher: RandomState,
}

/// The control plane's aggregated discovery.
pub(super) enum Discovered {
    Document(Bytes),
    /// It is what it was.
    Unchanged,
    /// The server has none.
    Unknown,
}

impl Overview {
    /// Fetches the aggregated discovery, where it changed or the document is `needed`.
    pub(super) async fn discovery(&mut self, upstream: &Upstream, needed: bool) -> Result<Discovered, FetchError> {
        let etag = if needed { None } else { self.etag.clone() };
        match fetch(upstream, "/apis", AGGREGATED, etag).await {
            Ok(Some(document)) => {
                self.etag = document.etag;
                Ok(Discovered::Document(document.body))
            }
            Ok(None) => Ok(Discovered::Unchanged),
            Err(FetchError::Answered(_)) => {
                self.etag = None;
                Ok(Discovered::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    /// Those of `wanted` of which something else is said than before.
    pub(super) fn otherwise_discovered(
        &mut self,
        aggregated: &Aggregated<'_>,
        wanted: &[GroupVersion],
    ) -> Vec<GroupVersion> {
        let now = wanted.iter().map(|gv| (gv.clone(), aggregated.told(gv).map(|told| self.hasher.hash_one(told))));
        let now: BTreeMap<_, _> = now.collect();
        let before = std::mem::replace(&mut self.discovered, now);
        self.discovered.iter().filter(|(gv, told)| before.get(gv) != Some(told)).map(|(gv, _)| gv.clone()).collect()
    }
}

/// The validators of the OpenAPI v3 documents of `wanted`, as far as the control plane tells them: kube-apiserver puts each, without
/// its quotes, into the URL of the document.
pub(super) async fn openapi_etags(upstream: &Upstream, wanted: &[GroupVersion]) -> BTreeMap<GroupVersion, Bytes> {
    match fetch(upstream, "/openapi/v3", "application/json", None).await {
        Ok(Some(root)) => etags(&root.body, wanted),
        // An older or another server, or one that is away: the documents themselves will tell.
        Ok(None) | Err(_) => BTreeMap::new(),
    }
}

fn etags(root: &[u8], wanted: &[GroupVersion]) -> BTreeMap<GroupVersion, Bytes> {
    #[derive(Default, Deserialize)]
    struct Root {
        paths: BTreeMap<String, Path>,
    }
    #[derive(Deserialize)]
    struct Path {
        #[serde(rename = "serverRelativeURL")]
        url: String,
    }

    let root: Root = serde_json::from_slice(root).unwrap_or_default();
    let etag = |gv: &GroupVersion| {
        let Path { url } = root.paths.get(&format!("apis/{}/{}", gv.group, gv.version))?;
        let (_, hash) = url.split_once("?hash=")?;
        Some((gv.clone(), format!("\"{hash}\"").into()))
    };
    wanted.iter().filter_map(etag).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn urls_tell_validators() {
        let path = |url: &str| json!({ "serverRelativeURL": url });
        let root = json!({"paths": {
            "apis/g/v1": path("/openapi/v3/apis/g/v1?hash=1AF"),
            "apis/g/v2": path("/openapi/v3/apis/g/v2"),
            "apis/other/v1": path("/openapi/v3/apis/other/v1?hash=2"),
        }});
        let wanted = ["v1", "v2", "v3"].map(|version| GroupVersion::new("g", version));
        let etags = etags(root.to_string().as_bytes(), &wanted);
        assert_eq!(etags, BTreeMap::from([(wanted[0].clone(), Bytes::from("\"1AF\""))]));
        assert_eq!(super::etags(b"{}", &wanted), BTreeMap::new());
    }

    #[test]
    fn only_what_is_said_otherwise_is_looked_at_again() {
        let document = |verbs: &str| {
            let version = |version: &str, verbs: &str| json!({"version": version, "resources": [{"resource": "r", "scope": "Namespaced", "verbs": [verbs]}]});
            let group = json!({
                "metadata": {"name": "g"},
                "versions": [version("v1", "get"), version("v2", verbs)],
            });
            json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": [group]})
                .to_string()
        };
        let wanted = ["v1", "v2", "v3"].map(|version| GroupVersion::new("g", version));
        let mut overview = Overview::default();
        let mut look = |verbs: &str| {
            let document = document(verbs);
            overview.otherwise_discovered(&Aggregated::parse(document.as_bytes()).unwrap(), &wanted)
        };
        assert_eq!(look("get"), wanted);
        assert_eq!(look("get"), []);
        assert_eq!(look("list"), [wanted[1].clone()]);
    }
}
