//! What passes, and how far: headers, halves, silence.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{AGENT, ALL, Faults, status};
use crate::raw::Answer;
use crate::setup::EXAMPLE_API;
use crate::stand_in::Fault;

/// Of the control plane's headers the client gets warnings and `Retry-After`: the front has set the others itself, and all
/// would come twice (wire rules 1.19, 7.26).
#[tokio::test]
async fn only_chosen_headers_pass() -> Result<()> {
    let faults = Faults::start().await?;
    let object = faults.get(&format!("{ALL}/db")).await?.json()?;
    let of_the_front = faults.get(ALL).await?;
    for name in ["audit-id", "cache-control", "content-type"] {
        let values: Vec<_> = of_the_front.headers.get_all(name).iter().collect();
        ensure!(values.len() == 1, "{name}: {values:?}");
    }
    let headers = vec![
        ("content-type", "application/json"),
        ("warning", r#"299 - "one""#),
        ("warning", r#"299 - "two""#),
        ("audit-id", "theirs"),
        ("cache-control", "public, max-age=100"),
        ("x-kubernetes-pf-flowschema-uid", "theirs"),
        ("x-kubernetes-pf-prioritylevel-uid", "theirs"),
        ("set-cookie", "a=b"),
        ("etag", "\"e\""),
        ("server", "gateway"),
        ("strict-transport-security", "max-age=1"),
        ("access-control-allow-origin", "*"),
    ];
    let list = json!({ "apiVersion": EXAMPLE_API, "kind": "KubernetesClusterList", "metadata": {}, "items": [] });
    let failure = status(422, "Invalid", "it is invalid", &json!({}));
    let event = json!({ "type": "BOOKMARK", "object": object });
    for (code, body, path) in
        [(200, list, ALL.to_owned()), (200, event, format!("{ALL}?watch=true")), (422, failure, ALL.to_owned())]
    {
        faults.stand_in.only(&[AGENT], Fault::Answer(code, headers.clone(), body.to_string()));
        let answer = faults.get(&path).await?;
        let warnings: Vec<_> = answer.headers.get_all("warning").iter().collect();
        ensure!(answer.status == code && warnings.len() == 2, "{path}: {} {:?}", answer.status, answer.headers);
        for (name, value) in headers.iter().filter(|(name, _)| !["warning", "content-type"].contains(name)) {
            let values: Vec<_> = answer.headers.get_all(*name).iter().collect();
            ensure!(!values.iter().any(|passed| passed == value), "{path}: {name} passed: {values:?}");
            ensure!(values.len() <= 1, "{path}: {name}: {values:?}");
        }
    }
    faults.is_well().await
}

/// Half an answer is never taken for a whole one (wire rule 1.20): the client's connection breaks, or it reads 503.
#[tokio::test]
async fn half_an_answer_is_seen_to_be_half() -> Result<()> {
    let faults = Faults::start().await?;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    for accept in ["application/json", table] {
        for bytes in [1, 20, 300, 900] {
            faults.stand_in.only(&[AGENT], Fault::Half(bytes));
            let accept = [("accept", accept)];
            let list = faults.ask("GET", ALL, &accept, "").await?;
            ensure!(list.status == 503 || list.body.is_err(), "{bytes}: {}", list.text());
            let get = faults.ask("GET", &format!("{ALL}/db"), &accept, "").await?;
            ensure!(get.status == 503 && get.json()?["reason"] == "ServiceUnavailable", "{bytes}: {}", get.text());
            let watch = faults.ask("GET", &format!("{ALL}?watch=true&timeoutSeconds=5"), &accept, "").await?;
            ensure!(watch.status == 200 && watch.body.is_err(), "{bytes}: {}", watch.text());
        }
    }
    // Between two events a watch just ends, and is taken up again.
    faults.stand_in.clear();
    let whole = faults.get(&format!("{ALL}?watch=true&timeoutSeconds=1")).await?;
    ensure!(whole.text().matches('\n').count() == 1, "{}", whole.text());
    let event = json!({ "type": "BOOKMARK", "object": { "kind": "KubernetesCluster", "apiVersion": EXAMPLE_API, "metadata": { "resourceVersion": "5" } } });
    let frame = format!("{event}\n");
    faults.stand_in.only(&[AGENT], Fault::json(200, &event));
    let watch = faults.get(&format!("{ALL}?watch=true")).await?;
    ensure!(watch.text() == frame, "{:?}", watch.body);
    faults.is_well().await
}

/// Only what is named goes up: the client's `Accept`, credentials and cookies stay, its User-Agent and Audit-ID count (wire
/// rules 7.21, 8.13). Pages are asked for as the client wrote them (wire rules 8.16, 11.11).
#[tokio::test]
async fn only_what_is_named_goes_up() -> Result<()> {
    let faults = Faults::start().await?;
    faults.stand_in.clear();
    let headers = [
        ("accept", "application/vnd.kubernetes.protobuf,application/json"),
        ("accept-encoding", "gzip"),
        ("cookie", "session=secret"),
        ("x-custom", "x"),
        ("if-none-match", "\"e\""),
        ("range", "bytes=0-10"),
    ];
    let query = "limit=1&continue=abc&resourceVersionMatch=Exact&resourceVersion=7&timeoutSeconds=9";
    faults.ask("GET", &format!("{ALL}?{query}"), &headers, "").await?;
    faults.ask("GET", &format!("{ALL}/db"), &headers, "").await?;
    let seen = faults.stand_in.seen(&[AGENT]);
    ensure!(seen.len() == 2, "{seen:?}");
    for parts in &seen {
        let sent = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        ensure!(sent("accept") == Some("application/json"), "{:?}", parts.headers);
        ensure!(sent("authorization") == Some("Bearer the-connectors-own"), "{:?}", parts.headers);
        ensure!(sent("user-agent") == Some(AGENT) && sent("audit-id").is_some(), "{:?}", parts.headers);
        let more = parts.headers.keys().map(|name| name.as_str()).filter(|name| {
            !["accept", "authorization", "user-agent", "audit-id", "host", "content-length"].contains(name)
        });
        let more: Vec<&str> = more.collect();
        ensure!(more.is_empty(), "{more:?} went up");
    }
    let list = seen[0].uri.query().unwrap_or_default();
    for part in query.split('&') {
        ensure!(list.split('&').any(|sent| sent == part), "{part} is not in {list}");
    }
    // Wire rules 3.1, 4.13: what the control plane offers is asked for in the form of today, API by API.
    let discovery = faults.stand_in.seen(&["GET", "/openapi/v2"]);
    ensure!(discovery.is_empty(), "the whole of OpenAPI v2: {discovery:?}");
    faults.is_well().await
}

/// A control plane that says nothing is told within the front's own time, as a `Status` (wire rules 1.22, 11.5); a client that
/// has less time, or goes, ends the request there.
#[tokio::test]
async fn silence_has_an_end() -> Result<()> {
    let faults = Faults::start().await?;
    faults.stand_in.only(&[AGENT], Fault::Silence);
    let started = Instant::now();
    let hurried = hurried(&faults).await?;
    ensure!(hurried.status == 504 && hurried.json()?["reason"] == "Timeout", "{}", hurried.text());
    ensure!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let one = format!("{ALL}/db");
    let patch = [("content-type", "application/merge-patch+json")];
    let (list, get, patch) = futures::future::try_join3(
        faults.get(ALL),
        faults.get(&one),
        faults.ask("PATCH", &one, &patch, r#"{"metadata":{"labels":{"a":"b"}}}"#),
    )
    .await?;
    for answer in [list, get, patch] {
        let told = answer.json()?;
        ensure!(answer.status == 504 && told["reason"] == "Timeout", "{told}");
        ensure!(
            told["message"].as_str().is_some_and(|told| told.contains("the control plane did not answer")),
            "{told}"
        );
    }
    ensure!(started.elapsed() < Duration::from_secs(75), "{:?}", started.elapsed());
    faults.is_well().await
}

/// At the end of a client's own time the front answers 504 (wire rule 1.22); where its proxy is quicker to write that its request
/// was cancelled, it can only close the connection, and so another try is due.
async fn hurried(faults: &Faults) -> Result<Answer> {
    let mut tries = 1;
    loop {
        match faults.get(&format!("{ALL}?timeout=2s")).await {
            Err(error) if tries < 5 && format!("{error:#}").contains("connection closed") => tries += 1,
            done => return done,
        }
    }
}
