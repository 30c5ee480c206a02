//! What helm refuses, and says about it.

use anyhow::{Context, Result, ensure};
use testkit::binaries::HELMS;

use crate::helm::{chart, helm, template};

#[test]
fn lint_has_nothing_to_say() -> Result<()> {
    let chart = chart();
    let chart = chart.to_str().context("the path is UTF-8")?;
    for version in HELMS {
        let told = helm(version, &["lint", "--strict", chart])?.map_err(anyhow::Error::msg)?;
        ensure!(!told.contains("WARNING") && !told.contains("ERROR"), "{told}");
    }
    Ok(())
}

#[test]
fn the_schema_refuses_what_is_wrong_and_says_where() -> Result<()> {
    let base = "controlPlane: {claimNamespace: a, kubeconfigSecret: {name: b}}\n";
    for (values, expected) in [
        ("controlplane: {}", "at '': additional properties 'controlplane' not allowed"),
        ("image: {tags: x}", "at '/image': additional properties 'tags' not allowed"),
        ("replicaCount: two", "at '/replicaCount': got string, want integer"),
        ("podDisruptionBudget: {maxUnavailable: half}", "'/podDisruptionBudget/maxUnavailable'"),
        ("logging: {format: xml}", "at '/logging/format': value must be one of 'text', 'json'"),
        ("commonLabels: {cost: 1}", "at '/commonLabels/cost': got number, want string"),
        ("containerPort: 70000", "at '/containerPort': maximum"),
        ("clusterID: a/b", "at '/clusterID'"),
        ("spaces: {host: 'http://space.example.org'}", "at '/spaces/host'"),
        ("apis: [{group: a}]", "at '/apis/0': missing property 'kind'"),
        ("apis: [{group: a, kind: B, inputs: []}]", "at '/apis/0': additional properties 'inputs' not allowed"),
    ] {
        for version in HELMS {
            let complaint =
                template(version, &format!("{base}{values}"))?.err().with_context(|| format!("{values} is taken"))?;
            ensure!(complaint.contains(expected), "{values}: {complaint}");
        }
    }
    Ok(())
}

/// As helm does, when the chart is a part of another one.
#[test]
fn a_chart_that_contains_it_may_say_global_things() -> Result<()> {
    let values = "global: {region: x}\ncontrolPlane: {claimNamespace: a, kubeconfigSecret: {name: b}}\n";
    template(HELMS[0], values)?.map_err(anyhow::Error::msg)?;
    Ok(())
}
