//! Real clients, unmodified, against claims through the connector: client-go's informers, a controller-runtime manager, and
//! Flux's kustomize-controller.

mod flux;
mod informers;
#[path = "../end_to_end/setup.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest of it")]
mod setup;
