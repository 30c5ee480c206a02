//! The files that a user offers APIs from.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// Reads XRDs as they are, and makes an XRD out of each claim's CRD; as JSON, which is YAML.
pub(super) fn read(xrds: &[PathBuf], crds: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut definitions = Vec::new();
    for file in xrds {
        for object in objects(file)? {
            if object["kind"] != "CompositeResourceDefinition" {
                bail!("{}: {} is no CompositeResourceDefinition", file.display(), object["kind"]);
            }
            definitions.push(object.to_string());
        }
    }
    for file in crds {
        for object in objects(file)? {
            let made = of_crd(&object).with_context(|| format!("{} cannot be offered", file.display()))?;
            definitions.push(made.to_string());
        }
    }
    Ok(definitions)
}

fn objects(file: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("{} is not YAML", file.display()))?;
    let objects: Vec<Value> = objects.into_iter().filter(Value::is_object).collect();
    if objects.is_empty() {
        bail!("{} holds no object", file.display());
    }
    Ok(objects)
}

/// An XRD whose claims are the kind of a CRD, in the same group and versions.
fn of_crd(crd: &Value) -> anyhow::Result<Value> {
    if crd["kind"] != "CustomResourceDefinition" {
        bail!("{} is no CustomResourceDefinition", crd["kind"]);
    }
    let spec = &crd["spec"];
    if spec["scope"] != "Namespaced" {
        bail!("its scope is not Namespaced");
    }
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a name is missing");
    let (group, names) = (text(&spec["group"])?, &spec["names"]);
    let (kind, plural) = (text(&names["kind"])?, text(&names["plural"])?);
    let versions: Vec<Value> = spec["versions"]
        .as_array()
        .context("there are no versions")?
        .iter()
        .map(|version| {
            json!({
                "name": version["name"], "served": version["served"], "referenceable": version["storage"],
                "schema": version["schema"]
            })
        })
        .collect();
    Ok(json!({
        "apiVersion": "apiextensions.crossplane.io/v1", "kind": "CompositeResourceDefinition",
        "metadata": {"name": format!("x{plural}.{group}")},
        "spec": {
            "group": group, "names": {"kind": format!("X{kind}"), "plural": format!("x{plural}")},
            "claimNames": {"kind": kind, "plural": plural}, "versions": versions
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claims_crd_is_offered_by_an_xrd_of_its_own() {
        let crd = json!({
            "kind": "CustomResourceDefinition",
            "spec": {
                "group": "x.org", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]
            }
        });
        let made = of_crd(&crd).unwrap();
        assert_eq!(made["metadata"]["name"], "xthings.x.org");
        assert_eq!(made["spec"]["claimNames"]["kind"], "Thing");
        assert_eq!(made["spec"]["versions"][0]["referenceable"], true);
        let mut cluster = crd;
        cluster["spec"]["scope"] = "Cluster".into();
        assert!(of_crd(&cluster).unwrap_err().to_string().contains("scope"));
    }
}
