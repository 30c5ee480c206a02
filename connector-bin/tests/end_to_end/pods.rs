//! The connector as Pods of a Deployment behind a Service.

use anyhow::{Result, ensure};
use testkit::{Cluster, Crossplane, Node, eventually, fixtures};

use crate::setup::{EXAMPLE, EXAMPLE_API, claim, json};

#[tokio::test]
async fn a_deployment_serves_and_rolls() -> Result<()> {
    let (app, control_plane) = Cluster::start_two_with_pods().await?;
    let crossplane = Crossplane::install(&control_plane).await?;
    crossplane.offer(&fixtures::xrd(EXAMPLE)?).await?;
    control_plane.kubectl().ok(["create", "namespace", "claims"]).await?;
    let node = Node::start(&app, "kube-system", env!("CARGO_BIN_EXE_connector")).await?;
    let kubectl = app.kubectl();

    let files = format!("{}/../deploy/rbac/app-cluster.yaml", env!("CARGO_MANIFEST_DIR"));
    kubectl.apply(&std::fs::read_to_string(files)?).await?;
    kubectl.apply(include_str!("pods.yaml")).await?;
    // What is mounted is not there yet: the Pods wait and say why.
    eventually("the Pods to wait for the Secret", || async {
        let pods = kubectl.ok(["get", "pods", "-n", "kube-system", "-o", "yaml"]).await?;
        Ok(if pods.contains("Secret \"control-plane\" not found") { Ok(()) } else { Err(pods) })
    })
    .await?;
    let secret = format!("--from-file=kubeconfig={}", control_plane.kubeconfig_path().display());
    kubectl.ok(["create", "secret", "generic", "control-plane", "-n", "kube-system", &secret]).await?;
    kubectl.ok(["rollout", "status", "deployment/connector", "-n", "kube-system", "--timeout=90s"]).await?;
    app.wait_for_api(EXAMPLE_API).await?;
    kubectl.apply(&claim("default", "db")).await?;
    let stored = json(&control_plane.kubectl(), &["get", "kubernetesclusters", "-n", "claims"]).await?;
    ensure!(stored["items"][0]["metadata"]["labels"]["mcp-connector.upbound.io/app-cluster"] == "pods", "{stored}");
    let budget = json(&kubectl, &["get", "pdb", "-n", "kube-system", "connector"]).await?;
    ensure!(budget["status"]["disruptionsAllowed"] == 1, "{budget}");

    // Killed: started again, in the same Pod.
    let pods = node.pods();
    ensure!(pods.len() == 2, "{pods:?}");
    let (victim, before) = (&pods[0].name, pods[0].process);
    node.kill(victim)?;
    eventually("the process to be started again", || async {
        let pod = json(&kubectl, &["get", "pod", "-n", "kube-system", victim]).await?;
        let status = &pod["status"]["containerStatuses"][0];
        let again = status["restartCount"] == 1 && status["ready"] == true;
        Ok(if again { Ok(()) } else { Err(status.to_string()) })
    })
    .await?;
    let after = node.pods().into_iter().find(|pod| pod.name == *victim).and_then(|pod| pod.process);
    ensure!(after.is_some() && after != before, "{before:?} {after:?}");

    // A volume follows its Secret; the file is the one that the process was told.
    let described = std::fs::read_to_string(format!("/proc/{}/environ", after.unwrap_or_default()))?;
    let path = described.split('\0').find_map(|of| of.strip_prefix("CONNECTOR_CONTROL_PLANE_KUBECONFIG="));
    let path = path.unwrap_or_default().to_owned();
    let patch = r#"{"stringData":{"more":"new"}}"#;
    kubectl.ok(["patch", "secret", "control-plane", "-n", "kube-system", "-p", patch]).await?;
    eventually("the volume to follow", || async {
        let more = std::fs::read_to_string(path.replace("/kubeconfig", "/more")).unwrap_or_default();
        Ok(if more == "new" { Ok(()) } else { Err(path.clone()) })
    })
    .await?;

    // Other Pods, one after the other, and no request that fails.
    kubectl.ok(["rollout", "restart", "deployment/connector", "-n", "kube-system"]).await?;
    let rolled = kubectl.ok(["rollout", "status", "deployment/connector", "-n", "kube-system", "--timeout=90s"]);
    let mut rolled = std::pin::pin!(rolled);
    loop {
        tokio::select! {
            rolled = &mut rolled => break drop(rolled?),
            got = kubectl.ok(["get", "kubernetescluster", "db", "-o", "name"]) => drop(got?),
        }
    }
    eventually("the old Pods to be gone", || async {
        let now: Vec<_> = node.pods().into_iter().map(|pod| pod.name).collect();
        let new = now.len() == 2 && pods.iter().all(|old| !now.contains(&old.name));
        Ok(if new { Ok(()) } else { Err(format!("{now:?}")) })
    })
    .await?;

    // No Pod, no listener: the front says that it cannot reach the Service.
    kubectl.ok(["scale", "deployment/connector", "-n", "kube-system", "--replicas=0"]).await?;
    eventually("the API to be unavailable", || async {
        let get = kubectl.run(["get", "kubernetescluster", "db"]).await?;
        Ok(if node.pods().is_empty() && !get.status.success() { Ok(()) } else { Err(format!("{get:?}")) })
    })
    .await
}
