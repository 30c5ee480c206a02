//! The alerts that come with the chart, judged by Prometheus' own engine; and the dashboard's queries.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::binaries;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/chart/files");

/// What fires, with the labels that it has, after so many minutes of these series.
fn case(name: &str, series: &[(&str, &str)], at: u32, fires: &[(&str, Value)]) -> Value {
    let series: serde_json::Map<_, _> =
        series.iter().map(|(series, values)| ((*series).to_owned(), Value::from(*values))).collect();
    let mut alerts = serde_json::Map::new();
    for (alert, labels) in fires {
        let same = alerts.entry((*alert).to_owned()).or_insert_with(|| json!([]));
        same.as_array_mut().expect("it was made so").push(labels.clone());
    }
    json!({ "name": name, "series": series, "at": at, "fires": alerts })
}

fn cases() -> Vec<Value> {
    // A replica that is well. Values come once a minute.
    let up = (r#"connector_build_info{job="c",pod="a",version="1"}"#, "1x2000");
    let requests =
        r#"connector_requests_total{job="c",pod="a",verb="get",group="g",resource="r",code="200",fault="none"}"#;
    let c = json!({ "job": "c" });
    let with = |key: &str, value: &str| json!({ "job": "c", key: value });
    vec![
        case(
            "all is well",
            &[up, (requests, "0+600x60"), (r#"connector_control_plane_reachable{job="c",pod="a"}"#, "1x60")],
            60,
            &[],
        ),
        case("nothing runs", &[(up.0, "1x3 stale")], 12, &[("ConnectorDown", json!({}))]),
        case(
            "one replica of two does not reach the control plane",
            &[
                up,
                (r#"connector_control_plane_reachable{pod="a"}"#, "0x60"),
                (r#"connector_control_plane_reachable{pod="b"}"#, "1x60"),
            ],
            30,
            &[],
        ),
        case(
            "no replica does",
            &[
                up,
                (r#"connector_control_plane_reachable{job="c",pod="a"}"#, "0x60"),
                (r#"connector_control_plane_reachable{job="c",pod="b"}"#, "1x10 0x50"),
            ],
            17,
            &[("ConnectorControlPlaneUnreachable", c.clone())],
        ),
        case(
            "a tenth of the requests fails at the control plane",
            &[
                up,
                (requests, "0+540x60"),
                (&requests.replace("200", "503").replace("none", "control_plane"), "0+60x60"),
                (r#"connector_control_plane_errors_total{job="c",pod="a",kind="server_error"}"#, "0+60x60"),
            ],
            30,
            &[("ConnectorControlPlaneErrors", c.clone())],
        ),
        case(
            "the credential is refused, and a right is missing",
            &[
                up,
                (requests, "0+6000x60"),
                (r#"connector_control_plane_errors_total{job="c",pod="a",kind="unauthorized"}"#, "0x10 0+1x50"),
                (r#"connector_control_plane_errors_total{job="c",pod="a",kind="forbidden"}"#, "0x10 0+1x50"),
            ],
            30,
            &[("ConnectorCredentialRefused", c.clone()), ("ConnectorRightMissing", c.clone())],
        ),
        case(
            "the connector is throttled",
            &[up, (r#"connector_control_plane_errors_total{job="c",pod="a",kind="throttled"}"#, "0+60x60")],
            30,
            &[("ConnectorThrottled", c.clone())],
        ),
        case(
            "credentials and certificates end",
            &[
                up,
                // Seconds since 1970, where the test begins.
                (r#"connector_credential_expiry_timestamp_seconds{job="c",pod="a"}"#, "86000x100"),
                (
                    r#"connector_certificate_expiry_timestamp_seconds{job="c",pod="a",certificate="serving"}"#,
                    "600000x100",
                ),
                (
                    r#"connector_certificate_expiry_timestamp_seconds{job="c",pod="a",certificate="serving-ca"}"#,
                    "9000000x100",
                ),
            ],
            70,
            &[
                ("ConnectorCredentialExpiresSoon", c.clone()),
                ("ConnectorCertificateExpiresSoon", with("certificate", "serving")),
            ],
        ),
        case(
            "the app cluster is at fault",
            &[up, (&requests.replace("200", "500").replace("none", "app_cluster"), "0+60x60")],
            30,
            &[("ConnectorFaults", with("fault", "app_cluster"))],
        ),
        case(
            "the connector's own part is slow",
            &[
                up,
                (
                    r#"connector_request_side_duration_seconds_bucket{job="c",pod="a",verb="get",side="connector",le="0.25"}"#,
                    "0+50x60",
                ),
                (
                    r#"connector_request_side_duration_seconds_bucket{job="c",pod="a",verb="get",side="connector",le="0.5"}"#,
                    "0+60x60",
                ),
                (
                    r#"connector_request_side_duration_seconds_bucket{job="c",pod="a",verb="get",side="connector",le="+Inf"}"#,
                    "0+60x60",
                ),
                (
                    r#"connector_request_side_duration_seconds_bucket{job="c",pod="a",verb="get",side="control_plane",le="0.25"}"#,
                    "0+60x60",
                ),
                (
                    r#"connector_request_side_duration_seconds_bucket{job="c",pod="a",verb="get",side="control_plane",le="+Inf"}"#,
                    "0+60x60",
                ),
            ],
            40,
            &[("ConnectorSlow", c.clone())],
        ),
        case(
            "of two APIs one is unavailable, and a third in conflict",
            &[
                up,
                (r#"connector_apiservice_available{job="c",pod="a",group="g",version="v1"}"#, "1x60"),
                (r#"connector_apiservice_available{job="c",pod="a",group="g",version="v2"}"#, "0x60"),
                (r#"connector_api_conflicts{job="c",pod="a",group="g",version="v3"}"#, "1x60"),
            ],
            30,
            &[
                ("ConnectorApiUnavailable", json!({ "job": "c", "group": "g", "version": "v2" })),
                ("ConnectorApiConflict", json!({ "job": "c", "group": "g", "version": "v3" })),
            ],
        ),
        case(
            "the catalog is stale although the control plane is there",
            &[
                up,
                (r#"connector_control_plane_reachable{job="c",pod="a"}"#, "1x60"),
                (r#"connector_catalog_refresh_timestamp_seconds{job="c",pod="a"}"#, "60x60"),
            ],
            30,
            &[("ConnectorCatalogStale", c.clone())],
        ),
        case(
            "Secrets do not come back",
            &[
                up,
                (r#"connector_connection_secret_conflicts{job="c",pod="a"}"#, "2x60"),
                (r#"connector_connection_secret_writes_total{job="c",pod="a",result="failed"}"#, "0+1x60"),
                (r#"connector_events_total{job="c",pod="a",result="failed"}"#, "0x60"),
                (r#"connector_connection_secret_lag_seconds_bucket{job="c",pod="a",le="20"}"#, "0+1x60"),
                (r#"connector_connection_secret_lag_seconds_bucket{job="c",pod="a",le="80"}"#, "0+9x60"),
                (r#"connector_connection_secret_lag_seconds_bucket{job="c",pod="a",le="+Inf"}"#, "0+9x60"),
            ],
            40,
            &[
                ("ConnectorSecretConflicts", c.clone()),
                ("ConnectorSyncFailing", c.clone()),
                ("ConnectorSyncSlow", c.clone()),
            ],
        ),
        case(
            "nobody holds one of the Leases",
            &[
                up,
                (r#"connector_leader{job="c",pod="a",lease="sync"}"#, "0x60"),
                (r#"connector_leader{job="c",pod="b",lease="sync"}"#, "1x60"),
                (r#"connector_leader{job="c",pod="a",lease="registrar"}"#, "0x60"),
                (r#"connector_leader{job="c",pod="b",lease="registrar"}"#, "0x60"),
            ],
            30,
            &[("ConnectorNoLeader", with("lease", "registrar"))],
        ),
        case(
            "requests wait, and file descriptors run out",
            &[
                up,
                (r#"connector_control_plane_waiting{job="c",pod="a",lane="short"}"#, "200x60"),
                (r#"connector_control_plane_waiting{job="c",pod="a",lane="watches"}"#, "0x60"),
                (r#"process_open_fds{job="connector",pod="a"}"#, "90x60"),
                (r#"process_max_fds{job="connector",pod="a"}"#, "100x60"),
                (r#"process_open_fds{job="another",pod="b"}"#, "90x60"),
                (r#"process_max_fds{job="another",pod="b"}"#, "100x60"),
            ],
            30,
            &[
                ("ConnectorQueueing", with("lane", "short")),
                ("ConnectorOutOfFiles", json!({ "job": "connector", "pod": "a" })),
            ],
        ),
        case(
            "an upgrade does not end",
            &[up, (r#"connector_build_info{job="c",pod="b",version="2"}"#, "1x2000")],
            90,
            &[("ConnectorVersionsDiffer", c)],
        ),
    ]
}

#[test]
fn alerts_fire_when_they_should() -> Result<()> {
    let rules = format!("{FILES}/alerts.yaml");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(format!("{FILES}/dashboard.json"))?)?;
    let panels = dashboard["panels"].as_array().context("a dashboard without panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    // What Grafana puts in their place.
    let expressions: Vec<String> = targets
        .filter_map(|target| Some(target["expr"].as_str()?.replace("$__rate_interval", "5m").replace('$', "")))
        .collect();
    ensure!(expressions.len() > 30, "{expressions:?}");
    let cases = cases();
    let text = std::fs::read_to_string(&rules)?;
    for alert in text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        ensure!(cases.iter().any(|case| case["fires"].get(alert).is_some()), "no case has {alert} fire");
    }
    let mut judge =
        Command::new(binaries::alerts()?).arg(&rules).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let input = json!({ "expressions": expressions, "cases": cases }).to_string();
    judge.stdin.take().context("it is piped")?.write_all(input.as_bytes())?;
    let judged = judge.wait_with_output()?;
    ensure!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    Ok(())
}
