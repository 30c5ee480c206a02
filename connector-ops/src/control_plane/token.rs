//! Tokens: kept out of logs, and what a ServiceAccount's says about itself.

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

/// A bearer token. It shows itself to nobody.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Token(String);

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A token, without the white space around it that files have.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What it says of itself, unverified, if it is a ServiceAccount's.
    pub(crate) fn claims(&self) -> Option<Claims> {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(self.0.split('.').nth(1)?).ok()?;
        serde_json::from_slice(&payload).ok()
    }
}

/// What matters here of a ServiceAccount's token (`kubernetes/pkg/serviceaccount/claims.go`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Claims {
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub(crate) sub: String,
    /// When it was issued, in seconds since 1970.
    iat: i64,
    /// When it expires, in seconds since 1970.
    exp: i64,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Kubernetes {
    serviceaccount: Account,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Account {
    uid: String,
}

impl Claims {
    /// The UID of the ServiceAccount.
    pub(crate) fn account_uid(&self) -> &str {
        &self.kubernetes.serviceaccount.uid
    }

    /// Whether it is a token of this very account, and more than half of its life is ahead. The connector renews it much
    /// later, so that a token which is younger needs no other.
    pub(crate) fn is_good(&self, namespace: &str, name: &str, uid: &str, now: i64) -> bool {
        let subject = format!("system:serviceaccount:{namespace}:{name}");
        let life = self.exp.saturating_sub(self.iat);
        self.sub == subject && self.kubernetes.serviceaccount.uid == uid && self.exp.saturating_sub(now) > life / 2
    }
}
