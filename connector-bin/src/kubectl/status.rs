//! `kubectl connector status`: whether the connector works, and what it is made of.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use connector_ops::status::{ApiStatus, Reach, Status, status};
use connector_ops::{Credential, ReleaseName};
use k8s_openapi::jiff::Timestamp;

use crate::Outcome;
use crate::clusters::AppCluster;
use crate::table::{Table, age, human};
use crate::told::print;

/// Show whether the connector works, and what it is made of.
///
/// Ends with 0 if it does and with 1 if not. With -o json or yaml the form is stable: members are added, none is renamed or
/// removed. What may not be read is told at the end, and the rest is still shown.
#[derive(Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    app_cluster: AppCluster,

    /// How it is printed [default: for people]
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Json,
    Yaml,
}

pub(crate) async fn run(args: StatusArgs) -> Outcome {
    let app = args.app_cluster.access().observer().await?;
    let release = ReleaseName { namespace: args.app_cluster.namespace, name: args.app_cluster.release };
    let status = status(&app, &release).await?;
    let printed = match args.output {
        Some(Output::Json) => serde_json::to_string_pretty(&status)? + "\n",
        Some(Output::Yaml) => serde_saphyr::to_string(&status)?,
        None => told(&status, Timestamp::now()),
    };
    print(&printed)?;
    Ok(if status.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// For people.
fn told(status: &Status, now: Timestamp) -> String {
    let mut out = String::new();
    let release = &status.release;
    let mut facts = Table::without_headers(2);
    let mut fact = |name: &str, value: String| facts.row(vec![format!("{name}:"), value]);
    fact("Healthy", if status.healthy { "yes" } else { "no" }.to_owned());
    let made = [release.version.clone(), release.managed_by.as_ref().map(|by| format!("managed by {by}"))];
    let made: Vec<String> = made.into_iter().flatten().collect();
    let made = if made.is_empty() { String::new() } else { format!(" ({})", made.join(", ")) };
    fact("Release", format!("{}/{}{made}", release.namespace, release.name));
    fact("Cluster id", release.cluster_id.clone().unwrap_or_else(unknown));
    fact("Claim namespace", release.claim_namespace.clone().unwrap_or_else(unknown));
    fact("Control plane", control_plane(status));
    fact("  as the connector sees it", reach(&status.control_plane.through_the_connector));
    fact("  from here", reach(&status.control_plane.from_here));
    fact("Credential", status.credential.as_ref().map_or_else(unknown, |given| credential(given, now)));
    fact("Serving certificate", serving_certificate(status, now));
    fact("Replicas", format!("{} of {} ready", status.replicas.ready, status.replicas.wanted));
    for leader in &status.replicas.leaders {
        let holder = leader.holder.clone().unwrap_or_else(|| "nobody".to_owned());
        let renewed = leader.renewed.map_or_else(String::new, |time| format!(", renewed {} ago", age(Some(time), now)));
        fact(&format!("  Lease {}", leader.lease), format!("{holder}{renewed}"));
    }
    section(&mut out, "", facts.lines());
    section(&mut out, "Problems:", bullets(&status.problems));
    section(&mut out, "Warnings:", bullets(&status.warnings));

    if !status.replicas.pods.is_empty() {
        let mut table = Table::new(&["POD", "READY", "RESTARTS", "NODE"]);
        for pod in &status.replicas.pods {
            let node = pod.node.clone().unwrap_or_else(|| "<none>".to_owned());
            table.row(vec![pod.name.clone(), yes(pod.ready), pod.restarts.to_string(), node]);
        }
        section(&mut out, "", table.lines());
    }
    if !status.apis.is_empty() {
        let mut table = Table::new(&["API", "VERSIONS", "KIND", "FORM", "OBJECTS"]);
        for api in &status.apis {
            let ApiStatus { group, plural, kind, versions, form, objects, .. } = api;
            let objects = objects.map_or_else(unknown, |objects| objects.to_string());
            let form = form.map_or_else(unknown, str::to_owned);
            table.row(vec![format!("{plural}.{group}"), versions.join(","), kind.clone(), form, objects]);
        }
        section(&mut out, "", table.lines());
    }
    if !status.api_services.is_empty() {
        let mut table = Table::new(&["APISERVICE", "AVAILABLE", "REASON", "SINCE"]);
        for one in &status.api_services {
            table.row(vec![one.name.clone(), one.available.clone(), one.reason.clone(), age(one.since, now)]);
        }
        section(&mut out, "", table.lines());
    }
    let errors = status.last_errors.iter().map(|line| {
        let when = line.time.map_or_else(String::new, |time| format!("{} ago, ", age(Some(time), now)));
        let times = if line.times > 1 { format!(" (x{})", line.times) } else { String::new() };
        format!("  {when}{}: {} {}{times}", line.pod, line.level, line.message)
    });
    section(&mut out, "Last errors:", errors);
    let unread = status.unread.iter().map(|unread| format!("  {}: {}", unread.what, unread.message));
    section(&mut out, "Could not be read:", unread);
    if !status.healthy {
        let _ = writeln!(out, "\nkubectl connector doctor tells how to mend it.");
    }
    out
}

/// Adds lines under a title; nothing where there are none.
fn section(out: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let title = (!title.is_empty()).then(|| title.to_owned());
    for line in title.into_iter().chain(lines) {
        let _ = writeln!(out, "{line}");
    }
}

fn bullets(items: &[String]) -> impl Iterator<Item = String> {
    items.iter().map(|item| format!("  {item}"))
}

fn control_plane(status: &Status) -> String {
    let server = status.credential.as_ref().map_or_else(unknown, |credential| credential.server.clone());
    match &status.control_plane.version {
        Some(version) => format!("{server} ({version})"),
        None => server,
    }
}

fn reach(reach: &Reach) -> String {
    match reach {
        Reach::Reachable => "reachable".to_owned(),
        Reach::Unreachable(why) => format!("not reachable: {why}"),
        Reach::Unknown(why) => format!("unknown: {why}"),
    }
}

fn credential(credential: &Credential, now: Timestamp) -> String {
    let Credential { kind, subject, expires, secret, .. } = credential;
    let of = subject.as_ref().map_or_else(String::new, |subject| format!(" of {subject}"));
    format!("{kind}{of} in Secret {secret}, {}", expiry(*expires, now))
}

fn serving_certificate(status: &Status, now: Timestamp) -> String {
    let serving = &status.serving_certificate;
    let leaf = match &serving.secret {
        Some(secret) => format!("of Secret {secret}, {}", expiry(serving.expires, now)),
        None => "generated and renewed by the connector".to_owned(),
    };
    match serving.ca_expires {
        Some(expires) => format!("{leaf}; its CA {}", expiry(Some(expires), now)),
        None => leaf,
    }
}

fn expiry(expires: Option<Timestamp>, now: Timestamp) -> String {
    match expires.map(|expires| expires.as_second() - now.as_second()) {
        None => "expires at no known time".to_owned(),
        Some(left) if left <= 0 => format!("expired {} ago", human(-left)),
        Some(left) => format!("expires in {}", human(left)),
    }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn unknown() -> String {
    "<unknown>".to_owned()
}
