//! Serves the claim APIs of a remote Crossplane control plane in a Kubernetes app cluster, through its aggregation layer.
//!
//! A library: a platform tool runs it with [`serve()`]; the `connector` binary is a thin shell around that. What is translated,
//! and how, is in `connector-core`; this crate does the I/O. `ARCHITECTURE.md` tells how the parts work together.

mod admission;
mod catalog;
mod chain;
mod claims;
mod config;
mod credential;
#[cfg(feature = "embedded")]
pub mod embedded;
mod failure;
mod forward;
mod identity;
mod jitter;
mod leader;
mod owner;
mod registrar;
mod run;
mod serve;
mod sync;
mod telemetry;
mod transport;
mod upstream;
mod watch;

pub use chain::Chain;
pub use config::{
    ApiConfig, AppCluster, Config, InvalidSecretReference, InvalidServiceReference, SecretReference, ServiceReference,
    SyncOptions, TlsFiles,
};
pub use run::{ServeError, serve};
pub use serve::CertificateError;
pub use upstream::UnusableKubeconfig;
