//! Crossplane's part is played as it was recorded.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, WatchEvent, WatchParams};
use serde_json::{Value, json};
use testkit::fixtures::{self, Recorded};
use testkit::{Cluster, ClusterOptions, Crossplane, Kubectl, eventually};

/// The versions of one kind's objects, as a watch shows them.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, Value)>>>);

impl Seen {
    async fn watch(cluster: &Cluster, api_version: &str, kind: &str, plural: &str) -> Result<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let api = Api::<DynamicObject>::all_with(cluster.client().await?, &resource);
        let stream = api.watch(&WatchParams::default().timeout(290), "0").await?;
        let seen = Self::default();
        let into = seen.clone();
        tokio::spawn(async move {
            let mut stream = std::pin::pin!(stream);
            while let Some(Ok(event)) = stream.next().await {
                let (event, object) = match event {
                    WatchEvent::Added(object) => ("ADDED", object),
                    WatchEvent::Modified(object) => ("MODIFIED", object),
                    WatchEvent::Deleted(object) => ("DELETED", object),
                    WatchEvent::Bookmark(_) | WatchEvent::Error(_) => continue,
                };
                let object = serde_json::to_value(object).expect("JSON");
                into.0.lock().expect("the list").push((event.to_owned(), object));
            }
        });
        Ok(seen)
    }

    /// The versions of one object, its deletion included.
    fn of(&self, name: &str) -> Vec<(String, Value)> {
        let all = self.0.lock().expect("the list");
        all.iter().filter(|(_, object)| object["metadata"]["name"] == name).cloned().collect()
    }

    /// Waits for a version of the given shape, and answers those up to it.
    async fn until_shape(&self, name: &str, expected: &Value) -> Result<Vec<(String, Value)>> {
        eventually(&format!("{name} to be as recorded"), || async {
            let of = self.of(name);
            let found = of.iter().rposition(|(_, object)| shape(object) == *expected);
            Ok(match found {
                Some(at) => Ok(of[..=at].to_vec()),
                None => {
                    let last = of.last().map(|(_, object)| shape(object)).unwrap_or_default();
                    Err(format!("{last:#}\nof {} versions, not {expected:#}", of.len()))
                }
            })
        })
        .await
    }

    async fn deletion_of(&self, name: &str) -> Result<Vec<(String, Value)>> {
        eventually(&format!("the deletion of {name} in the watch"), || async {
            let of = self.of(name);
            Ok(if of.last().is_some_and(|(event, _)| event == "DELETED") { Ok(of) } else { Err(format!("{of:#?}")) })
        })
        .await
    }
}

fn recorded(recording: &[Recorded], name: &str) -> Vec<(String, Value)> {
    let of = recording.iter().filter(|recorded| recorded.object["metadata"]["name"] == name);
    of.map(|recorded| (recorded.event.clone(), recorded.object.clone())).collect()
}

fn is_ready(object: &Value) -> bool {
    conditions(object).iter().any(|condition| condition.starts_with("Ready True"))
}

/// `Ready False Waiting: message`, in the order of the types.
fn conditions(object: &Value) -> BTreeSet<String> {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    conditions
        .map(|of| {
            format!("{} {} {}: {}", text(of, "type"), text(of, "status"), text(of, "reason"), text(of, "message"))
        })
        .collect()
}

/// What is the same in every run: the random and the timely parts are taken out.
fn shape(object: &Value) -> Value {
    let mut spec = object["spec"].clone();
    let random = |reference: &mut Value, keep: usize| {
        if let Some(name) = reference["name"].as_str() {
            let parts: Vec<_> = name.split('-').collect();
            *reference = json!({ "starts": parts[..parts.len().min(keep)], "length": name.len() });
        }
    };
    for (pointer, keep) in [
        ("/resourceRef", 1),
        ("/compositionRevisionRef", 1),
        ("/crossplane/compositionRevisionRef", 1),
        ("/resourceRefs/0", 2),
        ("/writeConnectionSecretToRef", if object["kind"] == "XKubernetesCluster" { 0 } else { 9 }),
    ] {
        if let Some(reference) = spec.pointer_mut(pointer) {
            random(reference, keep);
        }
    }
    let managers = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let managers: BTreeSet<_> = managers
        .map(|of| format!("{} {} {} {}", of["manager"], of["operation"], of["subresource"], of["fieldsV1"]))
        .collect();
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
    json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "finalizers": object["metadata"]["finalizers"],
        "labels": labels.collect::<Vec<_>>(),
        "spec": spec,
        "conditions": conditions(object),
        "statusFields": object["status"].as_object().into_iter().flatten().map(|(key, _)| key).collect::<BTreeSet<_>>(),
        "managers": managers,
    })
}

