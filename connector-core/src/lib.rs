//! The translation between what an app cluster sees of its claims (*local*) and what the control plane stores (*remote*).
//!
//! Everything here is a function of its arguments: no I/O, no async, no clock, no randomness. The crate knows nothing of
//! connections, Kubernetes clients or time, and builds for `wasm32-unknown-unknown`. A proxy around it is in `connector-proxy`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`origin`] | the stored-data contract: cluster id, origin, remote names, origin labels |
//! | [`references`] | which fields of a kind name Secrets, where that is configured |
//! | [`address`] | what a request addresses, parsed as kube-apiserver does; selectors; the remote request |
//! | [`json`] | the push scanner, and cursors over small documents |
//! | [`answer`] | rewriting of answers, chunk by chunk |
//! | [`body`] | rewriting of request bodies |
//! | [`offer`] | which APIs a control plane offers, read out of its XRDs and CRDs |
//! | [`discovery`] | the discovery documents of what is offered |
//! | [`openapi`] | the OpenAPI documents of what is offered |
//! | [`message`] | texts for people, such as the messages of events |
//! | [`status`] | Kubernetes `Status`: errors as data |

pub mod address;
pub mod answer;
pub mod body;
pub mod discovery;
pub mod json;
pub mod message;
pub mod offer;
pub mod openapi;
pub mod origin;
pub mod references;
pub mod status;
