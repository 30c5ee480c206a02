//! What the control plane, or something before it, may answer at its worst, and what the app cluster sees of it.

mod documents;
mod refusals;
mod streams;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testkit::Cluster;
use testkit::connector::Connector;
use testkit::crossplane::Crossplane;

use crate::raw::{Answer, Raw};
use crate::setup::{EXAMPLE_API, claim, clusters};
use crate::stand_in::StandIn;

const ALL: &str = "/apis/k8s.starter.org/v1alpha1/namespaces/default/kubernetesclusters";
/// Only requests of this client are answered with faults; the connector's own pass.
const AGENT: &str = "faulty/1.0";

/// An app cluster, a connector, and a stand-in before the control plane.
struct Faults {
    // In the order in which they are to go.
    _connector: Connector,
    stand_in: StandIn,
    raw: Raw,
    app: Cluster,
    _crossplane: Crossplane,
    _control_plane: Cluster,
}

impl Faults {
    async fn start() -> Result<Self> {
        let (app, control_plane, crossplane) = clusters().await?;
        let stand_in = StandIn::before(&control_plane).await?;
        let connector = Connector::start(&app, &control_plane, stand_in.options()?).await?;
        connector.wait_available(&app, EXAMPLE_API).await?;
        app.kubectl().apply(&claim("default", "db")).await?;
        let raw = Raw::admin_of(&app).await?;
        Ok(Self { _connector: connector, stand_in, raw, app, _crossplane: crossplane, _control_plane: control_plane })
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let headers = [&[("user-agent", AGENT)], headers].concat();
        self.raw.ask(method, path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, &[], "").await
    }

    /// Requests of every kind, the write's own look at the object left alone where `reads` is false.
    async fn each(&self, reads: bool) -> Result<Vec<(String, Answer)>> {
        let one = format!("{ALL}/db");
        let new = json!({ "apiVersion": EXAMPLE_API, "kind": "KubernetesCluster", "metadata": { "name": "new" }, "spec": {} });
        let patch = ("content-type", "application/merge-patch+json");
        let post = ("content-type", "application/json");
        let mut all = vec![
            ("list", self.get(ALL).await?),
            ("list of metadata", {
                let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
                self.ask("GET", ALL, &[("accept", partial)], "").await?
            }),
            ("watch", self.get(&format!("{ALL}?watch=true&timeoutSeconds=2")).await?),
            ("create", self.ask("POST", ALL, &[post], &new.to_string()).await?),
            ("deletecollection", self.ask("DELETE", &format!("{ALL}?dryRun=All"), &[], "").await?),
        ];
        if reads {
            all.extend([
                ("get", self.get(&one).await?),
                ("get of the status", self.get(&format!("{one}/status")).await?),
                ("patch", self.ask("PATCH", &one, &[patch], r#"{"metadata":{"labels":{"a":"b"}}}"#).await?),
                ("delete", self.ask("DELETE", &format!("{one}?dryRun=All"), &[], "").await?),
            ]);
        }
        Ok(all.into_iter().map(|(what, answer)| (what.to_owned(), answer)).collect())
    }

    /// The claim is untouched, and everything is as it was.
    async fn is_well(&self) -> Result<()> {
        self.stand_in.clear();
        let get = self.get(&format!("{ALL}/db")).await?;
        ensure!(get.status == 200 && get.json()?["metadata"]["labels"].is_null(), "{}", get.text());
        Ok(())
    }
}

fn status(code: u16, reason: &str, message: &str, details: &Value) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "details": details, "code": code })
}