/// The order in which an object's parts appear first.
fn appearances(versions: &[(String, Value)], pointers: &[&str]) -> Vec<String> {
    let mut first: Vec<_> = pointers
        .iter()
        .filter_map(|pointer| {
            let at = versions.iter().position(|(_, object)| object.pointer(pointer).is_some())?;
            Some((at, (*pointer).to_owned()))
        })
        .collect();
    first.sort_by_key(|(at, _)| *at);
    first.into_iter().map(|(_, pointer)| pointer).collect()
}

fn last_where(versions: &[(String, Value)], wanted: impl Fn(&Value) -> bool) -> Result<&Value> {
    versions.iter().map(|(_, object)| object).rfind(|object| wanted(object)).context("no such version")
}

async fn wait_gone(kubectl: &Kubectl, what: &[&str]) -> Result<()> {
    eventually(&format!("the end of {what:?}"), || async {
        let get = kubectl.run(["get"].iter().chain(what)).await?;
        Ok(if get.stderr.contains("NotFound") { Ok(()) } else { Err(format!("{get:?}")) })
    })
    .await
}

async fn get(kubectl: &Kubectl, what: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&kubectl.ok(["get", "-o", "json"].iter().chain(what)).await?)?)
}

async fn wait_for_secret(kubectl: &Kubectl, name: &str, key: &str, value: &str) -> Result<Value> {
    eventually(&format!("the Secret {name} with the {key} {value}"), || async {
        let get = kubectl.run(["get", "secret", name, "-o", "json"]).await?;
        let secret: Value = serde_json::from_str(&get.stdout).unwrap_or_default();
        Ok(if secret["data"][key] == value { Ok(secret) } else { Err(format!("{secret}{}", get.stderr)) })
    })
    .await
}

const ENDPOINT: &str = "aHR0cHM6Ly9jbHVzdGVyLmV4YW1wbGUudGVzdA==";
const ROTATED: &str = "aHR0cHM6Ly9yb3RhdGVkLmV4YW1wbGUudGVzdA==";

