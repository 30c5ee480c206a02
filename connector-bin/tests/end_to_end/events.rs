//! What the control plane says of claims is said in the app cluster, as if Crossplane ran there.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::{Kubectl, eventually, fixtures};

use crate::setup::{CLAIM_NAMESPACE, Corridor, EXAMPLE_API, claim, clusters, json as get, options, traces};

const COMPOSITE: &str = "17-docs-useraccesskey-v2-secret";

/// The events of a namespace, or of all, without those of the cluster's own controllers.
async fn events(kubectl: &Kubectl, scope: &str) -> Result<Vec<Value>> {
    let label = "--selector=mcp-connector.upbound.io/service=kube-system.connector";
    let list = get(kubectl, &["get", "events", scope, label]).await?;
    Ok(list["items"].as_array().context("items")?.clone())
}

/// The events of one reason, once there are some.
async fn of_reason(kubectl: &Kubectl, scope: &str, reason: &str) -> Result<Vec<Value>> {
    eventually(&format!("an event {reason}"), || async {
        let all = events(kubectl, scope).await?;
        let found: Vec<Value> = all.iter().filter(|event| event["reason"] == reason).cloned().collect();
        Ok(if found.is_empty() { Err(Value::from(all).to_string()) } else { Ok(found) })
    })
    .await
}

/// The name in the control plane of the one object of a kind.
async fn remote(kubectl: &Kubectl, resource: &str) -> Result<Value> {
    let list = get(kubectl, &["get", resource, "-n", CLAIM_NAMESPACE]).await?;
    Ok(list["items"][0].clone())
}

