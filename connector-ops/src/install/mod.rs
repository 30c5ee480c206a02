//! Installs a connector: an account in the control plane, and a Deployment with all that belongs to it in the app cluster.
//!
//! [`Install::plan`] looks at both sides and writes nothing; [`Plan::apply`] writes what is not yet so, and [`Plan::wait`] waits
//! until the APIs answer. Done again with the same settings nothing is written; with others, what they change.
//!
//! | module | what it holds |
//! |---|---|
//! | `preflight` | what is looked at before anything is written |
//! | `look` | what a plan makes of it |
//! | `target` | the control plane, as the user names it |
//! | `credential` | the connector's kubeconfig: kept, or made anew |
//! | `prune` | what is not rendered any more |
//! | `wait` | until the APIs answer |

pub(crate) mod credential;
mod error;
mod look;
pub(crate) mod preflight;
pub(crate) mod prune;
pub(crate) mod target;
mod wait;

use std::collections::BTreeSet;

use connector_core::offer::Offers;
use connector_core::origin::{ClusterId, LABEL_CLUSTER, name_label};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::access::Access;
use crate::ask::Unanswered;
use crate::cluster::{Change, Cluster, Side, WriteError};
use crate::control_plane::Endpoint;
use crate::control_plane::account::Account;
use crate::installed::ReleaseName;
use crate::manifests::{Release, Values, render};
use crate::progress::{Event, Tell};

pub use error::InstallError;
pub use preflight::{Problem, Warning};
pub use target::Target;
pub use wait::{Available, WaitError};

/// Annotation of the Deployment: the cluster id in force.
pub(crate) const CLUSTER_ID: &str = LABEL_CLUSTER;
/// Annotation of the Deployment: the claim namespace.
pub(crate) const CLAIM_NAMESPACE: &str = "mcp-connector.upbound.io/claim-namespace";
/// Annotation of the Deployment: the ServiceAccount in the claim namespace that was made for it. Missing where the user gave a
/// Secret.
pub(crate) const ACCOUNT: &str = "mcp-connector.upbound.io/control-plane-account";
/// The namespace whose UID is a cluster's.
pub(crate) const KUBE_SYSTEM: &str = "kube-system";

/// What to install, where.
#[derive(Clone, Debug)]
pub struct Install {
    /// The app cluster.
    pub app: Access,
    /// The namespace of the app cluster. Usually `kube-system`.
    pub namespace: String,
    /// The name of the release, of which everything in the app cluster is named. Usually `connector`.
    pub release: String,
    /// The control plane.
    pub control_plane: Target,
    /// Its URL as the app cluster reaches it. Default: as it is reached from here.
    pub control_plane_server: Option<String>,
    /// The namespace of the control plane for this cluster's claims. It is created if it is missing.
    pub claim_namespace: String,
    /// The cluster id. Default: that of the values, else the one that is installed, else the UID of the namespace `kube-system`.
    pub cluster_id: Option<ClusterId>,
    /// What people call the cluster: an annotation of the account in the control plane. Default: nothing.
    pub cluster_name: Option<String>,
    /// Everything else.
    pub values: Values,
}

/// What an install comes to: both sides were looked at, and nothing was written.
pub struct Plan {
    app: Cluster,
    control_plane: Option<Cluster>,
    install: Install,
    cluster_id: ClusterId,
    /// `None` where the user gave a Secret.
    account: Option<Account>,
    /// Where the control plane is, as seen from here. `None` where the user gave a Secret.
    endpoint: Option<Endpoint>,
    /// Whose token is in the Secret that the user gave, where it is a ServiceAccount's.
    subject: Option<String>,
    offers: Offers,
    /// APIs that are offered and not the app cluster's own.
    expected: BTreeSet<String>,
    of_control_plane: Vec<Value>,
    of_app: Vec<Value>,
}

