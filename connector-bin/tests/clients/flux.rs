//! Flux's real kustomize-controller applies a folder that holds claims: through the connector, and where Crossplane itself is,
//! with the same outcome.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testkit::flux::{Flux, NAMESPACE};
use testkit::{Cluster, Crossplane, Kubectl, eventually, fixtures};

use crate::setup::{CLAIM_NAMESPACE, Corridor, EXAMPLE, claim, json as get, traces};

const TEAM: &str = "apiVersion: v1
kind: Namespace
metadata: {name: team}
";

/// What the inventory says of the namespace and the claims `one` and `two`.
const ALL: [&str; 3] =
    ["_team__Namespace", "team_one_k8s.starter.org_KubernetesCluster", "team_two_k8s.starter.org_KubernetesCluster"];

#[tokio::test]
async fn a_folder_of_claims_lives_as_it_does_beside_crossplane() -> Result<()> {
    // Both at once: they share nothing.
    let (through_connector, beside_crossplane) =
        futures::future::try_join(through_connector(), beside_crossplane()).await?;
    let told = through_connector.join("\n");
    ensure!(traces(&told).is_empty(), "{told}");
    ensure!(
        through_connector == beside_crossplane,
        "through the connector:\n{told}\nnative:\n{}",
        beside_crossplane.join("\n")
    );
    Ok(())
}

async fn through_connector() -> Result<Vec<String>> {
    let corridor = Corridor::start().await?;
    let told = Life::start(&corridor.app).await?.live().await?;
    eventually("the control plane to be empty", || async {
        let stored =
            get(&corridor.control_plane.kubectl(), &["get", "kubernetesclusters", "-n", CLAIM_NAMESPACE]).await?;
        Ok(if stored["items"].as_array().is_some_and(Vec::is_empty) { Ok(()) } else { Err(stored.to_string()) })
    })
    .await?;
    Ok(told)
}

async fn beside_crossplane() -> Result<Vec<String>> {
    let native = Cluster::start_native().await?;
    let crossplane = Crossplane::install(&native).await?;
    crossplane.offer(&fixtures::xrd(EXAMPLE)?).await?;
    Life::start(&native).await?.live().await
}

/// A folder's life in a cluster, and what is to be told of it.
struct Life {
    flux: Flux,
    app: Kubectl,
    told: Vec<String>,
}

impl Life {
    async fn start(cluster: &Cluster) -> Result<Self> {
        let flux = Flux::start(cluster).await?;
        Ok(Self { flux, app: cluster.kubectl(), told: Vec::new() })
    }

    /// All of it; answers what it told.
    async fn live(mut self) -> Result<Vec<String>> {
        let (one, two) = (claim("team", "one"), claim("team", "two"));
        // Applied, namespace and claims at once.
        let revision = self.flux.publish(&[("team.yaml", TEAM), ("one.yaml", &one), ("two.yaml", &two)]).await?;
        let spec = json!({ "prune": true, "wait": true, "timeout": "20s", "retryInterval": "5s" });
        self.flux.kustomization("folder", spec).await?;
        self.ready(&revision, &ALL).await?;
        let managers = self.tell_managers("one").await?;
        ensure!(managers.contains("kustomize-controller Apply"), "{managers}");

        // The same again changes nothing.
        let before = self.of_one("{.metadata.resourceVersion}").await?;
        self.flux.reconcile("folder", "unchanged").await?;
        ensure!(self.of_one("{.metadata.resourceVersion}").await? == before);

        // Changed.
        let one = one.replace("count: 3", "count: 5");
        let revision = self.flux.publish(&[("team.yaml", TEAM), ("one.yaml", &one), ("two.yaml", &two)]).await?;
        self.ready(&revision, &ALL).await?;
        ensure!(self.count().await? == "5");

        // Drifted, and corrected: one is changed by hand, one is gone.
        let drift = r#"{"spec":{"parameters":{"nodes":{"count":7}}}}"#;
        self.app.ok(["patch", "kubernetescluster", "-n", "team", "one", "--type=merge", "-p", drift]).await?;
        self.app.ok(["delete", "kubernetescluster", "-n", "team", "two", "--timeout=60s"]).await?;
        self.flux.reconcile("folder", "drifted").await?;
        self.ready(&revision, &ALL).await?;
        ensure!(self.count().await? == "5");
        let managers = self.tell_managers("one").await?;
        ensure!(!managers.contains("kubectl"), "{managers}");
        self.tell_managers("two").await?;

        // An invalid claim, and one that does not get ready: the message is about what the user wrote.
        let bad = claim("team", "bad").replace("small", "enormous");
        let revision = self.flux.publish(&[("team.yaml", TEAM), ("one.yaml", &one), ("bad.yaml", &bad)]).await?;
        let message = self.failed(&revision).await?;
        let invalid = r#"KubernetesCluster/team/bad dry-run failed (Invalid): KubernetesCluster.k8s.starter.org "bad" is invalid: spec.parameters.nodes.size: Unsupported value: "enormous""#;
        ensure!(message.contains(invalid), "{message}");
        let nowhere = "spec:\n  compositionSelector: {matchLabels: {none: such}}";
        let slow = claim("team", "slow").replace("spec:", nowhere);
        let files = [("team.yaml", TEAM), ("one.yaml", &one), ("two.yaml", &two), ("slow.yaml", &slow)];
        let revision = self.flux.publish(&files).await?;
        // Only once it says that it is not ready does Flux see it: before, it may be applied and done.
        for condition in ["--for=create", "--for=condition=Ready=False"] {
            self.app.ok(["wait", condition, "-n", "team", "kubernetescluster/slow", "--timeout=90s"]).await?;
        }
        self.flux.reconcile("folder", "slow").await?;
        let message = self.failed(&revision).await?;
        ensure!(message.contains("waiting for: [KubernetesCluster/team/slow status: 'InProgress'"), "{message}");

        // Pruned.
        let revision = self.flux.publish(&[("team.yaml", TEAM), ("one.yaml", &one)]).await?;
        self.ready(&revision, &ALL[..2]).await?;
        for name in ["two", "slow"] {
            let pruned = format!("kubernetescluster/{name}");
            self.app.ok(["wait", "--for=delete", "-n", "team", &pruned, "--timeout=60s"]).await?;
        }
        ensure!(self.count().await? == "5");

        // Deleted.
        self.app.ok(["delete", "kustomization", "-n", NAMESPACE, "folder", "--timeout=90s"]).await?;
        self.app.ok(["wait", "--for=delete", "namespace/team", "--timeout=90s"]).await?;
        Ok(self.told)
    }