#[tokio::test]
async fn the_documented_example_goes_as_recorded() -> Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::named("claims")).await?;
    let crossplane = Crossplane::install(&cluster).await?;
    let kubectl = cluster.kubectl();
    crossplane.offer(&fixtures::xrd("01-eks-kubernetescluster")?).await?;
    cluster.restart_controller_manager().await?;
    let claims = Seen::watch(&cluster, "k8s.starter.org/v1alpha1", "KubernetesCluster", "kubernetesclusters").await?;
    let composites =
        Seen::watch(&cluster, "k8s.starter.org/v1alpha1", "XKubernetesCluster", "xkubernetesclusters").await?;
    let claim = fixtures::claim("01-eks-kubernetescluster")?;
    kubectl.apply(&claim).await?;
    kubectl.ok(["wait", "--for=condition=Ready", "kubernetescluster/my-cluster", "--timeout=90s"]).await?;
    let secret = wait_for_secret(&kubectl, "my-cluster-kubeconfig", "kubeconfig", ENDPOINT).await?;
    let recorded_secrets = recorded(&fixtures::recording("secrets")?, "my-cluster-kubeconfig");
    let owner = |secret: &Value| {
        let mut owner = secret["metadata"]["ownerReferences"].clone();
        owner[0]["uid"] = Value::Null;
        owner
    };
    ensure!(secret["type"] == "connection.crossplane.io/v1alpha1", "{secret}");
    ensure!(owner(&secret) == owner(&recorded_secrets[0].1), "{secret}");
    ensure!(secret["metadata"]["labels"].is_null() && secret["metadata"]["annotations"].is_null(), "{secret}");

    let of_claims = fixtures::recording("claims")?;
    let expected = recorded(&of_claims, "my-cluster");
    let played = claims.of("my-cluster");
    // The first Ready version of both, and the way there.
    let is_small = |object: &Value| is_ready(object) && object["spec"]["parameters"]["nodes"]["size"] == "small";
    pretty_eq(&shape(last_where(&played, is_small)?), &shape(last_where(&expected, is_small)?))?;
    let parts = [
        "/metadata/finalizers",
        "/spec/resourceRef",
        "/status/conditions",
        "/spec/compositionRef",
        "/spec/compositionRevisionRef",
        "/status/connectionDetails/lastPublishedTime",
    ];
    ensure!(appearances(&played, &parts) == appearances(&expected, &parts), "{played:#?}");
    let (_, first) = played.iter().find(|(_, object)| !conditions(object).is_empty()).context("no condition")?;
    ensure!(
        conditions(first)
            .iter()
            .any(|of| of == "Ready False Waiting: Claim is waiting for composite resource to become Ready"),
        "{first}"
    );

    // Its composite: the same, with the labels and annotations of the claim but Kubernetes' own.
    let name = played[played.len() - 1].1["spec"]["resourceRef"]["name"].as_str().context("no composite")?.to_owned();
    let expected = recorded(&fixtures::recording("composites")?, "my-cluster-gr7rt");
    let settled =
        |object: &Value| is_small(object) && conditions(object).len() == 3 && object["metadata"]["generation"] == 5;
    let played = eventually("the composite to settle", || async {
        let of = composites.of(&name);
        Ok(if of.iter().any(|(_, object)| settled(object)) { Ok(of) } else { Err(format!("{of:#?}")) })
    })
    .await?;
    pretty_eq(&shape(last_where(&played, settled)?), &shape(last_where(&expected, settled)?))?;
    ensure!(played[0].1["metadata"]["generateName"] == "my-cluster-" && played[0].0 == "ADDED");
    kubectl
        .ok(["label", "kubernetescluster/my-cluster", "example.org/team=a", "app.kubernetes.io/name=not-this"])
        .await?;
    eventually("the label to travel", || async {
        let composite = get(&kubectl, &["xkubernetescluster", &name]).await?;
        let labels = &composite["metadata"]["labels"];
        ensure!(labels["app.kubernetes.io/name"].is_null(), "{labels}");
        Ok(if labels["example.org/team"] == "a" { Ok(()) } else { Err(labels.to_string()) })
    })
    .await?;

    // Resized: the Secret stays as it is. Rotated: it changes. Deleted by hand: it comes back with the next reconcile.
    kubectl.apply(&claim.replace("size: small", "size: large")).await?;
    eventually("the new size in the composite", || async {
        let composite = get(&kubectl, &["xkubernetescluster", &name]).await?;
        let size = composite["spec"]["parameters"]["nodes"]["size"].to_string();
        Ok(if size == "\"large\"" { Ok(()) } else { Err(size) })
    })
    .await?;
    ensure!(wait_for_secret(&kubectl, "my-cluster-kubeconfig", "kubeconfig", ENDPOINT).await? == secret);
    crossplane.rotate("default", "my-cluster", &[("kubeconfig", "https://rotated.example.test")]);
    wait_for_secret(&kubectl, "my-cluster-kubeconfig", "kubeconfig", ROTATED).await?;
    kubectl.ok(["delete", "secret", "my-cluster-kubeconfig"]).await?;
    kubectl.ok(["annotate", "kubernetescluster/my-cluster", "example.org/touched=yes"]).await?;
    wait_for_secret(&kubectl, "my-cluster-kubeconfig", "kubeconfig", ROTATED).await?;

    // A composition that fails shows at the composite only.
    crossplane.fail("default", "my-cluster", "no such region");
    kubectl
        .ok(["wait", "--for=condition=Synced=false", &format!("xkubernetescluster/{name}"), "--timeout=90s"])
        .await?;
    let failing = get(&kubectl, &["kubernetescluster", "my-cluster"]).await?;
    ensure!(is_ready(&failing), "{failing}");
    crossplane.mend("default", "my-cluster");
    kubectl.ok(["wait", "--for=condition=Synced", &format!("xkubernetescluster/{name}"), "--timeout=90s"]).await?;

    kubectl.ok(["delete", "kubernetescluster/my-cluster", "--timeout=90s"]).await?;
    let versions = claims.deletion_of("my-cluster").await?;
    ensure!(versions.iter().any(|(_, object)| object["metadata"]["deletionTimestamp"].is_string()));
    wait_gone(&kubectl, &["xkubernetescluster", &name]).await?;
    // By the garbage collector, not by Crossplane.
    wait_gone(&kubectl, &["secret", "my-cluster-kubeconfig"]).await?;
    events_are_as_recorded(&kubectl, "default", "my-cluster", "KubernetesCluster").await
}

