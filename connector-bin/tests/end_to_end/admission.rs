//! What either cluster's rules say about claims.

use anyhow::{Result, ensure};
use testkit::eventually;

use crate::setup::{Corridor, claim, json, traces};

/// A refusal by the control plane's own admission is the user's to see, in the user's names (wire rules 7.15, 11.6).
#[tokio::test]
async fn the_control_planes_policies_speak_of_local_names() -> Result<()> {
    let corridor = Corridor::start().await?;
    let (app, remote) = (corridor.app.kubectl(), corridor.control_plane.kubectl());
    remote
        .apply(
            r#"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: small-clusters}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [k8s.starter.org], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [kubernetesclusters]}
  validations:
  - expression: object.spec.parameters.nodes.count <= 50
    messageExpression: "'too many nodes for ' + object.metadata.name"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: small-clusters}
spec: {policyName: small-clusters, validationActions: [Deny]}
"#,
        )
        .await?;
    let big = claim("default", "big").replace("count: 3", "count: 51");
    // A policy takes a moment to be in force.
    let refused = eventually("the policy to be in force", || async {
        let tried = app.with_stdin(["create", "--dry-run=server", "-f", "-"], &big).await?;
        Ok(if tried.status.success() { Err(tried.stdout) } else { Ok(tried.stderr) })
    })
    .await?;
    let told = "ValidatingAdmissionPolicy 'small-clusters' with binding 'small-clusters' denied request: too many nodes for big";
    ensure!(refused.contains(told) && traces(&refused).is_empty(), "{refused}");
    Ok(())
}

/// The quota controller counts claims as it counts anything (wire rule 6.16).
#[tokio::test]
async fn quotas_count_claims() -> Result<()> {
    let corridor = Corridor::start().await?;
    let app = corridor.app.kubectl();
    for name in ["one", "two"] {
        app.apply(&claim("default", name)).await?;
    }
    // The controller learns of new kinds every half minute, and looks at a quota when it changes, or after minutes.
    let counted = async |wanted: &str| {
        let mut limit = 5;
        eventually(&format!("the quota to count {wanted}"), || {
            limit += 1;
            let quota = format!(
                "apiVersion: v1
kind: ResourceQuota
metadata: {{name: claims, namespace: default}}
spec: {{hard: {{count/kubernetesclusters.k8s.starter.org: {limit}}}}}
"
            );
            let app = &app;
            async move {
                app.apply(&quota).await?;
                let quota = json(app, &["get", "resourcequota", "claims"]).await?;
                let used = quota["status"]["used"]["count/kubernetesclusters.k8s.starter.org"].clone();
                Ok(if used == wanted { Ok(()) } else { Err(quota["status"].to_string()) })
            }
        })
        .await
    };
    counted("2").await?;
    app.ok(["delete", "kubernetescluster", "one", "--timeout=60s"]).await?;
    counted("1").await
}
