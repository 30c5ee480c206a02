//! Real Kubernetes on loopback for the end-to-end tests and benchmarks, and Crossplane's part in it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`binaries`] | etcd and Kubernetes: found, or built once from the Go modules that are pinned in `go/` |
//! | [`cluster`] | a cluster of one's own: etcd, kube-apiserver, kube-controller-manager |
//! | [`kubectl`] | the real kubectl against a cluster |
//! | [`eventually()`] | waiting for conditions, never for time |
//! | [`crossplane`] | what a real Crossplane does to XRDs, claims and composites, as it was recorded |
//! | [`fixtures`] | real XRDs and claims, and the recording |
//! | [`connector`] | the `connector` process between two clusters |
//! | [`node`] | kubelet's and kube-proxy's part: Pods are local processes, Services have addresses on loopback |
//! | [`clients`] | client-go's informers and a controller-runtime manager |
//! | [`flux`] | Flux's real kustomize-controller, and the source's part |
//! | [`helm`] | helm |
//! | [`python`] | Python's official client |
//!
//! Whatever is started here ends with the value that started it, and with the test process if that is killed.

pub mod binaries;
pub mod clients;
pub mod cluster;
pub mod connector;
pub mod crossplane;
mod eventually;
pub mod fixtures;
pub mod flux;
pub mod helm;
pub mod kubectl;
pub mod node;
mod pki;
mod process;
pub mod python;

pub use clients::Clients;
pub use cluster::{Cluster, ClusterOptions};
pub use connector::{Connector, ConnectorOptions};
pub use crossplane::Crossplane;
pub use eventually::{DEADLINE, eventually, eventually_within};
pub use flux::Flux;
pub use kubectl::Kubectl;
pub use node::Node;
