//! The documented example, played through the two APIs; every step is checked and bounded in time.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use connector_core::origin::{LABEL_CLUSTER, LABEL_NAME, LABEL_NAMESPACE};
use connector_proxy::embedded::example;
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, WatchEvent,
    WatchParams,
};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::say;
use super::stage::{Stage, client, get};

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(15);
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const NAMESPACE: &str = "default";
const MANAGER: &str = "connector-dev";

/// The two sides, as clients see them.
struct Sides {
    app: Side,
    control_plane: Side,
    resource: ApiResource,
    claim: Value,
}

struct Side {
    client: Client,
    namespace: String,
}

impl Sides {
    fn local(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.app.client.clone(), &self.app.namespace, &self.resource)
    }

    fn remote(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.control_plane.client.clone(), &self.control_plane.namespace, &self.resource)
    }

    fn name(&self) -> &str {
        self.claim["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The claims of one side, as `kubectl get` shows them.
    async fn table(&self, side: &Side) -> anyhow::Result<Vec<Vec<String>>> {
        let ApiResource { api_version, plural, .. } = &self.resource;
        let path = format!("/apis/{api_version}/namespaces/{}/{plural}", side.namespace);
        let table = get(&side.client, &path, TABLE).await?;
        ensure!(table["kind"] == "Table", "{path} did not answer with a Table");
        let texts = |row: &Value, name: Option<&str>| -> Vec<String> {
            let cells = row.as_array().into_iter().flatten();
            cells
                .map(|cell| match name.map_or(cell, |name| &cell[name]) {
                    Value::String(text) => text.clone(),
                    Value::Null => String::new(),
                    other => other.to_string(),
                })
                .collect()
        };
        let mut rows = vec![texts(&table["columnDefinitions"], Some("name"))];
        rows[0].iter_mut().for_each(|name| name.make_ascii_uppercase());
        rows.extend(table["rows"].as_array().into_iter().flatten().map(|row| texts(&row["cells"], None)));
        Ok(rows)
    }
}

/// Plays the example; the first step that fails is told.
pub(super) async fn play(stage: &Stage) -> anyhow::Result<()> {
    let claim: Value = serde_saphyr::from_str(example::CLAIM).context("the example is not YAML")?;
    let api_version = claim["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').context("the example has no group")?;
    let kind = claim["kind"].as_str().unwrap_or_default();
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), "kubernetesclusters");
    let sides = Sides {
        app: Side { client: client(&stage.app).await?, namespace: NAMESPACE.into() },
        control_plane: Side { client: client(&stage.control_plane).await?, namespace: stage.claim_namespace.clone() },
        resource,
        claim,
    };

    step("The claim API is served in the app cluster", discover(&sides)).await?;
    step("Apply a claim in the app cluster", apply(&sides)).await?;
    step("It becomes ready: `kubectl get` in the app cluster", become_ready(&sides)).await?;
    step("The same object in the control plane", show_remote(&sides)).await?;
    step("What comes back to the app cluster: its connection Secret and its events", come_back(&sides)).await?;
    step("Change it in the app cluster while watching there", change(&sides)).await?;
    step("Delete it in the app cluster", delete(&sides)).await?;
    say("\nDone: every step did what it should.");
    Ok(())
}

async fn step(title: &str, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    say(&format!("\n== {title}"));
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done.with_context(|| format!("step {title:?}")),
        Err(_) => bail!("step {title:?} did not end within {PATIENCE:?}"),
    }
}

