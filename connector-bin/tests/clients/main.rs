//! Real clients, unmodified, against claims through the connector: client-go's informers, a controller-runtime manager, Flux's
//! kustomize-controller, helm, Python's client, and kubectl in several versions.

mod flux;
mod helm;
mod informers;
mod kubectl;
mod python;
#[path = "../end_to_end/setup.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest of it")]
mod setup;
mod twins;
