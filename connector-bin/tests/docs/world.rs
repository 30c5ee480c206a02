//! Who reads the pages: a shell in a folder with the repository's `deploy`, both clusters in the kubeconfig, and the programs in `PATH`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use testkit::binaries::{Binaries, HELMS, helm};
use testkit::crossplane::Crossplane;
use testkit::node::Node;
use testkit::{Cluster, ClusterOptions, fixtures};

const EXAMPLE: &str = "01-eks-kubernetescluster";
/// Longer than whatever a page waits for.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct World {
    // In the order in which they are to go.
    _node: Node,
    _crossplane: Crossplane,
    app: Cluster,
    control_plane: Cluster,
    folder: TempDir,
    path: String,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let (app, control_plane) = futures::future::try_join(
            Cluster::start(ClusterOptions { pods: true, ..ClusterOptions::named("app") }),
            Cluster::start(ClusterOptions::named("control-plane")),
        )
        .await?;
        let crossplane = Crossplane::install(&control_plane).await?;
        crossplane.offer(&fixtures::xrd(EXAMPLE)?).await?;
        let node = Node::start(&app, "kube-system", env!("CARGO_BIN_EXE_connector")).await?;

        let folder = tempfile::Builder::new().prefix("docs-").tempdir()?;
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin)?;
        let helm = tokio::task::spawn_blocking(|| helm(HELMS[1])).await??;
        let kubectl = tokio::task::spawn_blocking(Binaries::locate_or_build).await??.path("kubectl");
        let plugin = PathBuf::from(env!("CARGO_BIN_EXE_kubectl-connector"));
        for (name, program) in [("helm", helm), ("kubectl", kubectl), ("kubectl-connector", plugin)] {
            std::os::unix::fs::symlink(program, bin.join(name))?;
        }
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        std::os::unix::fs::symlink(repository.join("deploy"), folder.path().join("deploy"))?;
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").context("PATH is not set")?);
        let world = Self { _node: node, _crossplane: crossplane, app, control_plane, folder, path };
        world.kubeconfig().await?;
        Ok(world)
    }

    /// What operations begin with.
    pub(crate) async fn install(&self) -> Result<()> {
        self.shell("kubectl connector install control-plane my-app-cluster").await.map(drop)
    }

    /// A release of the product whose values the chart takes: of a chart of that name, which does nothing.
    pub(crate) async fn install_another_product(&self) -> Result<()> {
        let chart = self.folder.path().join("mcp-connector");
        std::fs::create_dir(&chart)?;
        std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: mcp-connector\nversion: 0.10.0\n")?;
        let values =
            "spaces: {controlPlane: {claimNamespace: my-app-ns-1, kubeconfigSecret: {name: cp, key: context.yaml}}}\n";
        std::fs::write(self.folder.path().join("product.yaml"), values)?;
        let install = "kubectl --context control-plane create namespace my-app-ns-1
            kubectl config view --context control-plane --minify --flatten > context.yaml
            kubectl --namespace kube-system create secret generic cp --from-file context.yaml
            helm install mcp-connector ./mcp-connector --namespace kube-system --values product.yaml
            rm -r mcp-connector product.yaml context.yaml";
        self.shell(install).await.map(drop)
    }

    /// A claim of the control plane's own, and a namespace of that name in the app cluster.
    pub(crate) async fn make_claim(&self, namespace: &str, name: &str) -> Result<()> {
        self.shell(&format!("kubectl create namespace {namespace}")).await?;
        self.claim("control-plane", namespace, name).await
    }

    /// What a cluster that is lost has left in the control plane.
    pub(crate) async fn have_claims_of(
        &self,
        cluster: &str,
        claim_namespace: &str,
        namespace: &str,
        name: &str,
    ) -> Result<()> {
        self.claim("control-plane", namespace, name).await?;
        let adopt = format!(
            "kubectl --context control-plane create namespace {claim_namespace}
            kubectl connector adopt {claim_namespace} --context control-plane --cluster {cluster} --from-namespace {namespace} --yes"
        );
        self.shell(&adopt).await.map(drop)
    }

    /// A claim whose connection Secret cannot be written, which its events tell.
    pub(crate) async fn have_secret_conflict(&self, namespace: &str, name: &str) -> Result<()> {
        self.shell(&format!("kubectl --namespace {namespace} create secret generic {name}-conn")).await?;
        self.claim("app", namespace, name).await?;
        let told = format!(
            "until kubectl --namespace {namespace} events --for kubernetescluster/{name} | grep --quiet ConnectionSecretConflict
            do sleep 1; done"
        );
        self.shell(&told).await.map(drop)
    }

    /// A Crossplane in the app cluster with a claim, and what that stands for in the control plane as well, as after its move there.
    pub(crate) async fn have_local_crossplane(&self, namespace: &str, name: &str) -> Result<()> {
        let local = Crossplane::install(&self.app).await?;
        local.offer(&fixtures::xrd(EXAMPLE)?).await?;
        self.claim("app", namespace, name).await?;
        let moved = "kubectl get configmaps --all-namespaces --selector crossplane.io/composite --output json \
            | python3 -c 'import json, sys
objects = json.load(sys.stdin)
for of in objects[\"items\"]:
    of[\"metadata\"] = {key: of[\"metadata\"][key] for key in (\"name\", \"namespace\", \"labels\", \"annotations\")}
json.dump(objects, sys.stdout)' | kubectl --context control-plane apply -f -
            kubectl create namespace crossplane-system --dry-run=client --output yaml | kubectl apply -f -
            kubectl create deployment crossplane --namespace crossplane-system --image crossplane --replicas 0";
        self.shell(moved).await.map(drop)
    }

    async fn claim(&self, context: &str, namespace: &str, name: &str) -> Result<()> {
        let claim = format!(
            "apiVersion: k8s.starter.org/v1alpha1\nkind: KubernetesCluster\nmetadata: {{name: {name}}}\n\
             spec:\n  id: {name}\n  parameters: {{nodes: {{count: 3, size: small}}}}\n  \
             writeConnectionSecretToRef: {{name: {name}-conn}}\n"
        );
        std::fs::write(self.folder.path().join("claim.yaml"), claim)?;
        let make = format!(
            "kubectl create namespace {namespace} --dry-run=client --output yaml | kubectl --context {context} apply -f -
            kubectl --context {context} --namespace {namespace} apply -f claim.yaml
            kubectl --context {context} --namespace {namespace} wait --for condition=Ready kubernetescluster/{name}
            rm claim.yaml"
        );
        self.shell(&make).await.map(drop)
    }

    /// Runs the commands one after the other in one shell's folder.
    pub(crate) async fn run(&self, page: &crate::page::Page) -> Result<()> {
        let mut variables = String::new();
        for command in &page.commands {
            let place = || format!("line {}: {}", command.line, command.text);
            // Variables live on in the next commands of a page.
            let printed = self.shell(&format!("{variables}{}", command.text)).await.with_context(place)?;
            let missing = command.missing(&printed);
            ensure!(missing.is_none(), "{}\nshows {missing:?}, which is not in\n{printed}", place());
            if command.sets_variable() {
                variables += &format!("{}\n", command.text);
            }
        }
        Ok(())
    }

    /// Runs commands that look for what is wrong: they must be understood, and may find nothing.
    pub(crate) async fn look(&self, page: &crate::page::Page) -> Result<()> {
        let account = "kubectl --context control-plane --namespace my-app-cluster get serviceaccounts \
            --selector app.kubernetes.io/name=control-plane-connector --output jsonpath={.items[0].metadata.name}";
        let account = self.shell(account).await?;
        let mut variables = String::new();
        for command in &page.commands {
            let names = [
                ("VERSION.GROUP", "v1alpha1.k8s.starter.org"),
                ("CLAIM-NAMESPACE", "my-app-cluster"),
                ("ACCOUNT", &account),
                ("GROUP", "k8s.starter.org"),
            ];
            let text = names.iter().fold(command.text.clone(), |text, (name, value)| text.replace(name, value));
            // Of grep and of `auth can-i`, 1 is an answer.
            let printed = self.shell(&format!("{variables}{text} || test $? -eq 1")).await;
            let printed = printed.with_context(|| format!("line {}: {text}", command.line))?;
            let is_refused = |line: &str| line.starts_with("error:") || line.starts_with("Error from server");
            ensure!(!printed.lines().any(is_refused), "line {}: {text}\n{printed}", command.line);
            if command.sets_variable() {
                variables += &format!("{text}\n");
            }
        }
        Ok(())
    }

    /// Both clusters in one file, as people have it: contexts `app`, the current one, and `control-plane`.
    async fn kubeconfig(&self) -> Result<()> {
        for (name, cluster) in [("app", &self.app), ("control-plane", &self.control_plane)] {
            let text = std::fs::read_to_string(cluster.kubeconfig_path())?;
            let mut config: serde_json::Value = serde_saphyr::from_str(&text)?;
            for list in ["clusters", "contexts", "users"] {
                config[list][0]["name"] = name.into();
            }
            config["contexts"][0]["context"]["cluster"] = name.into();
            config["contexts"][0]["context"]["user"] = name.into();
            config["current-context"] = name.into();
            std::fs::write(self.folder.path().join(format!("{name}.json")), config.to_string())?;
        }
        let merged = "KUBECONFIG=app.json:control-plane.json kubectl config view --flatten > config && rm app.json control-plane.json";
        self.shell(merged).await.map(drop)
    }

    /// Runs a script, and gives what it printed, on both ways.
    async fn shell(&self, script: &str) -> Result<String> {
        let mut command = tokio::process::Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{script}")]).current_dir(self.folder.path());
        command.env_clear().env("PATH", &self.path).env("HOME", self.folder.path());
        command.env("KUBECONFIG", self.folder.path().join("config"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.context("no end within five minutes")??;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{}:\n{printed}", output.status);
        Ok(printed)
    }
}
