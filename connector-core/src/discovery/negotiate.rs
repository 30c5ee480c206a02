//! Which form of `GET /apis` a client asks for.

/// The forms of the document at `/apis`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RootForm {
    /// Aggregated discovery, `apidiscovery.k8s.io/v2`.
    AggregatedV2,
    /// Aggregated discovery as Kubernetes asked for it before 1.30, `apidiscovery.k8s.io/v2beta1`.
    AggregatedV2Beta1,
    /// The legacy list of groups.
    Groups,
}

impl RootForm {
    /// The header `Content-Type` of the answer; the front takes an aggregated document only with these parameters (wire
    /// rule 3.2).
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::AggregatedV2 => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            Self::AggregatedV2Beta1 => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
            Self::Groups => "application/json",
        }
    }
}

/// Chooses the form of `GET /apis` for a header `Accept`, empty where there is none; `None` means 406.
///
/// As in the reference server, the first clause that asks for aggregated discovery wins, even after one for plain JSON, and
/// parameters that are not known are ignored (wire rules 3.1, 3.2, 3.13; `aggregated/wrapper.go`, `negotiate.go`).
pub fn negotiate(accept: &str) -> Option<RootForm> {
    if accept.is_empty() {
        return Some(RootForm::Groups);
    }
    let mut clauses: Vec<Clause<'_>> = accept.split(',').filter_map(Clause::parse).collect();
    clauses.sort_by(|one, other| other.quality.total_cmp(&one.quality));
    clauses
        .iter()
        .find_map(Clause::aggregated)
        .or_else(|| clauses.iter().any(Clause::is_plain).then_some(RootForm::Groups))
}

/// Whether a header `Accept`, empty where there is none, takes plain JSON: the only form of the documents about one group
/// or version and of OpenAPI. If not, the answer is 406 (wire rule 4.9), and clients that would rather have protobuf ask
/// again.
pub fn accepts_json(accept: &str) -> bool {
    accept.is_empty() || accept.split(',').any(|clause| Clause::parse(clause).is_some())
}

/// One clause that JSON satisfies.
#[derive(Default)]
struct Clause<'a> {
    quality: f32,
    kind: Option<&'a str>,
    group: Option<&'a str>,
    version: Option<&'a str>,
    /// `sv` or `stream` with a value: no form of this document has it.
    impossible: bool,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';');
        if !matches!(parts.next()?.trim(), "application/json" | "application/*" | "*/*" | "*") {
            return None;
        }
        let mut clause = Self { quality: 1.0, ..Self::default() };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim();
            match key.trim() {
                "q" => clause.quality = value.parse().unwrap_or(0.0),
                "as" => clause.kind = Some(value),
                "g" => clause.group = Some(value),
                "v" => clause.version = Some(value),
                "sv" | "stream" => clause.impossible |= !value.is_empty(),
                _ => {}
            }
        }
        Some(clause)
    }

    fn aggregated(&self) -> Option<RootForm> {
        if self.impossible || self.group != Some("apidiscovery.k8s.io") || self.kind != Some("APIGroupDiscoveryList") {
            return None;
        }
        match self.version? {
            "v2" => Some(RootForm::AggregatedV2),
            "v2beta1" => Some(RootForm::AggregatedV2Beta1),
            _ => None,
        }
    }

    fn is_plain(&self) -> bool {
        !self.impossible && self.kind.is_none() && self.group.is_none() && self.version.is_none()
    }
}
