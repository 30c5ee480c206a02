//! What can be wrong from the start: each mistake has words that say what is wrong and what to do.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::{Cluster, eventually, fixtures};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::credential::token;
use crate::raw::Raw;
use crate::setup::{EXAMPLE_API, clusters, options};

const ALL: &str = "/apis/k8s.starter.org/v1alpha1/kubernetesclusters";

/// Runs `connector serve`, which must fail, and gives what it said.
async fn refused(args: &[String], code: i32) -> Result<String> {
    let run =
        Command::new(env!("CARGO_BIN_EXE_connector")).arg("serve").args(args).env_clear().kill_on_drop(true).output();
    let output =
        tokio::time::timeout(Duration::from_secs(60), run).await.with_context(|| format!("it started: {args:?}"))??;
    let told = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(code), "{}: {args:?}: {told}", output.status);
    Ok(told)
}

/// A kubeconfig with something changed.
fn changed(folder: &Path, name: &str, of: &Path, change: impl FnOnce(&mut Value)) -> Result<String> {
    let mut config = fixtures::object(&std::fs::read_to_string(of)?)?;
    change(&mut config);
    let path = folder.join(name);
    std::fs::write(&path, config.to_string())?;
    Ok(path.display().to_string())
}

/// Mistakes that end the start, each with the exit code and the words.
#[tokio::test]
async fn a_start_that_cannot_be_says_why() -> Result<()> {
    let app = Cluster::start(testkit::ClusterOptions::named("app-cluster")).await?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let admin = app.kubeconfig_path();
    let good = admin.display().to_string();
    let file = |name: &str, text: &str| -> Result<String> {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let nobody = app.kubeconfig_for("nobody", &[])?.display().to_string();
    let away = changed(folder, "away", &admin, |config| {
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
    })?;
    let unnamed = changed(folder, "unnamed", &admin, |config| {
        config["clusters"][0]["cluster"]["server"] = "https://nowhere.invalid:6443".into();
    })?;
    let stranger = {
        let ca = CertificateParams::default().self_signed(&KeyPair::generate()?)?.pem();
        let ca = file("other-ca.crt", &ca)?;
        changed(folder, "stranger", &admin, |config| {
            config["clusters"][0]["cluster"]["certificate-authority"] = ca.into();
        })?
    };
    let no_context = changed(folder, "no-context", &admin, |config| config["current-context"] = "other".into())?;
    let no_ca = changed(folder, "no-ca", &admin, |config| {
        config["clusters"][0]["cluster"]["certificate-authority"] = "/nowhere/ca.crt".into();
    })?;
    let no_token = changed(folder, "no-token", &admin, |config| {
        config["users"][0]["user"] = json!({ "tokenFile": "/nowhere/token" });
    })?;
    std::fs::create_dir(folder.join("mounted"))?;
    file("mounted/context.yaml", "{}")?;
    let wrong_key = folder.join("mounted/kubeconfig").display().to_string();
    let junk = file("junk", "clusters: [")?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["x".to_owned()])?.self_signed(&key)?.pem();
    let (certificate, key) = (file("tls.crt", &certificate)?, file("tls.key", &key.serialize_pem())?);
    let other_key = file("other.key", &KeyPair::generate()?.serialize_pem())?;
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let taken = taken.local_addr()?.to_string();
    let values = file("values.yaml", "claim-namespaces: claims\n")?;

    let tls =
        |certificate: &str, key: &str| vec![format!("--tls-cert-file={certificate}"), format!("--tls-key-file={key}")];
    let one = |option: &str, value: &str| vec![format!("--{option}={value}")];
    #[rustfmt::skip]
    let cases: Vec<(&str, Vec<String>, i32, &[&str])> = vec![
        ("no app cluster's kubeconfig", one("kubeconfig", "/nowhere"), 1, &["the app cluster's kubeconfig", "/nowhere", "No such file"]),
        ("junk for one", one("kubeconfig", &junk), 1, &["the app cluster's kubeconfig", "cannot be used"]),
        ("no control plane's kubeconfig", one("control-plane-kubeconfig", "/nowhere/kubeconfig"), 1, &["the control plane's kubeconfig /nowhere/kubeconfig cannot be used", "No such file"]),
        ("another key of the Secret", one("control-plane-kubeconfig", &wrong_key), 1, &["the control plane's kubeconfig", "beside it there is context.yaml", "--control-plane-kubeconfig"]),
        ("junk for one", one("control-plane-kubeconfig", &junk), 1, &["the control plane's kubeconfig", "cannot be used"]),
        ("a context that is not there", one("control-plane-kubeconfig", &no_context), 1, &["the control plane's kubeconfig", "other"]),
        ("a CA that is not there", one("control-plane-kubeconfig", &no_ca), 1, &["the control plane's kubeconfig", "/nowhere/ca.crt", "No such file"]),
        ("a token that is not there", one("control-plane-kubeconfig", &no_token), 1, &["the control plane's kubeconfig", "/nowhere/token", "No such file"]),
        ("the app cluster is away", one("kubeconfig", &away), 1, &["the app cluster at https://127.0.0.1:1/ cannot be reached: check server", "Connection refused"]),
        ("nobody knows its name", one("kubeconfig", &unnamed), 1, &["the app cluster at https://nowhere.invalid:6443/ cannot be reached"]),
        ("another CA", one("kubeconfig", &stranger), 1, &["the app cluster at", "cannot be reached", "certificate-authority", "invalid peer certificate"]),
        ("no right to read the cluster id", one("kubeconfig", &nobody), 1, &["cannot read namespace kube-system of the app cluster", "grant get on it", "forbidden"]),
        ("no right to share the CA", vec![format!("--kubeconfig={nobody}"), "--cluster-id=x".into()], 1, &["cannot share the serving CA through Secret kube-system/connector-serving-ca: grant get, create and update on it", "--tls-cert-file"]),
        ("a namespace for the Service that is not there", one("service", "nowhere/connector"), 1, &["nowhere/connector-serving-ca", "namespaces \"nowhere\" not found"]),
        ("an address in use", one("listen", &taken), 1, &["cannot listen on 127.0.0.1:", "in use", "--listen"]),
        ("another one", one("admin-listen", &taken), 1, &["cannot listen on 127.0.0.1:", "in use", "--admin-listen"]),
        ("no certificate", tls("/nowhere/tls.crt", &key), 1, &["cannot read /nowhere/tls.crt", "No such file"]),
        ("no key", tls(&certificate, "/nowhere/tls.key"), 1, &["cannot read /nowhere/tls.key"]),
        ("another certificate's key", tls(&certificate, &other_key), 1, &["the certificate and key of --tls-cert-file and --tls-key-file cannot be used", "KeyMismatch"]),
        ("a key for a certificate", tls(&key, &key), 1, &["the certificate and key of --tls-cert-file and --tls-key-file cannot be used"]),
        ("half a pair", one("tls-key-file", &key), 1, &["--tls-cert-file and --tls-key-file go together"]),
        ("no Service", one("service", "connector"), 1, &["\"connector\" is not of the form NAMESPACE/NAME[:PORT]", "kube-system/connector:443"]),
        ("no Secret", one("credential-secret", "connector"), 1, &["\"connector\" is not of the form NAMESPACE/NAME[:KEY]"]),
        ("no ClusterRole", one("owner", "a/b"), 1, &["--owner \"a/b\" is not a ClusterRole's name"]),
        ("no namespace", one("claim-namespace", "Team A"), 1, &["--claim-namespace \"Team A\" is not a namespace's name"]),
        ("no time", one("shutdown-delay", "5s"), 2, &["invalid value '5s' for '--shutdown-delay <SECONDS>'"]),
        ("an option that is none", one("claims-namespace", "x"), 2, &["unexpected argument '--claims-namespace'", "--claim-namespace"]),
        ("no file", one("config", "/nowhere/config"), 1, &["cannot read --config /nowhere/config", "No such file"]),
        ("a file with another name in it", one("config", &values), 1, &["claim-namespaces", "values.yaml cannot be used"]),
    ];
    let mut wrong = Vec::new();
    for (what, args, code, words) in cases {
        let defaults = [
            ("kubeconfig", good.as_str()),
            ("control-plane-kubeconfig", &good),
            ("claim-namespace", "claims"),
            ("listen", "127.0.0.1:0"),
            ("admin-listen", "127.0.0.1:0"),
        ];
        let given = |option: &str| args.iter().any(|arg| arg.starts_with(&format!("--{option}=")));
        let rest =
            defaults.iter().filter(|(option, _)| !given(option)).map(|(option, value)| format!("--{option}={value}"));
        let all: Vec<String> = args.iter().cloned().chain(rest).collect();
        let told = match refused(&all, code).await {
            Ok(told) => told,
            Err(error) => {
                wrong.push(format!("{what}: {error:#}"));
                continue;
            }
        };
        let last = told.lines().filter(|line| line.starts_with("error: ")).collect::<String>();
        if code == 1 && last.is_empty() || words.iter().any(|word| !told.contains(word)) {
            wrong.push(format!("{what}: {words:?} in {told}"));
        }
    }
    let told = refused(&[], 1).await?;
    if !told.contains("--control-plane-kubeconfig is required: give the option, set CONNECTOR_CONTROL_PLANE_KUBECONFIG")
    {
        wrong.push(format!("nothing: {told}"));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Mistakes that a running connector waits to be mended: what its log says, and what whoever asks for a claim is told. It is ready all
/// the same, unless it can answer nobody.
#[tokio::test]
async fn what_can_be_mended_is_waited_for() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let rights = |file: &str| std::fs::read_to_string(format!("{}/../deploy/rbac/{file}", env!("CARGO_MANIFEST_DIR")));
    control_plane.kubectl().apply(&rights("control-plane.yaml")?).await?;
    let folder = tempfile::tempdir()?;
    let admin = control_plane.kubeconfig_path();
    let with = |name: &str, change: &dyn Fn(&mut Value)| changed(folder.path(), name, &admin, |config| change(config));
    let server =
        |server: &'static str| move |config: &mut Value| config["clusters"][0]["cluster"]["server"] = server.into();
    let expired = token(&control_plane, -120).await?;
    let expired = with("expired", &|config| config["users"][0]["user"] = json!({ "token": expired }))?;
    let other_ca = folder.path().join("other-ca.crt");
    std::fs::write(&other_ca, CertificateParams::default().self_signed(&KeyPair::generate()?)?.pem())?;
    let stranger =
        with("stranger", &|config| config["clusters"][0]["cluster"]["certificate-authority"] = json!(other_ca))?;
    let no_rights = control_plane.kubeconfig_for("nobody", &[])?.display().to_string();
    // Once registered, an API stays so whatever becomes of the control plane; here it never was.
    let good = Connector::start(&app, &control_plane, options()).await?;
    good.wait_available(&app, EXAMPLE_API).await?;
    drop(good);

    let away = "it is not known yet what the control plane offers; try again later";
    let cases = [
        (
            "an expired token",
            expired,
            "the credential in the control plane's kubeconfig is not accepted",
            "it has expired",
        ),
        (
            "a host that is away",
            with("away", &server("https://127.0.0.1:1"))?,
            "the control plane cannot be reached",
            "https://127.0.0.1:1",
        ),
        (
            "a host without a name",
            with("unnamed", &server("https://nowhere.invalid"))?,
            "the control plane cannot be reached",
            "https://nowhere.invalid",
        ),
        ("another CA", stranger, "the control plane cannot be reached", "certificate-authority"),
        (
            "no rights",
            no_rights,
            "cannot read what the control plane offers: grant get, list and watch on",
            "compositeresourcedefinitions.apiextensions.crossplane.io",
        ),
    ];
    let raw = Raw::admin_of(&app).await?;
    for (what, kubeconfig, told, more) in cases {
        let options = ConnectorOptions { control_plane_kubeconfig: Some(kubeconfig.into()), ..options() };
        let connector = Connector::start(&app, &control_plane, options).await.context(what)?;
        self::told(&connector, &[told, more]).await.context(what)?;
        let direct = connector_answer(&app, &connector).await?;
        ensure!(direct["message"] == away && direct["code"] == 503, "{what}: {direct}");
        // The front says so in its own words as long as it takes the API for unavailable.
        let answer = raw.ask("GET", ALL, &[], "").await?;
        ensure!(answer.status == 503, "{what}: {} {}", answer.status, answer.text());
    }
    Ok(())
}

/// Waits until the log has a line with all these words.
async fn told(connector: &Connector, words: &[&str]) -> Result<()> {
    eventually(&format!("{words:?} to be told"), || async {
        let log = connector.log()?;
        let is_told = log.lines().any(|line| words.iter().all(|word| line.contains(word)));
        Ok(if is_told { Ok(()) } else { Err(log) })
    })
    .await
}

/// What is missing in the app cluster is told, and counts when it is there.
#[tokio::test]
async fn what_is_missing_in_the_app_cluster_is_told() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let kubectl = app.kubectl();
    let rights = format!("{}/../deploy/rbac/app-cluster.yaml", env!("CARGO_MANIFEST_DIR"));
    let rights = std::fs::read_to_string(rights)?;
    kubectl.apply(&rights).await?;
    let (cluster, own) = ("clusterrolebinding", "rolebinding");
    for (kind, name) in [(cluster, "connector-registrar"), (own, "connector-leases"), (own, "connector-credential")] {
        kubectl.ok(["delete", kind, name, "-n", "kube-system"]).await?;
    }
    kubectl.ok(["delete", "clusterrole", "connector-registrar"]).await?;
    let account = app.kubeconfig_for("system:serviceaccount:kube-system:connector", &["system:serviceaccounts"])?;
    let options = ConnectorOptions {
        kubeconfig: Some(account),
        extra_args: vec![
            "--owner=connector-registrar".to_owned(),
            "--credential-secret=kube-system/connector-control-plane".to_owned(),
        ],
        ..options()
    };
    let connector = Connector::start(&app, &control_plane, options).await?;
    told(&connector, &["ERROR", "ClusterRole connector-registrar of --owner does not exist in the app cluster"])
        .await?;
    let lease = "grant get, create and update on leases of the connector's namespace";
    told(&connector, &["so this replica does not write what is registered", lease]).await?;
    told(&connector, &["so this replica does not write what comes back from the control plane", lease]).await?;

    let given = async |name: &str| {
        let documents = rights.split("\n---\n").filter(|part| part.contains(&format!("metadata: {{name: {name}")));
        kubectl.apply(&documents.collect::<Vec<_>>().join("\n---\n")).await
    };
    given("connector-leases").await?;
    told(&connector, &["cannot write APIServices", "ClusterRole connector-registrar of --owner does not exist"])
        .await?;
    told(&connector, &["the control plane's token is not renewed", "cannot be read: grant get and update on it"])
        .await?;
    given("connector-credential").await?;
    told(
        &connector,
        &["the control plane's token is not renewed", "connector-control-plane of --credential-secret does not exist"],
    )
    .await?;
    let another = [
        "create",
        "secret",
        "generic",
        "connector-control-plane",
        "-n",
        "kube-system",
        "--from-literal=context.yaml=x",
    ];
    kubectl.ok(another).await?;
    told(&connector, &["has no key \"kubeconfig\"; it has context.yaml", "--credential-secret NAMESPACE/NAME:KEY"])
        .await?;
    kubectl.ok(["create", "clusterrole", "connector-registrar", "--verb=get", "--resource=nodes"]).await?;
    told(&connector, &["cannot write APIServices: grant list, create, update and delete on apiservices", "forbidden"])
        .await?;
    given("connector-registrar").await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    Ok(())
}

/// What the connector tells the front.
async fn connector_answer(app: &Cluster, connector: &Connector) -> Result<Value> {
    let file = |name: &str| app.folder().join(name).display().to_string();
    let output = Command::new("curl")
        .args(["-sk", "-m", "20", "--cert", &file("front-proxy-client.crt"), "--key", &file("front-proxy-client.key")])
        .args(["-H", "X-Remote-User: admin", "-H", "X-Remote-Group: system:masters"])
        .arg(format!("https://127.0.0.1:{}{ALL}", connector.port()))
        .output()
        .await?;
    Ok(serde_json::from_slice(&output.stdout)?)
}