async fn events_are_as_recorded(kubectl: &Kubectl, namespace: &str, name: &str, kind: &str) -> Result<()> {
    let line = |event: &Value| {
        let fields = ["type", "reason", "note", "reportingController", "regarding", "metadata"];
        let [level, reason, note, controller, regarding, metadata] = fields.map(|field| &event[field]);
        // A revision is named by a hash of its composition.
        let note = note.as_str().unwrap_or_default();
        let note =
            if note.contains(" revision: ") { note.rsplit_once('-').map_or(note, |(note, _)| note) } else { note };
        let annotations: Vec<_> =
            metadata["annotations"].as_object().into_iter().flatten().map(|(key, _)| key).collect();
        let managers: Vec<_> =
            metadata["managedFields"].as_array().into_iter().flatten().map(|of| &of["fieldsV1"]).collect();
        format!(
            "{level} {reason} {note} {controller} {} {annotations:?} {} {} {managers:?}",
            regarding["apiVersion"], event["series"], event["eventTime"]
        )
    };
    let about = |event: &Value| event["regarding"]["name"] == name && event["regarding"]["kind"] == kind;
    let recording = fixtures::recording("events")?;
    let expected: BTreeSet<_> =
        recording.iter().map(|recorded| &recorded.object).filter(|event| about(event)).map(line).collect();
    let played = get(kubectl, &["events.events.k8s.io", "-n", namespace, "--show-managed-fields"]).await?;
    let played: BTreeSet<_> =
        played["items"].as_array().into_iter().flatten().filter(|event| about(event)).map(line).collect();
    ensure!(played == expected, "played {played:#?}, expected {expected:#?}");
    Ok(())
}

fn pretty_eq(played: &Value, expected: &Value) -> Result<()> {
    ensure!(played == expected, "played {played:#}\nexpected {expected:#}");
    Ok(())
}

