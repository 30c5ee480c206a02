//! `kubectl connector adopt`: claims that were made elsewhere, under a cluster's origin, and back.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use connector_core::origin::{ClusterId, Hashed};
use connector_ops::Access;
use connector_ops::adopt::{Action, Pick, Plan, Request, Source, Step, carry_out, survey, survey_return};

use crate::clusters::label;
use crate::table::Table;
use crate::told::{count, print, say};
use crate::{Outcome, question};

/// Bring claims that were made elsewhere under the origin of an app cluster, and back.
///
/// Claims that were created in the control plane directly are named with --from-namespace, those of a Crossplane in the app
/// cluster come out of files with -f. Each is made anew under the name that the connector gives it, bound to the same
/// composite, so that nothing that stands for it changes; then the old one is taken away. The plan is shown first. What was
/// interrupted goes on when the command is run again, and --undo gives the claims their names back.
///
///   kubectl connector adopt app-1 --cluster my-cluster --from-namespace team-a
///   kubectl connector adopt app-1 --cluster my-cluster --from-namespace team-a kubernetescluster/db
///   kubectl connector adopt app-1 --cluster my-cluster -f claims.yaml -f composites.yaml
///   kubectl connector adopt app-1 --cluster my-cluster --unpause
///   kubectl connector adopt app-1 --cluster my-cluster --undo
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AdoptArgs {
    /// Namespace of the control plane that holds the claims of the app cluster; created if it is missing
    #[arg(value_name = "CLAIM-NAMESPACE", value_parser = label)]
    claim_namespace: String,

    /// Only these: KIND or KIND/NAME [default: all]
    #[arg(value_name = "CLAIM")]
    only: Vec<Pick>,

    /// Kubeconfig of the control plane [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the control plane in its kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Id of the app cluster, as its connector has it: --cluster-id, else the UID of its namespace kube-system
    #[arg(long, value_name = "ID")]
    cluster: ClusterId,

    /// Namespace of the control plane where the claims are
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "undo"], value_parser = label)]
    from_namespace: Option<String>,

    /// Only claims with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", requires = "from_namespace")]
    selector: Option<String>,

    /// File with claims and their composites, as `kubectl get -o yaml` prints them; - is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "undo")]
    file: Vec<PathBuf>,

    /// Namespace of the app cluster where the claims appear [default: the one that they are in]
    #[arg(long, value_name = "NAME", conflicts_with = "undo", value_parser = label)]
    to_namespace: Option<String>,

    /// Keep the names of connection Secrets in the control plane; users of the app cluster see the same name either way
    #[arg(long, conflicts_with = "undo")]
    keep_secret_names: bool,

    /// Unpause claims that come out of files, those of earlier runs included, which are created paused
    #[arg(long, conflicts_with = "undo")]
    unpause: bool,

    /// Give adopted claims their names and namespaces back
    #[arg(long)]
    undo: bool,

    /// Show the plan, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(args: AdoptArgs) -> Outcome {
    let scheme = Hashed { cluster: args.cluster, claim_namespace: args.claim_namespace };
    let access = Access { kubeconfig: args.kubeconfig, context: args.context };
    let control_plane = access.client().await?;
    // Nothing else shows whether the right context was chosen.
    say(format_args!("control plane: {}", access.config().await?.cluster_url.to_string().trim_end_matches('/')));
    let plan = if args.undo {
        survey_return(&control_plane, &scheme, &args.only).await?
    } else {
        let source = match (args.from_namespace, args.file.is_empty()) {
            (Some(namespace), _) => Source::Namespace { namespace, only: args.only, selector: args.selector },
            (None, false) => {
                let texts = args.file.iter().map(read).collect::<anyhow::Result<_>>()?;
                Source::Documents { texts, only: args.only }
            }
            (None, true) => {
                anyhow::ensure!(args.only.is_empty(), "say where the claims are: --from-namespace NAME, or -f FILE");
                Source::Unfinished
            }
        };
        let request = Request {
            scheme: scheme.clone(),
            source,
            to_namespace: args.to_namespace,
            keep_secret_names: args.keep_secret_names,
            unpause: args.unpause,
        };
        survey(&control_plane, &request).await?
    };
    show(&plan)?;
    if !plan.refused.is_empty() {
        for refused in &plan.refused {
            say(format_args!("error: {} {} {}", refused.kind, refused.place, refused.why));
        }
        say("Nothing is done. Mend it, or name the claims that are to be moved");
        return Ok(ExitCode::FAILURE);
    }
    if plan.steps.is_empty() {
        say("Nothing to do");
        return Ok(ExitCode::SUCCESS);
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let agreed = || question::agreed("\nDo it?", "say --yes to do it, or --dry-run to see the plan only");
    if !args.yes && !agreed()? {
        say("Nothing is done");
        return Ok(ExitCode::FAILURE);
    }
    carry_out(&control_plane, &plan, |step| say(told(step))).await?;
    say(format_args!("{} done", count(plan.steps.len(), "claim")));
    if plan.steps.iter().any(Step::stays_paused) {
        say("What came out of files is paused. Look at it, then run it with --unpause");
    }
    Ok(ExitCode::SUCCESS)
}

fn show(plan: &Plan) -> anyhow::Result<()> {
    let mut out = String::new();
    if !plan.steps.is_empty() {
        let mut table = Table::new(&["ACTION", "KIND", "FROM", "TO", "LOCAL", "COMPOSITE", "SECRET"]);
        for step in &plan.steps {
            let (from, to) = match step.action {
                Action::GiveBack => (step.to(), step.from()),
                Action::Adopt | Action::Continue | Action::Unpause => (step.from(), step.to()),
            };
            let secret = match (step.action, step.secret()) {
                (_, None) => String::new(),
                (Action::GiveBack, Some((from, _))) => from.to_owned(),
                (_, Some((_, to))) => to.to_owned(),
            };
            let cells = [
                action(step.action),
                step.kind(),
                &from.to_string(),
                &to.to_string(),
                &step.local().to_string(),
                step.composite().unwrap_or("<none>"),
                &secret,
            ];
            table.row(cells.map(str::to_owned).to_vec());
        }
        for line in table.lines() {
            out += &line;
            out.push('\n');
        }
    }
    if let Some(namespace) = plan.creates_namespace().filter(|_| !plan.steps.is_empty()) {
        out += &format!("\nThe namespace {namespace} is created.\n");
    }
    let noted = plan.steps.iter().filter(|step| !step.notes.is_empty());
    for (number, step) in noted.enumerate() {
        if number == 0 {
            out.push('\n');
        }
        for note in &step.notes {
            out += &format!("{} {}: {note}\n", step.kind(), step.from());
        }
    }
    print(&out)?;
    for note in &plan.notes {
        say(note);
    }
    Ok(())
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Adopt => "adopt",
        Action::Continue => "go on",
        Action::Unpause => "unpause",
        Action::GiveBack => "give back",
    }
}

fn told(step: &Step) -> String {
    let (kind, from, to, local) = (step.kind(), step.from(), step.to(), step.local());
    match step.action {
        Action::Adopt | Action::Continue => format!("{kind} {from} is {to} now, and {local} in the app cluster"),
        Action::Unpause => format!("{kind} {local} is not paused any more"),
        Action::GiveBack => format!("{kind} {to} is {from} again"),
    }
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
