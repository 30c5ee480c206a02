//! `kubectl connector claims`: every connected cluster with its claims, in the control plane.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use connector_core::origin::ClusterId;
use connector_ops::Access;
use connector_ops::claims::{Change, Claim, Condition, Selection, Unread, list, watch};
use futures::StreamExt;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use crate::Outcome;
use crate::clusters::label;
use crate::table::{Table, age};
use crate::told::say;

/// Show every connected cluster with its claims, in the control plane.
///
/// Claims are those of all app clusters, in all claim namespaces, with the names that they have in their own clusters, unless
/// --cluster or --namespace chooses. Objects that were created in the control plane itself have no origin, and are not shown.
/// With -o name they are named as the control plane does, for kubectl there.
#[derive(Args)]
pub(crate) struct ClaimsArgs {
    /// Kubeconfig of the control plane [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the control plane in its kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Only in this claim namespace of the control plane [default: all; the context's namespace does not count]
    #[arg(short, long, value_name = "NAME", value_parser = label)]
    namespace: Option<String>,

    /// In all claim namespaces, which is the default
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,

    /// Only of the app cluster with this id
    #[arg(long, value_name = "ID")]
    cluster: Option<ClusterId>,

    /// Go on and print each change
    #[arg(short, long)]
    watch: bool,

    /// How it is printed [default: a table]
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Wide,
    Json,
    Yaml,
    Name,
}

pub(crate) async fn run(args: ClaimsArgs) -> Outcome {
    let control_plane = Access { kubeconfig: args.kubeconfig, context: args.context }.client().await?;
    let selection = Selection { cluster: args.cluster, claim_namespace: args.namespace };
    let mut printer = Printer::new(args.output);
    if args.watch {
        let mut changes = std::pin::pin!(watch(&control_plane, &selection).await?);
        let mut first = true;
        while let Some(change) = changes.next().await {
            let printed = match change {
                Change::Listed(claims) => printer.one_by_one(&claims),
                Change::Changed(claim) | Change::Deleted(claim) => printer.one_by_one(&[claim]),
                Change::Unread(unread) => {
                    tell(&unread);
                    Ok(())
                }
            };
            first = false;
            match printed {
                Ok(()) => {}
                // Whoever reads has enough, as `head` does.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::ensure!(!first, "the watch ended before it began");
        return Ok(ExitCode::SUCCESS);
    }
    let listing = list(&control_plane, &selection).await?;
    listing.unread.iter().for_each(tell);
    if selection.claim_namespace.is_none() && listing.unread.iter().any(|unread| unread.forbidden) {
        say("With -n NAMESPACE only one claim namespace is asked for, where you may be allowed to.");
    }
    match printer.all(&listing.claims) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    if listing.claims.is_empty() && listing.unread.is_empty() && matches!(args.output, None | Some(Output::Wide)) {
        let of = selection.cluster.map_or_else(String::new, |cluster| format!(" of cluster {cluster}"));
        match selection.claim_namespace {
            Some(namespace) => say(format_args!("No claims{of} found in {namespace} namespace.")),
            None => say(format_args!("No claims{of} found")),
        }
    }
    Ok(if listing.unread.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(Unread { resource, message, .. }: &Unread) {
    say(format_args!("error: {resource} cannot be listed: {message}"));
}

/// Prints claims in one of the forms.
struct Printer {
    output: Option<Output>,
    table: Table,
}

impl Printer {
    fn new(output: Option<Output>) -> Self {
        let mut headers = vec!["CLUSTER", "NAMESPACE", "NAME", "SYNCED", "READY", "AGE"];
        if output == Some(Output::Wide) {
            headers.extend(["CLAIM-NAMESPACE", "REMOTE-NAME", "COMPOSITE", "MESSAGE"]);
        }
        Self { output, table: Table::new(&headers) }
    }

    /// All at once: one document, or a table.
    fn all(&mut self, claims: &[Claim]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match self.output {
            Some(Output::Json) => {
                serde_json::to_writer_pretty(&mut out, &Items { items: claims })?;
                writeln!(out)
            }
            Some(Output::Yaml) => out.write_all(yaml(&Items { items: claims })?.as_bytes()),
            None | Some(Output::Wide | Output::Name) if claims.is_empty() => Ok(()),
            None | Some(Output::Wide | Output::Name) => {
                drop(out);
                self.one_by_one(claims)
            }
        }
    }

    /// As they come, a document each.
    fn one_by_one(&mut self, claims: &[Claim]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match self.output {
            Some(Output::Json) => {
                for claim in claims {
                    serde_json::to_writer_pretty(&mut out, claim)?;
                    writeln!(out)?;
                }
            }
            Some(Output::Yaml) => {
                for claim in claims {
                    write!(out, "---\n{}", yaml(claim)?)?;
                }
            }
            Some(Output::Name) => {
                for claim in claims {
                    writeln!(out, "{}/{}", claim.resource, claim.remote_name)?;
                }
            }
            None | Some(Output::Wide) => {
                let (now, wide) = (Timestamp::now(), self.output.is_some());
                claims.iter().for_each(|claim| self.table.row(row(claim, now, wide)));
                for line in self.table.lines() {
                    writeln!(out, "{line}")?;
                }
                self.table.clear();
            }
        }
        out.flush()
    }
}

fn row(claim: &Claim, now: Timestamp, wide: bool) -> Vec<String> {
    let Claim { cluster, namespace, name, kind, synced, ready, .. } = claim;
    let status =
        |condition: &Option<Condition>| condition.as_ref().map_or_else(String::new, |given| given.status.clone());
    let name = format!("{kind}/{name}");
    let mut row =
        vec![cluster.clone(), namespace.clone(), name, status(synced), status(ready), age(claim.created, now)];
    if wide {
        let composite = claim.composite.clone().unwrap_or_else(|| "<none>".to_owned());
        row.extend([claim.claim_namespace.clone(), claim.remote_name.clone(), composite, trouble(claim)]);
    }
    row
}

/// Why a claim is not in order, on one line.
fn trouble(claim: &Claim) -> String {
    let conditions = [&claim.synced, &claim.ready].into_iter().flatten();
    let wrong =
        conditions.filter(|condition| condition.status != "True").find(|condition| !condition.reason.is_empty());
    match wrong {
        Some(Condition { reason, message, .. }) if message.is_empty() => reason.clone(),
        Some(Condition { reason, message, .. }) => {
            format!("{reason}: {}", message.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        None => String::new(),
    }
}

/// The one document of a list.
#[derive(Serialize)]
struct Items<'a> {
    items: &'a [Claim],
}

fn yaml(value: &impl Serialize) -> std::io::Result<String> {
    serde_saphyr::to_string(value).map_err(std::io::Error::other)
}
