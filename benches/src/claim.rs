//! One claim as the control plane stores it.

use connector_core::origin::{ANNOTATION_CONNECTION_SECRET, Form, LABEL_CLUSTER, LABEL_NAME, LABEL_NAMESPACE};
use serde_json::{Map, Value, json};

use crate::{local_name, local_namespace, scheme};

/// The annotation in which `kubectl apply` keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(crate) const API_VERSION: &str = "platform.example.org/v1alpha1";
pub(crate) const KIND: &str = "PostgreSQLInstance";

/// Claim `index`, in remote terms.
pub(crate) fn claim(index: usize) -> Value {
    let scheme = scheme();
    let (name, namespace) = (local_name(index), local_namespace(index));
    let secret = format!("{name}-conn");

    let mut spec = user_spec(index, &secret);
    let applied = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"annotations": {}, "labels": user_labels(), "name": name, "namespace": namespace},
        "spec": spec,
    });
    spec["compositeDeletePolicy"] = "Background".into();
    spec["compositionRef"] = json!({"name": "postgresql.aws.platform.example.org"});
    spec["resourceRef"] = json!({"apiVersion": API_VERSION, "kind": format!("X{KIND}"), "name": composite(index)});
    spec["writeConnectionSecretToRef"]["name"] = scheme.remote_name(Form::Claim, &namespace, &secret).into();

    let mut labels = user_labels();
    labels.extend(scheme.labels(&namespace, &name).map(|(key, value)| (key.to_owned(), Value::from(&*value))));
    json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "annotations": {LAST_APPLIED: format!("{applied}\n"), ANNOTATION_CONNECTION_SECRET: secret},
            "creationTimestamp": "2026-11-23T03:51:19Z",
            "finalizers": ["finalizer.apiextensions.crossplane.io"],
            "generation": 3 + index % 4,
            "labels": labels,
            "managedFields": managed_fields(),
            "name": scheme.remote_name(Form::Claim, &namespace, &name),
            "namespace": scheme.remote_namespace(&namespace),
            "resourceVersion": (1_840_000 + 7 * index).to_string(),
            "uid": format!("6dbbdbb8-abd9-42dc-8c5b-{index:012x}"),
        },
        "spec": spec,
        "status": status(),
    })
}

/// The composite resource that Crossplane made for the claim: its name ends in five letters that look random.
fn composite(index: usize) -> String {
    let suffix: String =
        (0..5).map(|at| char::from(b"bcdfghjklmnpqrstvwxz2456789"[(index * 31 + at * 11) % 27])).collect();
    format!("{}-{suffix}", local_name(index))
}

fn user_labels() -> Map<String, Value> {
    let labels = [("app.kubernetes.io/name", "orders"), ("zone", "eu-central-1")];
    labels.map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect()
}

/// What the user wrote: with UTF-8, escapes and a number that no float holds.
fn user_spec(index: usize, secret: &str) -> Value {
    json!({
        "parameters": {
            "description": "Bestellungen für München & Zürich, \"primary\" <orders@example.org> — 注文",
            "maxBytes": 9_007_199_254_740_993_u64,
            "storageGB": 20 + index % 80,
            "version": "16.4",
        },
        "writeConnectionSecretToRef": {"name": secret},
    })
}

fn managed_fields() -> Value {
    let crossplane = |fields: Value, subresource: Option<&str>| {
        let mut entry = json!({
            "apiVersion": API_VERSION,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
            "manager": "crossplane",
            "operation": "Update",
            "time": "2026-11-23T03:52:15Z",
        });
        if let Some(subresource) = subresource {
            entry["subresource"] = subresource.into();
        }
        entry
    };
    let condition = json!({
        ".": {}, "f:lastTransitionTime": {}, "f:reason": {}, "f:status": {}, "f:type": {},
    });
    json!([
        {
            "apiVersion": API_VERSION,
            "fieldsType": "FieldsV1",
            "fieldsV1": user_fields(),
            "manager": "kubectl-client-side-apply",
            "operation": "Update",
            "time": "2026-11-23T03:51:19Z",
        },
        crossplane(
            json!({
                "f:metadata": {"f:finalizers": {".": {}, "v:\"finalizer.apiextensions.crossplane.io\"": {}}},
                "f:spec": {
                    "f:compositionRef": {".": {}, "f:name": {}},
                    "f:resourceRef": {".": {}, "f:apiVersion": {}, "f:kind": {}, "f:name": {}},
                },
            }),
            None,
        ),
        crossplane(
            json!({"f:status": {".": {}, "f:conditions": {
                ".": {}, "k:{\"type\":\"Ready\"}": condition, "k:{\"type\":\"Synced\"}": condition,
            }}}),
            Some("status"),
        ),
    ])
}

/// The fields of the user, whose manager has set the origin labels too, since they came with the user's write.
fn user_fields() -> Value {
    let field = |key: &str| (format!("f:{key}"), json!({}));
    let with_mark = |fields: Vec<(String, Value)>| -> Map<String, Value> {
        [(".".to_owned(), json!({}))].into_iter().chain(fields).collect()
    };
    let mut labels: Vec<_> = user_labels().iter().map(|(key, _)| field(key)).collect();
    labels.extend([LABEL_CLUSTER, LABEL_NAMESPACE, LABEL_NAME].map(field));
    json!({
        "f:metadata": {
            "f:annotations": with_mark([LAST_APPLIED, ANNOTATION_CONNECTION_SECRET].map(field).into()),
            "f:labels": with_mark(labels),
        },
        "f:spec": {
            ".": {},
            "f:parameters": {".": {}, "f:description": {}, "f:maxBytes": {}, "f:storageGB": {}, "f:version": {}},
            "f:writeConnectionSecretToRef": {".": {}, "f:name": {}},
        },
    })
}

fn status() -> Value {
    let condition = |kind: &str, reason: &str| {
        json!({
            "lastTransitionTime": "2026-11-23T03:52:15Z",
            "reason": reason,
            "status": "True",
            "type": kind,
        })
    };
    json!({
        "conditions": [condition("Synced", "ReconcileSuccess"), condition("Ready", "Available")],
        "connectionDetails": {"lastPublishedTime": "2026-11-23T03:52:15Z"},
    })
}
