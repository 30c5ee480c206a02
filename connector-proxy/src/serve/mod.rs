//! The server that the front calls: listener, TLS, limits, drain.

mod authority;
mod certificate;
mod listener;

pub use certificate::CertificateError;
pub(crate) use certificate::{CertificateSource, Serving, Source};
pub(crate) use listener::{Handler, serve};
