//! What a credential says of itself: until when it is good, and whose it is.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::config::{AuthInfo, Kubeconfig};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use serde::Deserialize;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The token of a ServiceAccount, as its own claims tell; nobody has verified them. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountToken {
    pub(super) namespace: String,
    pub(super) account: String,
    pub(super) audiences: Vec<String>,
    pub(super) issued: i64,
    pub(super) expires: i64,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    aud: Option<Audiences>,
    iat: Option<i64>,
    exp: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

impl AccountToken {
    /// `None` for what is no ServiceAccount's token, or never expires.
    pub(super) fn read(jwt: &str) -> Option<Self> {
        let claims = claims(jwt)?;
        let subject = claims.sub?;
        let (namespace, account) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        let audiences = match claims.aud {
            Some(Audiences::One(audience)) => vec![audience],
            Some(Audiences::Many(audiences)) => audiences,
            None => Vec::new(),
        };
        let (issued, expires) = (claims.iat?, claims.exp?);
        (issued < expires).then_some(Self {
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            audiences,
            issued,
            expires,
        })
    }

    /// How long until it is to be renewed, by the clock here; zero where that is due. One that is known to be of this `age` has a
    /// third of its life before it all the same: by a clock that is far ahead each new one would be due at once.
    pub(super) fn left(&self, now: i64, age: Option<Duration>) -> Duration {
        let seconds = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let by_age = age.map_or(Duration::ZERO, |age| seconds(self.life() / 3).saturating_sub(age));
        seconds(self.due().saturating_sub(now)).max(by_age)
    }

    /// When it is to be renewed: after two thirds of its life.
    pub(super) fn due(&self) -> i64 {
        self.issued.saturating_add(self.life() / 3 * 2)
    }

    /// How long it lasts from its beginning.
    pub(super) fn life(&self) -> i64 {
        self.expires.saturating_sub(self.issued)
    }
}

fn claims(jwt: &str) -> Option<Claims> {
    let payload = jwt.trim().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The user of the context in force.
fn current_user(kubeconfig: &Kubeconfig) -> Option<&AuthInfo> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == *current)?.context.as_ref()?;
    let user = context.user.as_ref()?;
    kubeconfig.auth_infos.iter().find(|named| named.name == *user)?.auth_info.as_ref()
}

/// The token in the kubeconfig itself; one in a file of its own is its writer's to renew.
pub(super) fn inline_token(kubeconfig: &Kubeconfig) -> Option<&str> {
    Some(current_user(kubeconfig)?.token.as_ref()?.expose_secret().trim())
}

/// When what a kubeconfig authenticates by ends, in seconds since 1970, as far as it can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// The token's beginning, where it is a JWT.
    pub(crate) issued: Option<i64>,
    /// The token's end.
    pub(crate) token: Option<i64>,
    /// The client certificate's.
    pub(crate) certificate: Option<i64>,
}

impl Expiry {
    pub(crate) fn of(kubeconfig: &Kubeconfig) -> Self {
        let Some(user) = current_user(kubeconfig) else { return Self::default() };
        let token = match (&user.token, &user.token_file) {
            (Some(token), _) => claims(token.expose_secret()),
            (None, Some(file)) => std::fs::read_to_string(file).ok().and_then(|token| claims(&token)),
            (None, None) => None,
        };
        let pem = match (&user.client_certificate_data, &user.client_certificate) {
            (Some(data), _) => base64::engine::general_purpose::STANDARD.decode(data.trim()).ok(),
            (None, Some(file)) => std::fs::read(file).ok(),
            (None, None) => None,
        };
        let (issued, token) = token.map_or((None, None), |claims| (claims.iat, claims.exp));
        Self { issued, token, certificate: pem.and_then(|pem| certificate_end(&pem)) }
    }
}

/// When the first certificate in `pem` ends, in seconds since 1970.
pub(crate) fn certificate_end(pem: &[u8]) -> Option<i64> {
    Some(certificate_validity(pem)?.1)
}

/// When it begins, and when it ends.
pub(crate) fn certificate_validity(pem: &[u8]) -> Option<(i64, i64)> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let validity = certificate.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn jwt(claims: &Value) -> String {
        format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn what_a_service_accounts_token_says() {
        let claims =
            json!({ "sub": "system:serviceaccount:claims:connector", "aud": ["a", "b"], "iat": 1000, "exp": 1900 });
        let token = AccountToken::read(&jwt(&claims)).unwrap();
        assert_eq!((token.namespace.as_str(), token.account.as_str()), ("claims", "connector"));
        assert_eq!((token.audiences.as_slice(), token.life(), token.due()), (&["a".into(), "b".into()][..], 900, 1600));
        let left = |now, age: Option<u64>| token.left(now, age.map(Duration::from_secs)).as_secs();
        assert_eq!((left(1000, None), left(1600, None), left(9999, None), left(i64::MIN, None) > 0), (600, 0, 0, true));
        // By a clock that is an hour ahead.
        assert_eq!((left(4600, Some(10)), left(4600, Some(299)), left(4600, Some(300))), (290, 1, 0));
        for (key, other) in [("sub", json!("jane")), ("exp", json!(null)), ("exp", json!(1000)), ("iat", json!("x"))] {
            let mut claims = claims.clone();
            claims[key] = other;
            assert_eq!(AccountToken::read(&jwt(&claims)), None, "{claims}");
        }
        for other in ["", "opaque", "a.b.c", "a.e30.c"] {
            assert_eq!(AccountToken::read(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_kubeconfig_says() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, jwt(&json!({ "exp": 7 }))).unwrap();
        let read = |user: Value| {
            let config = json!({
                "current-context": "it",
                "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
                "users": [{ "name": "other", "user": { "token": jwt(&json!({ "exp": 1 })) } }, { "name": "it", "user": user }],
            });
            Kubeconfig::from_yaml(&config.to_string()).unwrap()
        };
        let of = |user: Value| Expiry::of(&read(user));
        let until = |token| Expiry { token: Some(token), ..Expiry::default() };
        assert_eq!(of(json!({ "token": jwt(&json!({ "iat": 4, "exp": 5 })) })), Expiry { issued: Some(4), ..until(5) });
        assert_eq!(of(json!({ "tokenFile": file })), until(7));
        assert_eq!(of(json!({ "token": "opaque" })), Expiry::default());
        let data = base64::engine::general_purpose::STANDARD.encode(pem);
        assert_eq!(of(json!({ "client-certificate-data": data })).certificate, Some(2_208_988_800));
        assert_eq!(inline_token(&read(json!({ "token": "t" }))), Some("t"));
        // As a block of YAML has it: what takes its place must not take the line's end.
        assert_eq!(inline_token(&read(json!({ "token": "t\n" }))), Some("t"));
        assert_eq!(inline_token(&read(json!({ "tokenFile": file }))), None);
    }
}
