//! Flux's real kustomize-controller in a cluster. The source controller's part is played here: a folder packed and served over
//! HTTP, and a `GitRepository` whose status names it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::binaries;
use crate::cluster::Cluster;
use crate::eventually::eventually;
use crate::kubectl::Kubectl;
use crate::process::{Group, Port, Process, keeps_logs, show, tail};

/// The namespace of Flux and of all that is Flux's here.
pub const NAMESPACE: &str = "flux-system";

/// What the controller watches beside its own kind.
const SOURCES: [(&str, &str); 4] = [
    ("GitRepository", "gitrepositories"),
    ("OCIRepository", "ocirepositories"),
    ("Bucket", "buckets"),
    ("ExternalArtifact", "externalartifacts"),
];

/// kustomize-controller at work, and a source `folder` for it. It ends on drop, and with the test process.
#[derive(Debug)]
pub struct Flux {
    // In the order in which they are to go.
    controller: Process,
    _group: Group,
    _ports: [Port; 2],
    source: Source,
    kubectl: Kubectl,
    folder: Option<TempDir>,
}

impl Flux {
    /// Installs Flux's CRDs and starts the controller as the cluster's admin.
    ///
    /// # Errors
    ///
    /// It cannot be built ([`binaries::flux`]) or started.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let program = tokio::task::spawn_blocking(binaries::flux).await??;
        let kubectl = cluster.kubectl();
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        let mut items: Vec<Value> = SOURCES.iter().map(|(kind, plural)| source_crd(kind, plural)).collect();
        items.push(namespace);
        kubectl.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()).await?;
        kubectl.apply(&std::fs::read_to_string(&program.crd)?).await?;
        kubectl.ok(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await?;

        let folder = tempfile::Builder::new().prefix("flux-").tempdir()?;
        let ports = [Port::free()?, Port::free()?];
        let group = Group::new(folder.path())?;
        let args = [
            format!("KUBECONFIG={}", cluster.kubeconfig_path().display()),
            format!("RUNTIME_NAMESPACE={NAMESPACE}"),
            program.kustomize_controller.display().to_string(),
            "--watch-all-namespaces".to_owned(),
            "--events-addr=".to_owned(),
            format!("--metrics-addr=127.0.0.1:{}", ports[0].number()),
            format!("--health-addr=127.0.0.1:{}", ports[1].number()),
        ];
        let controller =
            group.spawn(Path::new("/usr/bin/env"), &args, &folder.path().join("kustomize-controller.log"))?;
        let source = Source::start().await?;
        Ok(Self { controller, _group: group, _ports: ports, source, kubectl, folder: Some(folder) })
    }

    /// Makes `files`, by their paths, what the source holds, and answers the revision.
    ///
    /// # Errors
    ///
    /// The app cluster refused, or there is no tar.
    pub async fn publish(&self, files: &[(&str, &str)]) -> Result<String> {
        let packed = pack(files).await?;
        let digest: String = Sha256::digest(&packed).iter().map(|byte| format!("{byte:02x}")).collect();
        let revision = format!("main@sha1:{}", &digest[..40]);
        let path = format!("{digest}.tar.gz");
        let size = packed.len();
        self.source.artifacts.lock().map_err(|_| anyhow::anyhow!("the source panicked"))?.insert(path.clone(), packed);
        let repository = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": { "name": "folder", "namespace": NAMESPACE },
            "spec": { "interval": "1h", "url": "https://git.example.org/folder" },
        });
        self.kubectl.apply(&repository.to_string()).await?;
        let now = "2026-01-01T00:00:00Z";
        let status = json!({ "status": {
            "observedGeneration": 1,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": format!("stored artifact for {revision}"),
                "lastTransitionTime": now, "observedGeneration": 1,
            }],
            "artifact": {
                "url": format!("http://127.0.0.1:{}/{path}", self.source.port),
                "path": path,
                "revision": revision,
                "digest": format!("sha256:{digest}"),
                "lastUpdateTime": now,
                "size": size,
            },
        }});
        let patch = ["patch", "gitrepository", "folder", "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p"];
        self.kubectl.ok(patch.into_iter().chain([status.to_string().as_str()])).await?;
        Ok(revision)
    }

    /// Makes a Kustomization of the source's root; `spec` goes over the default of an hour's interval, and no pruning or waiting.
    ///
    /// # Errors
    ///
    /// The app cluster refused.
    pub async fn kustomization(&self, name: &str, spec: Value) -> Result<()> {
        let mut whole = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": {
                "interval": "1h", "path": "./", "prune": false,
                "sourceRef": { "kind": "GitRepository", "name": "folder" },
            },
        });
        let (Some(all), Value::Object(given)) = (whole["spec"].as_object_mut(), spec) else {
            bail!("the spec is no object");
        };
        all.extend(given);
        self.kubectl.apply(&whole.to_string()).await?;
        Ok(())
    }

    /// Asks for a reconciliation, as `flux reconcile` does, and waits until it was done.
    ///
    /// # Errors
    ///
    /// The deadline passed; with the Kustomization and the end of the controller's log.
    pub async fn reconcile(&mut self, name: &str, at: &str) -> Result<Value> {
        let annotation = format!("reconcile.fluxcd.io/requestedAt={at}");
        self.kubectl.ok(["annotate", "--overwrite", "-n", NAMESPACE, "kustomization", name, &annotation]).await?;
        self.wait_for(name, "to be reconciled", |of| of["status"]["lastHandledReconcileAt"] == at).await
    }

    /// Waits until the Kustomization has applied `revision`, everything of it is ready, and answers it.
    ///
    /// # Errors
    ///
    /// As [`Flux::reconcile`].
    pub async fn wait_ready(&mut self, name: &str, revision: &str) -> Result<Value> {
        self.wait_for(name, "to be ready", |of| {
            of["status"]["lastAppliedRevision"] == revision && ready(of).is_some_and(|ready| ready["status"] == "True")
        })
        .await
    }

    /// Waits until the Kustomization has tried `revision` and failed, and answers the message of its condition.
    ///
    /// # Errors
    ///
    /// As [`Flux::reconcile`].
    pub async fn wait_failed(&mut self, name: &str, revision: &str) -> Result<String> {
        let failed = self.wait_for(name, "to fail", |of| {
            of["status"]["lastAttemptedRevision"] == revision
                && ready(of).is_some_and(|ready| ready["status"] == "False")
        });
        let failed = failed.await?;
        Ok(ready(&failed).and_then(|ready| ready["message"].as_str()).context("no message")?.to_owned())
    }

    async fn wait_for(&mut self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.controller.check_running()?;
        let waiting_for = format!("the Kustomization {name} {what}");
        let waited = eventually(&waiting_for, || async {
            let get = ["get", "kustomization", name, "-n", NAMESPACE, "-o", "json"];
            let of: Value = serde_json::from_str(&self.kubectl.ok(get).await?)?;
            Ok(if wanted(&of) { Ok(of) } else { Err(of["status"].to_string()) })
        });
        waited.await.with_context(|| format!("the end of the controller's log:\n{}", tail(self.controller.log())))
    }
}

