//! What the connector asked of both clusters, by their audit logs: it has a user of its own, and nobody else is logged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use testkit::ClusterOptions;

/// The connector's user.
pub(crate) const USER: &str = "connector";

/// The sides, as they are printed.
const SIDES: [&str; 2] = ["app cluster", "control plane"];

/// The logs of both clusters.
pub(crate) struct Logs {
    paths: [PathBuf; 2],
}

/// A place in both logs; by default the beginning.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mark([usize; 2]);

/// What was asked between two places.
#[derive(Default)]
pub(crate) struct Requests {
    /// By side, resource and verb: how many, and when the last was answered.
    seen: BTreeMap<(usize, String, String), (usize, SystemTime)>,
}

impl Logs {
    /// Writes the policy into `folder`, where the logs go too.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{ "level": "Metadata", "users": [USER] }, { "level": "None" }],
        });
        std::fs::write(folder.join("policy.yaml"), policy.to_string())?;
        Ok(Self { paths: ["app", "control-plane"].map(|side| folder.join(format!("{side}.log"))) })
    }

    /// The app cluster's options and the control plane's.
    pub(crate) fn options(&self) -> [ClusterOptions; 2] {
        let options = |name, path: &Path| ClusterOptions {
            apiserver_args: vec![
                format!("--audit-policy-file={}", path.with_file_name("policy.yaml").display()),
                format!("--audit-log-path={}", path.display()),
            ],
            ..ClusterOptions::named(name)
        };
        let [app, control_plane] = &self.paths;
        [options("app-cluster", app), options("control-plane", control_plane)]
    }

    /// The end of what is logged so far.
    pub(crate) fn mark(&self) -> Result<Mark> {
        let mut ends = [0; 2];
        for (end, path) in ends.iter_mut().zip(&self.paths) {
            *end = usize::try_from(std::fs::metadata(path)?.len())?;
        }
        Ok(Mark(ends))
    }

    /// What was answered since. A watch counts when it begins.
    pub(crate) fn since(&self, mark: Mark) -> Result<Requests> {
        let mut requests = Requests::default();
        for (side, (path, from)) in self.paths.iter().zip(mark.0).enumerate() {
            let log = std::fs::read(path)?;
            let new = std::str::from_utf8(log.get(from..).context("the log was cut")?)?;
            // What is not yet a whole line was not yet answered.
            let whole = &new[..new.rfind('\n').map_or(0, |end| end + 1)];
            for line in whole.lines() {
                requests.add(side, &serde_json::from_str(line)?)?;
            }
        }
        Ok(requests)
    }
}

impl Requests {
    fn add(&mut self, side: usize, event: &Value) -> Result<()> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let verb = text(&event["verb"]);
        if (verb == "watch") != (event["stage"] == "ResponseStarted") {
            return Ok(());
        }
        let of = &event["objectRef"];
        let resource = match (of["resource"].as_str(), of["subresource"].as_str()) {
            (Some(resource), Some(subresource)) => format!("{resource}/{subresource}"),
            (Some(resource), None) => resource.to_owned(),
            (None, _) => text(&event["requestURI"]).split('?').next().unwrap_or_default().to_owned(),
        };
        let at: Timestamp = text(&event["stageTimestamp"]).parse()?;
        let (count, last) = self.seen.entry((side, resource, verb)).or_insert((0, SystemTime::UNIX_EPOCH));
        *count += 1;
        *last = (*last).max(at.into());
        Ok(())
    }

    fn of<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = (&'a str, usize, SystemTime)> {
        let all = self.seen.iter().filter(move |((_, of, _), _)| of == resource);
        all.map(|((_, _, verb), (count, last))| (verb.as_str(), *count, *last))
    }

    /// How many objects of a resource were written, or tried to be.
    pub(crate) fn writes(&self, resource: &str) -> usize {
        let writes = self.of(resource).filter(|(verb, ..)| !["get", "list", "watch"].contains(verb));
        writes.map(|(_, count, _)| count).sum()
    }

    /// When the last list, or page of one, was answered, or the last watch began.
    pub(crate) fn last_read(&self, resource: &str) -> Option<SystemTime> {
        self.of(resource).filter(|(verb, ..)| ["list", "watch"].contains(verb)).map(|(.., last)| last).max()
    }

    /// How many watches of a resource began.
    pub(crate) fn watches(&self, resource: &str) -> usize {
        self.of(resource).filter(|(verb, ..)| *verb == "watch").map(|(_, count, _)| count).sum()
    }
}

/// One column for each time.
pub(crate) fn print(columns: &[(&str, &Requests)]) {
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    println!("| requests of the connector | {} |\n|---|{}", titles.join(" | "), "---|".repeat(titles.len()));
    let mut kinds: Vec<_> = columns.iter().flat_map(|(_, requests)| requests.seen.keys()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let row = |title: String, counts: Vec<usize>| {
        let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
        println!("| {title} | {} |", counts.join(" | "));
    };
    for kind in kinds {
        let (side, resource, verb) = kind;
        let count = |(_, requests): &(&str, &Requests)| requests.seen.get(kind).map_or(0, |(count, _)| *count);
        row(format!("{}: {verb} {resource}", SIDES[*side]), columns.iter().map(count).collect());
    }
    for (index, side) in SIDES.iter().enumerate() {
        let count = |(_, requests): &(&str, &Requests)| {
            let of = requests.seen.iter().filter(|((side, ..), _)| *side == index);
            of.map(|(_, (count, _))| count).sum()
        };
        row(format!("{side}: all"), columns.iter().map(count).collect());
    }
}
