//! The rights that the chart gives are those of `deploy/rbac`, which the end-to-end tests run with.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use connector_ops::manifests::{Layers, Release, render};
use serde_json::Value;

use crate::helm::{chart, objects};

#[test]
fn the_rights_are_those_of_the_files() -> Result<()> {
    let base = "controlPlane: {claimNamespace: claims, kubeconfigSecret: {name: connector-control-plane}}\n";
    assert_eq!(given(&rendered(base)?)?, given(&files(&["app-cluster.yaml"])?)?);
    let inputs = format!("{base}apis: [{{group: a, kind: B, input-secrets: [spec.ref]}}]");
    assert_eq!(given(&rendered(&inputs)?)?, given(&files(&["app-cluster.yaml", "app-cluster-input-secrets.yaml"])?)?);
    Ok(())
}

fn rendered(values: &str) -> Result<Vec<Value>> {
    let values = Layers::default().file("values.yaml", values)?.values()?;
    Ok(render(&values, &Release::new("connector", "kube-system"))?)
}

fn files(names: &[&str]) -> Result<Vec<Value>> {
    let read = |name: &&str| objects(&std::fs::read_to_string(chart().join("../rbac").join(name))?);
    Ok(names.iter().map(read).collect::<Result<Vec<_>>>()?.concat())
}

/// Each right by itself: where, group, resource, name, verb; and the roles of others that are bound.
fn given(objects: &[Value]) -> Result<BTreeSet<String>> {
    let mut rights = BTreeSet::new();
    let named =
        |kind: &str, name: &Value| objects.iter().any(|role| role["kind"] == kind && role["metadata"]["name"] == *name);
    for object in objects {
        let place = object["metadata"]["namespace"].as_str().unwrap_or("all");
        if object["roleRef"].is_object()
            && !named(object["roleRef"]["kind"].as_str().unwrap_or_default(), &object["roleRef"]["name"])
        {
            rights.insert(format!("{place}: {}", object["roleRef"]));
        }
        for rule in object["rules"].as_array().into_iter().flatten() {
            let list = |key: &str| rule[key].as_array().cloned().unwrap_or_else(|| vec!["any".into()]);
            for group in list("apiGroups") {
                for resource in list("resources") {
                    for name in list("resourceNames") {
                        for verb in rule["verbs"].as_array().context("a rule has verbs")? {
                            rights.insert(format!("{place}: {group} {resource} {name} {verb}"));
                        }
                    }
                }
            }
        }
    }
    Ok(rights)
}
