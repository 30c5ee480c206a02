//! `uninstall`.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use connector_ops::install::Target;
use connector_ops::uninstall::{Claims, Removal, Uninstall, UninstallError};

use crate::clusters::{AppCluster, ControlPlane};
use crate::space::SpaceOptions;
use crate::told::{count, tell};
use crate::{Outcome, duration, install};

/// Remove the connector from this cluster; claims stay in the control plane
///
/// First the APIs go, then the connector, then its account in the control plane: that one needs a context of the control plane, by
/// default one of the kubeconfig that has the same URL.
///
///   kubectl connector uninstall
///   kubectl connector uninstall --control-plane-context my-control-plane
///   kubectl connector uninstall --delete-claims
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct UninstallArgs {
    /// Namespace of the control plane with the claims of this cluster; if it is given and another one is installed, nothing is removed
    #[arg(value_name = "CLAIM-NAMESPACE", value_parser = install::namespace)]
    claim_namespace: Option<String>,

    #[command(flatten)]
    app: AppCluster,

    #[command(flatten)]
    access: ControlPlane,

    /// Name of the control plane in a Space
    #[arg(long, value_name = "NAME")]
    control_plane: Option<String>,

    /// Delete the claims of this cluster, too, and with them what they stand for
    #[arg(long)]
    delete_claims: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// End with success where nothing is installed
    #[arg(long)]
    ignore_not_found: bool,

    /// How long to wait for claims to go
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    timeout: Duration,

    #[command(flatten)]
    space: SpaceOptions,
}

pub(crate) async fn run(args: UninstallArgs) -> Outcome {
    let uninstall = Uninstall {
        app: args.app.access(),
        namespace: args.app.namespace.clone(),
        release: args.app.release.clone(),
        control_plane: args.target()?,
        contexts: args.access.access(),
    };
    let removal = match uninstall.look(&tell).await {
        Err(nothing @ UninstallError::NotInstalled { .. }) if args.ignore_not_found => {
            eprintln!("{nothing}");
            return Ok(ExitCode::SUCCESS);
        }
        found => found?,
    };
    if let (Some(given), Some(installed)) = (&args.claim_namespace, removal.claim_namespace())
        && given != installed
    {
        bail!("what is installed has its claims in namespace {installed:?}, not in {given:?}: nothing was removed");
    }
    if args.delete_claims {
        confirm(&removal, args.yes)?;
    }
    removal.remove_apis(&tell).await?;
    if args.delete_claims {
        removal.delete_claims(args.timeout, &tell).await.context("the connector is still installed")?;
    }
    let remains = removal.remove_rest(&tell).await?;
    println!("The connector {:?} was removed from namespace {:?}.", args.app.release, args.app.namespace);
    println!("{}", of_claims(&removal, args.delete_claims));
    if let Some(remains) = remains {
        println!(
            "ServiceAccount {} with its rights is still in the control plane{}, since no context of the kubeconfig leads there. Delete it there with:",
            remains.account,
            removal.server().map(|server| format!(" {server}")).unwrap_or_default()
        );
        remains.commands.iter().for_each(|command| println!("  {command}"));
    }
    Ok(ExitCode::SUCCESS)
}

impl UninstallArgs {
    fn target(&self) -> anyhow::Result<Option<Target>> {
        if let Some(name) = &self.control_plane {
            let target = self.space.target(name)?;
            return Ok(Some(
                target.context("--control-plane names one in a Space: give --spaces-host or --account, too")?,
            ));
        }
        Ok(self.access.is_context_given().then(|| Target::Context(self.access.access())))
    }
}

/// Asks before anything is touched; where nobody can answer, `--yes` has to.
fn confirm(removal: &Removal, yes: bool) -> anyhow::Result<()> {
    let claims = match removal.claims() {
        Ok(claims) => claims,
        Err(why) => bail!("the claims cannot be deleted, since the control plane cannot be asked for them: {why}"),
    };
    let whose = removal.cluster_id().unwrap_or_default();
    eprintln!("cluster {whose} has {} in the control plane{}", count(claims.total(), "claim"), kinds(claims));
    if yes || claims.total() == 0 {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!("nothing was removed, since nobody can be asked here: give --yes to delete the claims");
    }
    eprint!("Delete them and all that they stand for? This cannot be undone. [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was removed");
    }
    Ok(())
}

fn kinds(claims: &Claims) -> String {
    let kinds = claims.kinds().iter().map(|kind| format!("\n  {} {}", kind.count, kind.resource));
    kinds.collect()
}

fn of_claims(removal: &Removal, deleted: bool) -> String {
    let (Some(namespace), Some(cluster)) = (removal.claim_namespace(), removal.cluster_id()) else {
        return "Claims stay in the control plane.".to_owned();
    };
    let how = |kinds: &str| {
        format!("kubectl delete {kinds} -n {namespace} -l mcp-connector.upbound.io/app-cluster={cluster}")
    };
    match removal.claims() {
        Ok(claims) if claims.total() == 0 => "There are no claims of this cluster in the control plane.".to_owned(),
        Ok(claims) if deleted => format!("{} deleted in the control plane.", count(claims.total(), "claim")),
        Ok(claims) => {
            let resources: Vec<&str> = claims.kinds().iter().map(|kind| kind.resource.as_str()).collect();
            format!(
                "{} of this cluster {} in the control plane, in namespace {namespace:?}, with all that {} for:{}\n\
                 A connector that is installed with cluster id {cluster:?} shows them again. Delete them there with:\n  {}",
                count(claims.total(), "claim"),
                if claims.total() == 1 { "stays" } else { "stay" },
                if claims.total() == 1 { "it stands" } else { "they stand" },
                kinds(claims),
                how(&resources.join(","))
            )
        }
        Err(why) => format!(
            "Its claims stay in the control plane, in namespace {namespace:?}; how many is not known: {why}\n\
             A connector that is installed with cluster id {cluster:?} shows them again. Delete them there with:\n  {}",
            how("claim")
        ),
    }
}
