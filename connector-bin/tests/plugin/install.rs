//! `install`, and `connect`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use testkit::{Cluster, fixtures};

use crate::setup::{Told, run, tell};
use crate::space::{Front, TOKEN};
use crate::stage::{CLAIM_NAMESPACE, CLUSTER_ID, CONTROL_PLANE, EXAMPLE, EXAMPLE_API, Stage};

/// A second API, of a namespaced composite.
const OTHER: &str = "17-docs-useraccesskey-v2-secret";

/// Resource versions of all that was installed in the app cluster, and whether a write happened.
async fn versions(cluster: &Cluster) -> Result<Vec<String>> {
    let kinds =
        "services,secrets,serviceaccounts,poddisruptionbudgets,roles,rolebindings,clusterroles,clusterrolebindings";
    let path = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
    let selector = "app.kubernetes.io/managed-by=kubectl-connector";
    let printed = cluster.kubectl().ok(["get", kinds, "-A", "-l", selector, "-o", path]).await?;
    // A disruption budget's status follows its Pods.
    Ok(printed.lines().filter(|line| !line.starts_with("PodDisruptionBudget")).map(str::to_owned).collect())
}

/// The connector's own kubeconfig.
async fn credential(stage: &Stage) -> Result<String> {
    let secret = Stage::object(&stage.app, &["secrets", "-n", "kube-system", "connector-control-plane"]).await?;
    let data = secret["data"]["kubeconfig"].as_str().context("no kubeconfig")?;
    Ok(String::from_utf8(BASE64_STANDARD.decode(data)?)?)
}

/// A kubeconfig with what its files hold in their place.
fn embedded(kubeconfig: &Path) -> Result<String> {
    let mut kubeconfig: Value = serde_json::from_slice(&std::fs::read(kubeconfig)?)?;
    for (list, of, key) in [
        ("clusters", "cluster", "certificate-authority"),
        ("users", "user", "client-certificate"),
        ("users", "user", "client-key"),
    ] {
        let entry = &mut kubeconfig[list][0][of];
        let content = std::fs::read(entry[key].as_str().context("no file")?)?;
        entry[format!("{key}-data")] = json!(BASE64_STANDARD.encode(content));
        entry.as_object_mut().context("no entry")?.remove(key);
    }
    Ok(kubeconfig.to_string())
}

