//! Media types: what a client accepts, what it sends, and what the control plane is asked for.
//!
//! The control plane is asked for JSON only, so that one rewriting path is enough (wire rule 7.21); what the client gets is made
//! of that. JSON stands in for protobuf.

use thiserror::Error;

use super::Query;
use crate::status::Status;

/// What form of the object or collection a client accepts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The object or collection itself.
    Object,
    /// A `Table` of `meta.k8s.io`.
    Table {
        /// `v1` or `v1beta1`.
        version: String,
    },
    /// A `PartialObjectMetadata` of `meta.k8s.io`.
    PartialObjectMetadata {
        /// Whether the list form is asked for. It must fit the request; the control plane answers 406 where it does not.
        list: bool,
        /// `v1` or `v1beta1`.
        version: String,
    },
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON.
    Json {
        /// The media type asks for indented JSON (`pretty=1`); see [`is_pretty`] for the other ways to ask.
        pretty: bool,
    },
    /// YAML, which cannot be streamed (wire rule 7.5).
    Yaml,
}

/// What a client gets, out of its `Accept`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The form of the answer.
    pub kind: Kind,
    /// How it is written.
    pub format: Format,
}

/// A client accepts or sends a format that is not served. The client is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MediaError {
    /// 406: nothing of what the client accepts is served (wire rule 7.23).
    #[error("none of the accepted media types is served")]
    NotAcceptable,
    /// 406: what the client accepts first cannot be streamed (wire rule 7.5).
    #[error("the accepted media type cannot be streamed")]
    NotStreamable,
    /// 415: the format of the body is not understood; the text lists those that are.
    #[error("the format of the body is none of: {0}")]
    UnsupportedBody(&'static str),
}

/// What kube-apiserver says that it serves, whatever the resource.
const SERVED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
/// The same of watches.
const STREAMED: &str = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

impl MediaError {
    /// The answer to the client.
    pub fn status(&self) -> Status {
        match self {
            Self::NotAcceptable => Status::not_acceptable(SERVED),
            Self::NotStreamable => Status::not_acceptable(STREAMED),
            Self::UnsupportedBody(accepted) => Status::unsupported_media_type(accepted),
        }
    }
}

/// One clause of an `Accept` header.
struct Clause<'a> {
    media: &'a str,
    sub: &'a str,
    quality: f32,
    parameters: Vec<(&'a str, &'a str)>,
}

const YAML: &str = "yaml";
const PROTOBUF: &str = "vnd.kubernetes.protobuf";
/// What a wildcard stands for, in this order; all of `application`.
const MEDIA_TYPES: [&str; 3] = ["json", YAML, PROTOBUF];

/// What the reference server has of something.
#[derive(Clone, Copy)]
struct Served {
    /// It can be a Table, or metadata alone.
    forms: bool,
    /// It can be protobuf without being one of those.
    plain_protobuf: bool,
    /// The version that may be asked for by `sv`.
    version: Option<&'static str>,
}

impl Served {
    const OBJECTS: Self = Self { forms: true, plain_protobuf: false, version: Some("v1") };
    const DOCUMENTS: Self = Self { forms: false, plain_protobuf: true, version: None };
}

/// The most clauses that are looked at, so that ordering them stays cheap; clients send up to four.
const CLAUSES_MAX: usize = 32;

impl Negotiated {
    /// Chooses for objects, as the reference server does: the first clause that can be served, in the order of quality (wire
    /// rule 7.20). No header, or an empty one, means JSON.
    ///
    /// # Errors
    /// [`MediaError::NotAcceptable`].
    pub fn parse(accept: Option<&str>) -> Result<Self, MediaError> {
        Self::choose(accept, Served::OBJECTS)
    }

    /// Chooses for a failure or a document of discovery, which have one form each (wire rule 7.21).
    ///
    /// # Errors
    /// [`MediaError::NotAcceptable`].
    pub fn parse_for_document(accept: Option<&str>) -> Result<Self, MediaError> {
        Self::choose(accept, Served::DOCUMENTS)
    }

    fn choose(accept: Option<&str>, served: Served) -> Result<Self, MediaError> {
        let accept = accept.unwrap_or_default();
        if accept.is_empty() {
            return Ok(Self { kind: Kind::Object, format: Format::Json { pretty: false } });
        }
        let mut clauses: Vec<Clause<'_>> = accept.split(',').filter_map(Clause::parse).take(CLAUSES_MAX).collect();
        // The reference sorts few clauses by insertion, with an order that is none (a wildcard can precede and follow a
        // lower quality), so the algorithm is part of the result.
        for at in 1..clauses.len() {
            for at in (1..=at).rev() {
                if !clauses[at].precedes(&clauses[at - 1]) {
                    break;
                }
                clauses.swap(at, at - 1);
            }
        }
        clauses.iter().find_map(|clause| clause.serve(served)).ok_or(MediaError::NotAcceptable)
    }

    /// Whether it can be had as a watch: the first clause that can be served decides, though another could be streamed.
    ///
    /// # Errors
    /// [`MediaError::NotStreamable`].
    pub fn check_streamed(&self) -> Result<(), MediaError> {
        if self.format == Format::Yaml { Err(MediaError::NotStreamable) } else { Ok(()) }
    }

