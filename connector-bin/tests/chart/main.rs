//! The Helm chart: what it makes, that it refuses what is wrong, that the kubectl plugin makes the same, and its life in a cluster.

mod agreement;
mod helm;
mod reference;
mod refused;
