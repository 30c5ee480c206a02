//! What a request addresses and asks for.

use http::request::Parts;
use percent_encoding::percent_decode_str;

/// The path of a resource, an object or a subresource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    /// Empty for all namespaces, and for cluster-scoped resources.
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// The decoded segments of a path.
pub(crate) fn segments(path: &str) -> Vec<String> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect()
}

impl Target {
    /// Reads `/api/v1/…` and `/apis/<group>/<version>/…` with something after the version.
    pub(crate) fn parse(segments: &[String]) -> Option<Self> {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // A namespace itself, or one of its subresources.
            ["namespaces"] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"] if group.is_empty() => {
                ("", rest)
            }
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.to_owned(),
            plural: plural.to_owned(),
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
        })
    }
}

/// The query, first value of each name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn of(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(crate) fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The value of a parameter, empty where it is not given.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }

    /// A number, `None` where it is not given or none.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }

    /// Nothing may be stored.
    pub(crate) fn dry_run(&self) -> bool {
        self.get("dryRun") == "All"
    }
}

/// The field manager of a write: as given, else the User-Agent up to its first `/` (wire rule 8.13).
pub(crate) fn manager(params: &Params, parts: &Parts) -> String {
    let given = params.get("fieldManager");
    if !given.is_empty() {
        return given.to_owned();
    }
    let agent = parts.headers.get(http::header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent.split('/').next().filter(|agent| !agent.is_empty()).unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str) -> Option<String> {
        let target = Target::parse(&segments(path))?;
        Some(format!(
            "{}|{}|{}|{}|{}|{}",
            target.group,
            target.version,
            target.namespace,
            target.plural,
            target.name.unwrap_or_default(),
            target.subresource.unwrap_or_default()
        ))
    }

    #[test]
    fn paths_are_read_as_the_reference_server_reads_them() {
        for (path, target) in [
            ("/api/v1/namespaces", "|v1||namespaces||"),
            ("/api/v1/namespaces/a", "|v1||namespaces|a|"),
            ("/api/v1/namespaces/a/finalize", "|v1||namespaces|a|finalize"),
            ("/api/v1/namespaces/a/secrets", "|v1|a|secrets||"),
            ("/api/v1/configmaps", "|v1||configmaps||"),
            ("/apis/x.org/v1/namespaces/a/things/b%20c/status", "x.org|v1|a|things|b c|status"),
            ("/apis/x.org/v1/things/b", "x.org|v1||things|b|"),
        ] {
            assert_eq!(told(path).as_deref(), Some(target));
        }
        assert_eq!(told("/apis/x.org/v1"), None);
        assert_eq!(told("/version"), None);
    }
}
