//! The connector's kubeconfig: kept while it is good, else made anew with a token of its account.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::PostParams;
use kube::config::Kubeconfig;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::preflight::{Right, connector_rights, missing};
use super::target::client;
use super::{InstallError, Plan, Warning, apply};
use crate::ask::{Unanswered, ask};
use crate::cluster::{Change, Cluster, Name, Side};
use crate::control_plane::account::Account;
use crate::control_plane::{Endpoint, Token};
use crate::labels;
use crate::progress::{Event, Tell};
use crate::yaml;

/// The key of the Secret.
pub(crate) const KEY: &str = "kubeconfig";
/// For how long a token is asked: a year. kube-apiserver gives what it allows, and the connector renews it.
const TOKEN_LIFE: i64 = 365 * 24 * 60 * 60;
/// How long new rights may take to be known everywhere in a control plane; its authorizer follows within a second.
const RIGHTS_PATIENCE: Duration = Duration::from_secs(30);
/// How often they are asked for meanwhile.
const RIGHTS_PAUSE: Duration = Duration::from_millis(250);

/// The Secret with the kubeconfig, where the plugin makes it.
pub(crate) fn secret_name(release: &str) -> String {
    format!("{release}-control-plane")
}

/// What a kubeconfig made of a token comes to.
enum Verdict {
    Works,
    /// It is not accepted at all.
    Refused,
    /// It is accepted, and some right did not appear.
    Lacks(Vec<String>),
}

impl Plan {
    /// The Secret around a kubeconfig; `None` where the user has one already.
    pub(super) fn credential_secret(&self, kubeconfig: &str) -> Option<Value> {
        self.account.as_ref()?;
        let release = &self.install.release;
        Some(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": secret_name(release), "namespace": self.install.namespace,
                "labels": {
                    labels::NAME: labels::CONNECTOR, labels::INSTANCE: release, labels::MANAGED_BY: labels::PLUGIN,
                },
                "annotations": self.annotations(),
            },
            "data": { KEY: BASE64_STANDARD.encode(kubeconfig) },
        }))
    }

    /// The same for people to read: the kubeconfig as it will be, but for the token.
    pub(super) fn redacted_secret(&self) -> Option<Value> {
        let (account, endpoint) = (self.account.as_ref()?, self.endpoint.as_ref()?);
        let mut endpoint = self.endpoint_of_app(endpoint);
        endpoint.proxy = endpoint.proxy.map(|proxy| without_password(&proxy));
        let kubeconfig = endpoint.kubeconfig(&Token::new("REDACTED"), &account.namespace);
        let mut secret = self.credential_secret("")?;
        secret["stringData"] = json!({ KEY: yaml(&kubeconfig).ok()? });
        secret.as_object_mut()?.remove("data");
        Some(secret)
    }

    /// Sees to it that the Secret has a kubeconfig that works, and answers what became of it.
    pub(super) async fn keep_credential(
        &self,
        control_plane: &Cluster,
        tell: Tell<'_>,
    ) -> Result<Option<Change>, InstallError> {
        let (Some(account), Some(endpoint)) = (&self.account, &self.endpoint) else { return Ok(None) };
        let of_app = self.endpoint_of_app(endpoint);
        let name = secret_name(&self.install.release);
        let secrets = Api::<Secret>::namespaced(self.client_of_app().clone(), &self.install.namespace);
        let existing = ask(secrets.get_opt(&name)).await.map_err(self.app.error("read", format!("Secret {name}")))?;
        let accounts = Api::<ServiceAccount>::namespaced(control_plane.client.clone(), &account.namespace);
        let uid = ask(accounts.get_metadata(&account.name)).await;
        let uid = uid.map_err(control_plane.error("read", format!("ServiceAccount {}", account.name)))?.uid();

        let kept = existing.as_ref().and_then(|existing| kubeconfig_of(existing, KEY));
        let is_good = kept.as_ref().is_some_and(|(_, kubeconfig)| {
            let token = token_of(kubeconfig);
            let own = token.as_ref().and_then(Token::claims).is_some_and(|claims| {
                claims.is_good(&account.namespace, &account.name, uid.as_deref().unwrap_or_default(), now())
            });
            let given = token.as_ref().is_some_and(|token| self.install.control_plane.given_token() == Some(token));
            Endpoint::of(kubeconfig, None).is_ok_and(|kept| kept == of_app) && (own || given)
        });
        let text = match kept {
            Some((text, _)) if is_good => text,
            _ => {
                let token = self.issue(control_plane, account, endpoint, tell).await?;
                let kubeconfig = of_app.kubeconfig(&token, &account.namespace);
                yaml(&kubeconfig).map_err(|error| InstallError::Credential {
                    account: shown(account),
                    why: format!("its kubeconfig cannot be written: {error}"),
                })?
            }
        };
        let Some(secret) = self.credential_secret(&text) else { return Ok(None) };
        // The connector may have renewed the token since, and then the field is not ours; it is not taken back for nothing.
        if let Some(existing) = existing.filter(|existing| is_good && is_marked(existing, &secret)) {
            let object =
                Name { resource: "secret".to_owned(), namespace: existing.namespace(), name: existing.name_any() };
            tell(Event::Object { side: Side::App, object, change: Change::Unchanged });
            return Ok(Some(Change::Unchanged));
        }
        Ok(Some(apply(&self.app, &secret, tell).await?))
    }

    /// A token that works: the account's own, or the given one where the way in takes no other.
    async fn issue(
        &self,
        control_plane: &Cluster,
        account: &Account,
        endpoint: &Endpoint,
        tell: Tell<'_>,
    ) -> Result<Token, InstallError> {
        let accounts = Api::<ServiceAccount>::namespaced(control_plane.client.clone(), &account.namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_LIFE), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let issued = ask(accounts.create_token_request(&account.name, &PostParams::default(), &request)).await;
        let issued = issued.map_err(|source| InstallError::Token { account: shown(account), source })?;
        let status = issued.status.ok_or_else(|| InstallError::Credential {
            account: shown(account),
            why: "the control plane answered without a token".to_owned(),
        })?;
        let token = Token::new(&status.token);
        let unusable = |why: String| InstallError::Credential { account: shown(account), why };
        let asking = client(&endpoint.kubeconfig(&token, &account.namespace)).await.map_err(unusable)?;
        match self.verdict(&asking, account).await.map_err(|why| unusable(why.to_string()))? {
            Verdict::Works => {
                tell(Event::Issued { account: shown(account), expires: status.expiration_timestamp.0 });
                Ok(token)
            }
            Verdict::Refused => match self.install.control_plane.given_token() {
                Some(given) => {
                    tell(Event::Warning(Warning::GivenTokenUsed));
                    Ok(given.clone())
                }
                None => Err(unusable("it is not accepted (401)".to_owned())),
            },
            Verdict::Lacks(rights) => {
                Err(unusable(format!("after {} s it may not {}", RIGHTS_PATIENCE.as_secs(), rights.join(", "))))
            }
        }
    }

    async fn verdict(&self, asking: &Client, account: &Account) -> Result<Verdict, Unanswered> {
        let mut rights = connector_rights(&self.offers, &account.namespace);
        rights.push(Right {
            verb: "watch",
            group: "apiextensions.crossplane.io",
            resource: "compositeresourcedefinitions",
            namespace: None,
        });
        let end = tokio::time::Instant::now() + RIGHTS_PATIENCE;
        loop {
            match missing(asking, &rights).await {
                Ok(none) if none.is_empty() => return Ok(Verdict::Works),
                Ok(lacking) if tokio::time::Instant::now() > end => return Ok(Verdict::Lacks(lacking)),
                Ok(_) => tokio::time::sleep(RIGHTS_PAUSE).await,
                Err(refused) if matches!(refused.code(), Some(401 | 403)) => return Ok(Verdict::Refused),
                Err(error) => return Err(error),
            }
        }
    }
}

