//! What the connector may do in the app cluster: `deploy/rbac/app-cluster.yaml`, less what is turned off.

use serde_json::{Value, json};

use super::Chart;

const API_GROUP: &str = "rbac.authorization.k8s.io";
const API_VERSION: &str = "rbac.authorization.k8s.io/v1";

/// The RoleBinding of a release that is in `kube-system`, wherever the rest is.
pub(crate) fn authentication_reader(release: &str) -> String {
    format!("{release}-authentication-reader")
}

impl Chart<'_> {
    /// The roles, each kind before the next as it is applied.
    pub(super) fn rbac(&self) -> Vec<Value> {
        let name = self.release.name.as_str();
        let registrar = self.release.registrar();
        vec![
            self.cluster_role(
                &registrar,
                vec![rule("apiregistration.k8s.io", "apiservices", &[], "create update delete")],
            ),
            self.cluster_role(name, self.cluster_rules()),
            self.cluster_role_binding(&format!("{name}-auth-delegator"), "system:auth-delegator"),
            self.cluster_role_binding(&registrar, &registrar),
            self.cluster_role_binding(name, name),
            json!({
                "apiVersion": API_VERSION, "kind": "Role", "metadata": self.metadata(name), "rules": self.rules()
            }),
            self.authentication_reader(),
            json!({
                "apiVersion": API_VERSION,
                "kind": "RoleBinding",
                "metadata": self.metadata(name),
                "roleRef": {"apiGroup": API_GROUP, "kind": "Role", "name": name},
                "subjects": self.subjects(),
            }),
        ]
    }

    fn cluster_rules(&self) -> Vec<Value> {
        let mut rules = vec![
            rule("apiregistration.k8s.io", "apiservices", &[], "list watch"),
            rule("apiextensions.k8s.io", "customresourcedefinitions", &[], "get list"),
            rule(API_GROUP, "clusterroles", &[&self.release.registrar()], "get"),
            rule("", "namespaces", &[], "get list watch"),
        ];
        if self.values.events.enabled {
            rules.push(rule("", "events", &[], "get list create patch"));
        }
        if self.values.connection_secrets.enabled {
            rules.push(rule("", "secrets", &[], "list watch create patch delete"));
        }
        if self.values.apis.iter().any(|api| api.input_secrets.as_ref().is_some_and(|paths| !paths.is_empty())) {
            rules.push(rule("", "secrets", &[], "get list watch"));
        }
        rules.extend(self.values.rbac.extra_rules.iter().cloned().map(Value::Object));
        rules
    }

    fn rules(&self) -> Vec<Value> {
        let of = |what: &str| format!("{}-{what}", self.release.name);
        let mut rules = Vec::new();
        if self.values.tls.secret_name.is_empty() {
            rules.push(rule("", "secrets", &[], "create"));
            rules.push(rule("", "secrets", &[&of("serving-ca")], "get update"));
        }
        rules.push(rule("coordination.k8s.io", "leases", &[], "create"));
        rules.push(rule("coordination.k8s.io", "leases", &[&of("registrar"), &of("sync")], "get update"));
        if self.settings.renews(self.values) {
            rules.push(rule("", "secrets", &[&self.settings.secret], "get update"));
        }
        rules
    }

    fn cluster_role(&self, name: &str, rules: Vec<Value>) -> Value {
        json!({
            "apiVersion": API_VERSION,
            "kind": "ClusterRole",
            "metadata": self.cluster_metadata(name),
            "rules": rules,
        })
    }

    fn cluster_role_binding(&self, name: &str, role: &str) -> Value {
        json!({
            "apiVersion": API_VERSION,
            "kind": "ClusterRoleBinding",
            "metadata": self.cluster_metadata(name),
            "roleRef": {"apiGroup": API_GROUP, "kind": "ClusterRole", "name": role},
            "subjects": self.subjects(),
        })
    }

    fn authentication_reader(&self) -> Value {
        let mut metadata = self.cluster_metadata(&authentication_reader(&self.release.name));
        metadata.insert("namespace".to_owned(), "kube-system".into());
        json!({
            "apiVersion": API_VERSION,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": API_GROUP, "kind": "Role", "name": "extension-apiserver-authentication-reader"},
            "subjects": self.subjects(),
        })
    }

    fn subjects(&self) -> Value {
        json!([{
            "kind": "ServiceAccount",
            "name": self.service_account_name(),
            "namespace": self.release.namespace,
        }])
    }
}

/// `verbs` have spaces between them; no names are all.
fn rule(group: &str, resource: &str, names: &[&str], verbs: &str) -> Value {
    let verbs: Vec<&str> = verbs.split(' ').collect();
    let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    if !names.is_empty() {
        rule["resourceNames"] = json!(names);
    }
    rule
}
