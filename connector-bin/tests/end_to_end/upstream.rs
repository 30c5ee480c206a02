//! The way to the control plane: what a kubeconfig may ask for, what goes up, and what ends when a client goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::crossplane::Crossplane;
use testkit::{Cluster, ClusterOptions, eventually, eventually_within, fixtures};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

use crate::setup::{CLAIM_NAMESPACE, Corridor, EXAMPLE, EXAMPLE_API, claim, clusters, options};

const ALL: &str = "/apis/k8s.starter.org/v1alpha1/kubernetesclusters";
/// A watch of one object.
const ONE: &str =
    "/apis/k8s.starter.org/v1alpha1/namespaces/default/kubernetesclusters?watch=true&fieldSelector=metadata.name%3Ddb";
/// How long anything may take, on a machine that does much else.
const LONG: Duration = Duration::from_secs(60);

/// Control planes in a Space live under a path. kubectl's own proxy plays the Space.
#[tokio::test]
async fn a_server_with_a_path() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let prefix = "/spaces/namespaces/default/controlplanes/ctp/k8s";
    let mut space = control_plane.kubectl().spawn(["proxy", "--port=0", &format!("--api-prefix={prefix}/")])?;
    let started = space.line_where(|line| line.contains("Starting to serve on")).await?;
    let address = started.rsplit(' ').next().context("an address")?;

    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "space",
        "contexts": [{ "name": "space", "context": { "cluster": "space", "user": "me" } }],
        "clusters": [{ "name": "space", "cluster": { "server": format!("http://{address}{prefix}") } }],
        "users": [{ "name": "me", "user": {} }],
    });
    std::fs::write(&kubeconfig, config.to_string())?;
    let options = ConnectorOptions { control_plane_kubeconfig: Some(kubeconfig), ..options() };
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    let kubectl = app.kubectl();
    kubectl.apply(&claim("default", "db")).await?;
    let mut watch = kubectl.spawn(["get", "claim", "-w", "-o", "name"])?;
    watch.line_where(|line| line.ends_with("/db")).await?;
    kubectl.ok(["delete", "kubernetescluster", "db", "--timeout=60s"]).await?;
    Ok(())
}

/// An exec plugin gives the credential, the server goes by another name, as client-go does it.
#[tokio::test]
async fn an_exec_plugin_and_a_tls_server_name() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let admin = std::fs::read_to_string(control_plane.kubeconfig_path())?;
    let admin = fixtures::object(&admin)?;
    let kubectl = control_plane.kubectl();
    kubectl.ok(["create", "serviceaccount", "connector"]).await?;
    kubectl
        .ok([
            "create",
            "clusterrolebinding",
            "connector",
            "--clusterrole=cluster-admin",
            "--serviceaccount=default:connector",
        ])
        .await?;
    let token = kubectl.ok(["create", "token", "connector"]).await?;
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": { "token": token.trim() },
    });
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("credential.json");
    std::fs::write(&file, credential.to_string())?;
    let mut cluster = admin["clusters"][0]["cluster"].clone();
    cluster["tls-server-name"] = "kubernetes.default.svc".into();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{ "name": "x", "context": { "cluster": "x", "user": "x" } }],
        "clusters": [{ "name": "x", "cluster": cluster }],
        "users": [{ "name": "x", "user": { "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "/bin/cat",
            "args": [file],
            "interactiveMode": "Never",
        } } }],
    });
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, config.to_string())?;
    let options = ConnectorOptions { control_plane_kubeconfig: Some(kubeconfig), ..options() };
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    app.kubectl().apply(&claim("default", "db")).await?;
    Ok(())
}

/// The token is in a file of its own, as an agent writes it, and another one takes its place while the connector runs.
#[tokio::test]
async fn a_token_file_changes() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let kubectl = control_plane.kubectl();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("token");
    // What it may do tells which token counts.
    let reader = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": "reader" },
        "rules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"] }],
    });
    kubectl.apply(&reader.to_string()).await?;
    for (account, role) in [("first", "reader"), ("second", "cluster-admin")] {
        kubectl.ok(["create", "serviceaccount", account]).await?;
        let subject = format!("--serviceaccount=default:{account}");
        kubectl.ok(["create", "clusterrolebinding", account, &format!("--clusterrole={role}"), &subject]).await?;
    }
    // With the end of its line, as files have it.
    std::fs::write(&file, kubectl.ok(["create", "token", "first"]).await?.trim().to_owned() + "\n")?;
    let mut config = fixtures::object(&std::fs::read_to_string(control_plane.kubeconfig_path())?)?;
    config["users"][0]["user"] = json!({ "tokenFile": file });
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, config.to_string())?;
    kubectl.ok(["create", "namespace", CLAIM_NAMESPACE]).await?;
    let options = ConnectorOptions { control_plane_kubeconfig: Some(kubeconfig), ..options() };
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    let apply = async || {
        let applied = app.kubectl().with_stdin(["apply", "-f", "-"], &claim("default", "db")).await?;
        Ok(if applied.status.success() { Ok(()) } else { Err(applied.stderr) })
    };
    let refused = apply().await?;
    ensure!(refused.is_err(), "the first account may write");
    std::fs::write(&file, kubectl.ok(["create", "token", "second"]).await?)?;
    eventually("the second account to be used", apply).await?;
    let log = connector.log()?;
    ensure!(!log.contains("kubeconfig was read again"), "other connections were made: {log}");
    Ok(())
}

