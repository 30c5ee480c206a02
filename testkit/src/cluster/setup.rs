//! The files and flags of a cluster.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::pki::{Authority, Pair};
use crate::process::Port;

pub(super) fn server_url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

pub(super) fn write_pki(folder: &Path) -> Result<Authority> {
    let authority = Authority::new("kubernetes-ca")?;
    std::fs::write(folder.join("ca.crt"), authority.pem())?;
    let names = ["localhost", "127.0.0.1", "10.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    authority.server(&names)?.write(folder, "apiserver")?;
    // A CA of its own, else every client of the cluster could pose as the aggregation layer.
    let front_proxy = Authority::new("front-proxy-ca")?;
    std::fs::write(folder.join("front-proxy-ca.crt"), front_proxy.pem())?;
    front_proxy.client("front-proxy-client", &[])?.write(folder, "front-proxy-client")?;
    authority.client("service-accounts", &[])?.write(folder, "service-accounts")?;
    Ok(authority)
}

/// JSON, which is YAML too.
pub(super) fn write_kubeconfig(path: &Path, folder: &Path, port: u16, pair: &Pair) -> Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    pair.write(folder, &name)?;
    let kubeconfig: Value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "it", "cluster": {
            "server": server_url(port),
            "certificate-authority": folder.join("ca.crt"),
        } }],
        "users": [{ "name": "it", "user": {
            "client-certificate": folder.join(format!("{name}.crt")),
            "client-key": folder.join(format!("{name}.key")),
        } }],
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it", "namespace": "default" } }],
        "current-context": "it",
    });
    Ok(std::fs::write(path, serde_json::to_vec_pretty(&kubeconfig)?)?)
}

pub(super) fn etcd_args(folder: &Path, ports: &[Port; 2]) -> Vec<String> {
    let [client, peer] = ports.each_ref().map(|port| format!("http://127.0.0.1:{}", port.number()));
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

pub(super) fn apiserver_args(folder: &Path, port: &Port, etcd: &Port) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", etcd.number()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", port.number()),
        // Must not be loopback; nothing is sent there.
        "--advertise-address=10.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("service-accounts.crt")),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
        // Without these it does not publish the ConfigMap by which aggregated servers authenticate it.
        format!("--requestheader-client-ca-file={}", file("front-proxy-ca.crt")),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        format!("--proxy-client-cert-file={}", file("front-proxy-client.crt")),
        format!("--proxy-client-key-file={}", file("front-proxy-client.key")),
        "--profiling=false".to_owned(),
    ]
}

/// Services in 127.N.0.0/24: kube-apiserver calls aggregated servers at the address of their Service.
pub(super) fn services_arg(network: u8) -> String {
    format!("--service-cluster-ip-range=127.{network}.0.0/24")
}

pub(super) fn controller_manager_args(folder: &Path, kubeconfig: &Path, pods: bool) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let of_pods = if pods {
        // kube-apiserver 1.33 looks for Services' endpoints in Endpoints still, later ones in EndpointSlices.
        ",deployment-controller,replicaset-controller,endpoints-controller,endpointslice-controller,\
         disruption-controller"
    } else {
        ""
    };
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!(
            "--controllers=namespace-controller,garbage-collector-controller,resourcequota-controller,\
             serviceaccount-controller,root-ca-certificate-publisher-controller,serviceaccount-token-controller,\
             clusterrole-aggregation-controller{of_pods}"
        ),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
        "--use-service-account-credentials=false".to_owned(),
        format!("--service-account-private-key-file={}", file("service-accounts.key")),
        format!("--root-ca-file={}", file("ca.crt")),
    ]
}
