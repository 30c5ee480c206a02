//! What may be done on both sides: by the connector once it is installed, by who installs it before.

use connector_core::offer::Offers;
use futures::{StreamExt, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::grant::{CREATE, Grant, READ, Right, subject};
use super::{Commands, Finding};
use crate::ask::{Unanswered, ask};
use crate::credential::{Credential, service_account};
use crate::install::preflight::{self, State, app_rights, control_plane_rights, namespace};
use crate::installed::Installed;
use crate::review::may_i;

/// How many questions are under way at a time.
const AT_ONCE: usize = 8;

const HERE: &str = "in the app cluster";
const THERE: &str = "in the control plane";

const LEASE: &[&str] = &["get", "update"];
/// What does not work without the rights to input secrets.
const INPUTS: &str = "the Secrets that claims consume are not copied";

/// What the connector's ServiceAccount needs in the app cluster.
fn needed_here(installed: &Installed) -> Vec<Right> {
    let (namespace, service) = (&installed.service.namespace, &installed.service.name);
    let registers = "APIs are not registered";
    let mut rights = vec![
        Right::new(
            "apiregistration.k8s.io",
            "apiservices",
            &["list", "watch", "create", "update", "delete"],
            registers,
        ),
        Right::new("apiextensions.k8s.io", "customresourcedefinitions", &["get", "list"], registers),
        Right::new("", "namespaces", READ, "claims cannot be created"),
        Right::new("authorization.k8s.io", "subjectaccessreviews", CREATE, "no user is allowed anything"),
        Right::new("", "configmaps", READ, "kube-apiserver is not known")
            .named("extension-apiserver-authentication")
            .within("kube-system"),
    ];
    for duty in ["registrar", "sync"] {
        let lease = Right::new("coordination.k8s.io", "leases", LEASE, "replicas cannot agree which one writes");
        rights.push(lease.named(format!("{service}-{duty}")).within(namespace));
    }
    rights.push(
        Right::new("coordination.k8s.io", "leases", CREATE, "replicas cannot agree which one writes").within(namespace),
    );
    if installed.serving_certificate.is_none() {
        let purpose = "the connector cannot share its serving CA, and does not start";
        rights.push(Right::new("", "secrets", LEASE, purpose).named(format!("{service}-serving-ca")).within(namespace));
        rights.push(Right::new("", "secrets", CREATE, purpose).within(namespace));
    }
    if let Some(owner) = &installed.owner {
        let purpose = "what it makes by itself stays behind when it is uninstalled";
        rights.push(Right::new("rbac.authorization.k8s.io", "clusterroles", &["get"], purpose).named(owner).wished());
    }
    if let (true, Some(credential)) = (installed.renews, &installed.credential) {
        let secret = Right::new("", "secrets", LEASE, "the control plane's token is not renewed");
        rights.push(secret.named(&credential.secret).within(&installed.release.namespace));
    }
    if installed.connection_secrets {
        let verbs = &["list", "watch", "create", "patch", "delete"];
        rights.push(Right::new("", "secrets", verbs, "connection Secrets do not come back"));
    }
    if installed.input_secrets {
        rights.push(Right::new("", "secrets", READ, INPUTS));
    }
    if installed.events {
        let verbs = &["get", "list", "create", "patch"];
        rights.push(Right::new("", "events", verbs, "events about claims do not come back").wished());
    }
    rights
}

/// Looks at the rights of the connector's ServiceAccount in the app cluster.
pub(super) async fn in_app_cluster(app: &Client, installed: &Installed, commands: &Commands) -> Vec<Finding> {
    const CHECK: &str = "rights-app-cluster";
    let (namespace, account) = (&installed.release.namespace, &installed.service_account);
    let user = format!("system:serviceaccount:{namespace}:{account}");
    let groups = [
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ];
    let asked = Asked {
        check: CHECK,
        who: &user,
        place: HERE,
        subject: format!("--serviceaccount={namespace}:{account}"),
        kubectl: &commands.app,
    };
    let reviews = Api::<SubjectAccessReview>::all(app.clone());
    asked
        .look(needed_here(installed), |attributes| async {
            let spec = SubjectAccessReviewSpec {
                user: Some(user.clone()),
                groups: Some(groups.to_vec()),
                resource_attributes: Some(attributes),
                ..SubjectAccessReviewSpec::default()
            };
            let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
            let review = ask(reviews.create(&PostParams::default(), &review)).await?;
            Ok(review.status.is_some_and(|status| status.allowed))
        })
        .await
}

/// What the connector may do in the control plane, asked with its own credential.
pub(super) struct InControlPlane<'a> {
    pub(super) installed: &'a Installed,
    pub(super) credential: &'a Credential,
    pub(super) namespace: &'a str,
    pub(super) offers: &'a Offers,
}