/// Clusters behind a corporate proxy reach the control plane by CONNECT.
#[tokio::test]
async fn a_proxy_on_the_way() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let folder = tempfile::tempdir()?;
    let (kubeconfig, way) = proxied(&control_plane, folder.path()).await?;
    let options = ConnectorOptions { control_plane_kubeconfig: Some(kubeconfig), ..options() };
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    app.kubectl().apply(&claim("default", "db")).await?;
    ensure!(way.tunnels.load(Ordering::Relaxed) > 0, "the proxy was passed by");
    Ok(())
}

/// A long list comes in fewer bytes where that is asked for, and is the same.
#[tokio::test]
async fn a_narrow_way() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let folder = tempfile::tempdir()?;
    let (kubeconfig, way) = proxied(&control_plane, folder.path()).await?;
    let options = ConnectorOptions {
        control_plane_kubeconfig: Some(kubeconfig),
        extra_args: vec!["--control-plane-gzip".to_owned()],
        ..options()
    };
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    let text = "sixteen letters ".repeat(2000);
    for number in 0..20 {
        let mut object = fixtures::object(&claim("default", &format!("db-{number}")))?;
        // Not in the metadata, of which the connector has a watch.
        object["spec"]["id"] = text.clone().into();
        app.kubectl().ok_with_stdin(["create", "-f", "-"], &object.to_string()).await?;
    }
    let before = way.down.load(Ordering::Relaxed);
    let list: Value = serde_json::from_str(&app.kubectl().ok(["get", "claim", "-o", "json"]).await?)?;
    let came = way.down.load(Ordering::Relaxed) - before;
    let items = list["items"].as_array().context("items")?;
    ensure!(items.len() == 20 && items.iter().all(|item| item["spec"]["id"] == text));
    ensure!(came < 20 * text.len() as u64 / 4, "{came} bytes came down");
    Ok(())
}

/// A kubeconfig that leads through a proxy, which runs as long as the test, and what passes there.
async fn proxied(control_plane: &Cluster, folder: &Path) -> Result<(PathBuf, Arc<Way>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut config = fixtures::object(&std::fs::read_to_string(control_plane.kubeconfig_path())?)?;
    config["clusters"][0]["cluster"]["proxy-url"] = format!("http://{}", listener.local_addr()?).into();
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, config.to_string())?;
    let way = Arc::new(Way::default());
    tokio::spawn(connect_proxy(listener, way.clone()));
    Ok((kubeconfig, way))
}

/// What passed a proxy.
#[derive(Default)]
struct Way {
    tunnels: AtomicU32,
    /// Bytes on the way to who asked.
    down: AtomicU64,
}

/// Opens a tunnel for each CONNECT.
async fn connect_proxy(listener: TcpListener, way: Arc<Way>) -> Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        let way = way.clone();
        tokio::spawn(async move {
            let mut client = BufStream::new(client);
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") {
                if client.read_line(&mut request).await? == 0 {
                    return Ok(());
                }
            }
            let target = request.split(' ').nth(1).context("CONNECT names a target")?;
            let server = TcpStream::connect(target).await?;
            way.tunnels.fetch_add(1, Ordering::Relaxed);
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            client.flush().await?;
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (tokio::io::split(client), server.into_split());
            let up = tokio::io::copy(&mut from_client, &mut to_server);
            let down = async {
                let mut buffer = vec![0; 16 << 10];
                loop {
                    let read = from_server.read(&mut buffer).await?;
                    if read == 0 {
                        return to_client.shutdown().await;
                    }
                    way.down.fetch_add(read as u64, Ordering::Relaxed);
                    to_client.write_all(&buffer[..read]).await?;
                    to_client.flush().await?;
                }
            };
            tokio::try_join!(up, down)?;
            anyhow::Ok(())
        });
    }
}

