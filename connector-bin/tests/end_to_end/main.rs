//! End-to-end tests: real etcd, kube-apiserver, kube-controller-manager and kubectl on loopback, the real connector between them.

mod admission;
mod documented_example;
mod events;
mod faults;
mod front;
mod identity;
mod inputs;
mod isolation;
mod kubectl;
mod lifecycle;
mod namespaces;
mod origins;
mod outage;
mod pods;
mod raw;
mod references;
mod registration;
mod running;
mod secrets;
mod setup;
mod stand_in;
mod telemetry;
mod upstream;
