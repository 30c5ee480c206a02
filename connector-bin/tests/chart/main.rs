//! The Helm chart: what it makes, that it refuses what is wrong, that the kubectl plugin makes the same, and its life in a cluster.

mod agreement;
mod helm;
mod install;
mod reference;
mod refused;
mod rights;
#[path = "../end_to_end/setup.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest of it")]
mod setup;
