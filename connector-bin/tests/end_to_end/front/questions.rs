//! Who asks, and what the front asks for itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::Version;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use serde_json::Value;

use super::{ADMIN, ALL, API, Connection, FRONT, with};
use crate::setup::{Corridor, claim};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// Who is who (wire rules 1.6, 9.2 to 9.5, 9.7): the headers count with the front's certificate and no other, on both protocols
/// (wire rule 1.12).
#[tokio::test]
async fn the_front_is_believed_and_nobody_else() -> Result<()> {
    let corridor = Corridor::start().await?;
    corridor.app.kubectl().apply(&claim("default", "db")).await?;
    corridor.app.kubectl().apply(RIGHTS).await?;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        // The CA of users' certificates is another one.
        for stranger in [None, Some("admin"), Some("service-accounts")] {
            let mut connection = Connection::open(&corridor, stranger, version).await?;
            let (status, _, body) = connection.get(ALL, &ADMIN).await?;
            ensure!(status == 401, "{stranger:?} {version:?}: {status} {body}");
        }
        let mut front = Connection::open(&corridor, FRONT, version).await?;
        let mut status = async |headers: &[(&str, &str)]| anyhow::Ok(front.get(ALL, headers).await?.0);
        ensure!(status(&ADMIN).await? == 200);
        ensure!(status(&[]).await? == 401, "nobody is named");
        ensure!(status(&[("x-remote-user", "jane")]).await? == 403, "she has no rights");
        // One line for each group, whatever its letters; a user's token and impersonation mean nothing here.
        let groups = [("x-remote-user", "jane"), ("x-remote-group", "others"), ("x-remote-group", "Entwickler-Zürich")];
        ensure!(status(&groups).await? == 200, "her group has rights");
        ensure!(status(&[("x-remote-user", "josé"), ("x-remote-group", "others")]).await? == 200, "he has rights");
        let posing = [("x-remote-user", "jane"), ("impersonate-user", "admin"), ("authorization", "Bearer x")];
        ensure!(status(&posing).await? == 403);
    }
    Ok(())
}

const RIGHTS: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules:
- {apiGroups: [k8s.starter.org], resources: [kubernetesclusters], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects:
- {kind: Group, name: Entwickler-Zürich, apiGroup: rbac.authorization.k8s.io}
- {kind: User, name: josé, apiGroup: rbac.authorization.k8s.io}
";

/// What the front asks for itself, as it asks: availability (wire rules 2.1 to 2.3), discovery (3.1 to 3.4, 3.13) and OpenAPI
/// (4.1, 4.2, 4.6, 4.8, 4.9), some of it without any group (9.5).
#[tokio::test]
async fn the_fronts_own_questions() -> Result<()> {
    let corridor = Corridor::start().await?;
    let mut front = Connection::open(&corridor, FRONT, Version::HTTP_2).await?;
    let aggregator = [("x-remote-user", "system:kube-aggregator")];
    let prober = [("x-remote-user", "system:kube-aggregator"), ("x-remote-group", "system:masters")];
    let openapi = [("x-remote-user", "system:aggregator")];
    let and = |who: &[(&'static str, &'static str)], header: (&'static str, &'static str)| [who, &[header]].concat();

    // No Accept at all, five at once, each answered from memory.
    let started = Instant::now();
    for _ in 0..5 {
        let (status, headers, body) = front.get(API, &prober).await?;
        ensure!(status == 200 && headers[CONTENT_TYPE] == "application/json", "{status} {headers:?}");
        ensure!(body.contains(r#""kind":"APIResourceList""#), "{body}");
    }
    ensure!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());

    let (status, headers, body) = front.get("/apis", &and(&prober, ("accept", AGGREGATED))).await?;
    let form = headers[CONTENT_TYPE].to_str()?.to_owned();
    for part in ["application/json", "g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"] {
        ensure!(status == 200 && form.split(';').any(|found| found == part), "{form} has no {part}");
    }
    ensure!(body.contains(r#""responseKind""#), "{body}");
    let etag = headers[ETAG].to_str()?.to_owned();
    ensure!(etag.starts_with('"') && etag.ends_with('"'), "{etag} is not quoted");
    let known = [&prober[..], &[("accept", AGGREGATED), ("if-none-match", &etag)]].concat();
    ensure!(front.get("/apis", &known).await?.0 == 304);
    // The fallback repeats the validator of the other document, and takes 200 only.
    let fallback = [&aggregator[..], &[("accept", "application/json"), (IF_NONE_MATCH.as_str(), &etag)]].concat();
    let (status, _, body) = front.get(API, &fallback).await?;
    ensure!(status == 200 && body.contains("APIResourceList"), "{status} {body}");
    let peers = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer";
    ensure!(front.get("/apis", &and(&prober, ("accept", peers))).await?.0 == 200);

    let (status, headers, body) = front.get("/openapi/v2", &and(&openapi, ("accept", "application/json"))).await?;
    ensure!(status == 200 && body.starts_with(r#"{"swagger":"2.0""#), "{status} {}", &body[..100]);
    let etag = headers[ETAG].to_str()?.to_owned();
    ensure!(front.get("/openapi/v2", &[&openapi[..], &[("if-none-match", &etag)]].concat()).await?.0 == 304);

    let (status, _, body) = front.get("/openapi/v3", &openapi).await?;
    let root: Value = serde_json::from_str(&body)?;
    let paths = root["paths"].as_object().context("paths")?;
    ensure!(status == 200 && paths.keys().eq(["apis/k8s.starter.org/v1alpha1"]), "{body}");
    let url = paths["apis/k8s.starter.org/v1alpha1"]["serverRelativeURL"].as_str().context("a URL")?;
    let (status, headers, current) = front.get(url, &with(&[("accept", "application/json")])).await?;
    ensure!(status == 200, "{current}");
    ensure!(headers["cache-control"] == "public, immutable" && headers.contains_key("expires"), "{headers:?}");
    ensure!(headers["vary"] == "Accept", "{headers:?}");
    let etag = headers[ETAG].to_str()?.to_owned();
    ensure!(front.get(url, &with(&[("if-none-match", &etag)])).await?.0 == 304);
    // Never a redirect to the current document: it would become 502.
    let stale = format!("/openapi/v3{API}?hash=0123456789ABCDEF");
    let (status, headers, document) = front.get(&stale, &with(&[])).await?;
    ensure!(status == 200 && document == current && !headers.contains_key("cache-control"), "{status} {headers:?}");
    let protobuf = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
    ensure!(front.get(url, &with(&[("accept", protobuf)])).await?.0 == 406);
    Ok(())
}

/// A user of many groups brings a line for each (wire rule 11.2), and paths that are long with them (wire rule 1.4).
#[tokio::test]
async fn users_of_many_groups() -> Result<()> {
    let corridor = Corridor::start().await?;
    let groups: Vec<String> = (0..3000).map(|at| format!("oidc:a-group-with-a-rather-long-name-{at:06}")).collect();
    let mut headers = with(&[]);
    headers.extend(groups.iter().map(|group| ("x-remote-group", group.as_str())));
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut front = Connection::open(&corridor, FRONT, version).await?;
        let (status, _, body) = front.get(ALL, &headers).await?;
        ensure!(status == 200, "{version:?}: {status} {body}");
        let selector = format!("{ALL}?labelSelector=a+in+({})", vec!["value"; 5000].join(","));
        let (status, _, body) = front.get(&selector, &with(&[])).await?;
        ensure!(status == 200, "{version:?}: {status} {body}");
    }
    Ok(())
}
