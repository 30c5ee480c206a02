//! Benchmarks of the connector; see README.md in this folder.
