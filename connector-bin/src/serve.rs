//! `connector serve`: options, environment and file, merged into one configuration.

mod apis;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use connector_core::origin::{ClusterId, RESERVED_PREFIX};
use connector_proxy::{AppCluster, Config, SecretReference, ServiceReference, SyncOptions, TlsFiles};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::logging::LogFormat;

const DEFAULT_LISTEN: &str = "0.0.0.0:8443";
const DEFAULT_ADMIN_LISTEN: &str = "0.0.0.0:8080";
const DEFAULT_SERVICE: &str = "kube-system/connector:443";
/// Long enough for kube-proxy everywhere to hear of it.
const DEFAULT_SHUTDOWN_DELAY: u32 = 5;
/// With the delay below the 30 s that Kubernetes gives a Pod to end.
const DEFAULT_DRAIN_TIMEOUT: u32 = 20;

/// An option counts before its environment variable, and that before the file given by --config.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServeArgs {
    /// YAML file with any of these options, named as here without the dashes in front, and `apis`
    #[arg(long, env = "CONNECTOR_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,

    /// Kubeconfig of the app cluster [default: in-cluster, else $KUBECONFIG]
    #[arg(long, env = "CONNECTOR_KUBECONFIG", value_name = "FILE")]
    #[serde(default)]
    kubeconfig: Option<PathBuf>,

    /// Kubeconfig of the control plane (required); read again when it changes
    #[arg(long, env = "CONNECTOR_CONTROL_PLANE_KUBECONFIG", value_name = "FILE")]
    #[serde(default)]
    control_plane_kubeconfig: Option<PathBuf>,

    /// Ask the control plane to compress long answers, for a narrow way to it; costs processor time [default: false]
    #[arg(long, env = "CONNECTOR_CONTROL_PLANE_GZIP", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(default)]
    control_plane_gzip: Option<bool>,

    /// Namespace of the control plane that holds this cluster's claims (required); created if missing and allowed
    #[arg(long, env = "CONNECTOR_CLAIM_NAMESPACE", value_name = "NAME")]
    #[serde(default)]
    claim_namespace: Option<String>,

    /// Names this cluster among all that share the control plane [default: UID of its namespace kube-system]
    #[arg(long, env = "CONNECTOR_CLUSTER_ID", value_name = "ID")]
    #[serde(default)]
    cluster_id: Option<String>,

    /// Where the app cluster's kube-apiserver is served [default: 0.0.0.0:8443]
    #[arg(long, env = "CONNECTOR_LISTEN", value_name = "ADDR")]
    #[serde(default)]
    listen: Option<SocketAddr>,

    /// Where /livez, /readyz and /metrics are served [default: 0.0.0.0:8080]
    #[arg(long, env = "CONNECTOR_ADMIN_LISTEN", value_name = "ADDR")]
    #[serde(default)]
    admin_listen: Option<SocketAddr>,

    /// Service in the app cluster that leads here, which the APIServices point to [default: kube-system/connector:443]
    #[arg(long, env = "CONNECTOR_SERVICE", value_name = "NAMESPACE/NAME[:PORT]")]
    #[serde(default)]
    service: Option<String>,

    /// Copy the connection Secrets of claims into the app cluster [default: true]
    #[arg(long, env = "CONNECTOR_CONNECTION_SECRETS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(default)]
    connection_secrets: Option<bool>,

    /// Copy the control plane's events about claims into the app cluster [default: true]
    #[arg(long, env = "CONNECTOR_EVENTS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(default)]
    events: Option<bool>,

    /// Labels that connection Secrets get there; only in the file of --config
    #[arg(skip)]
    #[serde(default)]
    connection_secret_labels: Option<BTreeMap<String, String>>,

    /// Annotations that they get there; only in the file of --config
    #[arg(skip)]
    #[serde(default)]
    connection_secret_annotations: Option<BTreeMap<String, String>>,

    /// How the log is written: text or json [default: text]
    #[arg(long, env = "CONNECTOR_LOG_FORMAT", value_name = "FORMAT", hide_possible_values = true)]
    #[serde(default)]
    log_format: Option<LogFormat>,

    /// Serving certificate chain in PEM [default: generated]
    #[arg(long, env = "CONNECTOR_TLS_CERT_FILE", value_name = "FILE")]
    #[serde(default)]
    tls_cert_file: Option<PathBuf>,

    /// Private key of --tls-cert-file
    #[arg(long, env = "CONNECTOR_TLS_KEY_FILE", value_name = "FILE")]
    #[serde(default)]
    tls_key_file: Option<PathBuf>,

    /// CA by which the app cluster verifies --tls-cert-file [default: the roots of its system]
    #[arg(long, env = "CONNECTOR_TLS_CA_FILE", value_name = "FILE")]
    #[serde(default)]
    tls_ca_file: Option<PathBuf>,

    /// ClusterRole of the app cluster that owns what the connector makes there by itself: with it go APIServices, serving CA and Leases [default: none]
    #[arg(long, env = "CONNECTOR_OWNER", value_name = "NAME")]
    #[serde(default)]
    owner: Option<String>,

    /// Secret of the app cluster that --control-plane-kubeconfig comes from: its token is renewed and written there [default: none]
    #[arg(long, env = "CONNECTOR_CREDENTIAL_SECRET", value_name = "NAMESPACE/NAME[:KEY]")]
    #[serde(default)]
    credential_secret: Option<String>,

    /// How long requests are still taken after SIGTERM while readiness fails already, so that no new ones are sent here [default: 5]
    #[arg(long, env = "CONNECTOR_SHUTDOWN_DELAY", value_name = "SECONDS")]
    #[serde(default)]
    shutdown_delay: Option<u32>,

    /// How long open requests may take to end after that [default: 20]
    #[arg(long, env = "CONNECTOR_DRAIN_TIMEOUT", value_name = "SECONDS")]
    #[serde(default)]
    drain_timeout: Option<u32>,

    /// Namespaces whose Secrets objects of all namespaces may refer to, beside those of their own [default: none]
    #[arg(long, env = "CONNECTOR_INPUT_SECRETS_FROM", value_name = "NAMESPACE", value_delimiter = ',')]
    #[serde(default)]
    input_secrets_from: Option<Vec<String>>,

    #[arg(skip)]
    #[serde(default)]
    apis: Vec<apis::ApiArgs>,
}

