//! The credential for the control plane, renewed before it ends.
//!
//! A ServiceAccount's token ends, and nobody is there to make another one for years. So the replica that registers asks the control
//! plane for one, as the account itself, and writes it where the kubeconfig comes from; all replicas read it there. What the token
//! is appears in no log and no error.

mod token;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use kube::config::Kubeconfig;
use thiserror::Error;
use tokio::time::Instant;
use tracing::{info, warn};

use token::{AccountToken, inline_token};
pub(crate) use token::{Expiry, certificate_end, certificate_validity};

use crate::chain::Chain;
use crate::config::SecretReference;
use crate::jitter;
use crate::upstream::Upstream;

/// How long until the Secret is looked at again, at most: somebody may put another kubeconfig there.
const LOOK: Duration = Duration::from_secs(300);
/// How soon what failed is tried again; twice as late each time.
const RETRY: Duration = Duration::from_secs(10);
/// The latest: a token may last no longer than ten minutes, and a third of that is left when it is due.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// How soon the Secret is looked at again after it was written.
const SETTLE: Duration = Duration::from_secs(10);

/// Keeps the token in a Secret of the app cluster fresh.
pub(crate) struct Renewal {
    secrets: Api<Secret>,
    secret: SecretReference,
    upstream: Arc<Upstream>,
}

/// The token was not renewed. What it was, or would be, is told in none of these.
#[derive(Debug, Error)]
enum RenewalError {
    #[error("Secret {0} cannot be read: grant get and update on it")]
    Read(String, #[source] kube::Error),
    #[error("Secret {0} of --credential-secret does not exist")]
    Missing(String),
    #[error(
        "Secret {secret} has no key {key:?}; it has {there}: name one of those with --credential-secret NAMESPACE/NAME:KEY"
    )]
    NoKey { secret: String, key: String, there: String },
    // Not with the cause, which may quote the text.
    #[error("what Secret {0} holds is no kubeconfig")]
    NoKubeconfig(String),
    #[error("the token in the kubeconfig of Secret {0} is broken over lines: write it in one")]
    Folded(String),
    #[error(
        "the token of ServiceAccount {0} has expired: make another one, as `kubectl connector install` does, and write it into Secret {1}"
    )]
    Expired(String, String),
    #[error(
        "the control plane gives no token for ServiceAccount {0}: grant create on serviceaccounts/token for it there"
    )]
    Request(String, #[source] kube::Error),
    #[error("the control plane answered with no token for ServiceAccount {0}")]
    NoToken(String),
    #[error("Secret {0} cannot be written: grant get and update on it")]
    Write(String, #[source] kube::Error),
}

impl Renewal {
    pub(crate) fn new(app_cluster: kube::Client, secret: SecretReference, upstream: Arc<Upstream>) -> Self {
        Self { secrets: Api::namespaced(app_cluster, &secret.namespace), secret, upstream }
    }

    /// Renews what ends. Never returns.
    ///
    /// Cancel safety: a token that was made and not yet written is lost, and nothing else; the former one is good still.
    pub(crate) async fn run(&self) {
        let mut retry = RETRY;
        let mut told = String::new();
        let mut made = None;
        loop {
            let pause = match self.renew(&mut made).await {
                Ok(pause) => {
                    (retry, told) = (RETRY, String::new());
                    pause
                }
                Err(error) => {
                    let text = Chain(&error).to_string();
                    if text != told {
                        warn!(error = %text, "the control plane's token is not renewed; trying again");
                        told = text;
                    }
                    let pause = retry;
                    retry = (retry * 2).min(LONGEST_RETRY);
                    pause
                }
            };
            tokio::time::sleep(jitter::around(pause)).await;
        }
    }

    /// Renews the token where that is due; how long until the next look. What was `made` last is kept there, with the time.
    async fn renew(&self, made: &mut Option<(AccountToken, Instant)>) -> Result<Duration, RenewalError> {
        let SecretReference { namespace, name, key } = &self.secret;
        let called = || format!("{namespace}/{name}");
        let stored = self.secrets.get_opt(name).await.map_err(|error| RenewalError::Read(called(), error))?;
        let mut secret = stored.ok_or_else(|| RenewalError::Missing(called()))?;
        let data = secret.data.get_or_insert_default();
        let Some(ByteString(bytes)) = data.get(key) else {
            let there =
                if data.is_empty() { "none".to_owned() } else { data.keys().cloned().collect::<Vec<_>>().join(", ") };
            return Err(RenewalError::NoKey { secret: called(), key: key.clone(), there });
        };
        let text = std::str::from_utf8(bytes).map_err(|_| RenewalError::NoKubeconfig(called()))?;
        let kubeconfig = Kubeconfig::from_yaml(text).map_err(|_| RenewalError::NoKubeconfig(called()))?;
        // What is no such token lasts, or is somebody else's to renew.
        let Some((former, token)) =
            inline_token(&kubeconfig).and_then(|former| Some((former, AccountToken::read(former)?)))
        else {
            return Ok(LOOK);
        };
        let now = now();
        let age = made.as_ref().filter(|(made, _)| *made == token).map(|(_, at)| at.elapsed());
        let left = token.left(now, age);
        if !left.is_zero() {
            return Ok(LOOK.min(left));
        }
        let account = format!("{}/{}", token.namespace, token.account);
        if !text.contains(former) {
            return Err(RenewalError::Folded(called()));
        }
        // One that has ended by the clock here may be good still by that of the control plane.
        let next = self.request(&token).await.map_err(|error| match error {
            kube::Error::Api(status) if status.code == 401 && token.expires <= now => {
                RenewalError::Expired(account.clone(), called())
            }
            error => RenewalError::Request(account.clone(), error),
        })?;
        let next = next.and_then(|next| Some((AccountToken::read(&next)?, next)));
        let (claims, next) = next.ok_or_else(|| RenewalError::NoToken(account.clone()))?;
        if claims.due() <= now {
            warn!(
                account,
                "a token that was made now is due already: set the clock of this node, or the control plane's"
            );
        }
        // All else stays as somebody wrote it, comments included.
        data.insert(key.clone(), ByteString(text.replace(former, &next).into_bytes()));
        // Only over what was read: the Secret carries its resource version.
        match self.secrets.replace(name, &PostParams::default(), &secret).await {
            Ok(_) => {
                *made = Some((claims, Instant::now()));
                info!(account, secret = called(), "the control plane's token was renewed");
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(RenewalError::Write(called(), error)),
        }
        Ok(SETTLE)
    }

    /// Another token of the same account, for as long and for the same audiences.
    async fn request(&self, token: &AccountToken) -> Result<Option<String>, kube::Error> {
        let accounts = Api::<ServiceAccount>::namespaced(self.upstream.client(), &token.namespace);
        let spec = TokenRequestSpec {
            audiences: token.audiences.clone(),
            expiration_seconds: Some(token.life()),
            bound_object_ref: None,
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let made = accounts.create_token_request(&token.account, &PostParams::default(), &request).await?;
        Ok(made.status.map(|status| status.token))
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
