//! `kubectl connector claims` in a control plane that two clusters use.

use anyhow::{Context, Result, ensure};
use connector_core::origin::{ANNOTATION_NAME, Form, Hashed};
use serde_json::{Value, json};
use testkit::{Cluster, ClusterOptions, Crossplane, eventually, fixtures};

use crate::setup::{Told, plugin, run, tell};

const EXAMPLE: &str = "01-eks-kubernetescluster";
const NAMESPACED: &str = "17-docs-useraccesskey-v2-secret";

/// An object of an app cluster as its connector stores it.
fn stored(scheme: &Hashed, form: Form, namespace: &str, name: &str) -> String {
    let labels: Value = scheme.labels(namespace, name).iter().map(|(key, value)| (*key, value.as_ref())).collect();
    let annotations = if name.len() > 63 { json!({ANNOTATION_NAME: name}) } else { json!({}) };
    let metadata = json!({
        "name": scheme.remote_name(form, namespace, name),
        "namespace": scheme.claim_namespace,
        "labels": labels,
        "annotations": annotations,
    });
    let (api_version, kind, spec) = match form {
        Form::Claim => (
            "k8s.starter.org/v1alpha1",
            "KubernetesCluster",
            json!({"id": "x", "parameters": {"nodes": {"count": 3, "size": "small"}}}),
        ),
        Form::NamespacedComposite => ("example.org/v1alpha1", "UserAccessKey", json!({})),
    };
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}).to_string()
}

/// Whether a row says of both conditions that they are True.
fn in_order(row: &str) -> bool {
    row.split_whitespace().filter(|&cell| cell == "True").count() == 2
}