/// Serves as `args` say, those of the file included, until SIGTERM or Ctrl-C, then drains.
pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let config = configuration(args)?;
    connector_proxy::serve(config, shutdown()?).await?;
    info!("ended");
    Ok(())
}

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once.
fn shutdown() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("ending: open requests may finish; a second signal ends at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    })
}

fn configuration(args: ServeArgs) -> anyhow::Result<Config> {
    let required = |option: &str, variable: &str| {
        format!("--{option} is required: give the option, set {variable}, or put {option} into the file of --config")
    };
    let tls = match (args.tls_cert_file, args.tls_key_file) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key, ca: args.tls_ca_file }),
        (None, None) if args.tls_ca_file.is_some() => {
            bail!("--tls-ca-file goes with --tls-cert-file and --tls-key-file")
        }
        (None, None) => None,
        _ => bail!("--tls-cert-file and --tls-key-file go together"),
    };
    let sync = SyncOptions {
        connection_secrets: args.connection_secrets.unwrap_or(true),
        events: args.events.unwrap_or(true),
        labels: marks("connection-secret-labels", args.connection_secret_labels, true)?,
        annotations: marks("connection-secret-annotations", args.connection_secret_annotations, false)?,
    };
    Ok(Config {
        app_cluster: args.kubeconfig.map_or(AppCluster::Inferred, AppCluster::Kubeconfig),
        control_plane_kubeconfig: args
            .control_plane_kubeconfig
            .with_context(|| required("control-plane-kubeconfig", "CONNECTOR_CONTROL_PLANE_KUBECONFIG"))?,
        control_plane_gzip: args.control_plane_gzip.unwrap_or_default(),
        claim_namespace: namespace(
            "claim-namespace",
            args.claim_namespace.with_context(|| required("claim-namespace", "CONNECTOR_CLAIM_NAMESPACE"))?,
        )?,
        cluster_id: args.cluster_id.map(|id| id.parse::<ClusterId>()).transpose()?,
        listen: args.listen.unwrap_or_else(|| default(DEFAULT_LISTEN)),
        admin_listen: args.admin_listen.unwrap_or_else(|| default(DEFAULT_ADMIN_LISTEN)),
        service: args.service.as_deref().unwrap_or(DEFAULT_SERVICE).parse::<ServiceReference>()?,
        tls,
        sync,
        apis: apis::configured(&args.apis)?,
        input_secrets_from: args
            .input_secrets_from
            .unwrap_or_default()
            .into_iter()
            .map(|name| namespace("input-secrets-from", name))
            .collect::<Result<_, _>>()?,
        owner: args.owner.map(owner).transpose()?,
        credential_secret: args.credential_secret.map(|secret| secret.parse::<SecretReference>()).transpose()?,
        shutdown_delay: Duration::from_secs(args.shutdown_delay.unwrap_or(DEFAULT_SHUTDOWN_DELAY).into()),
        drain: Duration::from_secs(args.drain_timeout.unwrap_or(DEFAULT_DRAIN_TIMEOUT).into()),
    })
}