impl InControlPlane<'_> {
    pub(super) async fn look(&self, control_plane: &Client, commands: &Commands) -> Vec<Finding> {
        const CHECK: &str = "rights-control-plane";
        let who = self.credential.subject.as_deref().unwrap_or("the connector");
        let kubectl = &commands.control_plane;
        let asked = Asked { check: CHECK, who, place: THERE, subject: subject(Some(self.credential)), kubectl };
        asked.look(self.needed(), |attributes| may_i(control_plane, attributes)).await
    }

    fn needed(&self) -> Vec<Right> {
        const CLAIMS: &[&str] = &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
        let Self { installed, namespace, offers, .. } = self;
        let mut rights: Vec<Right> = offers
            .iter()
            .map(|offered| {
                Right::new(&offered.group, &offered.plural, CLAIMS, "its claims are refused").within(namespace)
            })
            .collect();
        let definitions = Right::new(
            "apiextensions.crossplane.io",
            "compositeresourcedefinitions",
            READ,
            "what is offered is read from CRDs",
        );
        rights.push(definitions.wished());
        let account = self.credential.subject.as_deref().and_then(service_account).filter(|_| installed.renews);
        if let Some((namespace, account)) = account {
            let token = Right::new("", "serviceaccounts/token", CREATE, "the token is not renewed");
            rights.push(token.named(account).within(namespace));
        }
        if installed.connection_secrets {
            rights.push(Right::new("", "secrets", READ, "connection Secrets do not come back").within(namespace));
        }
        if installed.input_secrets {
            let verbs = &["get", "list", "watch", "create", "patch", "delete"];
            rights.push(Right::new("", "secrets", verbs, INPUTS).within(namespace));
        }
        if installed.events {
            let events = Right::new("", "events", &["list", "watch"], "events about claims do not come back");
            rights.push(events.within(namespace).wished());
        }
        rights
    }
}

/// What who installs it needs in the app cluster.
pub(super) async fn to_install_here(app: &Client, namespace: &str, commands: &Commands) -> Vec<Finding> {
    let rights = of_install(&app_rights(namespace), "the connector cannot be installed");
    let (check, who, subject) = ("rights-app-cluster", "you", "--user=YOU".to_owned());
    let asked = Asked { check, who, place: HERE, subject, kubectl: &commands.app };
    asked.look(rights, |attributes| may_i(app, attributes)).await
}

/// What who installs it needs in the control plane.
pub(super) async fn to_install_there(
    control_plane: &Client,
    claim_namespace: Option<&str>,
    commands: &Commands,
) -> Vec<Finding> {
    let is_there = match claim_namespace {
        Some(name) => matches!(namespace(control_plane, name).await, Ok((State::There, _))),
        None => false,
    };
    let rights = control_plane_rights(claim_namespace, !is_there);
    let rights = of_install(&rights, "the connector's account cannot be made");
    let (check, who, subject) = ("rights-control-plane", "you", "--user=YOU".to_owned());
    let asked = Asked { check, who, place: THERE, subject, kubectl: &commands.control_plane };
    asked.look(rights, |attributes| may_i(control_plane, attributes)).await
}