/// The whole way: installed by one command, with no more rights than the command gave, claims are there; again, nothing changes;
/// with other values, only what they change; new APIs come without another command.
#[tokio::test(flavor = "multi_thread")]
async fn one_command_connects_a_cluster() -> Result<()> {
    let mut stage = Stage::start().await?;
    stage.run_pods().await?;
    let told = stage.install(&["--timeout=3m"]).await?;
    insta::assert_snapshot!("install", stage.normal(&told)?);

    // By exactly the credential that was made.
    let kubectl = stage.app.kubectl();
    kubectl.apply(&fixtures::claim(EXAMPLE)?).await?;
    let claims = Stage::object(&stage.control_plane, &["kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
    ensure!(claims["items"].as_array().map(Vec::len) == Some(1), "{claims}");

    let before = (versions(&stage.app).await?, versions(&stage.control_plane).await?);
    let again = stage.install(&[]).await?;
    insta::assert_snapshot!("install_again", stage.normal(&again)?);
    let after = (versions(&stage.app).await?, versions(&stage.control_plane).await?);
    ensure!(before == after, "{before:?} became {after:?}");

    // Crossplane's RBAC manager gives the right, and nobody has to.
    stage.offer(&fixtures::xrd(OTHER)?).await?;
    stage.app.wait_for_api("example.org/v1alpha1").await?;
    kubectl.ok(["get", "useraccesskeys.example.org", "-A"]).await?;

    let other = stage.install(&["--replicas=1", "--set", "podDisruptionBudget.enabled=false", "--timeout=3m"]).await?;
    insta::assert_snapshot!("install_with_other_values", stage.normal(&other)?);
    stage.app.wait_for_api(EXAMPLE_API).await
}

/// Nothing is written by `--dry-run`, and no credential is printed.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing() -> Result<()> {
    let stage = Stage::start().await?;
    // Without the RBAC manager's role for it, the second API is granted by name.
    stage.crossplane.offer(&fixtures::xrd(OTHER)?).await?;
    let values = stage.file("values.yaml", "image: {tag: v9}\nresources: null\n")?;
    let values = values.display().to_string();
    let told = stage.install(&["--dry-run", "-f", &values, "--cluster-name", "Development"]).await?;
    // What is rendered for the app cluster has tests of its own; here it is that it is printed.
    let mut documents: Vec<String> = told.stdout.split("---\n").skip(1).map(str::to_owned).collect();
    let of_app =
        documents.iter().position(|document| document.contains("# For the app cluster")).context("one side")?;
    for document in &mut documents[of_app + 1..] {
        let object: Value = serde_saphyr::from_str(document)?;
        *document = format!("{} {}\n", object["kind"], object["metadata"]["name"]);
    }
    let shown = Told { stdout: documents.concat(), stderr: told.stderr.clone(), ..told };
    insta::assert_snapshot!("dry_run", stage.normal(&shown)?);
    ensure!(versions(&stage.app).await?.is_empty() && versions(&stage.control_plane).await?.is_empty());
    let namespaces = stage.control_plane.kubectl().ok(["get", "namespaces", "-o", "name"]).await?;
    ensure!(!namespaces.contains(CLAIM_NAMESPACE), "{namespaces}");
    // What is printed is what a cluster takes.
    let documents: Vec<&str> = told.stdout.split("---\n").skip(1).collect();
    let of_app =
        documents.iter().position(|document| document.contains("# For the app cluster")).context("one side")?;
    let (control_plane, app) = documents.split_at(of_app);
    stage.control_plane.kubectl().apply(&control_plane.join("---\n")).await?;
    stage.app.kubectl().apply(&app.join("---\n")).await?;
    Ok(())
}

/// `connect my-control-plane my-app-ns-1 --account my-org-name`, as it is documented, and by the newer URL.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_in_a_space_is_connected() -> Result<()> {
    let stage = Stage::start().await?;
    let folder = tempfile::tempdir()?;
    let older = "/v1/controlplanes/my-org-name/default/my-control-plane/k8s";
    let front = Front::start(&stage.control_plane, older, true, folder.path()).await?;
    let authority = front.certificate_authority.display().to_string();
    let more = ["--cluster-id", CLUSTER_ID, "--spaces-certificate-authority", &authority, "--wait=false"];
    let documented = ["connect", CONTROL_PLANE, CLAIM_NAMESPACE, "--account", "my-org-name"];
    let connect = || {
        let mut command = stage.plugin(&[&documented[..], &more].concat());
        command.env("CONNECTOR_SPACES_HOST", &front.host);
        command
    };
    let normal = |told: &Told| anyhow::Ok(stage.normal(told)?.replace(&folder.path().display().to_string(), "FOLDER"));
    // By standard input, the variable, and a file; the account's token is made once.
    let told = tell(connect(), &format!("{TOKEN}\n")).await?;
    insta::assert_snapshot!("connect_by_account", normal(&told)?);
    let made = credential(&stage).await?;
    ensure!(made.contains(&format!("https://{}{older}", front.host)) && !made.contains(TOKEN), "{made}");
    let mut command = connect();
    command.env("CONNECTOR_TOKEN", TOKEN);
    insta::assert_snapshot!("connect_again", normal(&tell(command, "").await?)?);
    ensure!(credential(&stage).await? == made);

    // What the account may do, and what not.
    let kubeconfig = stage.file("connector.kubeconfig", &made)?;
    let may = |args: &'static str| {
        let kubectl = stage.control_plane.kubectl();
        let kubeconfig = kubeconfig.display().to_string();
        async move {
            let mut all = vec!["--kubeconfig".to_owned(), kubeconfig, "auth".to_owned(), "can-i".to_owned()];
            all.extend(args.split(' ').map(str::to_owned));
            anyhow::Ok(kubectl.run(all).await?.stdout.trim() == "yes")
        }
    };
    for can in [
        "deletecollection kubernetesclusters.k8s.starter.org -n my-app-ns-1",
        "update kubernetesclusters.k8s.starter.org --subresource=status -n my-app-ns-1",
        "watch secrets -n my-app-ns-1",
        "list events -n my-app-ns-1",
        "watch compositeresourcedefinitions.apiextensions.crossplane.io",
        "create serviceaccounts/connector-cluster-dev --subresource=token -n my-app-ns-1",
    ] {
        ensure!(may(can).await?, "may not {can}");
    }
    for cannot in [
        "get kubernetesclusters.k8s.starter.org -n default",
        "create secrets -n my-app-ns-1",
        "delete secrets -n my-app-ns-1",
        "list secrets -n default",
        "create serviceaccounts/default --subresource=token -n my-app-ns-1",
        "create pods -n my-app-ns-1",
        "list namespaces",
    ] {
        ensure!(!may(cannot).await?, "may {cannot}");
    }

    // The newer URL; this Space takes only tokens of its own, and the given one has to serve the connector.
    let newer = "/apis/spaces.upbound.io/v1beta1/namespaces/team-a/controlplanes/my-control-plane/k8s";
    let strict = Front::start(&stage.control_plane, newer, false, folder.path()).await?;
    let token = stage.file("token", TOKEN)?.display().to_string();
    let by_host = ["install", CONTROL_PLANE, CLAIM_NAMESPACE, "--spaces-host", &strict.host, "--group", "team-a"];
    let by_file = ["--token-file", &token];
    let install = || tell(stage.plugin(&[&by_host[..], &by_file, &more].concat()), "");
    insta::assert_snapshot!("install_by_space", normal(&install().await?)?);
    let made = credential(&stage).await?;
    ensure!(made.contains(&format!("https://{}{newer}", strict.host)) && made.contains(TOKEN), "{made}");
    insta::assert_snapshot!("install_by_space_again", normal(&install().await?)?);

    // By the same way the account goes again.
    let there = ["uninstall", "--control-plane", CONTROL_PLANE, "--spaces-host", &strict.host, "--group", "team-a"];
    let by_authority = ["--spaces-certificate-authority", authority.as_str()];
    let removed = tell(stage.plugin(&[&there[..], &by_file, &by_authority].concat()), "").await?;
    ensure!(removed.code == Some(0) && removed.stderr.contains("serviceaccount/connector-cluster-dev"), "{removed}");
    Ok(())
}

