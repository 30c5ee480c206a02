//! The `connector` process between an app cluster and a control plane.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::cluster::Cluster;
use crate::eventually::{DEADLINE, eventually};
use crate::process::{Group, Port, Process, keeps_logs, show, tail};

/// How the connector is started.
#[derive(Clone, Debug)]
pub struct ConnectorOptions {
    /// The namespace of the control plane where the claims go; it is created if it is not there. Default `claims`.
    pub claim_namespace: String,
    /// `--cluster-id`. Default none: the connector's own default, the uid of `kube-system`.
    pub cluster_id: Option<String>,
    /// Further arguments. Default none.
    pub extra_args: Vec<String>,
    /// Further variables of the environment. Default none.
    pub env: Vec<(String, String)>,
    /// The kubeconfig by which the connector knows the app cluster. Default none: the admin's.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig by which the connector knows the control plane. Default none: the admin's.
    pub control_plane_kubeconfig: Option<PathBuf>,
    /// The port of the Service, where something stands between it and the connector. Default none: the connector's own.
    pub service_port: Option<u16>,
    /// The program. Default none: what `CONNECTOR_BIN` names, else the workspace's, built once for each process.
    pub program: Option<PathBuf>,
}

impl Default for ConnectorOptions {
    fn default() -> Self {
        Self {
            claim_namespace: "claims".to_owned(),
            cluster_id: None,
            extra_args: Vec::new(),
            env: Vec::new(),
            kubeconfig: None,
            control_plane_kubeconfig: None,
            service_port: None,
            program: None,
        }
    }
}

/// The Service, in `kube-system`, behind which the front finds the connector.
pub const SERVICE: &str = "connector";

/// A running connector. It is killed on drop, and with the test process. Its log goes with it, unless the test panicked or the
/// variable `TESTKIT_KEEP` is set.
#[derive(Debug)]
pub struct Connector {
    // In the order in which they are to go.
    process: Process,
    group: Group,
    port: Port,
    admin_port: Port,
    program: PathBuf,
    args: Vec<String>,
    folder: Option<TempDir>,
    log: PathBuf,
}

impl Connector {
    /// Starts the connector between two clusters: makes the Service that leads the front to it and the claim namespace, and comes
    /// back when `/readyz` of the admin address answers 200.
    ///
    /// # Errors
    ///
    /// It could not be built, it ended, or it did not get ready; then with the end of its log.
    pub async fn start(app: &Cluster, control_plane: &Cluster, options: ConnectorOptions) -> Result<Self> {
        let program = match options.program {
            Some(program) => program,
            None => program().await?,
        };
        let (port, admin_port) = (Port::free()?, Port::free()?);
        let service_port = options.service_port.unwrap_or(port.number());
        app.kubectl().apply(&service(service_port).to_string()).await?;
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": options.claim_namespace } });
        control_plane.kubectl().apply(&namespace.to_string()).await?;

        let path = |given: Option<PathBuf>, cluster: &Cluster| {
            given.unwrap_or_else(|| cluster.kubeconfig_path()).display().to_string()
        };
        let mut args = vec![
            "serve".to_owned(),
            format!("--kubeconfig={}", path(options.kubeconfig, app)),
            format!("--control-plane-kubeconfig={}", path(options.control_plane_kubeconfig, control_plane)),
            format!("--claim-namespace={}", options.claim_namespace),
            format!("--listen=127.0.0.1:{}", port.number()),
            format!("--admin-listen=127.0.0.1:{}", admin_port.number()),
            format!("--service=kube-system/{SERVICE}:{service_port}"),
        ];
        args.extend(options.cluster_id.map(|id| format!("--cluster-id={id}")));
        args.extend(options.extra_args);

        let folder = tempfile::Builder::new().prefix("connector-").tempdir()?;
        let log = folder.path().join("connector.log");
        let group = Group::new(folder.path())?;
        // By env(1), so that a restart has the same variables.
        let env = options.env.into_iter().map(|(name, value)| format!("{name}={value}"));
        // Nobody is to be told of an end; `env` and `extra_args` may say otherwise.
        let env = std::iter::once("CONNECTOR_SHUTDOWN_DELAY=0".to_owned()).chain(env);
        let args: Vec<String> = env.chain([program.display().to_string()]).chain(args).collect();
        let process = group.spawn(Path::new("/usr/bin/env"), &args, &log)?;
        let mut connector = Self { process, group, port, admin_port, program, args, folder: Some(folder), log };
        connector.wait_ready().await?;
        Ok(connector)
    }