#[tokio::test]
async fn a_claim_is_described_with_its_events() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    let (app, control_plane) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    app.ok(["create", "namespace", "team"]).await?;
    // A claim of nobody's that the same Crossplane reconciles, as those of other clusters.
    control_plane.apply(&claim(CLAIM_NAMESPACE, "nobodys")).await?;
    app.apply(&claim("team", "db")).await?;
    app.ok(["wait", "--for=condition=Ready", "kubernetescluster/db", "-n", "team", "--timeout=60s"]).await?;
    of_reason(&app, "--namespace=team", "PropagateConnectionSecret").await?;

    let described = app.ok(["describe", "kubernetescluster", "db", "-n", "team"]).await?;
    let (_, shown) = described.split_once("Events:").context("events")?;
    for said in ["BindCompositeResource", "Successfully bound composite resource", "PropagateConnectionSecret"] {
        ensure!(shown.contains(said), "{described}");
    }
    let listed = app.ok(["events", "--for=kubernetescluster/db", "-n", "team"]).await?;
    ensure!(listed.contains("KubernetesCluster/db") && listed.contains("bound composite"), "{listed}");
    for text in [shown, &listed] {
        ensure!(traces(text).is_empty(), "{text}");
    }

    // What was counted up there is counted up here, in one event.
    let waiting = "Composite resource is not yet ready";
    eventually("the last count", || async {
        let all = get(&control_plane, &["get", "events", "-n", CLAIM_NAMESPACE]).await?;
        let of_db = |event: &&Value| event["message"] == waiting && event["involvedObject"]["name"] != "nobodys";
        let counted = all["items"].as_array().context("items")?.iter().find(of_db).map(|event| &event["count"]);
        let local = events(&app, "--namespace=team").await?;
        let local: Vec<&Value> = local.iter().filter(|event| event["message"] == waiting).collect();
        let is_same = local.len() == 1 && Some(&local[0]["count"]) == counted;
        Ok(if is_same { Ok(()) } else { Err(format!("{counted:?} there, here {local:?}")) })
    })
    .await?;

    // Nothing of what is below the claim, and of other claims.
    let all = events(&app, "--all-namespaces").await?;
    let uid = app.ok(["get", "kubernetescluster", "db", "-n", "team", "-o", "jsonpath={.metadata.uid}"]).await?;
    for event in &all {
        let about = &event["involvedObject"];
        ensure!(about["uid"] == uid && about["kind"] == "KubernetesCluster" && about["namespace"] == "team", "{event}");
        let name = event["metadata"]["name"].as_str().unwrap_or_default();
        ensure!(name.starts_with("db.") && event["metadata"]["annotations"].is_null(), "{event}");
        let mut event = event.clone();
        event["metadata"]["labels"] = Value::Null;
        ensure!(traces(&event.to_string()).is_empty(), "{event}");
    }

    // A restart writes nothing that is there already.
    let versions = |events: &[Value]| {
        let mut of: Vec<String> = events
            .iter()
            .filter(|event| event["involvedObject"]["uid"] == uid)
            .map(|event| format!("{} {}", event["metadata"]["name"], event["metadata"]["resourceVersion"]))
            .collect();
        of.sort();
        of
    };
    let before = versions(&events(&app, "--namespace=team").await?);
    corridor.connector.restart().await?;
    corridor.connector.wait_available(&corridor.app, EXAMPLE_API).await?;
    app.apply(&claim("team", "other")).await?;
    eventually("events of another claim", || async {
        let now = events(&app, "--namespace=team").await?;
        let is_there = now.iter().any(|event| event["involvedObject"]["name"] == "other");
        Ok(if is_there { Ok(()) } else { Err(format!("{} events", now.len())) })
    })
    .await?;
    let after = versions(&events(&app, "--namespace=team").await?);
    ensure!(before == after, "{before:?}, then {after:?}");

    // What was said while nobody listened is not lost.
    let count = async |kubectl: &Kubectl, namespace: &str| -> Result<Option<u64>> {
        let all = get(kubectl, &["get", "events", "-n", namespace]).await?;
        let mut all = all["items"].as_array().context("items")?.iter();
        let found =
            all.find(|event| event["involvedObject"]["uid"] == uid && event["reason"] == "PropagateConnectionSecret");
        Ok(found.and_then(|event| event["count"].as_u64()))
    };
    let before = count(&control_plane, CLAIM_NAMESPACE).await?;
    corridor.connector.kill()?;
    let list = get(&control_plane, &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    let stored = list["items"].as_array().context("items")?.iter().find(|object| object["metadata"]["uid"] == uid);
    let name = stored.and_then(|object| object["metadata"]["name"].as_str()).context("a name")?;
    corridor.crossplane.rotate(CLAIM_NAMESPACE, name, &[("password", "another")]);
    eventually("the rotation to be said", || async {
        let now = count(&control_plane, CLAIM_NAMESPACE).await?;
        Ok(if now > before { Ok(()) } else { Err(format!("{now:?}")) })
    })
    .await?;
    corridor.connector.restart().await?;
    eventually("it to be said here", || async {
        let (there, here) = (count(&control_plane, CLAIM_NAMESPACE).await?, count(&app, "team").await?);
        Ok(if there == here { Ok(()) } else { Err(format!("{there:?} there, here {here:?}")) })
    })
    .await?;
    corridor.connector.wait_available(&corridor.app, EXAMPLE_API).await?;

    // The end is told too.
    app.ok(["delete", "kubernetescluster", "db", "-n", "team", "--timeout=60s"]).await?;
    of_reason(&app, "--namespace=team", "DeleteCompositeResource").await?;
    let (_, metrics) = corridor.connector.admin_get("/metrics").await?;
    ensure!(metrics.contains("connector_events_total{result=\"copied\"}"), "{metrics}");
    ensure!(metrics.contains("connector_events_total{result=\"failed\"} 0"), "{metrics}");
    Ok(())
}

