//! `kubectl connector doctor`: what is in the way of the connector, and how to mend it.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use connector_ops::doctor::{Commands, Finding, Level, Patient, Report, doctor};
use connector_ops::{Access, ReleaseName};

use crate::Outcome;
use crate::clusters::{AppCluster, ControlPlane, label};
use crate::told::print;

/// Look at everything that the connector needs, before it is installed and after, and say how to mend what is wrong.
///
/// Once it is installed, the control plane is looked at with the connector's own credential. Before, name the control plane with
/// --control-plane-context or --control-plane-kubeconfig. Nothing is changed. Ends with 1 if anything is an error.
#[derive(Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    app_cluster: AppCluster,

    #[command(flatten)]
    control_plane: ControlPlane,

    /// Namespace of the control plane for the claims of this cluster [default: that of the install]
    #[arg(long, value_name = "NAME", value_parser = label)]
    claim_namespace: Option<String>,

    /// Id of this cluster [default: that of the install]
    #[arg(long, value_name = "ID")]
    cluster_id: Option<String>,

    /// How it is printed [default: for people]
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Json,
    Yaml,
}

pub(crate) async fn run(args: DoctorArgs) -> Outcome {
    let app = args.app_cluster.access();
    let control_plane = args.control_plane.access();
    // Without an option of its own the control plane is not the app cluster's context over again.
    let named = control_plane != Access::default();
    let commands = Commands {
        app: kubectl(&app),
        control_plane: if named { kubectl(&control_plane) } else { Commands::default().control_plane },
    };
    let patient = Patient {
        app: app.observer().await?,
        release: ReleaseName { namespace: args.app_cluster.namespace, name: args.app_cluster.release },
        control_plane: if named { Some(control_plane.observer().await?) } else { None },
        claim_namespace: args.claim_namespace,
        cluster_id: args.cluster_id,
        commands,
    };
    let report = doctor(&patient).await;
    let printed = match args.output {
        Some(Output::Json) => serde_json::to_string_pretty(&report)? + "\n",
        Some(Output::Yaml) => serde_saphyr::to_string(&report)?,
        None => told(&report),
    };
    print(&printed)?;
    Ok(if report.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How a command for a cluster begins.
fn kubectl(access: &Access) -> String {
    let mut command = "kubectl".to_owned();
    if let Some(file) = &access.kubeconfig {
        command.push_str(&format!(" --kubeconfig {}", quoted(&file.display().to_string())));
    }
    if let Some(context) = &access.context {
        command.push_str(&format!(" --context {}", quoted(context)));
    }
    command
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// For people: a line for each finding, under it the command that mends it, and at the end the sum.
fn told(report: &Report) -> String {
    let mut out = String::new();
    for Finding { level, what, mend, .. } in &report.findings {
        out.push_str(&format!("{level:<7}   {what}\n"));
        if let Some(mend) = mend {
            out.push_str(&format!("{:<7}   mend it: {mend}\n", ""));
        }
    }
    let count = |level| report.findings.iter().filter(|finding| finding.level == level).count();
    let many = |count: usize, one: &str| match count {
        0 => format!("no {one}s"),
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    out.push_str(&format!("\n{}, {}\n", many(errors, "error"), many(warnings, "warning")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_given_to_a_shell() {
        assert_eq!(quoted("arn:aws:eks:eu-1:1:cluster/a"), "arn:aws:eks:eu-1:1:cluster/a");
        assert_eq!(quoted("a context"), "'a context'");
        assert_eq!(quoted("it's; rm"), r"'it'\''s; rm'");
        assert_eq!(quoted(""), "''");
    }
}
