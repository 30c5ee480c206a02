//! The connector as a library.

#[cfg(feature = "embedded")]
pub mod embedded;