/// The control plane's audit log can be joined with the app cluster's by the Audit-ID.
#[tokio::test]
async fn the_audit_id_goes_up() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let policy = logs.path().join("policy.yaml");
    std::fs::write(&policy, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")?;
    let audited = |name: &str| ClusterOptions {
        apiserver_args: vec![
            format!("--audit-policy-file={}", policy.display()),
            format!("--audit-log-path={}", logs.path().join(name).display()),
        ],
        ..ClusterOptions::named(name)
    };
    let (app, control_plane) =
        tokio::try_join!(Cluster::start(audited("app")), Cluster::start(audited("control-plane")))?;
    let crossplane = Crossplane::install(&control_plane).await?;
    crossplane.offer(&fixtures::xrd(EXAMPLE)?).await?;
    let connector = Connector::start(&app, &control_plane, options()).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    app.kubectl().apply(&claim("default", "db")).await?;

    let created = |name: &str, resource_name: Option<&str>| -> Result<String> {
        let log = std::fs::read_to_string(logs.path().join(name))?;
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_the_claim = |event: &Value| {
            event["verb"] == "create"
                && event["objectRef"]["resource"] == "kubernetesclusters"
                && resource_name.is_none_or(|name| event["objectRef"]["name"] == name)
        };
        let event = events.into_iter().find(of_the_claim).context("the create in the audit log")?;
        Ok(event["auditID"].as_str().unwrap_or_default().to_owned())
    };
    let local = created("app", None)?;
    ensure!(!local.is_empty() && local == created("control-plane", None)?, "{local}");
    Ok(())
}

/// kube-apiserver allows 100 streams on a connection (wire rule 11.1): more watches than that share few connections, and keep no
/// other request waiting.
#[tokio::test]
async fn hundreds_of_watches_keep_nobody_waiting() -> Result<()> {
    const WATCHES: usize = 250;
    let corridor = Corridor::start().await?;
    let client = corridor.app.plain_client_for("admin", &["system:masters"]).await?;
    let watch = async || {
        let request = Request::get(format!("{ALL}?watch=true")).body(Body::empty())?;
        let answer = client.send(request).await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        anyhow::Ok(answer.into_body())
    };
    let begun = futures::future::try_join_all((0..WATCHES).map(|_| watch()));
    let mut watches = tokio::time::timeout(LONG, begun).await.context("the watches did not begin")??;
    tokio::time::timeout(LONG, corridor.app.kubectl().apply(&claim("default", "db")))
        .await
        .context("the write waited")??;
    for watch in &mut watches {
        let event =
            tokio::time::timeout(LONG, watch.frame()).await.context("no event")?.context("the watch ended")??;
        let event = event.into_data().map_err(|_| anyhow!("no data"))?;
        ensure!(event.starts_with(br#"{"type":"ADDED""#), "{event:?}");
    }
    let (_, metrics) = corridor.connector.admin_get("/metrics").await?;
    let metric = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("connector_control_plane_{name} ")));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).with_context(|| metrics.clone())
    };
    let streams = metric(r#"streams{lane="watches"}"#)?;
    ensure!((WATCHES..WATCHES + 20).contains(&streams), "{streams} watches");
    let connections = metric(r#"connections{lane="watches"}"#)?;
    ensure!(connections <= streams.div_ceil(100) + 1, "{streams} watches on {connections} connections");
    ensure!(metric(r#"connections{lane="short"}"#)? == 1, "{metrics}");
    Ok(())
}

/// A client that goes away leaves nothing open at the control plane.
#[tokio::test]
async fn a_dropped_client_ends_the_request_at_the_control_plane() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (app, remote) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    // Of one object, which nobody else watches: the connector's own watches, and the collectors', come and go when they like.
    let open = async || -> Result<u32> {
        let metrics = remote.ok(["get", "--raw", "/metrics"]).await?;
        let watches = metrics.lines().filter(|line| {
            line.starts_with("apiserver_longrunning_requests{")
                && [r#"resource="kubernetesclusters""#, r#"scope="resource""#, r#"verb="WATCH""#]
                    .iter()
                    .all(|label| line.contains(label))
        });
        Ok(watches.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum())
    };
    let are_open = async |wanted: u32| {
        let now = open().await?;
        Ok(if now == wanted { Ok(()) } else { Err(format!("{now} are open")) })
    };
    // The collector of the app cluster has one watch of the kind, once it has found it.
    let are_told = async |wanted: u32| {
        let (_, metrics) = corridor.connector.admin_get("/metrics").await?;
        let told = metrics.lines().find(|line| line.starts_with("connector_open_watches{")).map(str::to_owned);
        let is_wanted = told.as_ref().is_some_and(|line| line.ends_with(&format!(" {wanted}")));
        Ok(if is_wanted { Ok(()) } else { Err(format!("{told:?}")) })
    };
    eventually_within(2 * LONG, "the collector's watch", || are_told(1)).await?;
    ensure!(open().await? == 0);
    let mut watches = Vec::new();
    for _ in 0..5 {
        watches.push(app.spawn(["get", "--raw", ONE])?);
    }
    eventually("five watches at the control plane", || are_open(5)).await?;
    eventually("the metric to count them", || are_told(6)).await?;
    drop(watches);
    eventually("the watches to be gone", || are_open(0)).await?;
    eventually("the metric to say so", || are_told(1)).await?;
    Ok(())
}
