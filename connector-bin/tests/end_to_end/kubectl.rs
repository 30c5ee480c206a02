//! Everyday kubectl against a claim.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Result, ensure};
use testkit::binaries::Binaries;
use testkit::{eventually, fixtures};

use crate::setup::{Corridor, EXAMPLE, claim, json, traces};

/// `apply` creates what is `NotFound` (wire rule 5.3).
#[tokio::test]
async fn everyday_commands() -> Result<()> {
    let corridor = Corridor::start().await?;
    let kubectl = corridor.app.kubectl();
    let ready = ["wait", "--for=condition=Ready", "kubernetescluster/my-cluster", "--timeout=60s"];

    // Discovery and documentation.
    let resources = kubectl.ok(["api-resources", "--categories=claim", "--no-headers"]).await?;
    ensure!(
        resources.split_whitespace().collect::<Vec<_>>()[..2] == ["kubernetesclusters", "k8s.starter.org/v1alpha1"],
        "{resources}"
    );
    ensure!(resources.lines().count() == 1, "the cluster-scoped composite is hidden: {resources}");
    // kube-apiserver fetches OpenAPI a moment after discovery.
    let explained = eventually("the API to be documented", || async {
        let explained = kubectl.run(["explain", "kubernetescluster.spec.parameters.nodes"]).await?;
        Ok(if explained.status.success() { Ok(explained.stdout) } else { Err(explained.stderr) })
    })
    .await?;
    ensure!(
        explained.contains("Cluster node configuration parameters.") && explained.contains("-required-"),
        "{explained}"
    );

    // Create, and the server's validation with the reference texts.
    kubectl.ok_with_stdin(["create", "-f", "-"], &fixtures::claim(EXAMPLE)?).await?;
    kubectl.ok(ready).await?;
    let again = kubectl.with_stdin(["create", "-f", "-"], &fixtures::claim(EXAMPLE)?).await?;
    ensure!(
        again.stderr.contains(r#"kubernetesclusters.k8s.starter.org "my-cluster" already exists"#),
        "{}",
        again.stderr
    );
    let unknown = claim("default", "bad").replace("count: 3", "count: 3, colour: red");
    let refused = kubectl.with_stdin(["apply", "-f", "-"], &unknown).await?;
    ensure!(
        refused.stderr.contains(r#"strict decoding error: unknown field "spec.parameters.nodes.colour""#),
        "{}",
        refused.stderr
    );
    let invalid = claim("default", "bad").replace("small", "enormous");
    let refused = kubectl.with_stdin(["apply", "-f", "-"], &invalid).await?;
    ensure!(
        refused.stderr.contains(
            r#"The KubernetesCluster "bad" is invalid: spec.parameters.nodes.size: Unsupported value: "enormous""#
        ),
        "{}",
        refused.stderr
    );

    // Read.
    let described = kubectl.ok(["describe", "kubernetescluster", "my-cluster"]).await?;
    ensure!(
        described.contains("Name:         my-cluster") && described.contains("Namespace:    default"),
        "{described}"
    );
    let wide =
        kubectl.ok(["get", "kubernetesclusters.v1alpha1.k8s.starter.org", "-o", "wide", "--show-labels"]).await?;
    ensure!(wide.contains("<none>") && traces(&wide).is_empty(), "{wide}");
    let selected = kubectl.ok(["get", "claim", "--field-selector", "metadata.name=my-cluster", "-o", "name"]).await?;
    ensure!(selected.trim() == "kubernetescluster.k8s.starter.org/my-cluster", "{selected}");
    let everywhere = kubectl
        .ok([
            "get",
            "claim",
            "-A",
            "--field-selector",
            "metadata.name=my-cluster,metadata.namespace=default",
            "-o",
            "name",
        ])
        .await?;
    ensure!(everywhere == selected, "{everywhere}");

    // Labels and annotations: what is not shown is not lost.
    kubectl.ok(["label", "kubernetescluster", "my-cluster", "team=blue"]).await?;
    kubectl.ok(["annotate", "kubernetescluster", "my-cluster", "note=one"]).await?;
    ensure!(kubectl.ok(["get", "claim", "-l", "team in (blue, red)", "-o", "name"]).await? == selected);
    kubectl.ok(["label", "kubernetescluster", "my-cluster", "team-"]).await?;
    ensure!(kubectl.ok(["get", "claim", "-l", "!team", "-o", "name"]).await? == selected);

    // Patches of each type.
    let merge = r#"{"spec":{"parameters":{"nodes":{"count":5}}},"metadata":{"labels":null}}"#;
    kubectl.ok(["patch", "kubernetescluster", "my-cluster", "--type=merge", "-p", merge]).await?;
    let json_patch = r#"[{"op":"test","path":"/metadata/name","value":"my-cluster"},{"op":"add","path":"/metadata/labels","value":{"a":"b"}},{"op":"replace","path":"/spec/parameters/nodes/count","value":6}]"#;
    kubectl.ok(["patch", "kubernetescluster", "my-cluster", "--type=json", "-p", json_patch]).await?;
    let patched = json(&kubectl, &["get", "kubernetescluster", "my-cluster"]).await?;
    ensure!(patched["spec"]["parameters"]["nodes"]["count"] == 6, "{patched}");
    ensure!(patched["metadata"]["labels"] == serde_json::json!({"a": "b"}), "{patched}");
    let strategic = kubectl.run(["patch", "kubernetescluster", "my-cluster", "-p", "{}"]).await?;
    ensure!(
        strategic.stderr.contains("application/strategic-merge-patch+json is not supported"),
        "{}",
        strategic.stderr
    );

    // Apply, on the client's side and the server's.
    let medium = fixtures::claim(EXAMPLE)?.replace("size: small", "size: medium");
    let diff = kubectl.with_stdin(["diff", "-f", "-"], &medium).await?;
    ensure!(
        diff.status.code() == Some(1) && diff.stdout.contains("+      size: medium"),
        "{}{}",
        diff.stdout,
        diff.stderr
    );
    kubectl.apply(&medium).await?;
    let conflict = kubectl
        .with_stdin(["apply", "--server-side", "--field-manager=other", "-f", "-"], &fixtures::claim(EXAMPLE)?)
        .await?;
    ensure!(conflict.stderr.contains(".spec.parameters.nodes.size"), "{}", conflict.stderr);
    kubectl.ok_with_stdin(["apply", "--server-side", "--force-conflicts", "-f", "-"], &medium).await?;
    let applied = kubectl.ok(["get", "kubernetescluster", "my-cluster", "-o", "yaml", "--show-managed-fields"]).await?;
    ensure!(traces(&applied).is_empty(), "{applied}");
    // Nothing differs from what was applied last.
    let diff = kubectl.with_stdin(["diff", "--server-side", "-f", "-"], &medium).await?;
    ensure!(diff.status.success(), "{}{}", diff.stdout, diff.stderr);

    // Edit: what an editor changed is what is stored.
    let program = Binaries::locate_or_build()?.path("kubectl");
    let with_editor = corridor.app.kubectl().program(Path::new("/usr/bin/env"));
    let edit = ["edit", "kubernetescluster", "my-cluster"].map(OsString::from);
    let editor = [OsString::from("KUBE_EDITOR=sed -i s/medium/large/"), program.into()];
    let edited = with_editor.run(editor.into_iter().chain(edit)).await?;
    ensure!(edited.status.success() && edited.stdout.contains("edited"), "{}{}", edited.stdout, edited.stderr);
    let replaced = json(&kubectl, &["get", "kubernetescluster", "my-cluster"]).await?;
    ensure!(replaced["spec"]["parameters"]["nodes"]["size"] == "large", "{replaced}");
    kubectl.ok_with_stdin(["replace", "-f", "-"], &replaced.to_string()).await?;

    // Watch, wait, delete.
    let mut watch = kubectl.spawn(["get", "claim", "-w", "--no-headers"])?;
    watch.line_where(|line| line.starts_with("my-cluster ")).await?;
    kubectl.apply(&claim("default", "second")).await?;
    watch.line_where(|line| line.starts_with("second ")).await?;
    kubectl
        .ok([
            "wait",
            "--for=jsonpath={.status.conditions[?(@.type=='Ready')].status}=True",
            "kubernetescluster/second",
            "--timeout=60s",
        ])
        .await?;
    kubectl.ok(["delete", "kubernetescluster", "my-cluster", "second", "--timeout=60s"]).await?;
    kubectl.apply(&claim("default", "third")).await?;
    kubectl.ok(["delete", "kubernetesclusters", "--all", "--timeout=60s"]).await?;
    ensure!(kubectl.ok(["get", "claim", "-A", "-o", "name"]).await?.is_empty());
    Ok(())
}

/// Wire rule 8.10: a patch that is done in the connector is tied to the version that was read, and nobody notices.
#[tokio::test]
async fn json_patches_at_the_same_time_all_count() -> Result<()> {
    let corridor = Corridor::start().await?;
    let kubectl = corridor.app.kubectl();
    kubectl.apply(&claim("default", "db")).await?;
    kubectl.ok(["label", "kubernetescluster", "db", "first=0"]).await?;
    let patches = (0..8).map(|at| {
        let kubectl = kubectl.clone();
        async move {
            let patch = format!(r#"[{{"op":"add","path":"/metadata/labels/l{at}","value":"{at}"}}]"#);
            kubectl.ok(["patch", "kubernetescluster", "db", "--type=json", "-p", &patch]).await
        }
    });
    futures::future::try_join_all(patches).await?;
    let labels = json(&kubectl, &["get", "kubernetescluster", "db"]).await?["metadata"]["labels"].clone();
    ensure!(labels.as_object().map(serde_json::Map::len) == Some(9), "{labels}");
    Ok(())
}