async fn discover(sides: &Sides) -> anyhow::Result<()> {
    let path = format!("/apis/{}", sides.resource.api_version);
    let document = get(&sides.app.client, &path, "application/json").await?;
    let names: Vec<&str> = document["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|resource| resource["name"].as_str())
        .collect();
    ensure!(names.contains(&sides.resource.plural.as_str()), "{path} does not list {}", sides.resource.plural);
    say(&format!("  {path}: {}", names.join(", ")));
    Ok(())
}

async fn apply(sides: &Sides) -> anyhow::Result<()> {
    let params = PatchParams::apply(MANAGER);
    let applied = sides.local().patch(sides.name(), &params, &Patch::Apply(&sides.claim)).await?;
    ensure!(applied.name_any() == sides.name(), "the answer is named {}", applied.name_any());
    ensure!(applied.namespace().as_deref() == Some(NAMESPACE), "the answer lies in {:?}", applied.namespace());
    let foreign = applied.labels().keys().find(|label| label.starts_with(connector_core::origin::RESERVED_PREFIX));
    ensure!(foreign.is_none(), "the answer shows label {foreign:?}");
    say(&format!(
        "  {}/{} in namespace {NAMESPACE}: uid {}",
        sides.resource.plural,
        sides.name(),
        applied.uid().unwrap_or_default()
    ));
    Ok(())
}

async fn become_ready(sides: &Sides) -> anyhow::Result<()> {
    loop {
        let rows = sides.table(&sides.app).await?;
        let ready = rows.first().and_then(|columns| columns.iter().position(|column| column == "READY"));
        let ready = ready.context("the Table has no column READY")?;
        if let [_, row] = rows.as_slice()
            && row.get(ready).is_some_and(|cell| cell == "True")
        {
            ensure!(row.first().is_some_and(|name| name == sides.name()), "the row is named {:?}", row.first());
            say(&aligned(&rows));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn show_remote(sides: &Sides) -> anyhow::Result<()> {
    let objects = sides.remote().list(&ListParams::default()).await?.items;
    let [object] = objects.as_slice() else { bail!("the claim namespace holds {} objects, not one", objects.len()) };
    ensure!(object.name_any().starts_with("claim-"), "its name is {}", object.name_any());
    say(&aligned(&sides.table(&sides.control_plane).await?));
    say("  origin labels:");
    for (label, wanted) in [(LABEL_CLUSTER, None), (LABEL_NAMESPACE, Some(NAMESPACE)), (LABEL_NAME, Some(sides.name()))]
    {
        let value = object.labels().get(label).with_context(|| format!("label {label} is missing"))?;
        ensure!(wanted.is_none_or(|wanted| value == wanted), "label {label} is {value}");
        say(&format!("    {label}={value}"));
    }
    let local = sides.local().get(sides.name()).await?;
    ensure!(local.uid() == object.uid(), "the uid differs between the two sides");
    Ok(())
}

async fn come_back(sides: &Sides) -> anyhow::Result<()> {
    let name = sides.claim.pointer("/spec/writeConnectionSecretToRef/name").and_then(Value::as_str);
    let name = name.context("the example asks for no connection Secret")?;
    let secrets = Api::<Secret>::namespaced(sides.app.client.clone(), NAMESPACE);
    let secret = until(|| secrets.get_opt(name)).await?;
    let owner = secret.owner_references().iter().find(|owner| owner.name == sides.name());
    ensure!(owner.is_some(), "Secret {name} is owned by {:?}", secret.owner_references());
    let keys: Vec<&str> = secret.data.iter().flatten().map(|(key, _)| key.as_str()).collect();
    say(&format!("  Secret {NAMESPACE}/{name}: {}", keys.join(", ")));
    let events = Api::<Event>::namespaced(sides.app.client.clone(), NAMESPACE);
    let about = format!("involvedObject.name={}", sides.name());
    let about = ListParams::default().fields(&about);
    let event = until(|| async { Ok(events.list(&about).await?.items.pop()) }).await?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    say(&format!("  {} {}: {}", text(&event.type_), text(&event.reason), text(&event.message)));
    Ok(())
}

/// Looks until there is something.
async fn until<T, F: Future<Output = kube::Result<Option<T>>>>(mut look: impl FnMut() -> F) -> anyhow::Result<T> {
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn change(sides: &Sides) -> anyhow::Result<()> {
    let count = |object: &DynamicObject| object.data.pointer("/spec/parameters/nodes/count").and_then(Value::as_i64);
    let list = sides.local().list(&ListParams::default()).await?;
    let revision = list.metadata.resource_version.context("the list has no resourceVersion")?;
    let local = sides.local();
    let events = local.watch(&WatchParams::default(), &revision).await?;
    pin_mut!(events);
    let body = json!({"spec": {"parameters": {"nodes": {"count": 5}}}});
    sides.local().patch(sides.name(), &PatchParams::default(), &Patch::Merge(&body)).await?;
    while let Some(event) = events.next().await {
        if let WatchEvent::Modified(object) = event?
            && count(&object) == Some(5)
        {
            ensure!(object.name_any() == sides.name(), "the event is of {}", object.name_any());
            say(&format!("  event MODIFIED of {NAMESPACE}/{}: nodes.count is 5", object.name_any()));
            let remote = sides.remote().list(&ListParams::default()).await?.items;
            ensure!(
                remote.iter().map(count).collect::<Vec<_>>() == [Some(5)],
                "the control plane does not have the change"
            );
            say("  the control plane has the change");
            return Ok(());
        }
    }
    bail!("the watch ended without the event")
}

async fn delete(sides: &Sides) -> anyhow::Result<()> {
    sides.local().delete(sides.name(), &DeleteParams::default()).await?;
    loop {
        let (local, remote) = (sides.table(&sides.app).await?, sides.table(&sides.control_plane).await?);
        if local.len() == 1 && remote.len() == 1 {
            say("  app cluster: no claims\n  control plane: no claims");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Rows in columns, as kubectl aligns them.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let lines = rows.iter().map(|row| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        format!("  {}", cells.join("   ").trim_end())
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_columns() {
        let rows = [vec!["NAME".to_owned(), "AGE".to_owned()], vec!["my-cluster".to_owned(), "1s".to_owned()]];
        assert_eq!(aligned(&rows), "  NAME         AGE\n  my-cluster   1s");
    }
}