/// What [`Plan::apply`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many objects were created.
    pub created: usize,
    /// How many were changed.
    pub configured: usize,
    /// How many were as they should be.
    pub unchanged: usize,
    /// How many are not needed any more, and were deleted.
    pub deleted: usize,
}

impl Applied {
    /// Whether all was as it should be.
    pub fn is_nothing(&self) -> bool {
        self.created + self.configured + self.deleted == 0
    }

    fn count(&mut self, change: Change) {
        match change {
            Change::Created => self.created += 1,
            Change::Configured => self.configured += 1,
            Change::Unchanged => self.unchanged += 1,
            Change::Deleted => self.deleted += 1,
        }
    }
}

/// Manifests for people: what would be applied, without any credential.
#[derive(Clone, Debug)]
pub struct Manifests {
    /// For the control plane.
    pub control_plane: Vec<Value>,
    /// For the app cluster.
    pub app: Vec<Value>,
}

impl Install {
    /// Looks at both sides and makes the plan. Nothing is written.
    ///
    /// # Errors
    /// See [`InstallError`]; [`InstallError::Preflight`] has all that is in the way at once.
    pub async fn plan(mut self, tell: Tell<'_>) -> Result<Plan, InstallError> {
        let app_config = self.app.config().await?;
        let app_server = app_config.cluster_url.to_string();
        let app = Cluster::new(Side::App, self.app.client().await?);
        let mut problems = Vec::new();
        reach(&app, &app_server, tell).await.map_err(|problem| InstallError::Preflight(vec![problem]))?;

        let found = self.control_plane.find(&app.client, &self.namespace).await?;
        let is_given = found.secret.is_some();
        let subject = found.secret.as_ref().and_then(|given| given.subject.clone());
        self.settle(found.secret);
        let server = found.endpoint.server.clone();
        let control_plane = match found.client {
            Ok(client) => {
                let control_plane = Cluster::new(Side::ControlPlane, client);
                match reach(&control_plane, &server, tell).await {
                    Ok(()) => Ok(control_plane),
                    // Perhaps only the app cluster has a way there.
                    Err(Problem::Unreachable { why, .. }) if is_given && why.code() != Some(401) => {
                        Err(why.to_string())
                    }
                    Err(problem) => return Err(InstallError::Preflight(vec![problem])),
                }
            }
            Err(why) if is_given => Err(why),
            Err(why) => return Err(InstallError::Client { server, why }),
        };
        let control_plane = control_plane.map_err(|why| tell(Event::Warning(Warning::ControlPlaneUnseen { why }))).ok();

        let uid = self.check_app(&app, &mut problems).await;
        let existing = match preflight::installed(&app.client, &self.namespace, &self.release).await {
            Ok((existing, others)) => {
                problems.extend(others);
                existing
            }
            Err(why) => {
                problems.push(unknown(Side::App, "what is installed", why));
                None
            }
        };
        let cluster_id = self.cluster_id(existing.as_ref(), uid.as_deref())?;
        let mut plan = Plan {
            app,
            control_plane,
            account: (!is_given).then(|| Account::of(&cluster_id, &self.claim_namespace)),
            endpoint: (!is_given).then_some(found.endpoint),
            subject,
            cluster_id,
            install: self,
            offers: Offers::default(),
            expected: BTreeSet::new(),
            of_control_plane: Vec::new(),
            of_app: Vec::new(),
        };
        plan.look_at_control_plane(uid.as_deref(), &mut problems, tell).await;
        plan.look_for_conflicts(&mut problems, tell).await;
        if !problems.is_empty() {
            return Err(InstallError::Preflight(problems));
        }
        plan.of_app = plan.render()?;
        let taken = plan.taken().await?;
        if !taken.is_empty() {
            return Err(InstallError::Preflight(taken));
        }
        plan.warn(existing.as_ref(), tell);
        Ok(plan)
    }

