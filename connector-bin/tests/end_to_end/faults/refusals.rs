//! Answers of failure: which are the client's, and which are about the way there.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{AGENT, ALL, Faults, status};
use crate::setup::EXAMPLE_API;
use crate::stand_in::Fault;

/// What is the client's to know passes: that there were too many requests (wire rules 5.5, 11.7), conflicts, versions that
/// expired or are too new (wire rules 7.16, 11.9, 11.10).
#[tokio::test]
async fn refusals_that_are_the_clients_pass() -> Result<()> {
    let faults = Faults::start().await?;
    let stand_in = &faults.stand_in;
    let busy = "Too many requests, please try again later.";

    // Priority and fairness answers a text, everything else a Status: a client reads a Status.
    let text = vec![
        ("content-type", "text/plain; charset=utf-8"),
        ("retry-after", "7"),
        ("x-content-type-options", "nosniff"),
    ];
    let told = status(429, "TooManyRequests", "slowly", &json!({ "retryAfterSeconds": 7 }));
    let json_answer = vec![("content-type", "application/json"), ("retry-after", "7")];
    for fault in [Fault::Answer(429, text, format!("{busy}\n")), Fault::Answer(429, json_answer, told.to_string())] {
        stand_in.only(&[AGENT], fault.clone());
        for (what, answer) in faults.each(true).await? {
            let body = answer.json()?;
            ensure!(
                answer.status == 429 && answer.header("retry-after") == Some("7"),
                "{what}: {} {body}",
                answer.status
            );
            ensure!(body["kind"] == "Status" && body["reason"] == "TooManyRequests", "{what}: {body}");
            ensure!(body["details"]["retryAfterSeconds"] == 7, "{what}: {body}");
            ensure!(answer.header("content-type") == Some("application/json"), "{what}: {:?}", answer.headers);
        }
    }
    faults.is_well().await?;

    // A page that is compacted away tells how to go on inconsistently.
    let mut expired = status(410, "Expired", "The provided continue parameter is too old", &json!({}));
    expired["metadata"]["continue"] = "go-on-here".into();
    stand_in.only(&[AGENT], Fault::json(410, &expired));
    let list = faults.get(&format!("{ALL}?limit=1&continue=x")).await?;
    ensure!(list.status == 410 && list.json()?["metadata"]["continue"] == "go-on-here", "{}", list.text());
    ensure!(list.json()?["reason"] == "Expired", "{}", list.text());

    // A watch from a version that is gone: before the stream, and within it (wire rule 7.9).
    let gone = status(410, "Expired", "too old resource version: 1 (5)", &json!({}));
    stand_in.only(&[AGENT], Fault::json(410, &gone));
    let watch = faults.get(&format!("{ALL}?watch=true&resourceVersion=1")).await?;
    ensure!(watch.status == 410 && watch.json()?["reason"] == "Expired", "{}", watch.text());
    stand_in.only(&[AGENT], Fault::json(200, &json!({ "type": "ERROR", "object": gone })));
    for accept in ["application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"] {
        let path = format!("{ALL}?watch=true&resourceVersion=1");
        let watch = faults.ask("GET", &path, &[("accept", accept)], "").await?;
        let event = watch.json()?;
        ensure!(watch.status == 200 && event["type"] == "ERROR" && event["object"]["code"] == 410, "{event}");
        ensure!(event["object"] == gone, "{event}");
    }

    let causes = json!({ "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }], "retryAfterSeconds": 1 });
    let too_large = status(504, "Timeout", "Timeout: Too large resource version: 99, current: 5", &causes);
    stand_in.only(&[AGENT], Fault::json(504, &too_large));
    for path in [ALL.to_owned(), format!("{ALL}?watch=true"), format!("{ALL}/db?resourceVersion=99")] {
        let answer = faults.get(&path).await?;
        let body = answer.json()?;
        ensure!(answer.status == 504 && body["details"] == causes && body["message"] == too_large["message"], "{body}");
    }

    // A write that met another one.
    let conflict = status(
        409,
        "Conflict",
        "the object has been modified; please apply your changes to the latest version and try again",
        &json!({}),
    );
    stand_in.only(&[AGENT, "PATCH"], Fault::json(409, &conflict));
    let patch = [("content-type", "application/merge-patch+json")];
    let patched = faults.ask("PATCH", &format!("{ALL}/db"), &patch, r#"{"metadata":{"labels":{"a":"b"}}}"#).await?;
    ensure!(patched.status == 409 && patched.json()?["reason"] == "Conflict", "{}", patched.text());
    faults.is_well().await
}

/// Nothing of the way to the control plane is the client's: redirects (wire rule 1.17), refusals of the connector's own
/// credential or rights (wire rule 11.6), what is missing there that is no claim (wire rules 6.5, 6.12), and pages of
/// gateways. All of it is 503 with a `Status` and a `Retry-After`, by which clients try again (wire rules 5.5, 11.8).
#[tokio::test]
async fn whatever_else_goes_wrong_is_an_outage() -> Result<()> {
    let faults = Faults::start().await?;
    let no_crd = status(404, "NotFound", "the server could not find the requested resource", &json!({}));
    let no_namespace =
        status(404, "NotFound", r#"namespaces "claims" not found"#, &json!({ "name": "claims", "kind": "namespaces" }));
    let rbac = r#"kubernetesclusters.k8s.starter.org is forbidden: User "connector" cannot list resource "kubernetesclusters" in API group "k8s.starter.org" in the namespace "claims""#;
    let rbac = status(403, "Forbidden", rbac, &json!({ "group": "k8s.starter.org", "kind": "kubernetesclusters" }));
    let html = |status, more: &[(&'static str, &'static str)]| {
        let headers = [&[("content-type", "text/html")], more].concat();
        Fault::Answer(status, headers, "<html><body>sign in first</body></html>".to_owned())
    };
    let all = [
        ("redirect 301", html(301, &[("location", "https://elsewhere.example.org/")])),
        ("redirect 302", html(302, &[("location", "/login")])),
        ("redirect 307", html(307, &[("location", "/login")])),
        ("redirect 308 without a place", html(308, &[])),
        ("401 of the API", Fault::json(401, &status(401, "Unauthorized", "Unauthorized", &json!({})))),
        ("401 of a gateway", html(401, &[("www-authenticate", "Basic")])),
        ("403 of RBAC", Fault::json(403, &rbac)),
        ("403 of a gateway", html(403, &[])),
        ("404 of no API", Fault::Answer(404, vec![("content-type", "text/plain")], "404 page not found\n".to_owned())),
        ("404 of no CRD", Fault::json(404, &no_crd)),
        ("404 of no namespace", Fault::json(404, &no_namespace)),
        ("405 of a gateway", html(405, &[("allow", "POST")])),
        ("407", html(407, &[("proxy-authenticate", "Basic")])),
        ("500 of a gateway", html(500, &[])),
        ("502", html(502, &[])),
        ("503 of a gateway", html(503, &[])),
        ("504 of a gateway", html(504, &[])),
        ("a page of a portal", html(200, &[])),
        ("nothing", Fault::Answer(204, Vec::new(), String::new())),
        ("an answer that breaks off at once", Fault::Half(0)),
    ];
    for (what, fault) in all {
        faults.stand_in.only(&[AGENT], fault.clone());
        for (request, answer) in faults.each(true).await? {
            // The body of a stream that has begun can only break.
            if matches!(fault, Fault::Half(_)) && answer.status < 300 {
                // A watch of nothing has broken between two events.
                let ends = request == "watch" && answer.text().is_empty();
                ensure!(answer.body.is_err() || ends, "{what}: {request}: a whole answer: {}", answer.text());
                continue;
            }
            let body = answer.json().with_context(|| format!("{what}: {request}"))?;
            ensure!(answer.status == 503 && body["code"] == 503, "{what}: {request}: {} {body}", answer.status);
            ensure!(body["reason"] == "ServiceUnavailable", "{what}: {request}: {body}");
            ensure!(answer.header("retry-after").is_some(), "{what}: {request}: {:?}", answer.headers);
            for header in ["location", "www-authenticate", "proxy-authenticate", "allow"] {
                ensure!(answer.header(header).is_none(), "{what}: {request}: {:?}", answer.headers);
            }
        }
    }
    faults.is_well().await?;
    // Nor do claims go where somebody says that they are elsewhere.
    ensure!(faults.app.kubectl().run(["get", "kubernetescluster", "db"]).await?.status.success());
    Ok(())
}

/// An admission's refusal is the user's to see, and so is what was wrong with the object (wire rule 11.6).
#[tokio::test]
async fn what_admission_says_passes() -> Result<()> {
    let faults = Faults::start().await?;
    let remote = faults.stand_in.seen(&["POST", "/kubernetesclusters"]);
    ensure!(!remote.is_empty(), "the claim went this way");
    let denied = r#"kubernetesclusters.k8s.starter.org "db" is forbidden: admission webhook "policy.example.org" denied the request: no"#;
    let denied = status(
        403,
        "Forbidden",
        denied,
        &json!({ "name": "db", "group": "k8s.starter.org", "kind": "kubernetesclusters" }),
    );
    faults.stand_in.only(&[AGENT, "PATCH"], Fault::json(403, &denied));
    let patch = [("content-type", "application/merge-patch+json")];
    let patched = faults.ask("PATCH", &format!("{ALL}/db"), &patch, r#"{"metadata":{"labels":{"a":"b"}}}"#).await?;
    ensure!(patched.status == 403 && patched.json()? == denied, "{}", patched.text());
    faults.is_well().await
}

/// Wire rule 8.5: a generated name that is taken is tried anew, eight times in all.
#[tokio::test]
async fn generated_names_are_tried_eight_times() -> Result<()> {
    let faults = Faults::start().await?;
    let taken = status(409, "AlreadyExists", "it already exists", &json!({ "kind": "kubernetesclusters" }));
    faults.stand_in.clear();
    faults.stand_in.only(&[AGENT, "POST"], Fault::json(409, &taken));
    let body = json!({ "apiVersion": EXAMPLE_API, "kind": "KubernetesCluster", "metadata": { "generateName": "gen-" }, "spec": {} });
    let post = [("content-type", "application/json")];
    let created = faults.ask("POST", ALL, &post, &body.to_string()).await?;
    let told = created.json()?;
    let message = told["message"].as_str().unwrap_or_default();
    ensure!(created.status == 409 && told["reason"] == "AlreadyExists", "{told}");
    ensure!(
        message.ends_with("already exists, the server was not able to generate a unique name for the object"),
        "{told}"
    );
    ensure!(told["details"]["retryAfterSeconds"] == 1 && created.header("retry-after") == Some("1"), "{told}");
    let tries = faults.stand_in.seen(&[AGENT, "POST"]);
    ensure!(tries.len() == 8, "{} tries", tries.len());
    faults.is_well().await
}
