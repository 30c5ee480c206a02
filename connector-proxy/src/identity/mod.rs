//! Who asks: the user whom the front vouches for, and what that user may do.
//!
//! The front authenticates the user and passes the result in `X-Remote-*` headers, over a connection on which it proves to
//! be the front by a client certificate. Without a verified front-proxy certificate nobody is anyone: the headers alone are
//! worth nothing.

mod authorize;
mod certificate;
mod trust;

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

pub(crate) use authorize::{Attributes, Authorizer, Decision};
pub(crate) use certificate::{AnyClientCertificate, PeerCertificate};
pub(crate) use trust::{FrontProxyTrust, TrustSource};

/// Whom a request is from, as the front authenticated them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

/// Membership in it allows everything, without a review (wire rule 9.7).
pub(crate) const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
const ANONYMOUS: &str = "system:anonymous";

impl User {
    /// Reads the user out of the headers that `trust` names. `None` where no user name is given.
    ///
    /// The caller has verified that the front sent them.
    pub(crate) fn from_headers(headers: &HeaderMap, trust: &FrontProxyTrust) -> Option<Self> {
        let first =
            |names: &[String]| names.iter().filter_map(|name| text(headers.get(name)?)).find(|value| !value.is_empty());
        let name = first(&trust.username_headers)?.to_owned();
        // A front that does not list the header does not strip a client's own either (wire rule 9.4).
        let uid = first(&trust.uid_headers).unwrap_or_default().to_owned();
        let mut groups: Vec<String> = trust
            .group_headers
            .iter()
            .flat_map(|header| headers.get_all(header))
            .filter_map(|value| text(value).map(str::to_owned))
            .collect();
        // The aggregator's own calls carry no group at all (wire rule 9.5).
        if name != ANONYMOUS && !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        let mut extra = BTreeMap::<String, Vec<String>>::new();
        for (header, value) in headers {
            let key = trust.extra_prefixes.iter().find_map(|prefix| header.as_str().strip_prefix(prefix.as_str()));
            if let (Some(key), Some(value)) = (key, text(value)) {
                let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
                extra.entry(key).or_default().push(value.to_owned());
            }
        }
        Some(Self { name, uid, groups, extra })
    }
}

/// Names are of any letters, which Go sends as they are.
fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> FrontProxyTrust {
        FrontProxyTrust {
            verifier: None,
            allowed_names: vec![],
            username_headers: vec!["x-remote-user".into()],
            uid_headers: vec![],
            group_headers: vec!["x-remote-group".into()],
            extra_prefixes: vec!["x-remote-extra-".into()],
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// Wire rules 1.6 and 9.5.
    #[test]
    fn user_is_read_from_the_named_headers() {
        let sent = headers(&[
            ("x-remote-user", "jane"),
            ("x-remote-group", "dev"),
            ("x-remote-group", "ops"),
            ("x-remote-extra-acme.com%2fproject", "one"),
            ("x-remote-extra-scopes", "a"),
            ("x-remote-extra-scopes", "b"),
        ]);
        let user = User::from_headers(&sent, &trust()).unwrap();
        assert_eq!(user.name, "jane");
        assert_eq!(user.groups, ["dev", "ops", "system:authenticated"]);
        assert_eq!(user.extra["acme.com/project"], ["one"]);
        assert_eq!(user.extra["scopes"], ["a", "b"]);
    }

    /// Wire rule 9.4: a UID header counts only where the front says that it sets it.
    #[test]
    fn uid_needs_to_be_listed() {
        let sent = headers(&[("x-remote-user", "jane"), ("x-remote-uid", "42")]);
        assert_eq!(User::from_headers(&sent, &trust()).unwrap().uid, "");
        let listed = FrontProxyTrust { uid_headers: vec!["x-remote-uid".into()], ..trust() };
        assert_eq!(User::from_headers(&sent, &listed).unwrap().uid, "42");
    }

    #[test]
    fn no_user_name_is_nobody() {
        assert_eq!(User::from_headers(&headers(&[("x-remote-group", "system:masters")]), &trust()), None);
        assert_eq!(User::from_headers(&headers(&[("x-remote-user", "")]), &trust()), None);
    }
}
