//! helm, of both major versions, with a chart that holds claims: the same life in a native cluster and through the connector.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::binaries::HELMS;
use testkit::helm::{chart, helm};
use testkit::kubectl::Output;
use testkit::{Cluster, Kubectl, eventually};

use crate::setup::{Corridor, claim, json};
use crate::twins::{CLUSTERS, DATABASES, Transcript, Twins};

const KINDS: &str = "kubernetesclusters,sqlinstances,configmaps";

#[tokio::test]
async fn a_chart_of_claims_lives_as_it_does_beside_crossplane() -> Result<()> {
    let twins = Twins::start_with_crossplane(&[CLUSTERS, DATABASES]).await?;
    for version in HELMS {
        // Both at once: they share nothing.
        let (native, through) =
            futures::future::try_join(Life::live(&twins.native, version), Life::live(&twins.app, version)).await?;
        through.check_against(&native).with_context(|| format!("helm {version}"))?;
        let remote = twins.control_plane.kubectl();
        eventually("the control plane to be empty", || async {
            // Not the composites: `--force` of helm 3 takes a claim's resourceRef away, and Crossplane makes it another one.
            let left = remote.ok(["get", "kubernetesclusters,sqlinstances", "-A", "-o", "name"]).await?;
            Ok(if left.is_empty() { Ok(()) } else { Err(left) })
        })
        .await?;
    }
    Ok(())
}

/// helm asks for all APIs before it does anything.
#[tokio::test]
async fn an_outage_stops_no_chart_without_claims() -> Result<()> {
    let mut corridor = Corridor::start().await?;
    corridor.control_plane.stop_apiserver()?;
    let chart = chart("platform");
    let chart = chart.to_str().context("the repository's path is not UTF-8")?;
    for version in HELMS {
        let helm = helm(&corridor.app, version).await?;
        let with = ["upgrade", "--install", "shop", chart, "--set", "databases=null", "--timeout", "20s"];
        let without: Vec<_> = with.into_iter().chain(["--set", "clusters=null", "--wait"]).collect();
        helm.ok(&without).await?;
        // What is offered is known from memory.
        let config = json(&corridor.app.kubectl(), &["get", "configmap", "shop"]).await?;
        ensure!(config["data"]["clusters"] == "true" && config["data"]["others"] == "false", "{config}");
        helm.ok(["upgrade", "shop", chart, "--reuse-values", "--set", "anything=else"]).await?;
        let refused = helm.run(&with).await?;
        ensure!(!refused.status.success(), "a claim was made during the outage: {}", refused.stdout);
        let uninstalled = helm.ok(["uninstall", "shop", "--wait"]).await?;
        ensure!(uninstalled.contains("uninstalled"), "{uninstalled}");
    }
    Ok(())
}

/// A release's life in a cluster.
struct Life {
    helm: Kubectl,
    kubectl: Kubectl,
    told: Transcript,
}

impl Life {
    async fn live(cluster: &Cluster, version: &'static str) -> Result<Transcript> {
        let helm = helm(cluster, version).await?;
        let chart = chart("platform");
        let chart = chart.to_str().context("the repository's path is not UTF-8")?;
        let kubectl = cluster.kubectl();
        let life = Self { helm, kubectl, told: Transcript::default() };
        life.release(chart, version).await.with_context(|| format!("helm {version} in {}", cluster.name()))
    }