    /// Puts into the values what the control plane is known by. What the existing product's values say of it is overruled.
    fn settle(&mut self, given: Option<target::Given>) {
        let values = &mut self.values;
        let defaults = Values::default();
        (values.spaces, values.mcp, values.upbound) = (defaults.spaces, defaults.mcp, defaults.upbound);
        let (name, key) = match given {
            Some(given) => (given.name, given.key),
            None => (credential::secret_name(&self.release), credential::KEY.to_owned()),
        };
        values.control_plane.kubeconfig_secret.name = name;
        values.control_plane.kubeconfig_secret.key = key;
        values.control_plane.claim_namespace.clone_from(&self.claim_namespace);
    }

    /// The app cluster's UID, if it is to be had.
    async fn check_app(&self, app: &Cluster, problems: &mut Vec<Problem>) -> Option<String> {
        match preflight::aggregates(&app.client).await {
            Ok(true) => {}
            Ok(false) => problems.push(Problem::NoAggregation),
            Err(why) => problems.push(unknown(Side::App, "whether it aggregates APIs", why)),
        }
        match preflight::namespace(&app.client, &self.namespace).await {
            Ok((preflight::State::There, _)) => {}
            Ok((preflight::State::Going, _)) => {
                problems.push(Problem::TerminatingNamespace { side: Side::App, namespace: self.namespace.clone() });
            }
            Ok((preflight::State::Missing, _)) => {
                problems.push(Problem::NoNamespace { namespace: self.namespace.clone() });
            }
            Err(why) => problems.push(unknown(Side::App, "which namespaces it has", why)),
        }
        look::check_rights(app, &preflight::app_rights(&self.namespace), problems).await;
        match preflight::namespace(&app.client, KUBE_SYSTEM).await {
            Ok((_, uid)) => uid,
            // It is the cluster id only where nobody chose one.
            Err(_) if self.cluster_id.is_some() || !self.values.cluster_id.is_empty() => None,
            Err(why) => {
                problems.push(unknown(
                    Side::App,
                    "the UID of the namespace kube-system, its id; choose one with --cluster-id",
                    why,
                ));
                None
            }
        }
    }

    fn cluster_id(&self, existing: Option<&Deployment>, uid: Option<&str>) -> Result<ClusterId, InstallError> {
        if let Some(given) = &self.cluster_id {
            return Ok(given.clone());
        }
        let installed = existing.and_then(|existing| existing.annotations().get(CLUSTER_ID).cloned());
        let chosen = Some(self.values.cluster_id.clone()).filter(|id| !id.is_empty());
        let id = chosen.or(installed).or(uid.map(str::to_owned));
        // Without any, there is a problem to tell already.
        Ok(id.unwrap_or_else(|| "unknown".to_owned()).parse()?)
    }
}

async fn reach(cluster: &Cluster, server: &str, tell: Tell<'_>) -> Result<(), Problem> {
    let side = cluster.side;
    let version = preflight::version(&cluster.client).await.map_err(|why| Problem::Unreachable {
        side,
        server: server.to_owned(),
        why,
    })?;
    if preflight::is_old(&version) {
        tell(Event::Warning(Warning::OldVersion { side, version: version.clone() }));
    }
    tell(Event::Reached { side, server: server.to_owned(), version });
    Ok(())
}

fn unknown(side: Side, what: &'static str, why: Unanswered) -> Problem {
    Problem::Unknown { side, what, why }
}

impl Plan {
    /// The endpoint as the connector reaches it.
    fn endpoint_of_app(&self, endpoint: &Endpoint) -> Endpoint {
        let server = self.install.control_plane_server.clone().unwrap_or_else(|| endpoint.server.clone());
        Endpoint { server, ..endpoint.clone() }
    }

    /// The label of the APIServices of this install.
    fn service_label(&self) -> String {
        name_label(&format!("{}.{}", self.install.namespace, self.install.release)).into_owned()
    }