#[tokio::test]
async fn foreground_deletion_and_a_claim_that_waits_for_ever() -> Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::named("policies")).await?;
    let crossplane = Crossplane::install(&cluster).await?;
    let kubectl = cluster.kubectl();
    crossplane.offer(&fixtures::xrd("01-eks-kubernetescluster")?).await?;
    cluster.restart_controller_manager().await?;
    let claims = Seen::watch(&cluster, "k8s.starter.org/v1alpha1", "KubernetesCluster", "kubernetesclusters").await?;
    let recording = fixtures::recording("claims")?;
    for name in ["foreground", "unmatched"] {
        // As it was applied: the recorded claim without what Crossplane and kube-apiserver added.
        let (_, mut claim) = recorded(&recording, name).into_iter().next().context("not recorded")?;
        claim["metadata"] = json!({ "name": name, "namespace": "default" });
        kubectl.apply(&claim.to_string()).await?;
    }
    kubectl.ok(["wait", "--for=condition=Ready", "kubernetescluster/foreground", "--timeout=90s"]).await?;
    let ready = recorded(&recording, "foreground");
    pretty_eq(
        &shape(&get(&kubectl, &["kubernetescluster", "foreground", "--show-managed-fields"]).await?),
        &shape(last_where(&ready, is_ready)?),
    )?;
    kubectl.ok(["wait", "--for=condition=Synced", "kubernetescluster/unmatched", "--timeout=90s"]).await?;
    let waiting = recorded(&recording, "unmatched");
    pretty_eq(
        &shape(&get(&kubectl, &["kubernetescluster", "unmatched", "--show-managed-fields"]).await?),
        &shape(last_where(&waiting, |object| object["metadata"]["deletionTimestamp"].is_null())?),
    )?;
    let composites = get(&kubectl, &["xkubernetesclusters"]).await?;
    let composite = composites["items"].as_array().into_iter().flatten();
    let unmatched =
        composite.into_iter().find(|of| of["spec"]["claimRef"]["name"] == "unmatched").context("no composite")?;
    eventually("the composite to say why", || async {
        let name = unmatched["metadata"]["name"].as_str().unwrap_or_default();
        let seen = conditions(&get(&kubectl, &["xkubernetescluster", name]).await?);
        let wanted = "Synced False ReconcileError: cannot select Composition: no compatible Compositions found";
        Ok(if seen.contains(wanted) { Ok(()) } else { Err(format!("{seen:?}")) })
    })
    .await?;

    kubectl.ok(["delete", "kubernetesclusters", "--all", "--timeout=90s"]).await?;
    let versions = claims.deletion_of("foreground").await?;
    let deleted = recorded(&recording, "foreground");
    let last = |versions: &[(String, Value)]| versions.last().map(|(_, object)| conditions(object));
    ensure!(last(&versions) == last(&deleted), "{versions:#?}");
    claims.deletion_of("unmatched").await?;
    events_are_as_recorded(&kubectl, "default", "foreground", "KubernetesCluster").await?;
    events_are_as_recorded(&kubectl, "default", "unmatched", "KubernetesCluster").await
}