impl Drop for Flux {
    fn drop(&mut self) {
        if keeps_logs()
            && let Some(folder) = self.folder.take()
        {
            show(&format!("the log of kustomize-controller stays in {}", folder.keep().display()));
        }
    }
}

/// The condition Ready.
fn ready(of: &Value) -> Option<&Value> {
    of["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Ready")
}

/// As much of a source's CRD as a test's source needs: any content.
fn source_crd(kind: &str, plural: &str) -> Value {
    let any = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.source.toolkit.fluxcd.io") },
        "spec": {
            "group": "source.toolkit.fluxcd.io",
            "scope": "Namespaced",
            "names": { "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase() },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": any, "status": any } } },
            }],
        },
    })
}

async fn pack(files: &[(&str, &str)]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().context("a file without a folder")?)?;
        std::fs::write(path, content)?;
    }
    // The same content is the same revision.
    let tar =
        ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-cf", "-", "--use-compress-program=gzip -n", "."];
    let output = Command::new("tar").arg("-C").arg(folder.path()).args(tar).output().await;
    let output = output.context("cannot run tar")?;
    if !output.status.success() {
        bail!("tar failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// Serves packed folders by their names.
#[derive(Debug)]
struct Source {
    port: u16,
    artifacts: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Source {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let artifacts = Arc::new(Mutex::new(HashMap::new()));
        let served = artifacts.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away is no concern of ours: it asks again.
                let _ = serve(stream, &served).await;
            }
        });
        Ok(Self { port, artifacts, task })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request of one connection.
async fn serve(stream: TcpStream, artifacts: &Mutex<HashMap<String, Vec<u8>>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request).await?;
    let mut header = String::new();
    while stream.read_line(&mut header).await? > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let found = artifacts.lock().ok().and_then(|artifacts| artifacts.get(path).cloned());
    let (status, body) = found.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.flush().await?;
    Ok(())
}