/// A Secret that is there already is used as it is, under whatever single key it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_users_is_used() -> Result<()> {
    let stage = Stage::start().await?;
    let kubeconfig = embedded(&stage.control_plane.kubeconfig_path())?;
    let file = stage.file("context.yaml", &kubeconfig)?.display().to_string();
    let kubectl = stage.app.kubectl();
    let create = ["create", "secret", "generic", "-n", "kube-system"];
    kubectl.ok([&create[..], &["my-kubeconfig", &format!("--from-file={file}")]].concat()).await?;
    kubectl.ok([&create[..], &["two-keys", "--from-literal=a=1", "--from-literal=b=2"]].concat()).await?;

    let install = |secret: &'static str| {
        let args = ["install", CONTROL_PLANE, CLAIM_NAMESPACE, "--cluster-id", CLUSTER_ID, "--wait=false"];
        tell(stage.plugin(&[&args[..], &["--control-plane-secret", secret]].concat()), "")
    };
    insta::assert_snapshot!("secret_without_key", stage.normal(&install("two-keys").await?)?);
    insta::assert_snapshot!("secret_missing", stage.normal(&install("not-there").await?)?);
    insta::assert_snapshot!("secret", stage.normal(&install("my-kubeconfig").await?)?);
    let deployment = Stage::object(&stage.app, &["deployments", "-n", "kube-system", "connector"]).await?;
    ensure!(deployment.to_string().contains(r#""secretName":"my-kubeconfig""#), "{deployment}");
    let remote = stage.control_plane.kubectl();
    let accounts = remote.ok(["get", "serviceaccounts", "-n", CLAIM_NAMESPACE, "-o", "name"]).await?;
    ensure!(!accounts.contains("connector"), "{accounts}");

    // It stays the user's, and tells of the claims.
    insta::assert_snapshot!("secret_uninstall", stage.normal(&tell(stage.plugin(&["uninstall"]), "").await?)?);
    kubectl.ok(["get", "secret", "-n", "kube-system", "my-kubeconfig"]).await?;
    Ok(())
}

/// What became of an install since is seen: a token that the connector renewed is kept, one whose account is gone is not, and who
/// takes another's place is warned.
#[tokio::test(flavor = "multi_thread")]
async fn what_changed_meanwhile_is_seen() -> Result<()> {
    let stage = Stage::start().await?;
    let installed = stage.install(&["--wait=false"]).await?;
    ensure!(installed.code == Some(0), "{installed}");

    // No Pod runs here.
    let late = stage.install(&["--timeout=2s"]).await?;
    insta::assert_snapshot!("install_late", stage.normal(&late)?);

    // As the connector writes it back: by another manager, in another form, and with the account's token.
    let renewed: Value = serde_saphyr::from_str(&credential(&stage).await?)?;
    let renewed = renewed.to_string();
    let patch = json!({ "data": { "kubeconfig": BASE64_STANDARD.encode(&renewed) } }).to_string();
    let secret = ["-n", "kube-system", "secret", "connector-control-plane"];
    stage.app.kubectl().ok([&["patch"], &secret[..], &["-p", &patch, "--field-manager=connector"]].concat()).await?;
    let again = stage.install(&["--wait=false"]).await?;
    ensure!(again.stderr.contains("nothing changed") && credential(&stage).await? == renewed, "{again}");

    // Another cluster with the same id, and this one elsewhere.
    let account = ["-n", CLAIM_NAMESPACE, "serviceaccount", "connector-cluster-dev"];
    let uid = "mcp-connector.upbound.io/app-cluster-uid=another";
    stage.control_plane.kubectl().ok([&["annotate"], &account[..], &["--overwrite", uid]].concat()).await?;
    let shared = stage.install(&["--dry-run"]).await?;
    ensure!(shared.stderr.contains("another app cluster was connected with cluster id \"cluster-dev\""), "{shared}");
    let mut command = stage.plugin(&["install", CONTROL_PLANE, "elsewhere", "--dry-run"]);
    command.arg("--control-plane-kubeconfig").arg(stage.control_plane_kubeconfig());
    let moved = tell(command, "").await?;
    let warned = "the claims of cluster id \"cluster-dev\" in namespace \"my-app-ns-1\" stay in the control plane";
    ensure!(moved.stderr.contains(warned), "{moved}");
    // Nobody chose an id, so the installed one goes on.
    ensure!(moved.stdout.contains("--cluster-id=cluster-dev") && moved.stdout.contains("--claim-namespace=elsewhere"));

    // The Secret that an earlier run made is used as one of the user's own, and so kept; with another one the account has no use.
    let given = |secret: &'static str| {
        let args = ["install", CONTROL_PLANE, CLAIM_NAMESPACE, "--cluster-id", CLUSTER_ID, "--wait=false"];
        tell(stage.plugin(&[&args[..], &["--control-plane-secret", secret]].concat()), "")
    };
    let kept = given("connector-control-plane").await?;
    ensure!(kept.code == Some(0) && !kept.stderr.contains("is not used here any more"), "{kept}");
    ensure!(credential(&stage).await? == renewed);
    let again = stage.install(&["--wait=false"]).await?;
    ensure!(again.code == Some(0), "{again}");
    let admins = embedded(&stage.control_plane.kubeconfig_path())?;
    let file = stage.file("own.kubeconfig", &admins)?.display().to_string();
    let create = ["create", "secret", "generic", "-n", "kube-system", "own", &format!("--from-file=kubeconfig={file}")];
    stage.app.kubectl().ok(create).await?;
    insta::assert_snapshot!("secret_instead_of_account", stage.normal(&given("own").await?)?);
    let secrets = stage.app.kubectl().ok(["get", "secrets", "-n", "kube-system", "-o", "name"]).await?;
    ensure!(!secrets.contains("connector-control-plane"), "{secrets}");
    let again = stage.install(&["--wait=false"]).await?;
    ensure!(again.code == Some(0), "{again}");

    // A token of an account that is no more.
    stage.control_plane.kubectl().ok([&["delete"], &account[..]].concat()).await?;
    let anew = stage.install(&["--wait=false"]).await?;
    ensure!(anew.stderr.contains("issued, good until") && anew.code == Some(0), "{anew}");
    ensure!(credential(&stage).await? != renewed);
    Ok(())
}