fn default(address: &str) -> SocketAddr {
    address.parse().expect("a constant address parses")
}

fn namespace(option: &str, name: String) -> anyhow::Result<String> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let valid =
        (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-');
    if !valid {
        bail!(
            "--{option} {name:?} is not a namespace's name: use 1 to 63 of a-z, 0-9 and -, alphanumeric at both ends"
        );
    }
    Ok(name)
}

/// Names of ClusterRoles are segments of a path, and anything else.
fn owner(name: String) -> anyhow::Result<String> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '%']) {
        bail!("--owner {name:?} is not a ClusterRole's name");
    }
    Ok(name)
}

/// Labels or annotations that kube-apiserver would take.
fn marks(
    option: &str,
    given: Option<BTreeMap<String, String>>,
    are_labels: bool,
) -> anyhow::Result<BTreeMap<String, String>> {
    let marks = given.unwrap_or_default();
    // A cluster id is what may be the value of a label, and the name in a key is the same.
    let is_value = |text: &str| text.parse::<ClusterId>().is_ok();
    for (key, value) in &marks {
        let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
        if !is_value(name) || prefix.contains('/') || (key.contains('/') && prefix.is_empty()) {
            bail!("{option}: {key:?} is no key: use NAME or PREFIX/NAME, such as example.org/team");
        }
        if key.starts_with(RESERVED_PREFIX) {
            bail!("{option}: {key:?} is the connector's own: use another prefix than {RESERVED_PREFIX}");
        }
        if are_labels && !value.is_empty() && !is_value(value) {
            bail!(
                "{option}: {value:?} of {key:?} is no label value: use at most 63 alphanumeric characters, `-`, `_` or `.`, alphanumeric at both ends"
            );
        }
    }
    Ok(marks)
}

fn read(file: &Path) -> anyhow::Result<ServeArgs> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read --config {}", file.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("--config {} cannot be used", file.display()))
}

impl ServeArgs {
    /// With what the file of --config says beside.
    pub(crate) fn with_file(self) -> anyhow::Result<Self> {
        match &self.config {
            Some(file) => {
                let from_file = read(file)?;
                Ok(self.or(from_file))
            }
            None => Ok(self),
        }
    }

    /// How the log is written.
    pub(crate) fn log_format(&self) -> LogFormat {
        self.log_format.unwrap_or_default()
    }

