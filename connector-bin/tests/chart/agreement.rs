//! The chart and the kubectl plugin make the same.

use anyhow::{Context, Result, ensure};
use connector_ops::manifests::{Layers, Release, RenderError, render};
use serde_json::Value;
use testkit::binaries::HELMS;

use crate::helm::{objects, template, values};

#[test]
fn the_plugin_makes_what_the_chart_makes() -> Result<()> {
    for (name, values) in values()? {
        let mut rendered = rendered(&values)?.with_context(|| format!("{name} is refused"))?;
        for version in HELMS {
            let printed = template(version, &values)?.map_err(anyhow::Error::msg).context(name.clone())?;
            let mut templated = objects(&printed)?;
            templated.iter_mut().chain(&mut rendered).for_each(drop_managers);
            for object in &rendered {
                let same = templated.iter().find(|other| identity(other) == identity(object));
                let same = same.with_context(|| format!("{name}: the chart makes no {:?}", identity(object)))?;
                let difference = difference("", object, same);
                ensure!(
                    difference.is_none(),
                    "{name}, helm {version}: {:?}{}",
                    identity(object),
                    difference.unwrap_or_default()
                );
            }
            let kinds = |objects: &[Value]| objects.iter().map(|object| object["kind"].clone()).collect::<Vec<_>>();
            ensure!(kinds(&rendered) == kinds(&templated), "{name}: {:?} in helm {version}", kinds(&templated));
        }
    }
    Ok(())
}

#[test]
fn both_refuse_the_same_with_the_same_words() -> Result<()> {
    let told = "say different things: set one of them";
    for (values, expected) in [
        ("{}", "set controlPlane.claimNamespace: the namespace of the control plane"),
        ("controlPlane: {claimNamespace: a}", "set controlPlane.kubeconfigSecret.name: a Secret in this namespace"),
        ("{controlPlane: {claimNamespace: a}, mcp: {namespace: b}}", told),
        (
            "{controlPlane: {claimNamespace: a, kubeconfigSecret: {name: a}}, spaces: {controlPlane: {kubeconfigSecret: {name: b}}}}",
            told,
        ),
        (
            "{controlPlane: {claimNamespace: a, kubeconfigSecret: {name: a, key: one}}, spaces: {controlPlane: {kubeconfigSecret: {key: two}}}}",
            told,
        ),
        (
            "{controlPlane: {claimNamespace: a}, spaces: {host: h, controlPlane: {name: one}}, upbound: {token: t}, mcp: {name: two}}",
            told,
        ),
        (
            "{controlPlane: {claimNamespace: a}, upbound: {account: one}, mcp: {account: two, name: cp, host: h, token: t}}",
            told,
        ),
        (
            "{controlPlane: {claimNamespace: a}, spaces: {host: h}}",
            "set spaces.host, spaces.controlPlane.name and upbound.token, all of them",
        ),
        (
            "{controlPlane: {claimNamespace: a}, mcp: {name: cp, token: t}}",
            "set mcp.host, mcp.account, mcp.name and mcp.token, all of them",
        ),
    ] {
        let refused = rendered(values)?.err().with_context(|| format!("{values} is taken"))?.to_string();
        ensure!(refused.contains(expected), "{values}: {refused}");
        for version in HELMS {
            let complaint = template(version, values)?.err().with_context(|| format!("{values} is taken"))?;
            ensure!(complaint.contains(&refused), "{values}: {complaint}");
        }
    }
    Ok(())
}

#[test]
fn the_manifests_are_as_recorded() -> Result<()> {
    let version = format!(r"\b{}\b", regex::escape(env!("CARGO_PKG_VERSION")));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&version, "VERSION");
    settings.set_prepend_module_to_snapshot(false);
    // The two files are tested with the metrics that they are about.
    settings.add_filter(r"(?s)  connector.json: \|.*?\n---", "  connector.json: DASHBOARD\n---");
    settings.add_filter(r"(?s)  groups:\n.*?\n---", "  groups: ALERTS\n---");
    for (name, values) in values()? {
        let printed = template(HELMS[0], &values)?.map_err(anyhow::Error::msg)?;
        settings.bind(|| insta::assert_snapshot!(name, printed));
    }
    Ok(())
}

fn rendered(values: &str) -> Result<Result<Vec<Value>, RenderError>> {
    let values = Layers::default().file("values.yaml", values)?.values()?;
    Ok(render(&values, &Release::new("connector", "kube-system")))
}

fn identity(object: &Value) -> [&Value; 3] {
    [&object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]]
}

/// Takes away what tells who manages an object.
fn drop_managers(object: &mut Value) {
    if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
        labels.remove("app.kubernetes.io/managed-by");
        labels.remove("helm.sh/chart");
    }
}

/// Where two objects differ, if they do.
fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            let inner = |key: &String| difference(&format!("{path}.{key}"), &ours[key], &theirs[key]);
            one.keys().chain(other.keys()).find_map(inner)
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let inner = |i| difference(&format!("{path}[{i}]"), &ours[i], &theirs[i]);
            (0..one.len()).find_map(inner)
        }
        _ => (ours != theirs).then(|| format!("{path}: {ours} is {theirs} in the chart")),
    }
}