    /// Waits until the folder is ready, with this inventory, and tells its conditions.
    async fn ready(&mut self, revision: &str, expected: &[&str]) -> Result<()> {
        let of = self.flux.wait_ready("folder", revision).await?;
        ensure!(inventory(&of) == expected, "{of}");
        self.told.push(conditions(&of));
        Ok(())
    }

    /// Waits until the folder has failed, and tells and answers why.
    async fn failed(&mut self, revision: &str) -> Result<String> {
        let message = self.flux.wait_failed("folder", revision).await?;
        // Durations differ.
        self.told.push(message.replace(|of: char| of.is_ascii_digit(), ""));
        Ok(message)
    }

    /// Tells and answers who manages what of a claim, once it is ready.
    async fn tell_managers(&mut self, name: &str) -> Result<String> {
        // A claim that says nothing yet of its state is good enough for Flux.
        let ready = format!("kubernetescluster/{name}");
        self.app.ok(["wait", "--for=condition=Ready", "-n", "team", &ready, "--timeout=90s"]).await?;
        let of = get(&self.app, &["get", "kubernetescluster", "-n", "team", name, "--show-managed-fields"]).await?;
        ensure!(of["metadata"]["name"] == name, "{of}");
        let entries = of["metadata"]["managedFields"].as_array().into_iter().flatten();
        let mut managers: Vec<_> = entries
            .map(|entry| {
                let part = |key: &str| entry[key].as_str().unwrap_or_default();
                format!("{} {} {} {}", part("manager"), part("operation"), part("subresource"), entry["fieldsV1"])
            })
            .collect();
        managers.sort_unstable();
        let managers = managers.join("\n");
        self.told.push(managers.clone());
        Ok(managers)
    }

    async fn of_one(&self, path: &str) -> Result<String> {
        let path = format!("jsonpath={path}");
        self.app.ok(["get", "kubernetescluster", "-n", "team", "one", "-o", &path]).await
    }

    async fn count(&self) -> Result<String> {
        self.of_one("{.spec.parameters.nodes.count}").await
    }
}

/// The ids of the inventory, sorted.
fn inventory(of: &Value) -> Vec<&str> {
    let entries = of["status"]["inventory"]["entries"].as_array().into_iter().flatten();
    let mut ids: Vec<_> = entries.filter_map(|entry| entry["id"].as_str()).collect();
    ids.sort_unstable();
    ids
}

/// The conditions without their times.
fn conditions(of: &Value) -> String {
    let conditions = of["status"]["conditions"].as_array().into_iter().flatten().map(|of| {
        // How long it took is no matter.
        let message = of["message"].as_str().unwrap_or_default().split(" in ").next().unwrap_or_default();
        format!("{} {} {} {message}", of["type"], of["status"], of["reason"])
    });
    conditions.collect::<Vec<_>>().join("\n")
}