/// Ages and the ends of generated names.
macro_rules! recorded {
    ($name:expr, $told:expr) => {{
        let told = $told;
        insta::with_settings!({filters => vec![
            (r"\b(True|False) +\d+[smh](\d+s)?\b *", "$1   [age] "),
            (r"AGE +CLAIM", "AGE   CLAIM"),
            (r"(claim-[0-9a-f]{16})-[a-z0-9]{5}\b", "$1-[random]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
            (r"127\.0\.0\.1:\d+", "[server]"),
        ]}, { insta::assert_snapshot!($name, told) })
    }};
}

#[tokio::test]
async fn claims_of_two_clusters_are_shown_in_their_own_names() -> Result<()> {
    let mut control_plane = Cluster::start(ClusterOptions::named("control-plane")).await?;
    let crossplane = Crossplane::install(&control_plane).await?;
    crossplane.offer(&fixtures::xrd(EXAMPLE)?).await?;
    crossplane.offer(&fixtures::xrd(NAMESPACED)?).await?;
    let kubectl = control_plane.kubectl();
    let scheme = |cluster: &str, namespace: &str| -> Result<Hashed> {
        Ok(Hashed { cluster: cluster.parse()?, claim_namespace: namespace.to_owned() })
    };
    let (east, west) = (scheme("east", "claims-of-east")?, scheme("west", "claims-of-west")?);
    for namespace in [&east.claim_namespace, &west.claim_namespace] {
        kubectl.ok(["create", "namespace", namespace]).await?;
    }
    let long = "long-".repeat(14) + "name";
    crossplane.fail(&west.claim_namespace, &west.remote_name(Form::Claim, "shop", "cache"), "no subnet is left");
    for object in [
        stored(&west, Form::Claim, "shop", "db"),
        stored(&west, Form::Claim, "shop", "cache"),
        stored(&west, Form::Claim, "blog", "db"),
        stored(&east, Form::Claim, "shop", "db"),
        stored(&east, Form::NamespacedComposite, "shop", "key"),
        stored(&east, Form::NamespacedComposite, "shop", &long),
    ] {
        kubectl.apply(&object).await?;
    }
    // Created in the control plane itself: nobody's.
    let own = json!({
        "apiVersion": "k8s.starter.org/v1alpha1", "kind": "KubernetesCluster",
        "metadata": {"name": "own", "namespace": "default"},
        "spec": {"id": "x", "parameters": {"nodes": {"count": 3, "size": "small"}}},
    });
    kubectl.apply(&own.to_string()).await?;

    let kubeconfig = control_plane.kubeconfig_path();
    let kubeconfig = kubeconfig.to_str().context("a path that is no text")?;
    let claims = |args: &[&str]| {
        let args: Vec<String> =
            ["claims", "--kubeconfig", kubeconfig].iter().chain(args).map(|&arg| arg.to_owned()).collect();
        async move { run(&args.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    eventually("all claims but one to be ready", || async {
        let table = claims(&[]).await?;
        let rows: Vec<_> = table.stdout.lines().skip(1).collect();
        let ready = rows.iter().filter(|row| in_order(row)).count();
        Ok(if (rows.len(), ready) == (6, 5) { Ok(()) } else { Err(table.to_string()) })
    })
    .await?;
    recorded!("claims", claims(&[]).await?);
    recorded!("claims_wide_of_cluster", claims(&["--cluster", "west", "-o", "wide"]).await?);
    recorded!("claims_names_in_namespace", claims(&["-n", "claims-of-east", "-o", "name"]).await?);
    recorded!("claims_yaml", claims(&["--cluster=west", "-n", "claims-of-west", "-o", "yaml"]).await?);
    recorded!("claims_none", claims(&["--cluster", "north"]).await?);
    recorded!("claims_wrong_cluster", claims(&["--cluster", "no label"]).await?);
    let all: Value = serde_json::from_str(&claims(&["-A", "-o", "json"]).await?.stdout)?;
    let of_json = all["items"].as_array().context("no items")?;
    ensure!(of_json.len() == 6 && of_json.iter().any(|claim| claim["name"] == *long), "{all:#}");

    // kubectl understands the names.
    let names = claims(&["-n", "claims-of-east", "-o", "name"]).await?.stdout;
    let args = ["get", "-n", "claims-of-east", "-o", "name"].into_iter().chain(names.lines());
    let got = kubectl.ok(args).await?;
    ensure!(got.lines().count() == names.lines().count(), "{names}\n{got}");

    watching(&control_plane, &crossplane, &west).await?;
    limited(&control_plane).await?;
    control_plane.stop_apiserver()?;
    let away = claims(&[]).await?;
    ensure!(away.code == Some(1) && away.stderr.contains("what the control plane offers cannot be read"), "{away}");
    Ok(())
}

/// As `kubectl get -w`: what there is, then a line for each change.
async fn watching(control_plane: &Cluster, crossplane: &Crossplane, west: &Hashed) -> Result<()> {
    let kubectl = control_plane.kubectl().program(env!("CARGO_BIN_EXE_kubectl-connector").as_ref());
    let mut watch = kubectl.spawn(["claims", "--cluster=west", "-w"])?;
    ensure!(watch.line().await?.is_some_and(|line| line.starts_with("CLUSTER")), "headers first");
    for _ in 0..3 {
        watch.line().await?.context("what there is comes first")?;
    }
    let at = control_plane.kubectl();
    let new = stored(west, Form::Claim, "shop", "new");
    at.apply(&new).await?;
    watch.line_where(|line| line.contains("KubernetesCluster/new") && in_order(line)).await?;
    crossplane.mend(&west.claim_namespace, &west.remote_name(Form::Claim, "shop", "cache"));
    watch.line_where(|line| line.contains("KubernetesCluster/cache") && in_order(line)).await?;
    let name = west.remote_name(Form::Claim, "shop", "new");
    at.ok(["delete", "kubernetesclusters.k8s.starter.org", "-n", &west.claim_namespace, &name]).await?;
    watch.line_where(|line| line.contains("KubernetesCluster/new")).await?;
    Ok(())
}

/// Who may see one claim namespace sees it, and is told about the rest.
async fn limited(control_plane: &Cluster) -> Result<()> {
    let rights = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "xrds"},
         "rules": [{"apiGroups": ["apiextensions.crossplane.io"], "resources": ["compositeresourcedefinitions"], "verbs": ["list"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "xrds"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "xrds"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
         "metadata": {"name": "view", "namespace": "claims-of-east"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}]},
    ]});
    control_plane.kubectl().apply(&rights.to_string()).await?;
    let kubeconfig = control_plane.kubeconfig_for("limited", &[])?;
    let claims = |args: &'static [&str]| {
        let mut command = plugin();
        command.args(["claims", "--kubeconfig"]).arg(&kubeconfig).args(args);
        tell(command, "")
    };
    let here: Told = claims(&["-n", "claims-of-east"]).await?;
    ensure!(here.code == Some(0) && here.stdout.lines().count() == 4, "{here}");
    recorded!("claims_forbidden", claims(&[]).await?);
    Ok(())
}