    async fn release(mut self, chart: &str, version: &str) -> Result<Transcript> {
        self.kubectl.ok(["create", "namespace", "shop"]).await?;
        let [wait, limit] = ["--wait", "--timeout=90s"];

        // Installed.
        self.ok(&["install", "shop", chart, "--dry-run=server"]).await?;
        self.ok(&["install", "shop", chart, wait, limit]).await?;
        self.tell_objects(&["one", "two", "main", "shop"]).await?;
        self.refused(&["install", "shop", chart], "cannot re").await?;
        for about in [
            &["status", "shop"][..],
            &["get", "manifest", "shop"],
            &["get", "hooks", "shop"],
            &["get", "notes", "shop"],
        ] {
            self.ok(about).await?;
        }
        let resources: &[&str] = if version.starts_with("v3") { &["--show-resources"] } else { &[] };
        let status = [&["status", "shop", "-n", "shop", "-o", "json"], resources].concat();
        let mut status: Value = serde_json::from_str(&self.helm.ok(&status).await?)?;
        ensure!(status["info"]["resources"].to_string().contains("KubernetesCluster"), "{status}");
        forget_crossplane(&mut status);
        self.told.tell_json("status with resources", status);

        // Upgraded: one is changed, one is added, one is gone.
        let changed =
            ["--set", "clusters.one.count=5,clusters.two=null,clusters.three.count=2,clusters.three.size=small"];
        let second =
            [&["upgrade", "shop", chart, "--set", "databases.main.storage=10", wait, limit], &changed[..]].concat();
        self.ok(&second).await?;
        self.tell_objects(&["one", "three", "main", "shop"]).await?;
        ensure!(self.count("one").await? == 5);

        // Drifted. helm 3 sees no difference between two releases, unless it replaces; helm 4 asks for a manager of its own.
        let drift = r#"{"metadata":{"labels":{"by":"hand"}},"spec":{"parameters":{"nodes":{"count":7}}}}"#;
        self.kubectl.ok(["patch", "kubernetescluster", "-n", "shop", "one", "--type=merge", "-p", drift]).await?;
        self.kubectl.ok(["delete", "sqlinstance", "-n", "shop", "main", "--timeout=60s"]).await?;
        self.run(&second).await?;
        let force = if version.starts_with("v3") { "--force" } else { "--force-conflicts" };
        let second = [&second[..], &[force]].concat();
        self.ok(&second).await?;
        self.tell_objects(&["one", "three", "main", "shop"]).await?;
        ensure!(self.count("one").await? == 5);

        // Refused: the message is about what the user wrote.
        let bad = [&second[..], &["--set", "clusters.three.size=enormous"]].concat();
        let invalid = r#"KubernetesCluster.k8s.starter.org "three" is invalid: spec.parameters.nodes.size: Unsupported value: "enormous""#;
        self.refused(&bad, invalid).await?;
        let unknown = [&second[..], &["--set", "clusters.three.count=many"]].concat();
        self.refused(&unknown, "three").await?;
        self.run(&["status", "shop"]).await?;
        self.ok(&["history", "shop"]).await?;

        // Back to the first.
        self.ok(&["rollback", "shop", "1", wait, limit]).await?;
        self.tell_objects(&["one", "two", "main", "shop"]).await?;
        ensure!(self.count("one").await? == 3);
        self.refused(&["rollback", "shop", "99"], "").await?;
        self.ok(&["get", "manifest", "shop", "--revision", "2"]).await?;
        self.ok(&["list"]).await?;

        // Gone.
        self.ok(&["uninstall", "shop", wait, limit]).await?;
        self.tell_objects(&[]).await?;
        self.refused(&["status", "shop"], "not found").await?;

        // What is there already belongs to somebody else.
        self.kubectl.apply(&claim("shop", "one")).await?;
        self.refused(
            &["install", "shop", chart],
            r#"KubernetesCluster "one" in namespace "shop" exists and cannot be imported"#,
        )
        .await?;
        self.ok(&["install", "shop", chart, "--take-ownership", wait, limit]).await?;
        self.tell_objects(&["one", "two", "main", "shop"]).await?;
        self.ok(&["uninstall", "shop", wait, limit]).await?;
        self.kubectl.ok(["delete", "namespace", "shop", "--timeout=90s"]).await?;
        Ok(self.told)
    }

    /// Runs helm, and tells how it ended.
    async fn run(&mut self, args: &[&str]) -> Result<Output> {
        let output = self.helm.run(args.iter().chain(&["--namespace", "shop"])).await?;
        let names = args
            .iter()
            .map(|arg| Path::new(arg).file_name().map_or_else(|| (*arg).into(), |name| name.to_string_lossy()));
        let what = names.collect::<Vec<_>>().join(" ");
        self.told.tell(&what, &format!("{}\n{}{}", output.status, with_kinds_in_order(&output.stdout), output.stderr));
        Ok(output)
    }

