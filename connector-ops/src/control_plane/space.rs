//! Control planes that are reached by their name in a Space.

use std::path::PathBuf;

use thiserror::Error;

use super::Endpoint;

/// A control plane's name in a Space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The host, as `spaces.example.org` or `https://spaces.example.org:8443`.
    pub host: String,
    /// The group. Default `default`.
    pub group: String,
    /// The organization, for hosts of the older form of URL.
    pub account: Option<String>,
    /// The control plane.
    pub control_plane: String,
    /// A file with the CA of the host, in PEM. Default: the system's.
    pub certificate_authority: Option<PathBuf>,
    /// Whether its certificate is believed unseen.
    pub insecure_skip_tls_verify: bool,
}

/// It does not say where a control plane is. The user's.
#[derive(Debug, Error)]
pub enum SpaceError {
    /// A part cannot stand in a URL.
    #[error("{what} {given:?} cannot be: use a-z, A-Z, 0-9, -, _ and .")]
    Name {
        /// Which part.
        what: &'static str,
        /// What was given.
        given: String,
    },
    /// The host is no host.
    #[error(
        "{0:?} is no host: give a name, such as spaces.example.org, perhaps with https:// before it and a port after it"
    )]
    Host(String),
    /// The CA cannot be read.
    #[error("the CA file {} cannot be read", .path.display())]
    CertificateAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Space {
    /// Where it is.
    ///
    /// # Errors
    /// See [`SpaceError`].
    pub fn endpoint(&self) -> Result<Endpoint, SpaceError> {
        let parts = [("control plane", &self.control_plane), ("group", &self.group)];
        for (what, given) in parts.into_iter().chain(self.account.as_ref().map(|account| ("account", account))) {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if given.is_empty() || !given.chars().all(allowed) || given.starts_with('.') {
                return Err(SpaceError::Name { what, given: given.clone() });
            }
        }
        let host = self.host.strip_prefix("https://").unwrap_or(&self.host).trim_end_matches('/');
        let is_authority = host.parse::<http::uri::Authority>().is_ok_and(|host| !host.as_str().contains('@'));
        if !is_authority {
            return Err(SpaceError::Host(self.host.clone()));
        }
        let Self { group, control_plane, .. } = self;
        let server = match &self.account {
            Some(account) => format!("https://{host}/v1/controlplanes/{account}/{group}/{control_plane}/k8s"),
            None => format!(
                "https://{host}/apis/spaces.upbound.io/v1beta1/namespaces/{group}/controlplanes/{control_plane}/k8s"
            ),
        };
        let unreadable = |path: &PathBuf, source| SpaceError::CertificateAuthority { path: path.clone(), source };
        let certificate_authority = match &self.certificate_authority {
            Some(path) => Some(std::fs::read(path).map_err(|source| unreadable(path, source))?),
            None => None,
        };
        Ok(Endpoint {
            server,
            certificate_authority,
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
            ..Endpoint::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(host: &str, account: Option<&str>) -> Space {
        Space {
            host: host.to_owned(),
            group: "default".to_owned(),
            account: account.map(str::to_owned),
            control_plane: "ctp1".to_owned(),
            certificate_authority: None,
            insecure_skip_tls_verify: false,
        }
    }

    #[test]
    fn both_forms_of_url() {
        let server = |host, account| space(host, account).endpoint().unwrap().server;
        assert_eq!(
            server("spaces.example.org", None),
            "https://spaces.example.org/apis/spaces.upbound.io/v1beta1/namespaces/default/controlplanes/ctp1/k8s"
        );
        assert_eq!(
            server("https://proxy.example.org:8443/", Some("my-org")),
            "https://proxy.example.org:8443/v1/controlplanes/my-org/default/ctp1/k8s"
        );
    }

    #[test]
    fn nothing_leads_to_another_path_or_host() {
        for host in ["", "http://spaces.example.org", "spaces.example.org/x", "user@spaces.example.org", "a b"] {
            assert!(matches!(space(host, None).endpoint(), Err(SpaceError::Host(_))), "{host}");
        }
        for account in ["", "..", "a/b", "a?b"] {
            assert!(matches!(space("h", Some(account)).endpoint(), Err(SpaceError::Name { .. })), "{account}");
        }
    }
}
