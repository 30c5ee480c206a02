//! The control plane's token is renewed before it ends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::{Cluster, Kubectl, eventually, fixtures};

use crate::setup::{EXAMPLE_API, claim, clusters, json as get_json, options};

const SECRET: &str = "connector-control-plane";

/// When the token ends, in seconds from the start of the test: just over, but kube-apiserver takes it for a minute more.
const ENDS: i64 = -15;
const LEEWAY: u64 = 60;

/// The whole way with the least rights: asked for, written, read by the connector, used when the former one is worth nothing.
#[tokio::test]
async fn a_token_is_renewed_before_it_ends() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let rights = |file: &str| std::fs::read_to_string(format!("{}/../deploy/rbac/{file}", env!("CARGO_MANIFEST_DIR")));
    app.kubectl().apply(&rights("app-cluster.yaml")?).await?;
    control_plane.kubectl().apply(&rights("control-plane.yaml")?).await?;
    let old = token(&control_plane, ENDS).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("kubeconfig");
    let text = kubeconfig(&control_plane, &old)?;
    std::fs::write(&file, &text)?;
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": SECRET, "namespace": "kube-system" },
        "data": { "kubeconfig": STANDARD.encode(&text), "other": STANDARD.encode("stays") },
    });
    app.kubectl().apply(&secret.to_string()).await?;

    let begun = SystemTime::now();
    let options = ConnectorOptions {
        kubeconfig: Some(
            app.kubeconfig_for("system:serviceaccount:kube-system:connector", &["system:serviceaccounts"])?,
        ),
        control_plane_kubeconfig: Some(file.clone()),
        extra_args: vec![format!("--credential-secret=kube-system/{SECRET}")],
        ..options()
    };
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    ensure!(expiry(&connector).await? < seconds(begun)? + 5, "the metric tells the end of the old one");
    let written = eventually("another token to be written", || async {
        let now = stored(&app.kubectl(), "kubeconfig").await?;
        Ok(if now == text { Err("the old one".to_owned()) } else { Ok(now) })
    })
    .await?;
    ensure!(stored(&app.kubectl(), "other").await? == "stays");
    let new = written.lines().find_map(|line| line.strip_prefix("    token: ")).context("a token")?.to_owned();
    ensure!(written == text.replace(&old, &new), "more changed than the token");

    // kubelet's part.
    std::fs::write(&file, &written)?;
    eventually("the other token to count", || async {
        let ends = expiry(&connector).await?;
        Ok(if ends > seconds(begun)? + 600 { Ok(()) } else { Err(ends.to_string()) })
    })
    .await?;
    let old_ends = begun + Duration::from_secs(LEEWAY);
    tokio::time::sleep(old_ends.duration_since(SystemTime::now()).unwrap_or_default()).await;
    app.kubectl().apply(&claim("default", "db")).await?;
    let log = connector.log()?;
    ensure!(log.contains("the control plane's token was renewed"), "{log}");
    ensure!(!log.contains(&old) && !log.contains(&new), "a token is in the log");
    ensure!(stored(&app.kubectl(), "kubeconfig").await? == written, "it was renewed again already");
    Ok(())
}

/// A kubeconfig as somebody wrote it, comments included.
fn kubeconfig(control_plane: &Cluster, token: &str) -> Result<String> {
    let admin = fixtures::object(&std::fs::read_to_string(control_plane.kubeconfig_path())?)?;
    Ok(format!(
        "# of the platform team
apiVersion: v1
kind: Config
current-context: it
contexts:
- name: it
  context: {{cluster: it, user: it}}
clusters:
- name: it
  cluster: {}
users:
- name: it
  user:
    token: {token}
",
        admin["clusters"][0]["cluster"]
    ))
}

/// A token of the connector's account that was made a quarter of an hour ago and ends in so many seconds.
pub(super) async fn token(control_plane: &Cluster, ends: i64) -> Result<String> {
    let account = get_json(&control_plane.kubectl(), &["get", "serviceaccount", "connector", "-n", "claims"]).await?;
    let now = seconds(SystemTime::now())?;
    let issuer = "https://kubernetes.default.svc";
    let claims = json!({
        "iss": issuer,
        "aud": [issuer],
        "sub": "system:serviceaccount:claims:connector",
        "iat": now - 900,
        "nbf": now - 900,
        "exp": now + ends,
        "kubernetes.io": {
            "namespace": "claims",
            "serviceaccount": { "name": "connector", "uid": account["metadata"]["uid"] },
        },
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "ES256", "typ": "JWT" })), part(&claims));
    let key = KeyPair::from_pem(&std::fs::read_to_string(control_plane.folder().join("service-accounts.key"))?)?;
    let signature = joined(&key.sign(signed.as_bytes())?).context("an ECDSA signature")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// JWS wants both numbers in 32 bytes each, where DER has them as integers.
fn joined(der: &[u8]) -> Option<Vec<u8>> {
    let mut rest = der.get(2..)?;
    let mut joined = Vec::new();
    for _ in 0..2 {
        let length = usize::from(*rest.get(1)?);
        let number = rest.get(2..2 + length)?;
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        joined.extend(std::iter::repeat_n(0, 32 - number.len()));
        joined.extend(number);
        rest = &rest[2 + length..];
    }
    Some(joined)
}

fn seconds(time: SystemTime) -> Result<i64> {
    Ok(time.duration_since(UNIX_EPOCH)?.as_secs().try_into()?)
}

async fn stored(kubectl: &Kubectl, key: &str) -> Result<String> {
    let secret = get_json(kubectl, &["get", "secret", SECRET, "-n", "kube-system"]).await?;
    Ok(String::from_utf8(STANDARD.decode(secret["data"][key].as_str().context("the key")?)?)?)
}

async fn expiry(connector: &Connector) -> Result<i64> {
    let (_, metrics) = connector.admin_get("/metrics").await?;
    let mut lines = metrics.lines().filter(|line| line.starts_with("connector_credential_expiry_timestamp_seconds"));
    let line = lines.next().with_context(|| metrics.clone())?;
    Ok(line.rsplit(' ').next().context("a value")?.parse()?)
}
