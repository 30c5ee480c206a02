//! The app cluster's namespaces rule over their claims.

use anyhow::{Result, ensure};

use crate::setup::{CLAIM_NAMESPACE, Corridor, claim, json};

/// Wire rules 6.11 to 6.15: the namespace controller deletes the collection, all namespaces share one at the control plane.
#[tokio::test]
async fn deleting_a_namespace_deletes_its_claims_and_no_others() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (app, remote) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    for namespace in ["one", "two"] {
        app.ok(["create", "namespace", namespace]).await?;
        for name in ["a", "b"] {
            app.apply(&claim(namespace, name)).await?;
        }
    }
    app.ok(["delete", "namespace", "one", "--timeout=100s"]).await?;
    let left = app
        .ok(["get", "claim", "-A", "--no-headers", "-o", "custom-columns=:.metadata.namespace,:.metadata.name"])
        .await?;
    let left: Vec<Vec<&str>> = left.lines().map(|line| line.split_whitespace().collect()).collect();
    ensure!(left == [["two", "a"], ["two", "b"]] || left == [["two", "b"], ["two", "a"]], "{left:?}");
    let stored = json(&remote, &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    ensure!(stored["items"].as_array().map(Vec::len) == Some(2), "{stored}");
    Ok(())
}

/// Wire rule 10.3.
#[tokio::test]
async fn claims_need_a_namespace_that_is_and_stays() -> Result<()> {
    let corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    let typo = app.with_stdin(["apply", "-f", "-"], &claim("typo", "a")).await?;
    ensure!(typo.stderr.contains(r#"namespaces "typo" not found"#), "{}", typo.stderr);

    app.ok(["create", "namespace", "going"]).await?;
    // Held by a finalizer, it stays in termination.
    let hold = r#"{"metadata":{"finalizers":["example.org/hold"]}}"#;
    let kept = r"apiVersion: v1
kind: ConfigMap
metadata: {name: kept, namespace: going, finalizers: [example.org/hold]}
";
    app.apply(kept).await?;
    app.ok(["delete", "namespace", "going", "--wait=false"]).await?;
    let late = app.with_stdin(["create", "-f", "-"], &claim("going", "late")).await?;
    ensure!(
        late.stderr.contains(r#"kubernetesclusters.k8s.starter.org "late" is forbidden: unable to create new content in namespace going because it is being terminated"#),
        "{}",
        late.stderr
    );
    let release = hold.replace(r#""example.org/hold""#, "");
    app.ok(["patch", "configmap", "-n", "going", "kept", "--type=merge", "-p", &release]).await?;
    app.ok(["wait", "--for=delete", "namespace/going", "--timeout=60s"]).await?;
    Ok(())
}

/// The garbage collector of the app cluster works on claims as on anything: owners of the app cluster count, and are never
/// sent to the control plane, whose collector would delete the claim (wire rules 6.8, 6.9). It reads the metadata of all claims and asks as a user with
/// rights of its own (wire rules 6.1, 6.3, 6.17).
#[tokio::test]
async fn a_claim_goes_with_its_local_owner_and_not_before() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (app, remote) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    app.ok(["create", "configmap", "owner"]).await?;
    let owner = json(&app, &["get", "configmap", "owner"]).await?;
    let references = format!(
        "metadata: {{ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: owner, uid: {}}}], ",
        owner["metadata"]["uid"]
    );
    app.apply(&claim("default", "owned").replace("metadata: {", &references)).await?;
    app.apply(&claim("default", "free")).await?;
    app.ok(["wait", "--for=condition=Ready", "kubernetescluster/owned", "--timeout=60s"]).await?;
    let stored = json(&remote, &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    ensure!(!stored.to_string().contains(r#""ownerReferences":"#), "{stored}");
    let seen = json(&app, &["get", "kubernetescluster", "owned"]).await?;
    ensure!(seen["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"], "{seen}");

    app.ok(["delete", "configmap", "owner"]).await?;
    app.ok(["wait", "--for=delete", "kubernetescluster/owned", "--timeout=90s"]).await?;
    ensure!(app.run(["get", "kubernetescluster", "free"]).await?.status.success());
    Ok(())
}