/// A URL without who is to be believed there.
fn without_password(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://REDACTED@{rest}"),
        None => url.to_owned(),
    }
}

fn shown(account: &Account) -> String {
    format!("{}/{}", account.namespace, account.name)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The kubeconfig of a Secret, as text and read.
pub(crate) fn kubeconfig_of(secret: &Secret, key: &str) -> Option<(String, Kubeconfig)> {
    let text = String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()?;
    let kubeconfig = Kubeconfig::from_yaml(&text).ok()?;
    Some((text, kubeconfig))
}

/// The token of a kubeconfig that was made here.
pub(crate) fn token_of(kubeconfig: &Kubeconfig) -> Option<Token> {
    use kube::config::AuthInfo;
    let user: Option<&AuthInfo> = kubeconfig.auth_infos.first().and_then(|named| named.auth_info.as_ref());
    // The type of tokens shows itself only by being written.
    let written = serde_json::to_value(user?).ok()?;
    Some(Token::new(written["token"].as_str()?))
}

/// Whether a Secret has the labels and annotations that are wanted.
fn is_marked(existing: &Secret, wanted: &Value) -> bool {
    let has = |there: &BTreeMap<String, String>, wanted: &Value| {
        let mut wanted = wanted.as_object().into_iter().flatten();
        wanted.all(|(key, value)| there.get(key).map(String::as_str) == value.as_str())
    };
    let wanted = &wanted["metadata"];
    has(existing.labels(), &wanted["labels"]) && has(existing.annotations(), &wanted["annotations"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_password_is_not_shown() {
        assert_eq!(without_password("http://me:s3cr3t@proxy:3128"), "http://REDACTED@proxy:3128");
        assert_eq!(without_password("socks5://proxy:1080"), "socks5://proxy:1080");
    }
}