    /// The port where the front calls, TLS.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The port of health and metrics, without TLS.
    pub fn admin_port(&self) -> u16 {
        self.admin_port.number()
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The whole log so far.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// A GET of the admin address: the status and the body.
    ///
    /// # Errors
    ///
    /// Nobody listens, or what answers is not HTTP.
    pub async fn admin_get(&self, path: &str) -> Result<(u16, String)> {
        admin_get(self.admin_port(), path).await
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    ///
    /// The process ended, or the deadline passed; with the end of its log.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let ready = async {
            loop {
                self.process.check_running()?;
                if let Ok((200, _)) = self.admin_get("/readyz").await {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(DEADLINE, ready).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("the connector was not ready after {DEADLINE:?}; the end of its log:\n{}", tail(&self.log)),
        }
    }

    /// Waits until the front offers a group and version of the connector, as `k8s.starter.org/v1alpha1`.
    ///
    /// # Errors
    ///
    /// The deadline passed; with what was seen last and the end of the connector's log.
    pub async fn wait_available(&self, app: &Cluster, group_version: &str) -> Result<()> {
        let waited = app.wait_for_api(group_version).await;
        waited.with_context(|| format!("the end of the connector's log:\n{}", tail(&self.log)))
    }

    /// Asks the process to end (SIGTERM), and answers how it did.
    ///
    /// # Errors
    ///
    /// It did not end in time; with the end of its log.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.process.signal(Signal::TERM)?;
        self.process.wait(DEADLINE).await
    }

    /// Kills the process, as a node failure does.
    ///
    /// # Errors
    ///
    /// The system refused.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        Ok(())
    }

    /// Ends the process if it runs, starts it again on the same ports, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// As [`Connector::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.process = self.group.spawn(Path::new("/usr/bin/env"), &self.args, &self.log)?;
        self.wait_ready().await
    }

    /// The program that runs.
    pub fn program(&self) -> &Path {
        &self.program
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        if keeps_logs()
            && let Some(folder) = self.folder.take()
        {
            show(&format!(
                "the log of the connector stays in {}; its end:\n{}",
                folder.keep().display(),
                tail(&self.log)
            ));
        }
    }
}

/// A GET of a connector's admin address, by its port: the status and the body.
///
/// # Errors
///
/// As [`Connector::admin_get`].
pub async fn admin_get(port: u16, path: &str) -> Result<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        // HTTP/1.0, so that the answer ends with the connection.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), exchange).await.context("no answer within 10 s")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("not an answer of HTTP")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("not an answer of HTTP")?;
    Ok((status, body.to_owned()))
}

/// The way from the front to a process on the same machine: kube-apiserver resolves the name, dials with the SNI
/// `<service>.<namespace>.svc`, and verifies with the APIService's `caBundle`.
fn service(port: u16) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": SERVICE, "namespace": "kube-system" },
        "spec": {
            "type": "ExternalName",
            "externalName": "localhost",
            "ports": [{ "name": "https", "port": port, "targetPort": port }],
        },
    })
}

/// The connector's binary: what `CONNECTOR_BIN` names, else the workspace's, built once for each process.
///
/// # Errors
///
/// It does not compile; with the compiler's messages.
pub async fn program() -> Result<PathBuf> {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM
        .get_or_try_init(|| async {
            match std::env::var_os("CONNECTOR_BIN") {
                Some(program) if !program.is_empty() => Ok(PathBuf::from(program)),
                _ => build().await,
            }
        })
        .await
        .cloned()
}

async fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--workspace", "--bin", "connector", "--message-format=json-render-diagnostics"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run cargo; CONNECTOR_BIN may name a connector that is built already")?;
    if !output.status.success() {
        bail!("the connector does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).context("cargo built the connector, but does not say where")
}

/// The last executable named `connector` in cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of = messages.filter(|message| message["target"]["name"] == "connector");
    of.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back()
}

impl Cluster {
    /// Waits until this cluster offers a group and version, as `k8s.starter.org/v1alpha1`: its APIService is Available, and
    /// aggregated discovery holds it, current and with resources.
    ///
    /// # Errors
    ///
    /// The deadline passed; with what was seen last.
    pub async fn wait_for_api(&self, group_version: &str) -> Result<()> {
        const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let (group, version) = group_version.split_once('/').context("not a group and version")?;
        let client = self.client().await?;
        let get = |path: String, accept: &str| {
            let request = http::Request::get(path).header(http::header::ACCEPT, accept).body(Vec::new());
            let client = client.clone();
            async move { anyhow::Ok(client.request::<Value>(request?).await?) }
        };
        eventually(&format!("{group_version} to be offered by {}", self.name()), || async {
            let service = format!("/apis/apiregistration.k8s.io/v1/apiservices/{version}.{group}");
            let service = match get(service, "application/json").await {
                Ok(service) => service,
                Err(error) => return Ok(Err(format!("{error:#}"))),
            };
            let conditions = service["status"]["conditions"].as_array().into_iter().flatten();
            let mut available = conditions.filter(|condition| condition["type"] == "Available");
            if available.next().is_none_or(|condition| condition["status"] != "True") {
                return Ok(Err(service["status"].to_string()));
            }
            let discovery = match get("/apis".to_owned(), DISCOVERY).await {
                Ok(discovery) => discovery,
                Err(error) => return Ok(Err(format!("{error:#}"))),
            };
            let groups = discovery["items"].as_array().into_iter().flatten();
            let versions = groups.filter(|of| of["metadata"]["name"] == group).flat_map(|of| of["versions"].as_array());
            let found = versions.flatten().find(|of| of["version"] == version);
            Ok(match found {
                Some(found) if found["freshness"] != "Stale" && found["resources"].is_array() => Ok(()),
                Some(found) => Err(format!("in discovery, but {found}")),
                None => Err("available, but not in discovery".to_owned()),
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_the_binary_is() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"other\"},\"executable\":\"/x/other\"}\n\
                        {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"connector\"},\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"connector\"},\"executable\":\"/x/connector\"}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/x/connector")));
    }
}