    /// The `Accept` for the control plane: exactly the one clause that is needed, JSON only.
    pub fn upstream_accept(&self) -> String {
        match &self.kind {
            Kind::Object => "application/json".to_owned(),
            Kind::Table { version } => format!("application/json;as=Table;g=meta.k8s.io;v={version}"),
            Kind::PartialObjectMetadata { list, version } => {
                let list = if *list { "List" } else { "" };
                format!("application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v={version}")
            }
        }
    }
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let blank = |text: &'a str| text.trim_matches(' ');
        let mut parts = text.split(';');
        let (media, sub) = match blank(parts.next().unwrap_or_default()).split_once('/') {
            None if blank(text.split(';').next()?) == "*" => ("*", "*"),
            None => return None,
            Some((media, "")) if blank(media) == "*" => ("*", "*"),
            Some((_, "")) => return None,
            // A slash at the end is passed over.
            Some((media, sub)) => (blank(media), blank(sub.strip_suffix('/').unwrap_or(sub))),
        };
        if sub.contains('/') {
            return None;
        }
        let mut clause = Self { media, sub, quality: 1.0, parameters: Vec::new() };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match blank(key) {
                _ if value.is_empty() || value.contains('=') => {}
                "q" => clause.quality = value.parse().unwrap_or(0.0),
                key => clause.parameters.push((key, blank(value))),
            }
        }
        Some(clause)
    }

    fn precedes(&self, other: &Self) -> bool {
        self.quality > other.quality
            || (self.media != "*" && other.media == "*")
            || (self.sub != "*" && other.sub == "*")
    }

    /// What is served for this clause.
    fn serve(&self, served: Served) -> Option<Negotiated> {
        MEDIA_TYPES.iter().find_map(|media| self.serve_as(media, served))
    }

    fn serve_as(&self, media: &str, served: Served) -> Option<Negotiated> {
        if !matches!((self.media, self.sub), ("*", "*") | ("application", "*"))
            && (self.media, self.sub) != ("application", media)
        {
            return None;
        }
        let parameter = |key: &str| self.parameters.iter().rev().find(|(k, _)| *k == key).map(|(_, value)| *value);
        let set = |key: &str| parameter(key).filter(|value| !value.is_empty());
        if set("stream").is_some_and(|stream| stream != "watch" || media == YAML)
            || set("sv").is_some_and(|version| Some(version) != served.version)
        {
            return None;
        }
        let kind = match (parameter("as"), parameter("g"), parameter("v")) {
            (None, None, None) if media == PROTOBUF && !served.plain_protobuf => return None,
            (None, None, None) => Kind::Object,
            (Some(kind), Some("meta.k8s.io"), Some(version @ ("v1" | "v1beta1"))) if served.forms => {
                let version = version.to_owned();
                match kind {
                    "Table" if media != PROTOBUF => Kind::Table { version },
                    "PartialObjectMetadata" => Kind::PartialObjectMetadata { list: false, version },
                    "PartialObjectMetadataList" => Kind::PartialObjectMetadata { list: true, version },
                    _ => return None,
                }
            }
            _ => return None,
        };
        let format = match media {
            YAML => Format::Yaml,
            _ => Format::Json { pretty: parameter("pretty") == Some("1") },
        };
        Some(Negotiated { kind, format })
    }
}

/// Whether the client wants indented JSON: it says so, or is a tool of people (wire rule 7.3). Watches are never indented.
pub fn is_pretty(query: &Query, user_agent: &str) -> bool {
    match query.get("pretty").filter(|value| !value.is_empty()) {
        Some(value) => matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"),
        None => ["curl", "Wget", "Mozilla/5.0"].iter().any(|tool| user_agent.starts_with(tool)),
    }
}

/// The format of an object or of delete options in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// `application/json`; the default.
    Json,
    /// `application/yaml`.
    Yaml,
}

impl BodyType {
    /// Reads the `Content-Type` of a POST, PUT or DELETE. Parameters are ignored (wire rule 8.12).
    pub fn parse(content_type: Option<&str>) -> Result<Self, MediaError> {
        match media_type(content_type).to_ascii_lowercase().as_str() {
            "" | "application/json" => Ok(Self::Json),
            "application/yaml" => Ok(Self::Yaml),
            _ => Err(MediaError::UnsupportedBody(SERVED)),
        }
    }

    /// The `Content-Type` for the control plane.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// The kind of a patch (wire rule 8.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatchType {
    /// RFC 6902, `application/json-patch+json`.
    Json,
    /// RFC 7386, `application/merge-patch+json`.
    Merge,
    /// Server-side apply, `application/apply-patch+yaml`.
    Apply,
}

impl PatchType {
    /// Reads the `Content-Type` of a PATCH. Strategic merge patches are refused, and clients such as the garbage collector
    /// fall back to merge patches then (wire rule 6.7).
    pub fn parse(content_type: Option<&str>) -> Result<Self, MediaError> {
        match media_type(content_type) {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ => Err(MediaError::UnsupportedBody(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
        }
    }

    /// The `Content-Type` for the control plane.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }
}

fn media_type(content_type: Option<&str>) -> &str {
    content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim()
}