/// What was given wrongly is told before anything is asked.
#[tokio::test]
async fn wrong_usage_is_told_first() -> Result<()> {
    for (name, args) in [
        ("usage_namespace", &["install", "cp", "My_Namespace"][..]),
        ("usage_cluster_id", &["install", "cp", "ns", "--cluster-id=-x"]),
        ("usage_release", &["status", "--release", "a,b"]),
        ("usage_token", &["connect", "cp", "ns", "--spaces-host", "h", "--token", "s3cr3t"]),
        ("usage_token_set", &["install", "cp", "ns", "--set", "a=b,upbound.token=s3cr3t"]),
        ("usage_token_missing", &["connect", "cp", "ns", "--spaces-host", "h"]),
        ("usage_token_without_space", &["connect", "cp", "ns", "--token", "-"]),
        ("usage_host", &["connect", "cp", "ns", "--spaces-host", "http://h/x", "--token-file", "/dev/null"]),
        ("usage_secret", &["install", "cp", "ns", "--control-plane-secret", "s", "--control-plane-context", "c"]),
        ("usage_values", &["install", "cp", "ns", "--set", "replicas=2"]),
        ("usage_values_file", &["install", "cp", "ns", "-f", "/nonexistent/values.yaml"]),
        ("usage_duration", &["install", "cp", "ns", "--timeout", "soon"]),
        ("usage_kubeconfig", &["install", "cp", "ns", "--kubeconfig", "/nonexistent/kubeconfig"]),
    ] {
        let told = run(args).await?;
        // A token that was given in the wrong way is not spread further.
        ensure!(!told.to_string().contains("s3cr3t"), "{told}");
        insta::assert_snapshot!(name, told);
    }
    Ok(())
}