    async fn ok(&mut self, args: &[&str]) -> Result<()> {
        let output = self.run(args).await?;
        ensure!(output.status.success(), "{args:?}: {}{}", output.stdout, output.stderr);
        Ok(())
    }

    /// Runs helm, which must fail and say why.
    async fn refused(&mut self, args: &[&str], why: &str) -> Result<()> {
        let output = self.run(args).await?;
        ensure!(
            !output.status.success() && output.stderr.contains(why),
            "{args:?}: {}{}",
            output.stdout,
            output.stderr
        );
        Ok(())
    }

    async fn count(&self, name: &str) -> Result<Value> {
        let mut of = json(&self.kubectl, &["get", "kubernetescluster", "-n", "shop", name]).await?;
        Ok(of["spec"]["parameters"]["nodes"]["count"].take())
    }

    /// Tells the objects once Crossplane is done with them. They are those of these names.
    async fn tell_objects(&mut self, names: &[&str]) -> Result<()> {
        let of_release = ["-n", "shop", "-l", "app.kubernetes.io/instance=shop"];
        let mut names = names.to_vec();
        names.sort_unstable();
        let list: Vec<_> = ["get", KINDS, "--show-managed-fields"].into_iter().chain(of_release).collect();
        // helm need not wait for what it deletes.
        let objects = || async {
            let mut list = json(&self.kubectl, &list).await?;
            let mut objects: Vec<Value> = list["items"].as_array_mut().context("no items")?.drain(..).collect();
            // The order of a list is not the same.
            objects.sort_by_key(|of| (of["kind"].to_string(), of["metadata"]["name"].to_string()));
            let mut found: Vec<_> = objects.iter().filter_map(|of| of["metadata"]["name"].as_str()).collect();
            found.sort_unstable();
            let found = if found == names { Ok(()) } else { Err(format!("{found:?}")) };
            Ok(found.map(|()| objects))
        };
        eventually(&format!("{names:?}"), objects).await?;
        for kind in ["kubernetesclusters", "sqlinstances"] {
            if !names.is_empty() {
                let ready = ["wait", "--for=condition=Ready", kind, "--timeout=90s"];
                self.kubectl.ok(ready.into_iter().chain(of_release)).await?;
            }
        }
        let objects = eventually(&format!("{names:?}"), objects).await?;
        for mut object in objects {
            let what = format!("{} {}", object["kind"], object["metadata"]["name"]);
            forget_crossplane(&mut object);
            self.told.tell_json(&what, object);
        }
        Ok(())
    }
}

/// helm 4 lists a release's objects by kind, and the kinds as a map of Go comes. They end at an empty line each.
fn with_kinds_in_order(stdout: &str) -> String {
    const BEFORE: &str = "\nRESOURCES:\n";
    let Some((before, listed)) = stdout.split_once(BEFORE) else { return stdout.to_owned() };
    let (mut kinds, after): (Vec<_>, Vec<_>) =
        listed.split_inclusive("\n\n").partition(|part| part.starts_with("==> "));
    kinds.sort_unstable();
    [&[before, BEFORE], &kinds[..], &after].concat().concat()
}

/// Takes out what Crossplane does differently each time, and what it makes of the name that it sees: how often it writes, and
/// the name of the composite.
fn forget_crossplane(of: &mut Value) {
    match of {
        Value::Object(members) => {
            members.retain(|key, _| {
                !["generation", "observedGeneration", "crossplane.io/composite"].contains(&key.as_str())
            });
            for key in ["resourceRef", "resourceRefs"] {
                match members.get_mut(key) {
                    Some(Value::Array(composed)) => composed.iter_mut().for_each(|of| of["name"] = Value::Null),
                    Some(composite) => composite["name"] = Value::Null,
                    None => {}
                }
            }
            members.values_mut().for_each(forget_crossplane);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_crossplane),
        _ => {}
    }
}
