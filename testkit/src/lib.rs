//! Real Kubernetes on loopback for tests.
