//! What the file of `--config` says of single kinds.

use std::sync::Arc;

use anyhow::{Context, bail};
use connector_core::references::References;
use connector_proxy::ApiConfig;
use serde::Deserialize;

/// What the file says of one kind. No option does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ApiArgs {
    group: String,
    kind: String,
    #[serde(default)]
    connection_secret_names: Vec<String>,
    #[serde(default)]
    input_secrets: Vec<String>,
}

/// What the file says of single kinds.
pub(super) fn configured(given: &[ApiArgs]) -> anyhow::Result<Vec<ApiConfig>> {
    let mut apis: Vec<ApiConfig> = Vec::with_capacity(given.len());
    for ApiArgs { group, kind, connection_secret_names, input_secrets } in given {
        if apis.iter().any(|api| api.group == *group && api.kind == *kind) {
            bail!("apis: {kind} of {group} is there twice; put all of its paths into one entry");
        }
        let (connection, inputs) = (connection_secret_names.iter(), input_secrets.iter());
        let references = References::new(connection.map(String::as_str), inputs.map(String::as_str));
        let references = references.with_context(|| format!("apis: {kind} of {group}"))?;
        if references.is_empty() {
            bail!("apis: {kind} of {group} has no paths: give it connection-secret-names or input-secrets");
        }
        apis.push(ApiConfig { group: group.clone(), kind: kind.clone(), references: Arc::new(references) });
    }
    Ok(apis)
}

#[cfg(test)]
mod tests {
    use connector_proxy::Config;

    use super::*;
    use crate::serve::configuration;
    use crate::serve::tests::complete;

    const APIS: &str = "
apis:
- group: aws.platform.upbound.io
  kind: SQLInstance
  connection-secret-names: [spec.outputs.secretName]
  input-secrets: [spec.parameters.passwordSecretRef, 'spec.users[*].passwordSecretRef']
- {group: example.org, kind: Cache, connection-secret-names: [spec.secretName]}
input-secrets-from: [shared-credentials]
";

    fn of_file(text: &str) -> anyhow::Result<Config> {
        configuration(complete().or(serde_saphyr::from_str(text)?))
    }

    #[test]
    fn the_file_tells_what_names_secrets() {
        let config = of_file(APIS).unwrap();
        let kinds: Vec<(&str, &str)> = config.apis.iter().map(|api| (api.group.as_str(), api.kind.as_str())).collect();
        assert_eq!(kinds, [("aws.platform.upbound.io", "SQLInstance"), ("example.org", "Cache")]);
        assert_eq!(*config.apis[1].references, References::new(["spec.secretName"], []).unwrap());
        assert_eq!(config.input_secrets_from, ["shared-credentials"]);
        let none = configuration(complete()).unwrap();
        assert!(none.apis.is_empty() && none.input_secrets_from.is_empty());
    }

    #[test]
    fn mistakes_in_what_names_secrets_are_told() {
        let error = |from: &str, to: &str| {
            assert!(APIS.contains(from));
            format!("{:#}", of_file(&APIS.replace(from, to)).unwrap_err())
        };
        assert!(error("input-secrets: ", "inputs: ").contains("inputs"));
        let told = error("spec.outputs.secretName", "status.secretName");
        assert!(
            told.contains("SQLInstance of aws.platform.upbound.io") && told.contains("status.secretName"),
            "{told}"
        );
        assert!(error("spec.outputs.secretName", "spec.parameters").contains("overlaps"));
        assert!(error(", connection-secret-names: [spec.secretName]", "").contains("has no paths"));
        let twice = error("group: example.org, kind: Cache", "group: aws.platform.upbound.io, kind: SQLInstance");
        assert!(twice.contains("is there twice"), "{twice}");
    }
}
