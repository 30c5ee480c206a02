//! What the connector tells about itself: its log and its metrics.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::crossplane::Crossplane;
use testkit::{Cluster, eventually, fixtures};

use crate::raw::Raw;
use crate::setup::{EXAMPLE_API, claim, clusters};
use crate::stand_in::{Fault, StandIn};

const ALL: &str = "/apis/k8s.starter.org/v1alpha1/namespaces/default/kubernetesclusters";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The log of a connector that writes JSON.
fn lines(connector: &Connector) -> Result<Vec<Value>> {
    let log = connector.log()?;
    // The last line may be half written.
    let whole = &log[..log.rfind('\n').unwrap_or_default()];
    whole.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// However much is logged, and whatever the control plane answers: no credential, and nothing of a Secret's data.
#[tokio::test]
async fn the_log_never_holds_a_secret() -> Result<()> {
    const SET: &str = "04-aws-sqlinstance-v1";
    const TOKEN: &str = "the-connectors-own";
    const INPUT: &str = "the-password-of-the-user";
    const OUTPUT: &str = "the-password-of-the-database";
    let (app, control_plane) = Cluster::start_two().await?;
    let crossplane = Crossplane::install(&control_plane).await?;
    crossplane.offer(&fixtures::xrd(SET)?).await?;
    let stand_in = StandIn::before(&control_plane).await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.yaml");
    let references = "[spec.parameters.passwordSecretRef]";
    std::fs::write(
        &config,
        format!(
            "log-format: json\napis:\n- {{group: aws.platform.upbound.io, kind: SQLInstance, input-secrets: {references}}}\n"
        ),
    )?;
    let mut options = stand_in.options()?;
    options.extra_args.push(format!("--config={}", config.display()));
    options.env.push(("CONNECTOR_LOG".into(), "trace".into()));
    let connector = Connector::start(&app, &control_plane, options).await?;
    connector.wait_available(&app, "aws.platform.upbound.io/v1alpha1").await?;

    let kubectl = app.kubectl();
    kubectl.ok(["create", "secret", "generic", "input", &format!("--from-literal=password={INPUT}")]).await?;
    let mut claim = fixtures::object(&fixtures::claim(SET)?)?;
    claim["metadata"]["name"] = "db".into();
    claim["spec"]["parameters"]["passwordSecretRef"] =
        json!({ "namespace": "default", "name": "input", "key": "password" });
    claim["spec"]["writeConnectionSecretToRef"]["name"] = "output".into();
    kubectl.apply(&claim.to_string()).await?;
    let remote = control_plane.kubectl();
    let copied = || async {
        let secrets = remote.ok(["get", "secrets", "-A", "-o", "json"]).await?;
        Ok(if secrets.contains(&STANDARD.encode(INPUT)) { Ok(()) } else { Err("no copy yet".to_owned()) })
    };
    eventually("the input Secret to be copied", copied).await?;
    let name = remote.ok(["get", "sqlinstances", "-n", "claims", "-o", "jsonpath={.items[0].metadata.name}"]).await?;
    crossplane.rotate("claims", &name, &[("password", OUTPUT)]);
    eventually("the connection Secret to be copied", || async {
        let get = kubectl.run(["get", "secret", "output", "-o", "jsonpath={.data.password}"]).await?;
        Ok(if get.stdout == STANDARD.encode(OUTPUT) { Ok(()) } else { Err(get.stdout + &get.stderr) })
    })
    .await?;
    // What cannot be read as a Secret is what a library is most likely to show.
    stand_in.only(&["/secrets"], Fault::Replace(r#""type":"#, r#""type":7,"was":"#));
    crossplane.rotate("claims", &name, &[("password", OUTPUT), ("more", OUTPUT)]);
    let raw = Raw::admin_of(&app).await?;
    raw.ask("GET", "/apis/aws.platform.upbound.io/v1alpha1/sqlinstances", &[("cookie", TOKEN)], "").await?;
    eventually("the broken Secret to have been seen", || async {
        Ok(if stand_in.seen(&["/secrets"]).is_empty() { Err("nobody asked".to_owned()) } else { Ok(()) })
    })
    .await?;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;

    let log = connector.log()?;
    ensure!(lines(&connector)?.iter().any(|line| line["level"] == "DEBUG"), "it is not as loud as it should be");
    for secret in [TOKEN, INPUT, OUTPUT, "earer "] {
        for form in [secret.to_owned(), STANDARD.encode(secret)] {
            let line = log.lines().find(|line| line.contains(&form));
            ensure!(line.is_none(), "{secret} is in the log: {line:?}");
        }
    }
    Ok(())
}

/// Whatever is said about a request says which one, and in which trace; what repeats is said once.
#[tokio::test]
async fn lines_and_metrics_tell_of_a_request() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let stand_in = StandIn::before(&control_plane).await?;
    let options = |filter: &str| -> Result<ConnectorOptions> {
        let mut options = stand_in.options()?;
        options.extra_args.push("--log-format=json".into());
        options.env.push(("CONNECTOR_LOG".into(), filter.into()));
        Ok(options)
    };
    let connector = Connector::start(&app, &control_plane, options("debug")?).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    app.kubectl().apply(&claim("default", "db")).await?;
    let raw = Raw::admin_of(&app).await?;
    let headers = [("traceparent", TRACEPARENT), ("user-agent", "traced/1.0")];
    let one = format!("{ALL}/db");
    let answer = raw.ask("GET", &one, &headers, "").await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let audit_id = answer.header("audit-id").context("the front gives an Audit-ID")?.to_owned();
    let line = eventually("the line of the request", || async {
        let lines = lines(&connector)?;
        let found =
            lines.into_iter().find(|line| line["span"]["audit_id"] == *audit_id && line["message"] == "answered");
        Ok(found.ok_or_else(|| "no line".to_owned()))
    })
    .await?;
    ensure!(line["span"]["trace_id"] == TRACE, "{line}");
    for (key, value) in [
        ("verb", json!("get")),
        ("resource", json!("kubernetesclusters")),
        ("namespace", json!("default")),
        ("name", json!("db")),
        ("user", json!("admin")),
        ("code", json!(200)),
        ("fault", json!("none")),
    ] {
        ensure!(line[key] == value, "{key}: {line}");
    }
    let milliseconds = |key: &str| line[key].as_f64().with_context(|| format!("{key}: {line}"));
    ensure!(milliseconds("control_plane_ms")? > 0.0 && milliseconds("connector_ms")? > 0.0, "{line}");
    let sent = stand_in.seen(&["traced/1.0"]);
    let sent = sent.first().context("the request arrives")?;
    ensure!(sent.headers["traceparent"] == TRACEPARENT && sent.headers["audit-id"] == *audit_id, "{:?}", sent.headers);
    drop(connector);

    let labels = |code: u16, fault: &str| {
        format!(
            r#"connector_requests_total{{verb="get",group="k8s.starter.org",resource="kubernetesclusters",code="{code}",fault="{fault}"}}"#
        )
    };
    let connector = Connector::start(&app, &control_plane, options("warn")?).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    let unauthorized = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401 });
    stand_in.only(&["traced/1.0"], Fault::json(401, &unauthorized));
    for _ in 0..3 {
        ensure!(raw.ask("GET", &one, &headers, "").await?.status == 503);
    }
    stand_in.only(&["traced/1.0"], Fault::json(200, &json!("no object")));
    ensure!(raw.ask("GET", &one, &headers, "").await?.status == 503);
    stand_in.clear();
    ensure!(raw.ask("GET", &format!("{ALL}/nothing"), &headers, "").await?.status == 404);
    // A client that does not wait is counted, too: with those alone it would seem that nobody asks while the control plane hangs.
    stand_in.only(&["traced/1.0"], Fault::Silence);
    let patience = std::time::Duration::from_secs(2);
    ensure!(tokio::time::timeout(patience, raw.ask("GET", &one, &headers, "")).await.is_err(), "it was answered");
    let gone = format!("{} 1", labels(499, "client"));
    eventually("the client to be missed", || async {
        let (_, metrics) = connector.admin_get("/metrics").await?;
        Ok(if metrics.lines().any(|line| line == gone) { Ok(()) } else { Err(metrics) })
    })
    .await?;
    let lines = lines(&connector)?;
    let told: Vec<&Value> =
        lines.iter().filter(|line| line["message"].as_str().is_some_and(|text| text.contains("(401)"))).collect();
    ensure!(told.len() == 1, "once, and not {told:?}");
    let nonsense = lines.iter().find(|line| line["side"] == "control_plane").context("nonsense is told")?;
    for line in [told[0], nonsense] {
        ensure!(line["span"]["audit_id"].is_string() && line["span"]["trace_id"] == TRACE, "{line}");
    }

    let (_, metrics) = connector.admin_get("/metrics").await?;
    for (series, value) in [
        (labels(503, "control_plane"), "4"),
        (labels(404, "client"), "1"),
        (r#"connector_control_plane_errors_total{kind="unauthorized"}"#.to_owned(), "3"),
        (r#"connector_control_plane_errors_total{kind="nonsense"}"#.to_owned(), "1"),
        (r#"connector_request_side_duration_seconds_count{verb="get",side="control_plane"}"#.to_owned(), "6"),
        (r#"connector_apiservice_available{group="k8s.starter.org",version="v1alpha1"}"#.to_owned(), "1"),
        ("connector_control_plane_reachable".to_owned(), "1"),
    ] {
        ensure!(metrics.lines().any(|line| line == format!("{series} {value}")), "{series} is not {value}:\n{metrics}");
    }
    // Each has a row in the list; that each of the list is exposed a unit test sees to.
    let page = std::fs::read_to_string(format!("{}/../docs/metrics.md", env!("CARGO_MANIFEST_DIR")))?;
    for name in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        ensure!(page.contains(&format!("| `{name}")), "{name} is not documented");
    }
    Ok(())
}
