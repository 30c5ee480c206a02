//! `install`, and `connect`, which is the same.

#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use connector_core::origin::ClusterId;
use connector_ops::install::{Applied, Available, Install, Manifests, Target};
use connector_ops::manifests::{Layers, Values};

use crate::clusters::{AppCluster, ControlPlane, label};
use crate::space::{SpaceOptions, token_on_command_line};
use crate::table::Table;
use crate::told::{count, print, say, tell};
use crate::{Outcome, duration};

/// Connect this cluster to a control plane: its claim APIs appear here
///
/// CONTROL-PLANE is a context of the control plane's kubeconfig, or with --spaces-host its name in a Space. An account with the least
/// rights is made there, in CLAIM-NAMESPACE, which is created if it is missing. Run again, it changes nothing; with other options, only
/// what they change.
///
///   kubectl connector connect my-control-plane my-app-ns-1
///   kubectl connector connect my-control-plane my-app-ns-1 --account my-org-name --token-file token
///   kubectl connector install my-control-plane my-app-ns-1 --control-plane-secret my-kubeconfig
#[derive(Args)]
#[command(verbatim_doc_comment, visible_alias = "connect")]
pub(crate) struct InstallArgs {
    /// Context of the control plane, or its name in a Space
    #[arg(value_name = "CONTROL-PLANE")]
    control_plane: String,

    /// Namespace of the control plane for the claims of this cluster, and of no other
    #[arg(value_name = "CLAIM-NAMESPACE", value_parser = label)]
    claim_namespace: String,

    #[command(flatten)]
    app: AppCluster,

    #[command(flatten)]
    access: ControlPlane,

    /// URL of the control plane as the app cluster reaches it [default: as it is reached from here]
    #[arg(long, value_name = "URL")]
    control_plane_server: Option<String>,

    /// Secret in the namespace of the app cluster, with a kubeconfig for the connector; no account is made then
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = ["control_plane_kubeconfig", "control_plane_context", "control_plane_server"]
    )]
    control_plane_secret: Option<String>,

    /// Names this cluster among all that share the control plane [default: what is installed, else the UID of its namespace kube-system]
    #[arg(long, value_name = "ID")]
    cluster_id: Option<ClusterId>,

    /// What people call this cluster; noted at its account in the control plane
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<String>,

    /// File of the Helm chart's values; `-` is standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    values: Vec<PathBuf>,

    /// Value of the Helm chart, as KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// How many replicas [default: 2]
    #[arg(long, value_name = "COUNT")]
    replicas: Option<u32>,

    /// Image of the connector, as REPOSITORY[:TAG][@DIGEST]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// Print the manifests for both sides, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Wait until the APIs answer
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    wait: bool,

    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    timeout: Duration,

    #[command(flatten)]
    space: SpaceOptions,
}

pub(crate) async fn run(args: InstallArgs) -> Outcome {
    args.check()?;
    let values = args.values()?;
    let target = args.target(&values)?;
    let install = Install {
        app: args.app.access(),
        namespace: args.app.namespace,
        release: args.app.release,
        control_plane: target,
        control_plane_server: args.control_plane_server,
        claim_namespace: args.claim_namespace,
        cluster_id: args.cluster_id,
        cluster_name: args.cluster_name,
        values,
    };
    let plan = install.plan(&tell).await?;
    if args.dry_run {
        print(&printed(&plan.manifests())?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let applied = plan.apply(&tell).await?;
    say(summary(applied));
    if args.wait {
        let available = plan.wait(args.timeout, &tell).await.context(
            "everything is installed, and does not work yet; 'kubectl connector doctor' tells what is in the way, and this \
             command goes on from here",
        )?;
        print(&listed(&available))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl InstallArgs {
    /// Whether the options may be as they are; before anything is done.
    fn check(&self) -> Result<(), clap::Error> {
        const TOKENS: [&str; 2] = ["upbound.token", "mcp.token"];
        let set = self.set.iter().flat_map(|set| set.split(','));
        let mut keys = set.map(|set| set.split('=').next().unwrap_or_default());
        if keys.any(|key| TOKENS.contains(&key.trim())) { Err(token_on_command_line()) } else { self.space.check() }
    }

    /// The values, of which options count before files and `--set`.
    fn values(&self) -> anyhow::Result<Values> {
        let mut layers = Layers::default();
        for file in &self.values {
            let named = file.display().to_string();
            let text = if named == "-" {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_| text)
            } else {
                std::fs::read_to_string(file)
            };
            layers = layers.file(&named, &text.with_context(|| format!("the values file {named} cannot be read"))?)?;
        }
        for expression in &self.set {
            layers = layers.set(expression).with_context(|| format!("--set {expression:?} cannot be used"))?;
        }
        let mut values = layers.values()?;
        if let Some(replicas) = self.replicas {
            values.replica_count = replicas;
        }
        if let Some(image) = &self.image {
            let (repository, tag, digest) = parts(image);
            values.image.repository = repository.to_owned();
            values.image.tag = tag.to_owned();
            values.image.digest = digest.to_owned();
        }
        Ok(values)
    }

    fn target(&self, values: &Values) -> anyhow::Result<Target> {
        let in_values = &values.control_plane.kubeconfig_secret;
        // The existing product's values name one, too.
        let of_space = &values.spaces.control_plane.kubeconfig_secret;
        let older = Some(&values.mcp.secret).filter(|secret| !secret.provision).map(|secret| &secret.name);
        let in_any = [Some(&in_values.name), Some(&of_space.name), older].into_iter().flatten();
        let named = self.control_plane_secret.as_ref().or(in_any.into_iter().find(|name| !name.is_empty()));
        if let Some(name) = named {
            let key = if of_space.key.is_empty() { &in_values.key } else { &of_space.key };
            return Ok(Target::Secret { name: name.clone(), key: key.clone() });
        }
        if let Some(target) = self.space.target(&self.control_plane)? {
            return Ok(target);
        }
        Ok(Target::Context(self.access.named(&self.control_plane)))
    }
}

/// What a name of an image consists of: repository, tag, digest; of the latter each may be empty.
fn parts(image: &str) -> (&str, &str, &str) {
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    match name.rsplit_once(':') {
        // The colon of a registry's port has a slash after it.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag, digest),
        _ => (name, "", digest),
    }
}

fn summary(applied: Applied) -> String {
    if applied.is_nothing() {
        return format!("nothing changed: {} as they should be", count(applied.unchanged, "object"));
    }
    let Applied { created, configured, deleted, unchanged } = applied;
    let done = [(created, "created"), (configured, "configured"), (deleted, "deleted"), (unchanged, "unchanged")];
    let done = done.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}"));
    done.collect::<Vec<_>>().join(", ")
}

fn listed(available: &[Available]) -> String {
    if available.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]);
    for api in available {
        let (name, short_names) = (api.name.clone(), api.short_names.join(","));
        table.row(vec![name, short_names, api.api_version.clone(), "true".to_owned(), api.kind.clone()]);
    }
    table.lines().map(|line| line + "\n").collect()
}

fn printed(manifests: &Manifests) -> anyhow::Result<String> {
    let mut text = String::new();
    let sides = [("control plane", &manifests.control_plane), ("app cluster", &manifests.app)];
    for (side, objects) in sides {
        let mut header = format!("# For the {side}: {}.\n", count(objects.len(), "object"));
        for object in objects {
            text += "---\n";
            text += &std::mem::take(&mut header);
            text += &connector_ops::yaml(object)?;
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
    }
    Ok(text)
}