/// Its messages name it, in local terms, and both APIs show all that there is of an event.
#[tokio::test]
async fn a_composite_is_described_with_its_events() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (app, control_plane) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    corridor.crossplane.offer(&fixtures::xrd(COMPOSITE)?).await?;
    corridor.connector.wait_available(&corridor.app, "example.org/v1alpha1").await?;
    app.apply(&fixtures::xr(COMPOSITE)?).await?;
    of_reason(&app, "--namespace=default", "SelectComposition").await?;
    let stored = remote(&control_plane, "useraccesskeys").await?;
    let name = stored["metadata"]["name"].as_str().context("a name")?;
    let secret = stored["spec"]["writeConnectionSecretToRef"]["name"].as_str().context("a name")?;
    let message = format!("cannot compose {CLAIM_NAMESPACE}/{name}: secret \"{secret}\" is in the way of {name}.");
    corridor.crossplane.fail(CLAIM_NAMESPACE, name, &message);
    let told = "cannot compose default/my-keys: secret \"my-keys-connection-details\" is in the way of my-keys.";
    // There are others of that reason before.
    eventually("the failure to be told", || async {
        let failed = of_reason(&app, "--namespace=default", "ComposeResources").await?;
        let says = |event: &Value| event["message"].as_str().is_some_and(|text| text.contains(told));
        Ok(if failed.iter().any(says) { Ok(()) } else { Err(format!("{failed:?}")) })
    })
    .await?;
    ensure!(app.ok(["describe", "useraccesskey", "my-keys"]).await?.contains(told));

    // By the newer API, as a series.
    let event = |count: u32| {
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": format!("{name}.1234"), "namespace": CLAIM_NAMESPACE, "labels": { "a": "b" } },
            "eventTime": format!("{}.123456Z", &stored["metadata"]["creationTimestamp"].as_str().unwrap_or_default()[..19]),
            "series": { "count": count, "lastObservedTime": format!("2099-01-01T00:00:0{count}.654321Z") },
            "reportingController": "example.org/controller",
            "reportingInstance": "controller-0",
            "action": "Testing",
            "reason": "SeriesOfTests",
            "type": "Warning",
            "note": format!("{name} is tested"),
            "regarding": {
                "apiVersion": "example.org/v1alpha1",
                "kind": "UserAccessKey",
                "namespace": CLAIM_NAMESPACE,
                "name": name,
                "uid": stored["metadata"]["uid"],
                "fieldPath": "spec",
            },
            "related": { "apiVersion": "v1", "kind": "Secret", "namespace": CLAIM_NAMESPACE, "name": secret },
        })
    };
    control_plane.ok_with_stdin(["create", "-f", "-"], &event(2).to_string()).await?;
    of_reason(&app, "--namespace=default", "SeriesOfTests").await?;
    control_plane.ok_with_stdin(["replace", "-f", "-"], &event(3).to_string()).await?;
    let local = eventually("the longer series", || async {
        let found = of_reason(&app, "--namespace=default", "SeriesOfTests").await?;
        let is_longer = found.len() == 1 && found[0]["series"]["count"] == 3;
        Ok(if is_longer { Ok(found[0].clone()) } else { Err(format!("{found:?}")) })
    })
    .await?;
    ensure!(local["metadata"]["name"] == "my-keys.1234", "{local}");
    let newer = get(&app, &["get", "events.v1.events.k8s.io", "my-keys.1234"]).await?;
    let sent = event(3);
    for member in ["eventTime", "series", "reportingController", "reportingInstance", "action", "reason", "type"] {
        ensure!(newer[member] == sent[member], "{member}: {newer}");
    }
    ensure!(newer["note"] == "my-keys is tested" && newer["related"].is_null(), "{newer}");
    let mut regarding = sent["regarding"].clone();
    (regarding["namespace"], regarding["name"]) = ("default".into(), "my-keys".into());
    ensure!(newer["regarding"] == regarding, "{newer}");
    // What the older API counts, the newer one shows too.
    let list = get(&app, &["get", "events.v1.events.k8s.io"]).await?;
    let counted = list["items"].as_array().context("items")?.iter();
    ensure!(counted.clone().any(|event| event["deprecatedCount"].is_u64() && event["reason"] == "SelectComposition"));
    Ok(())
}