#[tokio::test]
async fn a_namespaced_composite_and_its_definition_go_as_recorded() -> Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::named("namespaced")).await?;
    let crossplane = Crossplane::install(&cluster).await?;
    let kubectl = cluster.kubectl();
    crossplane.offer(&fixtures::xrd("17-docs-useraccesskey-v2-secret")?).await?;
    cluster.restart_controller_manager().await?;
    let xrds = Seen::watch(
        &cluster,
        "apiextensions.crossplane.io/v2",
        "CompositeResourceDefinition",
        "compositeresourcedefinitions",
    );
    let xrds = xrds.await?;
    let composites = Seen::watch(&cluster, "example.org/v1alpha1", "UserAccessKey", "useraccesskeys").await?;
    kubectl.apply(&fixtures::xr("17-docs-useraccesskey-v2-secret")?).await?;

    let expected = recorded(&fixtures::recording("namespaced-composites")?, "my-keys");
    let flaps = |versions: &[(String, Value)]| {
        let ready = versions.iter().map(|(_, object)| is_ready(object)).collect::<Vec<_>>();
        ready.windows(2).filter(|pair| pair[0] != pair[1]).count()
    };
    let settled = |object: &Value| is_ready(object) && conditions(object).len() == 3;
    let played = composites.until_shape("my-keys", &shape(last_where(&expected, settled)?)).await?;
    ensure!(flaps(&played) == flaps(&expected), "{} flaps, not {}", flaps(&played), flaps(&expected));

    let mut recorded_secrets = recorded(&fixtures::recording("secrets")?, "my-keys-connection-details");
    let mut secret = wait_for_secret(&kubectl, "my-keys-connection-details", "user", "YWRtaW4=").await?;
    for of in [&mut secret, &mut recorded_secrets[0].1] {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
            of["metadata"].as_object_mut().context("no metadata")?.remove(field);
        }
        of["metadata"]["ownerReferences"][0]["uid"] = Value::Null;
    }
    pretty_eq(&secret, &recorded_secrets[0].1)?;
    // A composed resource is watched, so it comes back at once.
    kubectl.ok(["delete", "secret", "my-keys-connection-details"]).await?;
    wait_for_secret(&kubectl, "my-keys-connection-details", "user", "YWRtaW4=").await?;

    kubectl.ok(["delete", "useraccesskey/my-keys", "--timeout=90s"]).await?;
    wait_gone(&kubectl, &["secret", "my-keys-connection-details"]).await?;
    events_are_as_recorded(&kubectl, "default", "my-keys", "UserAccessKey").await?;

    // One is left when the XRD goes; it goes too.
    kubectl.apply(&fixtures::xr("17-docs-useraccesskey-v2-secret")?).await?;
    kubectl.ok(["wait", "--for=condition=Ready", "useraccesskey/my-keys", "--timeout=90s"]).await?;
    kubectl.ok(["delete", "xrd/useraccesskeys.example.org", "--timeout=90s"]).await?;
    let played = xrds.deletion_of("useraccesskeys.example.org").await?;
    let expected = recorded(&fixtures::recording("xrds")?, "useraccesskeys.example.org");
    let established = |object: &Value| conditions(object).contains("Established True WatchingCompositeResource: ");
    let mut shapes = [&played, &expected].map(|versions| last_where(versions, established).map(shape));
    for shape in &mut shapes {
        // Recorded before the first version that the watch saw; other fields of the spec are not of this kit.
        let shape = shape.as_mut().ok().context("not established")?;
        shape["managers"] = Value::Null;
    }
    let [played_shape, expected_shape] = shapes;
    pretty_eq(&played_shape?, &expected_shape?)?;
    let last = |versions: &[(String, Value)]| versions.last().map(|(_, object)| conditions(object));
    ensure!(last(&played) == last(&expected), "{played:#?}");
    wait_gone(&kubectl, &["crd", "useraccesskeys.example.org"]).await
}

#[tokio::test]
async fn an_xrd_with_claims_takes_them_along() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::named("xrd")).await?;
    let crossplane = Crossplane::install(&cluster).await?;
    let kubectl = cluster.kubectl();
    crossplane.offer(&fixtures::xrd("01-eks-kubernetescluster")?).await?;
    crossplane.offer(&fixtures::file("01-eks-kubernetescluster", "xrd-no-claim-xnetwork.yaml")?).await?;
    kubectl.apply(&fixtures::claim("01-eks-kubernetescluster")?).await?;
    kubectl.ok(["wait", "--for=condition=Ready", "kubernetescluster/my-cluster", "--timeout=90s"]).await?;
    let xrd = get(&kubectl, &["xrd", "xkubernetesclusters.k8s.starter.org", "--show-managed-fields"]).await?;
    let expected = recorded(&fixtures::recording("xrds")?, "xkubernetesclusters.k8s.starter.org");
    let of =
        |xrd: &Value| (xrd["metadata"]["finalizers"].clone(), xrd["status"]["controllers"].clone(), conditions(xrd));
    ensure!(of(&xrd) == of(&expected[0].1), "{xrd:#}");

    // As published it is wrong, its name being none of its own: no CRD, and a warning that says why.
    kubectl.apply(&fixtures::file("01-eks-kubernetescluster", "xrd-no-claim-xeks.yaml")?).await?;
    eventually("the warning", || async {
        let events = get(&kubectl, &["events"]).await?.to_string();
        let warned = events.contains("cannot apply rendered composite resource CustomResourceDefinition");
        Ok(if warned { Ok(()) } else { Err("not among the events".to_owned()) })
    })
    .await?;

    kubectl.ok(["delete", "xrd/xkubernetesclusters.k8s.starter.org", "--timeout=90s"]).await?;
    for crd in ["kubernetesclusters.k8s.starter.org", "xkubernetesclusters.k8s.starter.org"] {
        wait_gone(&kubectl, &["crd", crd]).await?;
    }
    // Its network lives on.
    ensure!(kubectl.run(["get", "xnetworks"]).await?.status.success());
    Ok(())
}

