//! Trust changes while requests go on: every CA that there is, one after the other, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;
use testkit::connector::{Connector, ConnectorOptions};
use testkit::{eventually, eventually_within, fixtures};
use tokio::process::Command;

use super::balancer::Balancer;
use crate::raw::Raw;
use crate::setup::{EXAMPLE_API, claim, clusters, json as get_json, options};

const ALL: &str = "/apis/k8s.starter.org/v1alpha1/kubernetesclusters";

/// Asks all the time, on new connections too, and counts what failed.
struct Load {
    answered: Arc<AtomicUsize>,
    failed: Arc<std::sync::Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    async fn start(app: &testkit::Cluster, balancer: Arc<Balancer>) -> Result<Self> {
        let load = Self { answered: Arc::default(), failed: Arc::default(), stop: Arc::default() };
        let raw = Raw::admin_of(app).await?;
        let (answered, failed, stop) = (load.answered.clone(), load.failed.clone(), load.stop.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                // The front verifies only when it connects. What is under way on a connection that breaks may fail; nothing is.
                balancer.cut();
                tokio::time::sleep(Duration::from_millis(200)).await;
                match raw.ask("GET", ALL, &[], "").await {
                    Ok(answer) if answer.status == 200 => _ = answered.fetch_add(1, Ordering::Relaxed),
                    Ok(answer) => failed.lock().unwrap().push(format!("{} {}", answer.status, answer.text())),
                    Err(error) => failed.lock().unwrap().push(format!("{error:#}")),
                }
            }
        });
        Ok(load)
    }

    /// Nothing failed so far, and something was asked since the last time.
    fn check(&self, when: &str) -> Result<()> {
        let failed = self.failed.lock().unwrap();
        ensure!(failed.is_empty(), "{when}: {failed:?}");
        ensure!(self.answered.swap(0, Ordering::Relaxed) > 0, "{when}: nothing was asked");
        Ok(())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Result<Issuer> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_after = rcgen::date_time_ymd(2099, 1, 1);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// A certificate and its key.
fn issue(issuer: &Issuer, name: &str, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Result<(String, String)> {
    let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

/// Who issued what the connector serves.
async fn served_by(port: u16) -> Result<String> {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -text -ext authorityKeyIdentifier"
    );
    let output = Command::new("sh").args(["-c", &script]).output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn every_ca_may_change_while_requests_go_on() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let kubectl = app.kubectl();
    let folder = tempfile::tempdir()?;
    let (ca_file, kubeconfig) = (folder.path().join("ca.crt"), folder.path().join("kubeconfig"));
    let mut config = fixtures::object(&std::fs::read_to_string(control_plane.kubeconfig_path())?)?;
    std::fs::copy(control_plane.folder().join("ca.crt"), &ca_file)?;
    config["clusters"][0]["cluster"]["certificate-authority"] = json!(ca_file);
    std::fs::write(&kubeconfig, config.to_string())?;

    let balancer = Arc::new(Balancer::start().await?);
    let options = ConnectorOptions {
        service_port: Some(balancer.port()),
        control_plane_kubeconfig: Some(kubeconfig),
        ..options()
    };
    let first = Connector::start(&app, &control_plane, options.clone()).await?;
    balancer.lead_to([first.port()]);
    first.wait_available(&app, EXAMPLE_API).await?;
    let second = Connector::start(&app, &control_plane, options).await?;
    balancer.lead_to([first.port(), second.port()]);
    kubectl.apply(&claim("default", "db")).await?;
    let load = Load::start(&app, balancer).await?;

    // The CA that replicas share: first trusted beside the former one, then issuing.
    let secret = get_json(&kubectl, &["get", "secret", "connector-serving-ca", "-n", "kube-system"]).await?;
    let former = String::from_utf8(STANDARD.decode(secret["data"]["tls.crt"].as_str().context("a CA")?)?)?;
    let next = authority("control-plane-connector serving CA")?;
    let both = format!("{}{former}", next.pem());
    let data = json!({ "data": {
        "tls.crt": STANDARD.encode(next.pem()),
        "tls.key": STANDARD.encode(next.key().serialize_pem()),
        "ca.crt": STANDARD.encode(&both),
    } });
    let before = served_by(first.port()).await?;
    ensure!(before.contains("Issuer"), "openssl is needed: {before}");
    let patch =
        ["patch", "secret", "connector-serving-ca", "-n", "kube-system", "--type=merge", "-p", &data.to_string()];
    kubectl.ok(patch).await?;
    eventually("both CAs to be trusted", || async {
        let path = "go-template={{.spec.caBundle | base64decode}}";
        let bundle = kubectl.ok(["get", "apiservice", "v1alpha1.k8s.starter.org", "-o", path]).await?;
        Ok(if bundle == both { Ok(()) } else { Err("the former one".to_owned()) })
    })
    .await?;
    ensure!(served_by(first.port()).await? == before, "the other CA issued before it was trusted for sure");

    // Meanwhile the control plane's: the new one beside the former one in the file, then its certificate.
    let next = authority("another-control-plane-ca")?;
    let former = std::fs::read_to_string(&ca_file)?;
    std::fs::write(&ca_file, format!("{former}{}", next.pem()))?;
    eventually("the file to be read", || async {
        let log = first.log()?;
        Ok(if log.contains("the control plane's kubeconfig was read again") { Ok(()) } else { Err(log) })
    })
    .await?;
    let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"];
    let (certificate, key) = issue(&next, "kube-apiserver", &names, ExtendedKeyUsagePurpose::ServerAuth)?;
    std::fs::write(control_plane.folder().join("apiserver.key"), key)?;
    std::fs::write(control_plane.folder().join("apiserver.crt"), certificate)?;
    load.check("while the serving CA and the control plane's changed")?;
    // Only the new one counts, so that the way is taken anew by it.
    std::fs::write(&ca_file, next.pem())?;

    // The front-proxy's, as `kubeadm certs renew` does it: the CA file holds both before the certificate changes.
    let next = authority("another-front-proxy-ca")?;
    let file = app.folder().join("front-proxy-ca.crt");
    let former = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{former}{}", next.pem()))?;
    eventually("the ConfigMap to tell", || async {
        let of = ["get", "configmap", "extension-apiserver-authentication", "-n", "kube-system"];
        let map = get_json(&kubectl, &of).await?;
        let pem = map["data"]["requestheader-client-ca-file"].as_str().unwrap_or_default().trim();
        Ok(if pem.ends_with(next.pem().trim()) { Ok(()) } else { Err(pem.to_owned()) })
    })
    .await?;
    let (certificate, key) = issue(&next, "front-proxy-client", &[], ExtendedKeyUsagePurpose::ClientAuth)?;
    std::fs::write(app.folder().join("front-proxy-client.key"), key)?;
    std::fs::write(app.folder().join("front-proxy-client.crt"), certificate)?;

    eventually_within(Duration::from_secs(150), "the other CA to issue", || async {
        let (one, other) = (served_by(first.port()).await?, served_by(second.port()).await?);
        Ok(if one != before && other != before { Ok(()) } else { Err(one) })
    })
    .await?;
    load.check("while the front proxy's CA changed, and the leaves")?;
    // Some more with everything new.
    tokio::time::sleep(Duration::from_secs(3)).await;
    load.check("when everything had changed")?;
    // kube-apiserver itself takes no CA out of the ConfigMap.
    std::fs::write(&file, next.pem())?;
    let only = json!({ "data": { "requestheader-client-ca-file": next.pem() } }).to_string();
    let of =
        ["patch", "configmap", "extension-apiserver-authentication", "-n", "kube-system", "--type=merge", "-p", &only];
    kubectl.ok(of).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    load.check("when the former front proxy is not trusted any more")?;
    kubectl.ok(["label", "kubernetescluster", "db", "a=b"]).await?;
    for connector in [&first, &second] {
        let log = connector.log()?;
        ensure!(log.contains("its former leaf is served a little longer"), "{log}");
    }
    Ok(())
}
