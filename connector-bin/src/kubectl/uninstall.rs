//! `uninstall`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use connector_ops::install::Target;
use connector_ops::uninstall::{Claims, Remains, Removal, Uninstall, UninstallError};

use crate::clusters::{AppCluster, ControlPlane, label};
use crate::space::SpaceOptions;
use crate::told::{count, print, say, tell};
use crate::{Outcome, duration, question};

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
    #[arg(value_name = "CLAIM-NAMESPACE", value_parser = label)]
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
    args.space.check()?;
    let uninstall = Uninstall {
        app: args.app.access(),
        namespace: args.app.namespace.clone(),
        release: args.app.release.clone(),
        control_plane: args.target()?,
        contexts: args.access.access(),
    };
    let removal = match uninstall.look(&tell).await {
        Err(nothing @ UninstallError::NotInstalled { .. }) if args.ignore_not_found => {
            say(nothing);
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
    let mut told =
        format!("The connector {:?} was removed from namespace {:?}.\n", args.app.release, args.app.namespace);
    told += &format!("{}\n", of_claims(&removal, args.delete_claims));
    if let Some(remains) = remains {
        told += &of_account(&remains, removal.server());
    }
    print(&told)?;
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
        Err(why) => bail!("nothing was removed, since the claims cannot be deleted: {why}"),
    };
    let (whose, at) = (removal.cluster_id().unwrap_or_default(), removal.claim_namespace().unwrap_or_default());
    let server = removal.server().map(|server| format!(" {server}")).unwrap_or_default();
    say(format_args!(
        "cluster {whose} has {} in namespace {at} of the control plane{server}{}",
        count(claims.total(), "claim"),
        kinds(claims)
    ));
    if yes || claims.total() == 0 {
        return Ok(());
    }
    let question = "Delete them and all that they stand for? This cannot be undone.";
    if !question::agreed(question, "give --yes to delete the claims").context("nothing was removed")? {
        bail!("nothing was removed");
    }
    Ok(())
}

fn kinds(claims: &Claims) -> String {
    let kinds = claims.kinds().iter().map(|kind| format!("\n  {} {}", kind.count, kind.resource));
    kinds.collect()
}

fn of_account(remains: &Remains, server: Option<&str>) -> String {
    let account = &remains.account;
    if let Some(heir) = &remains.heir {
        return format!(
            "ServiceAccount {account} stays in the control plane: the app cluster with UID {heir} uses it by now.\n"
        );
    }
    let server = server.map(|server| format!(" {server}")).unwrap_or_default();
    let commands: String = remains.commands.iter().map(|command| format!("  {command}\n")).collect();
    format!(
        "ServiceAccount {account} with its rights is still in the control plane{server}, since no context of the kubeconfig leads there \
         with the right to delete it. Delete it there with:\n{commands}"
    )
}

fn of_claims(removal: &Removal, deleted: bool) -> String {
    let (Some(namespace), Some(cluster)) = (removal.claim_namespace(), removal.cluster_id()) else {
        return "Claims stay in the control plane.".to_owned();
    };
    if removal.heir().is_some() {
        return format!("Claims of cluster id {cluster:?} stay in the control plane, in namespace {namespace:?}.");
    }
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
