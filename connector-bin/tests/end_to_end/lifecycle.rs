//! Starting, changing credentials, ending.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use testkit::connector::{Connector, ConnectorOptions};

use crate::setup::{Corridor, EXAMPLE_API, claim, clusters, options};

/// Wire rules 1.20, 11.23: a watch ends between two events, and the connector ends soon.
#[tokio::test]
async fn ending_leaves_no_half_event() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    let kubectl = corridor.app.kubectl();
    kubectl.apply(&claim("default", "db")).await?;
    let path = "/apis/k8s.starter.org/v1alpha1/kubernetesclusters?watch=true";
    let mut watch = kubectl.spawn(["get", "--raw", path])?;
    watch.line_where(|line| line.contains(r#""name":"db""#)).await?;
    let started = Instant::now();
    let status = corridor.connector.terminate().await?;
    ensure!(status.success(), "{status}");
    ensure!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    while let Some(line) = watch.line().await? {
        serde_json::from_str::<Value>(&line).with_context(|| format!("half an event: {line}"))?;
    }
    Ok(())
}

/// A renewed credential counts without a restart.
#[tokio::test]
async fn another_kubeconfig_counts_at_once() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::copy(control_plane.kubeconfig_for("nobody", &[])?, &kubeconfig)?;
    let options = ConnectorOptions { control_plane_kubeconfig: Some(kubeconfig.clone()), ..options() };
    let connector = Connector::start(&app, &control_plane, options).await?;
    testkit::eventually("the missing right to be told", || async {
        let log = connector.log()?;
        Ok(if log.contains("grant get, list and watch") { Ok(()) } else { Err(log) })
    })
    .await?;
    std::fs::copy(control_plane.kubeconfig_path(), &kubeconfig)?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    app.kubectl().apply(&claim("default", "db")).await?;
    Ok(())
}

/// A right that is granted later counts without a restart.
#[tokio::test]
async fn a_right_granted_later_counts() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let account =
        control_plane.kubeconfig_for("system:serviceaccount:claims:connector", &["system:serviceaccounts"])?;
    let options = ConnectorOptions { control_plane_kubeconfig: Some(account), ..options() };
    let connector = Connector::start(&app, &control_plane, options).await?;
    testkit::eventually("the missing right to be told", || async {
        let log = connector.log()?;
        Ok(if log.contains("grant get, list and watch") { Ok(()) } else { Err(log) })
    })
    .await?;
    let rights = format!("{}/../deploy/rbac/control-plane.yaml", env!("CARGO_MANIFEST_DIR"));
    control_plane.kubectl().apply(&std::fs::read_to_string(rights)?).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    app.kubectl().apply(&claim("default", "db")).await?;
    Ok(())
}

/// A certificate that the user brought is served, and another in its place counts without a restart, its CA too.
#[tokio::test]
async fn a_certificate_of_the_users_own() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let write = || -> Result<String> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let ca = authority.self_signed(&key)?.pem();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(["connector.kube-system.svc".to_owned()])?.signed_by(&key, &issuer)?;
        std::fs::write(file("tls.key"), key.serialize_pem())?;
        std::fs::write(file("tls.crt"), leaf.pem())?;
        std::fs::write(file("ca.crt"), &ca)?;
        Ok(ca)
    };
    write()?;
    let extra_args = ["cert", "key", "ca"].into_iter().zip(["tls.crt", "tls.key", "ca.crt"]);
    let extra_args = extra_args.map(|(option, name)| format!("--tls-{option}-file={}", file(name))).collect();
    let connector = Connector::start(&app, &control_plane, ConnectorOptions { extra_args, ..options() }).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    app.kubectl().apply(&claim("default", "db")).await?;

    let ca = write()?;
    testkit::eventually("the other CA to be in the APIService", || async {
        let path = "go-template={{.spec.caBundle | base64decode}}";
        let bundle = app.kubectl().ok(["get", "apiservice", "v1alpha1.k8s.starter.org", "-o", path]).await?;
        Ok(if bundle == ca { Ok(()) } else { Err("the former CA".to_owned()) })
    })
    .await?;
    testkit::eventually("claims to be served by the other certificate", || async {
        let get = app.kubectl().run(["get", "kubernetescluster", "db"]).await?;
        Ok(if get.status.success() { Ok(()) } else { Err(get.stderr) })
    })
    .await?;
    Ok(())
}