/// Every set of fixtures is offered, and its example gets ready; those that clash by name one after the other.
#[tokio::test]
async fn every_fixture_is_played() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::named("fixtures")).await?;
    let crossplane = Crossplane::install(&cluster).await?;
    let kubectl = cluster.kubectl();
    let first = [
        "01-eks-kubernetescluster",
        "02-platform-ref-aws-v1",
        "04-aws-sqlinstance-v1",
        "06-app-preserve-unknown-fields",
    ];
    for set in first {
        crossplane.offer(&fixtures::xrd(set)?).await?;
        kubectl.apply(&fixtures::claim(set)?).await?;
    }
    for claim in ["kubernetescluster", "cluster.aws.platformref.upbound.io", "sqlinstance", "app"] {
        let claim = [claim, "--all", "--for=condition=Ready", "--timeout=90s", "--all-namespaces"];
        let ready = kubectl.ok(["wait"].iter().chain(&claim)).await?;
        ensure!(ready.contains("condition met"), "{ready}");
    }
    kubectl.ok(["delete", "xrd", "--all", "--timeout=90s"]).await?;
    ensure!(kubectl.ok(["get", "crds", "-o", "name"]).await?.lines().count() == 1);
    let second =
        ["03-platform-ref-aws-v2-namespaced", "05-aws-sqlinstance-v2-namespaced", "17-docs-useraccesskey-v2-secret"];
    for set in second {
        crossplane.offer(&fixtures::xrd(set)?).await?;
        kubectl.apply(&fixtures::xr(set)?).await?;
    }
    for composite in ["cluster.aws.platformref.upbound.io", "sqlinstance", "useraccesskey"] {
        let composite = [composite, "--all", "--for=condition=Ready", "--timeout=90s", "--all-namespaces"];
        let ready = kubectl.ok(["wait"].iter().chain(&composite)).await?;
        ensure!(ready.contains("condition met"), "{ready}");
    }
    Ok(())
}

#[tokio::test]
async fn the_play_goes_on_after_an_outage() -> Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::named("outage")).await?;
    let crossplane = Crossplane::install(&cluster).await?;
    crossplane.offer(&fixtures::xrd("01-eks-kubernetescluster")?).await?;
    cluster.stop_apiserver()?;
    cluster.start_apiserver().await?;
    let kubectl = cluster.kubectl();
    kubectl.apply(&fixtures::claim("01-eks-kubernetescluster")?).await?;
    kubectl.ok(["wait", "--for=condition=Ready", "kubernetescluster/my-cluster", "--timeout=90s"]).await?;
    crossplane.offer(&fixtures::xrd("17-docs-useraccesskey-v2-secret")?).await?;
    Ok(())
}

/// Somebody else's Secret of that name is not touched, and the claim says so.
#[tokio::test]
async fn a_secret_of_somebody_else_stays_theirs() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::named("secret")).await?;
    let crossplane = Crossplane::install(&cluster).await?;
    let kubectl = cluster.kubectl();
    crossplane.offer(&fixtures::xrd("01-eks-kubernetescluster")?).await?;
    kubectl.ok(["create", "secret", "generic", "my-cluster-kubeconfig", "--from-literal=a=b"]).await?;
    kubectl.apply(&fixtures::claim("01-eks-kubernetescluster")?).await?;
    kubectl.ok(["wait", "--for=condition=Synced=false", "kubernetescluster/my-cluster", "--timeout=90s"]).await?;
    ensure!(
        kubectl.ok(["get", "secret", "my-cluster-kubeconfig", "-o", "jsonpath={.data}"]).await? == r#"{"a":"Yg=="}"#
    );
    let events =
        kubectl.ok(["get", "events", "--field-selector=type=Warning", "-o", "jsonpath={.items[*].message}"]).await?;
    ensure!(events.contains("cannot establish control of object"), "{events}");
    Ok(())
}
