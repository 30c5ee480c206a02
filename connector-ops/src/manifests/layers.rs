//! Files of values and `--set`, merged over the defaults as helm does.

use serde_json::{Map, Value};
use thiserror::Error;

use super::Values;
use super::set::{self, SetError};

/// The chart's own values.
const DEFAULTS: &str = include_str!("../../../deploy/chart/values.yaml");

/// What the user gives, in the order in which it counts: later before earlier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    given: Map<String, Value>,
}

/// Values cannot be used. The user's: the message says where.
#[derive(Debug, Error)]
pub enum LayersError {
    /// A file is no YAML mapping.
    #[error("the values of {file} cannot be read")]
    File {
        /// As it was given.
        file: String,
        /// What the parser says.
        source: serde_saphyr::Error,
    },
    /// A value is unknown, or not of the right type.
    #[error("the value {path} cannot be used")]
    Value {
        /// Such as `controlPlane.gzip`; of an unknown one, the path of what is around it.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl Layers {
    /// Adds a file of values (`-f`): maps are merged, all else is replaced, `null` takes a default away.
    ///
    /// # Errors
    /// The text is not a YAML mapping.
    pub fn file(mut self, file: &str, text: &str) -> Result<Self, LayersError> {
        // As helm reads it.
        let options = serde_saphyr::options! { legacy_octal_numbers: true };
        let values: Option<Map<String, Value>> = serde_saphyr::from_str_with_options(text, options)
            .map_err(|source| LayersError::File { file: file.to_owned(), source })?;
        merge(&mut self.given, values.unwrap_or_default());
        Ok(self)
    }

    /// Adds what `--set` gives: `a.b=c`, `a[0]=x`, `a={x,y}`, several with commas between them, a comma or dot of a name or
    /// value behind a backslash. `true`, `false`, `null` and whole numbers are what they look like, all else is text.
    ///
    /// # Errors
    /// It is not of this form.
    pub fn set(mut self, expression: &str) -> Result<Self, SetError> {
        set::into(&mut self.given, expression)?;
        Ok(self)
    }

    /// All values, those that were not given by their defaults.
    ///
    /// # Errors
    /// A value is unknown, or not of the right type.
    pub fn values(&self) -> Result<Values, LayersError> {
        let mut all = self.given.clone();
        default(&mut all, defaults());
        serde_path_to_error::deserialize(Value::Object(all)).map_err(|error| {
            let path = error.path().to_string();
            LayersError::Value { path, source: error.into_inner() }
        })
    }

    /// What was given, without the defaults.
    pub fn given(&self) -> &Map<String, Value> {
        &self.given
    }
}

impl Default for Values {
    /// What the chart has; it lacks what has no default, so [`render`](super::render) refuses it.
    fn default() -> Self {
        serde_json::from_value(Value::Object(defaults())).expect("the chart's values are complete, as a test shows")
    }
}

fn defaults() -> Map<String, Value> {
    serde_saphyr::from_str(DEFAULTS).expect("the chart's values are YAML, as a test shows")
}

/// Puts `over` into `values`.
fn merge(values: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (values.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            (_, value) => {
                values.insert(key, value);
            }
        }
    }
}

/// Fills what `values` lacks, and takes away what is null there and has a default.
fn default(values: &mut Map<String, Value>, defaults: Map<String, Value>) {
    for (key, default_value) in defaults {
        match (values.get_mut(&key), default_value) {
            (Some(Value::Null), _) => {
                values.remove(&key);
            }
            (Some(Value::Object(above)), Value::Object(below)) => default(above, below),
            (Some(_), _) => {}
            (None, default_value) => {
                values.insert(key, default_value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_complete() {
        let values = Layers::default().values().unwrap();
        assert_eq!(values, Values::default());
        assert_eq!(values.replica_count, 2);
    }

    #[test]
    fn later_counts_before_earlier_and_null_takes_away() {
        let layers = Layers::default()
            .file("a.yaml", "podSecurityContext: null\nclusterID: a\nresources: {limits: null, requests: {cpu: 1}}")
            .unwrap()
            .file("b.yaml", "clusterID: b\npodSecurityContext: {runAsUser: null}")
            .unwrap()
            .file("empty.yaml", "# nothing")
            .unwrap()
            .set("replicaCount=3")
            .unwrap();
        let values = layers.values().unwrap();
        assert_eq!((values.cluster_id.as_str(), values.replica_count), ("b", 3));
        assert!(!values.resources.contains_key("limits"));
        assert_eq!(values.resources["requests"], serde_json::json!({"cpu": 1, "memory": "64Mi"}));
        assert!(!values.pod_security_context.contains_key("runAsUser"));
        assert_eq!(values.pod_security_context["runAsNonRoot"], true);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let told = |text: &str| {
            let error = Layers::default().file("f.yaml", text).and_then(|layers| layers.values()).unwrap_err();
            format!("{error}: {}", std::error::Error::source(&error).unwrap())
        };
        assert!(
            told("controlPlane: {gzip: 3}").starts_with("the value controlPlane.gzip cannot be used: invalid type")
        );
        let unknown = told("controlPlane: {claimNamespce: x}");
        assert!(unknown.contains("controlPlane") && unknown.contains("unknown field `claimNamespce`"), "{unknown}");
        assert!(told("- a").starts_with("the values of f.yaml cannot be read"));
    }
}