/// Who says much of one object is listened to slowly, and to the end; others do not wait for that.
#[tokio::test]
async fn many_events_about_one_claim_all_arrive() -> Result<()> {
    const MANY: usize = 29;
    let corridor = Corridor::start().await?;
    let (app, control_plane) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    app.apply(&claim("default", "noisy")).await?;
    let noisy = remote(&control_plane, "kubernetesclusters").await?;
    let name = noisy["metadata"]["name"].as_str().context("a name")?;
    let created: Vec<Value> = (0..MANY)
        .map(|number| {
            json!({
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": { "name": format!("{name}.{number:x}"), "namespace": CLAIM_NAMESPACE },
                "involvedObject": {
                    "apiVersion": EXAMPLE_API,
                    "kind": "KubernetesCluster",
                    "namespace": CLAIM_NAMESPACE,
                    "name": name,
                    "uid": noisy["metadata"]["uid"],
                },
                "type": "Normal",
                "reason": "Noise",
                "message": format!("number {number}"),
                "count": 1,
            })
        })
        .collect();
    let created = json!({ "apiVersion": "v1", "kind": "List", "items": created });
    control_plane.ok_with_stdin(["create", "-f", "-"], &created.to_string()).await?;
    let noise = async || -> Result<usize> {
        let all = events(&app, "--namespace=default").await?;
        Ok(all.iter().filter(|event| event["reason"] == "Noise").count())
    };
    eventually("some to be held back", || async {
        let (_, metrics) = corridor.connector.admin_get("/metrics").await?;
        let held = metrics.lines().find(|line| line.starts_with("connector_events_total{result=\"held\"}"));
        Ok(match held {
            Some(held) if !held.ends_with(" 0") => Ok(()),
            _ => Err(metrics),
        })
    })
    .await?;
    app.apply(&claim("default", "quiet")).await?;
    eventually("events of the other claim", || async {
        let all = events(&app, "--namespace=default").await?;
        let is_there = all.iter().any(|event| event["involvedObject"]["name"] == "quiet");
        Ok(if is_there { Ok(()) } else { Err(format!("{} events", all.len())) })
    })
    .await?;
    ensure!(noise().await? < MANY, "nothing was held back");
    eventually("all of them", || async {
        let now = noise().await?;
        Ok(if now == MANY { Ok(()) } else { Err(format!("{now} of {MANY}")) })
    })
    .await?;
    Ok(())
}

/// Without the right to read events there are none, and all else is as it was; the right counts when it is there.
#[tokio::test]
async fn the_right_to_read_events_may_be_missing() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let rights = std::fs::read_to_string(format!("{}/../deploy/rbac/control-plane.yaml", env!("CARGO_MANIFEST_DIR")))?;
    let without = rights.replace("resources: [events]", "resources: [nothing]");
    ensure!(without != rights);
    control_plane.kubectl().apply(&without).await?;
    let account =
        control_plane.kubeconfig_for("system:serviceaccount:claims:connector", &["system:serviceaccounts"])?;
    let options = ConnectorOptions { control_plane_kubeconfig: Some(account), ..options() };
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    let kubectl = app.kubectl();
    kubectl.apply(&claim("default", "db")).await?;
    kubectl.ok(["wait", "--for=condition=Ready", "kubernetescluster/db", "--timeout=60s"]).await?;
    let told = "grant list and watch on events in the claim namespace";
    eventually("the missing right to be told", || async {
        let log = connector.log()?;
        Ok(if log.contains(told) { Ok(()) } else { Err(log) })
    })
    .await?;
    ensure!(events(&kubectl, "--all-namespaces").await?.is_empty());
    control_plane.kubectl().apply(&rights).await?;
    of_reason(&kubectl, "--namespace=default", "PropagateConnectionSecret").await?;
    ensure!(connector.log()?.matches(told).count() == 1);
    Ok(())
}
