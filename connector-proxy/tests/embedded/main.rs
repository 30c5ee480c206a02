//! The embedded cluster, driven over TLS as clients drive a real one.

#![cfg(feature = "embedded")]

mod aggregation;
mod crossplane;
mod documents;
mod lifecycle;
mod reads;
mod support;
mod watches;
mod writes;