/// The rights that an install looks for, those of one resource together.
fn of_install(needed: &[preflight::Right<'_>], purpose: &'static str) -> Vec<Right> {
    let mut rights: Vec<Right> = Vec::new();
    for preflight::Right { verb, group, resource, namespace } in needed {
        let is_of = |right: &&mut Right| {
            right.group == *group && right.resource == *resource && right.namespace.as_deref() == *namespace
        };
        match rights.iter_mut().find(is_of) {
            Some(right) => right.verbs.push(verb),
            None => {
                let right = Right::new(group, resource, &[*verb], purpose);
                rights.push(Right { namespace: namespace.map(str::to_owned), ..right });
            }
        }
    }
    rights
}

/// Of whom rights are asked, and how they are given.
struct Asked<'a> {
    check: &'static str,
    who: &'a str,
    /// In which cluster.
    place: &'static str,
    subject: String,
    kubectl: &'a str,
}

impl Asked<'_> {
    /// Asks for every verb of every right.
    async fn look<F>(&self, rights: Vec<Right>, may: impl Fn(ResourceAttributes) -> F) -> Vec<Finding>
    where
        F: Future<Output = Result<bool, Unanswered>>,
    {
        let Self { check, who, place, subject, kubectl } = self;
        let questions = rights
            .iter()
            .enumerate()
            .flat_map(|(at, right)| right.verbs.iter().map(move |verb| (at, *verb, right.attributes(verb))));
        let answers = stream::iter(questions.map(|(at, verb, attributes)| {
            let answer = may(attributes);
            async move { (at, verb, answer.await) }
        }));
        let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
        let mut missing: Vec<Vec<&'static str>> = vec![Vec::new(); rights.len()];
        for (at, verb, answer) in answers {
            match answer {
                Ok(true) => {}
                Ok(false) => missing[at].push(verb),
                Err(error) => {
                    return vec![Finding::warning(check, format!("what {who} may do cannot be asked: {error}"))];
                }
            }
        }
        let mut findings = Vec::new();
        for (right, verbs) in rights.into_iter().zip(missing).filter(|(_, verbs)| !verbs.is_empty()) {
            let of = right.name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
            let within =
                right.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
            let what = format!(
                "{place} {who} may not {} {}{of}{within}, so that {}",
                verbs.join(", "),
                right.full_resource(),
                right.purpose
            );
            let level = right.level;
            let grant = Grant { right, verbs, subject: subject.clone() };
            findings.push(Finding { level, ..Finding::error(check, what).mend(grant.command(kubectl)) });
        }
        if findings.is_empty() {
            findings.push(Finding::ok(check, format!("{who} may do all that is needed {place}")));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::manifests::{Layers, Release, render};

    fn lists(rule: &Value, key: &str, wanted: &str) -> bool {
        rule[key].as_array().is_some_and(|list| list.iter().any(|one| one == wanted))
    }

    fn gives(rule: &Value, right: &Right, verb: &str) -> bool {
        let named = |name: &String| lists(rule, "resourceNames", name);
        lists(rule, "apiGroups", &right.group)
            && lists(rule, "resources", &right.resource)
            && lists(rule, "verbs", verb)
            && (rule["resourceNames"].is_null() || right.name.as_ref().is_some_and(named))
    }

    /// An install has all that it is looked at for; else every one would be said to lack something.
    #[test]
    fn an_install_may_do_what_is_asked_for() {
        let values = "controlPlane.claimNamespace=claims,controlPlane.kubeconfigSecret.name=credential";
        let apis = "apis:\n- {group: example.org, kind: Database, input-secrets: [spec.password]}\n";
        let values = Layers::default().file("apis", apis).unwrap().set(values).unwrap().values().unwrap();
        let objects = render(&values, &Release::new("connector", "kube-system")).unwrap();
        let rules: Vec<&Value> = objects.iter().filter_map(|object| object["rules"].as_array()).flatten().collect();
        let mut installed = crate::installed::testing::installed();
        installed.owner = Some("connector-registrar".to_owned());
        installed.renews = true;
        installed.input_secrets = true;
        installed.credential =
            Some(crate::installed::SecretKey { secret: "credential".to_owned(), key: "kubeconfig".to_owned() });
        for right in needed_here(&installed) {
            // By roles that kube-apiserver makes.
            if ["subjectaccessreviews", "configmaps"].contains(&right.resource.as_str()) {
                continue;
            }
            for verb in &right.verbs {
                assert!(rules.iter().any(|rule| gives(rule, &right, verb)), "{verb} {right:?}");
            }
        }
    }
}