    /// What would be applied, for people: the credential is left out.
    pub fn manifests(&self) -> Manifests {
        let mut app = self.of_app.clone();
        if let Some(credential) = self.redacted_secret() {
            app.insert(0, credential);
        }
        Manifests { control_plane: self.of_control_plane.clone(), app }
    }

    /// Writes what is not yet so: first the account in the control plane, then its credential and the rest in the app cluster;
    /// what is not rendered any more goes.
    ///
    /// # Errors
    /// See [`InstallError`]. What was written until then stays; done again it goes on from there.
    pub async fn apply(&self, tell: Tell<'_>) -> Result<Applied, InstallError> {
        let mut applied = Applied::default();
        if let Some(control_plane) = &self.control_plane {
            for object in &self.of_control_plane {
                let change = apply(control_plane, object, tell).await?;
                applied.count(change);
            }
            if let Some(change) = self.keep_credential(control_plane, tell).await? {
                applied.count(change);
            }
        }
        for object in &self.of_app {
            let change = apply(&self.app, object, tell).await?;
            applied.count(change);
        }
        let mut kept: Vec<Value> = self.of_app.clone();
        kept.extend(self.credential_secret(""));
        let release = ReleaseName { namespace: self.install.namespace.clone(), name: self.install.release.clone() };
        for object in prune::leftover(&self.app, &release, &kept).await? {
            // The user may have given the very Secret that an earlier run made.
            if object.name.resource == "secret" && object.name.name == self.credential_name() {
                continue;
            }
            let change = self.app.delete(&object).await?;
            tell(Event::Object { side: Side::App, object: object.name, change });
            applied.count(change);
        }
        Ok(applied)
    }

    /// What has the name of something that is to be written, and is somebody else's.
    async fn taken(&self) -> Result<Vec<Problem>, WriteError> {
        let mut of_app = self.of_app.clone();
        of_app.extend(self.credential_secret(""));
        let mut taken = Vec::new();
        // The ClusterRoles there are shared by all connectors, those included that were installed by hand.
        let mut of_control_plane = self.of_control_plane.clone();
        of_control_plane.retain(|object| object["kind"] != "ClusterRole");
        let sides = [self.control_plane.as_ref().map(|it| (it, &of_control_plane)), Some((&self.app, &of_app))];
        for (cluster, objects) in sides.into_iter().flatten() {
            let objects = cluster.foreign(objects).await?;
            if !objects.is_empty() {
                taken.push(Problem::Taken { side: cluster.side, objects });
            }
        }
        Ok(taken)
    }

    /// The Secret with the connector's kubeconfig, whoever made it.
    fn credential_name(&self) -> &str {
        &self.install.values.control_plane.kubeconfig_secret.name
    }

    fn render(&self) -> Result<Vec<Value>, InstallError> {
        let Install { namespace, release, values, .. } = &self.install;
        let values = Values { cluster_id: self.cluster_id.to_string(), ..values.clone() };
        let mut objects = render(&values, &Release::new(release, namespace))?;
        for object in objects.iter_mut().filter(|object| object["kind"] == "Deployment") {
            object["metadata"]["annotations"] = self.annotations();
        }
        Ok(objects)
    }

    /// By which the next install and uninstall know what this one was.
    fn annotations(&self) -> Value {
        let mut annotations = json!({
            CLUSTER_ID: self.cluster_id.as_str(), CLAIM_NAMESPACE: self.install.claim_namespace,
        });
        if let Some(account) = &self.account {
            annotations[ACCOUNT] = json!(account.name);
        }
        annotations
    }

    fn client_of_app(&self) -> &Client {
        &self.app.client
    }
}

async fn apply(cluster: &Cluster, object: &Value, tell: Tell<'_>) -> Result<Change, WriteError> {
    let (object, change) = cluster.apply(object).await?;
    tell(Event::Object { side: cluster.side, object, change });
    Ok(change)
}
