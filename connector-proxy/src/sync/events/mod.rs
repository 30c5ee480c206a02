//! Events about claims, in the app cluster.

mod local;
mod recorder;
#[cfg(test)]
mod testing;

pub(crate) use recorder::Recorder;
