//! The list of metrics in `docs/metrics.md`, the dashboard, the alerts and their runbooks, beside what is exposed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use connector_core::offer::GroupVersion;
use regex::Regex;
use serde_json::Value;

use super::*;

const BEGIN: &str =
    "<!-- The table is generated: `UPDATE_DOCS=1 cargo test -p connector-proxy --lib telemetry::tests` -->\n\n";
const END: &str = "\n<!-- The table ends -->";
/// What Prometheus and the scrape's configuration put on every series.
const OF_THE_SCRAPE: [&str; 6] = ["cluster", "instance", "job", "le", "namespace", "pod"];

/// A metric as it is exposed.
#[derive(Debug)]
struct Metric {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

impl Metric {
    /// The names that queries can use.
    fn series(&self, name: &str) -> Vec<String> {
        let suffixes: &[&str] = match self.kind.as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect()
    }
}

/// All metrics, each of which has a series.
fn exposed() -> BTreeMap<String, Metric> {
    let metrics = Metrics::new();
    let labels = RequestLabels { verb: "get", group: "g".into(), resource: "r".into(), code: 200, fault: "none" };
    let waits = Waits::default();
    drop((waits.control_plane.begin(), waits.app_cluster.begin()));
    metrics.requests.answered(&labels, Duration::from_secs(1), &waits);
    drop(metrics.requests.watch("g", "r"));
    drop(metrics.upstream.lane("short"));
    metrics.upstream.failed(UpstreamError::Connect);
    metrics.apis.available(&GroupVersion::new("g", "v1"), Some(true));
    metrics.apis.conflict(&GroupVersion::new("g", "v2"), true);
    metrics.secrets.written("created");
    metrics.leads("sync", true);
    metrics.credential_lasts(Some(1), Some(2));
    metrics.certificate_ends("serving", Some(1));
    read(&metrics.page().unwrap())
}

fn read(page: &str) -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::<String, Metric>::new();
    let label = Regex::new(r#"([a-z_]+)=""#).unwrap();
    for line in page.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            let help = help.strip_suffix('.').unwrap_or(help).to_owned();
            metrics.insert(name.to_owned(), Metric { kind: String::new(), help, labels: BTreeSet::new() });
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            metrics.get_mut(name).expect("HELP comes before TYPE").kind = kind.to_owned();
        } else if let Some((series, labels)) = line.split_once('{') {
            let of = metrics.iter_mut().find(|(name, metric)| metric.series(name).iter().any(|one| one == series));
            let labels = label.captures_iter(labels).map(|found| found[1].to_owned()).filter(|label| label != "le");
            of.unwrap_or_else(|| panic!("{series} is announced")).1.labels.extend(labels);
        }
    }
    metrics
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn table() -> String {
    let mut table = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, metric) in exposed() {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let series = match metric.kind.as_str() {
            "histogram" => name.clone(),
            _ => metric.series(&name).remove(0),
        };
        writeln!(table, "| `{series}` | {} | {labels} | {} |", metric.kind, metric.help).unwrap();
    }
    table
}

#[test]
fn every_metric_is_documented() {
    let page = file("docs/metrics.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the page has the mark where the table begins");
    let (recorded, after) = rest.split_once(END).expect("the page has the mark where the table ends");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
    } else {
        assert_eq!(recorded, table(), "write the table anew, as the comment above it says");
    }
}

/// Every expression of the dashboard and of the alerts, with the place where it is.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let dashboard = std::fs::read_to_string(file("deploy/chart/files/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((panel["title"].to_string(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["query"]["query"].as_str().or(variable["query"].as_str()).unwrap_or_default();
        found.push((variable["name"].to_string(), query.to_owned()));
    }
    for alert in alerts() {
        found.push((alert["alert"].to_string(), alert["expr"].as_str().unwrap().to_owned()));
    }
    found
}

fn alerts() -> Vec<Value> {
    let rules = std::fs::read_to_string(file("deploy/chart/files/alerts.yaml")).unwrap();
    let rules: Value = serde_saphyr::from_str(&rules).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn dashboard_and_alerts_use_what_is_exposed() {
    let exposed = exposed();
    let series: BTreeMap<String, &Metric> = exposed
        .iter()
        .flat_map(|(name, metric)| metric.series(name).into_iter().map(move |one| (one, metric)))
        .collect();
    let all_labels: BTreeSet<&str> =
        exposed.values().flat_map(|metric| metric.labels.iter().map(String::as_str)).chain(OF_THE_SCRAPE).collect();
    let name = Regex::new(r"\b((?:connector|process)_[a-z_]+)(?:\{([^}]*)\})?").unwrap();
    let matched = Regex::new(r#"([a-z_]+)\s*(?:=~|!~|!=|=)\s*""#).unwrap();
    let grouped = Regex::new(r"\b(?:by|on|without|ignoring|group_left)\s*\(([^)]*)\)").unwrap();
    let quoted = Regex::new(r#""[^"]*""#).unwrap();
    let mut used = BTreeSet::new();
    for (place, expression) in expressions() {
        for found in name.captures_iter(&quoted.replace_all(&expression, "\"\"")) {
            let metric = series.get(&found[1]).unwrap_or_else(|| panic!("{place}: {} is not exposed", &found[1]));
            used.insert(found[1].to_owned());
            for label in matched.captures_iter(found.get(2).map_or("", |labels| labels.as_str())) {
                let label = &label[1];
                assert!(metric.labels.contains(label) || OF_THE_SCRAPE.contains(&label), "{place}: {label}");
            }
        }
        for found in grouped.captures_iter(&expression) {
            for label in found[1].split(',').map(str::trim).filter(|label| !label.is_empty()) {
                assert!(all_labels.contains(label), "{place}: {label}");
            }
        }
    }
    let unused: Vec<&str> = exposed
        .iter()
        .filter(|(name, metric)| !metric.series(name).iter().any(|one| used.contains(one)))
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(unused.is_empty(), "neither the dashboard nor an alert shows {unused:?}");
}

#[test]
fn every_alert_has_a_runbook() {
    let mut named = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let url = alert["annotations"]["runbook_url"].as_str().unwrap();
        assert!(url.ends_with(&format!("/docs/runbooks/{name}.md")), "{url}");
        for key in ["summary", "description"] {
            assert!(alert["annotations"][key].is_string(), "{name} has a {key}");
        }
        assert!(matches!(alert["labels"]["severity"].as_str(), Some("critical" | "warning" | "info")), "{name}");
        let runbook = std::fs::read_to_string(file(&format!("docs/runbooks/{name}.md")));
        let runbook = runbook.unwrap_or_else(|error| panic!("the runbook of {name}: {error}"));
        for section in ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"] {
            assert!(runbook.contains(section), "{name} has no {section}");
        }
        named.insert(format!("{name}.md"));
    }
    let there = std::fs::read_dir(file("docs/runbooks")).unwrap();
    let there: BTreeSet<String> = there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, named);
}
