//! What the connector makes goes with its installation.

use anyhow::{Result, ensure};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::eventually;

use crate::setup::{EXAMPLE_API, clusters, json, options};

/// However the installation goes: helm and Argo CD know nothing of APIServices that a program made.
#[tokio::test]
async fn what_it_made_goes_with_its_owner() -> Result<()> {
    let (app, control_plane, _crossplane) = clusters().await?;
    let kubectl = app.kubectl();
    let rights = format!("{}/../deploy/rbac/app-cluster.yaml", env!("CARGO_MANIFEST_DIR"));
    kubectl.apply(&std::fs::read_to_string(rights)?).await?;
    let account = app.kubeconfig_for("system:serviceaccount:kube-system:connector", &["system:serviceaccounts"])?;
    // What a former version made has no owner yet.
    let unowned = ConnectorOptions { kubeconfig: Some(account), ..options() };
    let mut connector = Connector::start(&app, &control_plane, unowned.clone()).await?;
    connector.wait_available(&app, EXAMPLE_API).await?;
    ensure!(connector.terminate().await?.success());
    drop(connector);

    let owned = ConnectorOptions { extra_args: vec!["--owner=connector-registrar".to_owned()], ..unowned };
    let mut connector = Connector::start(&app, &control_plane, owned).await?;
    let made = [
        ["apiservice", "v1alpha1.k8s.starter.org", "default"],
        ["secret", "connector-serving-ca", "kube-system"],
        ["lease", "connector-registrar", "kube-system"],
        ["lease", "connector-sync", "kube-system"],
    ];
    let role = json(&kubectl, &["get", "clusterrole", "connector-registrar"]).await?;
    for [resource, name, namespace] in made {
        eventually("the owner to be there", || async {
            let object = json(&kubectl, &["get", resource, name, "-n", namespace]).await?;
            let owner = &object["metadata"]["ownerReferences"][0];
            Ok(if owner["uid"] == role["metadata"]["uid"] { Ok(()) } else { Err(object.to_string()) })
        })
        .await?;
    }
    connector.wait_available(&app, EXAMPLE_API).await?;

    // The connector runs on, and may not, and does not, register again.
    kubectl.ok(["delete", "clusterrole", "connector-registrar"]).await?;
    let is_gone = async |[resource, name, namespace]: [&'static str; 3]| {
        eventually("what it made to go", || async {
            let get = kubectl.run(["get", resource, name, "-n", namespace]).await?;
            Ok(if get.stderr.contains("NotFound") { Ok(()) } else { Err(format!("{}{}", get.stdout, get.stderr)) })
        })
        .await
    };
    is_gone(made[0]).await?;
    eventually("the missing owner to be told", || async {
        let log = connector.log()?;
        let told = "ClusterRole connector-registrar of --owner does not exist in the app cluster: create it";
        Ok(if log.contains(told) { Ok(()) } else { Err(log) })
    })
    .await?;
    ensure!(connector.terminate().await?.success());
    for made in made {
        is_gone(made).await?;
    }
    Ok(())
}