/// What is in the way is told with what to do, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_told() -> Result<()> {
    let stage = Stage::start().await?;
    let connect = |control_plane: &str, options: &[&str]| {
        let mut command = stage.plugin(&[&["install", control_plane, CLAIM_NAMESPACE], options].concat());
        command.arg("--control-plane-kubeconfig").arg(stage.control_plane_kubeconfig());
        tell(command, "")
    };
    insta::assert_snapshot!("no_context", stage.normal(&connect("not-there", &[]).await?)?);
    insta::assert_snapshot!("no_namespace", stage.normal(&connect(CONTROL_PLANE, &["-n", "not-there"]).await?)?);

    // The app cluster given twice, and both the other way round.
    let app = stage.app.kubeconfig_path().display().to_string();
    let same = ["install", "it", CLAIM_NAMESPACE, "--control-plane-kubeconfig", &app];
    insta::assert_snapshot!("same_cluster", stage.normal(&tell(stage.plugin(&same), "").await?)?);
    let swapped = ["install", "it", CLAIM_NAMESPACE, "--control-plane-kubeconfig", &app, "--kubeconfig"];
    let mut command = crate::setup::plugin();
    command.args(swapped).arg(stage.control_plane.kubeconfig_path());
    insta::assert_snapshot!("no_crossplane", stage.normal(&tell(command, "").await?)?);

    // Somebody without any rights on either side.
    let mut kubeconfig: Value =
        serde_json::from_slice(&std::fs::read(stage.control_plane.kubeconfig_for("eve", &[])?)?)?;
    kubeconfig["contexts"][0]["name"] = json!(CONTROL_PLANE);
    let of_eve = stage.file("eve.kubeconfig", &kubeconfig.to_string())?;
    let mut command = crate::setup::plugin();
    command.args(["install", CONTROL_PLANE, CLAIM_NAMESPACE, "--cluster-id", CLUSTER_ID]);
    command.arg("--kubeconfig").arg(stage.app.kubeconfig_for("eve", &[])?);
    command.arg("--control-plane-kubeconfig").arg(of_eve);
    insta::assert_snapshot!("no_rights", stage.normal(&tell(command, "").await?)?);

    // Nobody listens there.
    let token = stage.file("token", TOKEN)?.display().to_string();
    let away = ["install", "cp", CLAIM_NAMESPACE, "--spaces-host", "127.0.0.1:1", "--token-file", &token];
    insta::assert_snapshot!("unreachable", stage.normal(&tell(stage.plugin(&away), "").await?)?);

    // An API of the app cluster's own, and one that somebody else registered, stay.
    let rendered = Stage::object(&stage.control_plane, &["crd", "kubernetesclusters.k8s.starter.org"]).await?;
    let crd = json!({
        "apiVersion": rendered["apiVersion"], "kind": rendered["kind"],
        "metadata": { "name": rendered["metadata"]["name"] }, "spec": rendered["spec"],
    });
    stage.app.kubectl().apply(&crd.to_string()).await?;
    stage.offer(&fixtures::xrd(OTHER)?).await?;
    let foreign = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": { "name": "v1alpha1.example.org" },
        "spec": {
            "group": "example.org", "version": "v1alpha1", "groupPriorityMinimum": 1, "versionPriority": 1,
            "insecureSkipTLSVerify": true, "service": { "namespace": "default", "name": "somebodys" },
        },
    });
    stage.app.kubectl().apply(&foreign.to_string()).await?;
    let told = stage.install(&["--dry-run"]).await?;
    let told = Told { stdout: String::new(), ..told };
    insta::assert_snapshot!("conflicts", stage.normal(&told)?);

    // Somebody else's objects are not taken over.
    let role = |name: &str| {
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name } })
            .to_string()
    };
    stage.app.kubectl().apply(&role("connector")).await?;
    stage.control_plane.kubectl().apply(&role("connector-offers")).await?;
    insta::assert_snapshot!("taken", stage.normal(&stage.install(&[]).await?)?);
    stage.app.kubectl().ok(["delete", "clusterrole", "connector"]).await?;
    stage.control_plane.kubectl().ok(["delete", "clusterrole", "connector-offers"]).await?;

    // What the user gives for the connector may not do what it needs.
    let of_nobody = stage.control_plane.kubeconfig_for("nobody", &["system:authenticated"])?;
    let embedded = embedded(&of_nobody)?;
    let file = stage.file("nobody.kubeconfig", &embedded)?.display().to_string();
    let create = ["create", "secret", "generic", "-n", "kube-system", "of-nobody"];
    stage.app.kubectl().ok([&create[..], &[&format!("--from-file=kubeconfig={file}")]].concat()).await?;
    let read = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": "nobody" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view-xrds" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nobody" }],
    });
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "view-xrds" },
        "rules": [{ "apiGroups": ["apiextensions.crossplane.io"], "resources": ["*"], "verbs": ["get", "list", "watch"] }],
    });
    stage.control_plane.kubectl().apply(&role.to_string()).await?;
    stage.control_plane.kubectl().apply(&read.to_string()).await?;
    let by_secret = ["install", CONTROL_PLANE, CLAIM_NAMESPACE, "--control-plane-secret", "of-nobody"];
    insta::assert_snapshot!("credential_lacks", stage.normal(&tell(stage.plugin(&by_secret), "").await?)?);

    // helm would undo what is done here.
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "connector", "namespace": "kube-system", "labels": {
            "app.kubernetes.io/name": "control-plane-connector", "app.kubernetes.io/instance": "connector",
            "app.kubernetes.io/managed-by": "Helm",
        } },
        "spec": {
            "replicas": 0, "selector": { "matchLabels": { "app": "x" } },
            "template": { "metadata": { "labels": { "app": "x" } }, "spec": { "containers": [{ "name": "c", "image": "c" }] } },
        },
    });
    stage.app.kubectl().apply(&deployment.to_string()).await?;
    insta::assert_snapshot!("installed_by_helm", stage.normal(&stage.install(&[]).await?)?);
    insta::assert_snapshot!("uninstall_installed_by_helm", stage.normal(&stage.uninstall(&[]).await?)?);
    ensure!(versions(&stage.app).await?.is_empty() && versions(&stage.control_plane).await?.is_empty());
    Ok(())
}
