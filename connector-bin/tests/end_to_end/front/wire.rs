//! Watches, many at once, upgrades, and how connections end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, Version};
use http_body_util::BodyExt;
use serde_json::Value;

use super::{ADMIN, ALL, API, Connection, FRONT, with};
use crate::setup::{Corridor, claim};

/// A watch tells its headers before there is an event (wire rule 7.6), never its length (wire rule 1.18), and each event ends
/// with one newline (wire rule 7.5). Nothing that the front sets itself is answered (wire rule 1.19).
#[tokio::test]
async fn a_watch_on_the_wire() -> Result<()> {
    let corridor = Corridor::start().await?;
    let kubectl = corridor.app.kubectl();
    for (version, name) in [(Version::HTTP_11, "one"), (Version::HTTP_2, "two")] {
        let mut front = Connection::open(&corridor, FRONT, version).await?;
        let request = front.request("GET", &format!("{ALL}?watch=true&fieldSelector=metadata.name={name}"), &ADMIN);
        // Nothing happens that the answer could wait for.
        let answer =
            tokio::time::timeout(Duration::from_secs(10), front.send(request)).await.context("no headers")??;
        let (parts, mut body) = answer.into_parts();
        ensure!(parts.status == 200 && parts.headers[CONTENT_TYPE] == "application/json", "{parts:?}");
        for header in [CONTENT_LENGTH.as_str(), "audit-id", "cache-control", "x-kubernetes-pf-flowschema-uid"] {
            ensure!(!parts.headers.contains_key(header), "{version:?}: {:?}", parts.headers);
        }
        kubectl.apply(&claim("default", name)).await?;
        let mut stream = String::new();
        while !stream.contains("\"ADDED\"") || !stream.ends_with('\n') {
            let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.context("no event")?;
            let frame = frame.context("the watch ended")??;
            stream.push_str(std::str::from_utf8(&frame.into_data().unwrap_or_default())?);
        }
        for line in stream.split_terminator('\n') {
            ensure!(serde_json::from_str::<Value>(line).is_ok(), "{version:?}: a line that is no event: {line:?}");
        }
    }
    Ok(())
}

/// Everything of a cluster comes over one connection (wire rule 1.13), and the control plane's hundred streams must not hold it
/// up (wire rule 11.1).
#[tokio::test]
async fn many_watches_on_one_connection() -> Result<()> {
    let corridor = Corridor::start().await?;
    let mut front = Connection::open(&corridor, FRONT, Version::HTTP_2).await?;
    let mut watches = Vec::new();
    for _ in 0..300 {
        let request = front.request("GET", &format!("{ALL}?watch=true"), &ADMIN);
        let answer = tokio::time::timeout(Duration::from_secs(20), front.send(request)).await;
        let answer = answer.with_context(|| format!("after {} watches", watches.len()))??;
        ensure!(answer.status() == 200, "{}", answer.status());
        watches.push(answer.into_body());
    }
    let started = Instant::now();
    ensure!(front.get(ALL, &ADMIN).await?.0 == 200);
    ensure!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    corridor.app.kubectl().apply(&claim("default", "db")).await?;
    for (at, watch) in watches.iter_mut().enumerate() {
        let frame = tokio::time::timeout(Duration::from_secs(20), watch.frame()).await;
        frame.with_context(|| format!("watch {at} has no event"))?.context("it ended")??;
    }
    Ok(())
}

/// Upgrades are refused with an error, so that the front passes the refusal on (wire rules 1.16, 7.11).
#[tokio::test]
async fn a_websocket_is_refused() -> Result<()> {
    let corridor = Corridor::start().await?;
    let mut front = Connection::open(&corridor, FRONT, Version::HTTP_11).await?;
    let upgrade = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "base64.binary.k8s.io"),
    ];
    let (status, _, body) = front.get(&format!("{ALL}?watch=true"), &with(&upgrade)).await?;
    let told: Value = serde_json::from_str(&body)?;
    ensure!(status == 400 && told["kind"] == "Status", "{status} {body}");
    ensure!(told["message"].as_str().is_some_and(|told| told.contains("watch without")), "{body}");
    // And what a client sees of it.
    let client = corridor.app.plain_client_for("admin", &["system:masters"]).await?;
    let mut request = Request::get(format!("{ALL}?watch=true"));
    for (name, value) in upgrade {
        request = request.header(name, value);
    }
    let answer = client.send(request.body(kube::client::Body::empty())?).await?;
    ensure!(answer.status() == 400, "{}", answer.status());
    let body = answer.into_body().collect().await?.to_bytes();
    ensure!(String::from_utf8_lossy(&body).contains("watch without"), "{body:?}");
    Ok(())
}

/// The front keeps idle connections for 90 s, so the connector keeps them longer (wire rules 1.12, 1.15).
#[tokio::test]
async fn idle_connections_outlive_the_fronts_patience() -> Result<()> {
    let corridor = Corridor::start().await?;
    let mut one = Connection::open(&corridor, FRONT, Version::HTTP_11).await?;
    let mut two = Connection::open(&corridor, FRONT, Version::HTTP_2).await?;
    for _ in 0..2 {
        for front in [&mut one, &mut two] {
            ensure!(front.get(API, &ADMIN).await?.0 == 200);
        }
        tokio::time::sleep(Duration::from_secs(92)).await;
    }
    Ok(())
}

/// At its end the connector says so on connections that carry many requests (wire rules 1.15, 11.23): what runs is answered,
/// watches end between two events, and the connection goes.
#[tokio::test]
async fn an_end_is_told_on_every_connection() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    corridor.app.kubectl().apply(&claim("default", "db")).await?;
    let mut one = Connection::open(&corridor, FRONT, Version::HTTP_11).await?;
    let mut two = Connection::open(&corridor, FRONT, Version::HTTP_2).await?;
    let mut watches = Vec::new();
    for front in [&mut one, &mut two] {
        let request = front.request("GET", &format!("{ALL}?watch=true"), &ADMIN);
        let mut body = front.send(request).await?.into_body();
        let first = body.frame().await.context("an event")??;
        watches.push((body, first.into_data().unwrap_or_default().to_vec()));
    }
    ensure!(corridor.connector.terminate().await?.success());
    for (body, mut stream) in watches {
        let rest = body.collect().await.context("the watch was broken off")?.to_bytes();
        stream.extend_from_slice(&rest);
        ensure!(stream.ends_with(b"\n"), "{}", String::from_utf8_lossy(&stream));
    }
    for front in [&mut one, &mut two] {
        ensure!(front.get(API, &ADMIN).await.is_err(), "the connection is still served");
    }
    Ok(())
}