    /// What is set here, else what is set in `other`.
    fn or(self, other: Self) -> Self {
        Self {
            config: self.config,
            kubeconfig: self.kubeconfig.or(other.kubeconfig),
            control_plane_kubeconfig: self.control_plane_kubeconfig.or(other.control_plane_kubeconfig),
            control_plane_gzip: self.control_plane_gzip.or(other.control_plane_gzip),
            claim_namespace: self.claim_namespace.or(other.claim_namespace),
            cluster_id: self.cluster_id.or(other.cluster_id),
            listen: self.listen.or(other.listen),
            admin_listen: self.admin_listen.or(other.admin_listen),
            service: self.service.or(other.service),
            connection_secrets: self.connection_secrets.or(other.connection_secrets),
            events: self.events.or(other.events),
            connection_secret_labels: self.connection_secret_labels.or(other.connection_secret_labels),
            connection_secret_annotations: self.connection_secret_annotations.or(other.connection_secret_annotations),
            log_format: self.log_format.or(other.log_format),
            tls_cert_file: self.tls_cert_file.or(other.tls_cert_file),
            tls_key_file: self.tls_key_file.or(other.tls_key_file),
            tls_ca_file: self.tls_ca_file.or(other.tls_ca_file),
            owner: self.owner.or(other.owner),
            credential_secret: self.credential_secret.or(other.credential_secret),
            shutdown_delay: self.shutdown_delay.or(other.shutdown_delay),
            drain_timeout: self.drain_timeout.or(other.drain_timeout),
            input_secrets_from: self.input_secrets_from.or(other.input_secrets_from),
            apis: other.apis,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn complete() -> ServeArgs {
        ServeArgs {
            control_plane_kubeconfig: Some("cp".into()),
            claim_namespace: Some("claims".into()),
            ..ServeArgs::default()
        }
    }

    #[test]
    fn defaults() {
        let config = configuration(complete()).unwrap();
        assert_eq!(config.listen, "0.0.0.0:8443".parse().unwrap());
        assert_eq!(config.admin_listen, "0.0.0.0:8080".parse().unwrap());
        assert_eq!(config.service, "kube-system/connector:443".parse().unwrap());
        assert!(matches!(config.app_cluster, AppCluster::Inferred));
    }

    #[test]
    fn an_option_counts_before_the_file() {
        let file: ServeArgs = serde_saphyr::from_str("claim-namespace: file\ncluster-id: file\n").unwrap();
        let merged = complete().or(file);
        assert_eq!((merged.claim_namespace.as_deref(), merged.cluster_id.as_deref()), (Some("claims"), Some("file")));
    }

    #[test]
    fn mistakes_are_told() {
        let error = |args: ServeArgs| format!("{:#}", configuration(args).unwrap_err());
        assert!(error(ServeArgs::default()).contains("CONNECTOR_CONTROL_PLANE_KUBECONFIG"));
        let args = ServeArgs { claim_namespace: None, ..complete() };
        assert!(error(args).contains("--claim-namespace is required"));
        let args = ServeArgs { claim_namespace: Some("Team_A".into()), ..complete() };
        assert!(error(args).contains("not a namespace's name"));
        let args = ServeArgs { cluster_id: Some("a/b".into()), ..complete() };
        assert!(error(args).contains("not a label value"));
        let args = ServeArgs { tls_cert_file: Some("c".into()), ..complete() };
        assert!(error(args).contains("go together"));
        for (labels, told) in [
            (("a b", "x"), "is no key"),
            (("/x", "x"), "is no key"),
            (("mcp-connector.upbound.io/x", "x"), "the connector's own"),
            (("team", "-"), "no label value"),
        ] {
            let labels = BTreeMap::from([(labels.0.to_owned(), labels.1.to_owned())]);
            let args = ServeArgs { connection_secret_labels: Some(labels), ..complete() };
            assert!(error(args).contains(told), "{told}");
        }
        let args = ServeArgs { input_secrets_from: Some(vec!["Vault".into()]), ..complete() };
        assert!(error(args).contains("--input-secrets-from \"Vault\" is not a namespace's name"));
        let unknown = serde_saphyr::from_str::<ServeArgs>("claim-namespaces: x\n").unwrap_err().to_string();
        assert!(unknown.contains("claim-namespaces"), "{unknown}");
    }
}
