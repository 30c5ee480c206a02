use serde_json::json;

use super::*;

fn deployment(container: serde_json::Value, volumes: serde_json::Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "connector", "namespace": "platform", "labels": {"app.kubernetes.io/version": "1.2.3"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app.kubernetes.io/instance": "connector"}},
            "template": {"spec": {"serviceAccountName": "connector", "containers": [container], "volumes": volumes}},
        },
    }))
    .unwrap()
}

fn no_config_maps() -> Api<ConfigMap> {
    let config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    Api::namespaced(Client::try_from(config).unwrap(), "platform")
}

async fn of(container: serde_json::Value, volumes: serde_json::Value) -> Installed {
    read(&ReleaseName::default(), &deployment(container, volumes), &no_config_maps()).await
}

#[tokio::test]
async fn options_are_read_from_arguments_and_environment() {
    let installed = of(
        json!({
            "name": "connector",
            "args": ["serve", "--claim-namespace=claims", "--cluster-id", "$(ID)", "--service=platform/connector:8443",
                     "--control-plane-kubeconfig=/etc/connector/control-plane/kubeconfig", "--events=false"],
            "env": [{"name": "ID", "value": "c1"}, {"name": "CONNECTOR_LISTEN", "value": "0.0.0.0:9443"},
                    {"name": "CONNECTOR_CLAIM_NAMESPACE", "value": "not-this-one"}],
            "volumeMounts": [{"name": "control-plane", "mountPath": "/etc/connector/control-plane"}],
        }),
        json!([{"name": "control-plane", "secret": {"secretName": "credential",
                "items": [{"key": "context.yaml", "path": "kubeconfig"}]}}]),
    )
    .await;
    assert_eq!(installed.claim_namespace.as_deref(), Some("claims"), "an argument counts before the environment");
    assert_eq!(installed.cluster_id.as_deref(), Some("c1"));
    assert_eq!((installed.service.name.as_str(), installed.service.port), ("connector", 8443));
    assert_eq!(installed.service.label(), "platform.connector");
    assert_eq!(installed.container_port, 9443);
    assert!(installed.connection_secrets && !installed.events);
    assert_eq!(
        installed.credential,
        Some(SecretKey { secret: "credential".to_owned(), key: "context.yaml".to_owned() })
    );
}

#[tokio::test]
async fn defaults_are_the_connectors_own() {
    let installed = of(json!({"name": "connector", "args": ["serve"]}), json!([])).await;
    assert_eq!((installed.service.namespace.as_str(), installed.container_port), ("kube-system", 8443));
    assert_eq!((installed.claim_namespace, installed.credential), (None, None));
    assert!(installed.connection_secrets && installed.events);
    assert_eq!(installed.version.as_deref(), Some("1.2.3"));
}

#[tokio::test]
async fn a_mount_without_items_has_the_key_of_the_file() {
    let container = json!({
        "name": "connector",
        "args": ["serve", "--control-plane-kubeconfig=/a/kubeconfig"],
        "volumeMounts": [{"name": "other", "mountPath": "/"}, {"name": "projected", "mountPath": "/a"}],
    });
    let volumes = json!([{"name": "projected", "projected": {"sources": [{"secret": {"name": "s"}}]}}]);
    let installed = of(container, volumes).await;
    assert_eq!(installed.credential, Some(SecretKey { secret: "s".to_owned(), key: "kubeconfig".to_owned() }));
}
