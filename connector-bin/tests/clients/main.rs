//! Real clients, unmodified, against claims through the connector: client-go's informers, a controller-runtime manager, and
//! Flux's kustomize-controller.

mod flux;
mod informers;
#[path = "../end_to_end/setup.rs"]
mod setup;
