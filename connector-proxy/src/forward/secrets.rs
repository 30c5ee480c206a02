//! The Secrets that a write names at configured fields: whether its author may have the object consume them, and what they are
//! called where it fails.
//!
//! A Secret that an object refers to is copied to the control plane, where whoever wrote the object decides what becomes of it.
//! So who has an object refer to a Secret must be allowed to read it.

use bytes::Bytes;
use connector_core::address::{FieldSelector, LabelSelector};
use connector_core::body::{InputReference, SecretName};
use connector_core::origin::InputSecret;
use connector_core::status::Status;
use http::Response;

use super::answer::MAX_OBJECT;
use super::{Corridor, Passage};
use crate::failure::Failure;
use crate::identity::{Attributes, Decision, User};
use crate::upstream::Body;

impl Corridor {
    /// Refuses a write of the object `name` that has it consume input secrets which its author may not use.
    pub(super) async fn check_inputs(
        &self,
        passage: &Passage<'_>,
        name: &str,
        inputs: &[InputReference],
    ) -> Result<(), Failure> {
        for InputReference { secret, field } in inputs {
            if let Some(why) = self.refusal(passage, secret).await? {
                let (group, resource) = (&passage.request.group, &passage.request.resource);
                let status = Status::forbidden(group, resource, name, &format!("{field}: {why}"));
                return Err(Failure::client(status));
            }
        }
        Ok(())
    }

    /// The control plane's answer to a write of these Secrets. A failure says what the user calls them; what is about the object
    /// itself is told in local terms later.
    pub(super) async fn naming_secrets(
        &self,
        passage: &Passage<'_>,
        answer: Response<Body>,
        secrets: &[SecretName],
    ) -> Result<Response<Body>, Failure> {
        if secrets.is_empty() || answer.status().is_success() {
            return Ok(answer);
        }
        let (parts, raw) = self.collect(passage, answer, MAX_OBJECT).await?;
        let told = localized(&String::from_utf8_lossy(&raw), secrets);
        Ok(Response::from_parts(parts, Body::from(Bytes::from(told))))
    }

    async fn refusal(&self, passage: &Passage<'_>, secret: &InputSecret) -> Result<Option<String>, Failure> {
        let own = passage.request.namespace.as_deref().unwrap_or_default();
        if secret.namespace != own && !self.input_secrets_from.contains(&secret.namespace) {
            return Ok(Some(elsewhere(own, secret)));
        }
        match self.authorizer.decide(passage.user, &reading(secret), &passage.waits.app_cluster).await {
            Ok(Decision::Allowed) => Ok(None),
            Ok(Decision::Denied(reason)) => Ok(Some(unreadable(passage.user, secret, &reason))),
            Err(error) => {
                Err(Failure::app_cluster("the app cluster did not say whether a Secret may be referred to", error))
            }
        }
    }
}

/// JSON with the local names in its strings.
fn localized(json: &str, secrets: &[SecretName]) -> String {
    secrets.iter().fold(json.to_owned(), |json, SecretName { local, remote }| {
        let quoted = serde_json::Value::from(local.as_str()).to_string();
        json.replace(remote, &quoted[1..quoted.len() - 1])
    })
}

fn reading(InputSecret { namespace, name }: &InputSecret) -> Attributes {
    Attributes::Resource {
        verb: "get",
        group: String::new(),
        version: "v1".to_owned(),
        resource: "secrets".to_owned(),
        subresource: String::new(),
        namespace: namespace.clone(),
        name: name.clone(),
        fields: FieldSelector::default(),
        labels: LabelSelector::default(),
    }
}

fn elsewhere(own: &str, InputSecret { namespace, name }: &InputSecret) -> String {
    format!(
        "Secret {name:?} of namespace {namespace:?} cannot be used from namespace {own:?}: refer to a Secret of {own:?}, \
         or have {namespace:?} allowed by the connector's option input-secrets-from"
    )
}

fn unreadable(user: &User, InputSecret { namespace, name }: &InputSecret, reason: &str) -> String {
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!(
        "User {:?} cannot get Secret {name:?} in the namespace {namespace:?}, and may have an object use only Secrets that the \
         user can read{because}",
        user.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_the_user_calls_a_secret() {
        let secrets = [SecretName { local: "a\"b\"".into(), remote: "input-0123456789abcdef".into() }];
        let json = r#"{"message":"Invalid value: \"input-0123456789abcdef\""}"#;
        let told: serde_json::Value = serde_json::from_str(&localized(json, &secrets)).unwrap();
        assert_eq!(told["message"], r#"Invalid value: "a"b"""#);
    }

    #[test]
    fn refusals_say_what_to_do() {
        let secret = InputSecret { namespace: "vault".into(), name: "db-password".into() };
        let told = elsewhere("team", &secret);
        assert!(told.starts_with(r#"Secret "db-password" of namespace "vault" cannot be used from namespace "team""#));
        assert!(told.contains("input-secrets-from"));
        let user = User { name: "jane".into(), uid: String::new(), groups: Vec::new(), extra: Default::default() };
        let told = unreadable(&user, &secret, "RBAC: no such role");
        assert!(told.starts_with(r#"User "jane" cannot get Secret "db-password" in the namespace "vault""#), "{told}");
        assert!(told.ends_with(": RBAC: no such role"), "{told}");
    }
}
