//! Trust changes while requests go on: every CA that there is, one after the other, and nobody notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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
use testkit::crossplane::Crossplane;
use testkit::{Cluster, ClusterOptions, eventually, eventually_within, fixtures};
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::balancer::Balancer;
use crate::raw::Raw;
use crate::setup::{EXAMPLE, EXAMPLE_API, claim, json as get_json, options};

const ALL: &str = "/apis/k8s.starter.org/v1alpha1/kubernetesclusters";
/// Requests, each over a connection of its own, that tell that all is well: some for each replica.
const MORE: usize = 8;
/// When the CAs of this test end, in seconds since 1970: after all others, so that the metric tells of them.
const ENDS: i64 = 95_617_584_000;

/// Asks all the time, on new connections too, and counts what failed.
struct Load {
    answered: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Load {
    async fn start(app: &Cluster, balancer: Arc<Balancer>) -> Result<Self> {
        let raw = Raw::admin_of(app).await?;
        let (answered, failed, stop): (Arc<AtomicUsize>, Arc<Mutex<Vec<_>>>, Arc<AtomicBool>) = Default::default();
        let (count, failures, is_over) = (answered.clone(), failed.clone(), stop.clone());
        let task = tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                // The front verifies only when it connects. What is under way on a connection that breaks may fail; nothing is.
                balancer.cut().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                match raw.ask("GET", ALL, &[], "").await {
                    Ok(answer) if answer.status == 200 => _ = count.fetch_add(1, Ordering::Relaxed),
                    Ok(answer) => failures.lock().unwrap().push(format!("{} {}", answer.status, answer.text())),
                    Err(error) => failures.lock().unwrap().push(format!("{error:#}")),
                }
            }
        });
        Ok(Self { answered, failed, stop, task })
    }

    /// From then on no connection is cut.
    async fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        Ok((&mut self.task).await?)
    }

    /// Nothing failed so far, and nothing does for some more requests.
    async fn check(&self, when: &str) -> Result<()> {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("more requests to be answered", || async {
            let failed = self.failed.lock().unwrap();
            ensure!(failed.is_empty(), "{when}: {failed:?}");
            let more = self.answered.load(Ordering::Relaxed) - before;
            Ok(if more >= MORE { Ok(()) } else { Err(format!("{more} more")) })
        })
        .await
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
    params.not_after = rcgen::date_time_ymd(5000, 1, 1);
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

/// Waits until all of these have written so many lines of this kind.
async fn logged(text: &str, times: usize, connectors: [&Connector; 2]) -> Result<()> {
    eventually(text, || async {
        for connector in connectors {
            let log = connector.log()?;
            if log.matches(text).count() < times {
                return Ok(Err(log));
            }
        }
        Ok(Ok(()))
    })
    .await
}

/// A cluster whose kube-apiserver says when it has taken another certificate.
async fn talkative(name: &str) -> Result<Cluster> {
    let apiserver_args = vec!["--v=2".to_owned()];
    Cluster::start(ClusterOptions { apiserver_args, ..ClusterOptions::named(name) }).await
}

/// How often it has said so of the one that is called `name`.
fn taken(cluster: &Cluster, name: &str) -> Result<usize> {
    let log = std::fs::read_to_string(cluster.folder().join("kube-apiserver.log"))?;
    let is_it = |line: &&str| line.contains("Loaded a new cert/key pair") && line.contains(name);
    Ok(log.lines().filter(is_it).count())
}

/// Writes another pair of files, and waits until kube-apiserver has taken it.
async fn replace(cluster: &Cluster, file: &str, name: &str, (certificate, key): (String, String)) -> Result<()> {
    let before = taken(cluster, name)?;
    std::fs::write(cluster.folder().join(format!("{file}.key")), key)?;
    std::fs::write(cluster.folder().join(format!("{file}.crt")), certificate)?;
    // It looks once a minute where it is not told of the change.
    eventually_within(Duration::from_secs(120), "kube-apiserver to take another certificate", || async {
        let now = taken(cluster, name)?;
        Ok(if now > before { Ok(()) } else { Err(format!("{name} was taken {now} times")) })
    })
    .await
}

#[tokio::test]
async fn every_ca_may_change_while_requests_go_on() -> Result<()> {
    let (app, control_plane) = tokio::try_join!(talkative("app"), talkative("control-plane"))?;
    let crossplane = Crossplane::install(&control_plane).await?;
    crossplane.offer(&fixtures::xrd(EXAMPLE)?).await?;
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
    let load = Load::start(&app, balancer.clone()).await?;

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
    logged("the control plane's kubeconfig was read again", 1, [&first, &second]).await?;
    let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"];
    let pair = issue(&next, "kube-apiserver", &names, ExtendedKeyUsagePurpose::ServerAuth)?;
    replace(&control_plane, "apiserver", "serving-cert", pair).await?;
    load.check("while the serving CA and the control plane's changed").await?;
    // Only the new one counts, so that the way is taken anew by it.
    std::fs::write(&ca_file, next.pem())?;
    logged("the control plane's kubeconfig was read again", 2, [&first, &second]).await?;
    load.check("when only the control plane's new CA is trusted").await?;

    // The front-proxy's, as `kubeadm certs renew` does it: the CA file holds both before the certificate changes.
    let next = authority("another-front-proxy-ca")?;
    let file = app.folder().join("front-proxy-ca.crt");
    let former = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{former}{}", next.pem()))?;
    let trusted = format!(r#"connector_certificate_expiry_timestamp_seconds{{certificate="front-proxy-ca"}} {ENDS}"#);
    for connector in [&first, &second] {
        eventually("both CAs of the front proxy to be trusted", || async {
            let (_, metrics) = connector.admin_get("/metrics").await?;
            Ok(if metrics.lines().any(|line| line == trusted) { Ok(()) } else { Err("the former one".to_owned()) })
        })
        .await?;
    }
    let pair = issue(&next, "front-proxy-client", &[], ExtendedKeyUsagePurpose::ClientAuth)?;
    replace(&app, "front-proxy-client", "aggregator-proxy-cert", pair).await?;

    eventually_within(Duration::from_secs(150), "the other CA to issue", || async {
        let (one, other) = (served_by(first.port()).await?, served_by(second.port()).await?);
        Ok(if one != before && other != before { Ok(()) } else { Err(one) })
    })
    .await?;
    load.check("while the front proxy's CA changed, and the leaves").await?;
    // kube-apiserver itself takes no CA out of the ConfigMap.
    std::fs::write(&file, next.pem())?;
    let only = json!({ "data": { "requestheader-client-ca-file": next.pem() } }).to_string();
    let of =
        ["patch", "configmap", "extension-apiserver-authentication", "-n", "kube-system", "--type=merge", "-p", &only];
    let read = "the front-proxy CA was read";
    let before = [&first, &second].map(|connector| connector.log().map(|log| log.matches(read).count()));
    let [one, other] = before;
    let (one, other) = (one?, other?);
    ensure!(one == other, "they read it {one} and {other} times");
    kubectl.ok(of).await?;
    logged(read, one + 1, [&first, &second]).await?;
    load.check("when the former front proxy is not trusted any more").await?;
    load.end().await?;
    kubectl.ok(["label", "kubernetescluster", "db", "a=b"]).await?;
    for connector in [&first, &second] {
        let log = connector.log()?;
        ensure!(log.contains("its former leaf is served a little longer"), "{log}");
    }
    Ok(())
}
