//! The one place where a failure becomes an answer.

use std::error::Error;

use connector_core::status::Status;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tracing::warn;

use crate::chain::Chain;
use crate::forward::{AnswerBody, full};
use crate::telemetry::{Repeated, UpstreamError};
use crate::upstream::Unreachable;

/// Seconds after which a client should try again when the control plane cannot be reached. client-go tries ten times (wire rule
/// 5.5): a short outage is not noticed, and a long one is told after ten seconds.
const RETRY_AFTER: u16 = 1;

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    ControlPlane,
    AppCluster,
    Connector,
}

impl Side {
    /// As metrics and logs have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::ControlPlane => "control_plane",
            Self::AppCluster => "app_cluster",
            Self::Connector => "connector",
        }
    }
}

/// A request that ends here, and the `Status` that says why.
#[derive(Debug)]
pub(crate) struct Failure {
    side: Side,
    status: Status,
    cause: Option<Box<dyn Error + Send + Sync>>,
    /// The control plane did not get, or not answer, the request.
    outage: bool,
    /// What went wrong there.
    upstream: Option<UpstreamError>,
    /// What the control plane warns of beside the failure.
    warnings: Vec<HeaderValue>,
    /// The reference server answers with a page of text, not with a `Status`.
    page: bool,
}

impl Failure {
    fn new(side: Side, status: Status) -> Self {
        Self { side, status, cause: None, outage: false, upstream: None, warnings: Vec::new(), page: false }
    }

    /// No API is served at such a path.
    pub(crate) fn no_such_path() -> Self {
        Self { page: true, ..Self::client(Status::no_such_path()) }
    }

    /// The same failure with the warnings that came with it (wire rule 7.26).
    pub(crate) fn with_warnings(mut self, of: &HeaderMap) -> Self {
        self.warnings.extend(of.get_all(header::WARNING).iter().cloned());
        self
    }

    /// The same failure with warnings of ours.
    pub(crate) fn warning(mut self, texts: &[String]) -> Self {
        self.warnings.extend(texts.iter().filter_map(|text| warning(text)));
        self
    }

    /// The client asked for something that cannot be.
    pub(crate) fn client(status: Status) -> Self {
        Self::new(Side::Client, status)
    }

    /// The control plane answered with a failure that is the client's to see, and mostly to mend.
    pub(crate) fn answered(status: Status) -> Self {
        match status.code {
            429 => Self::new(Side::ControlPlane, status).upstream(UpstreamError::Throttled),
            500.. => Self::new(Side::ControlPlane, status).upstream(UpstreamError::ServerError),
            _ => Self::client(status),
        }
    }

    /// The control plane cannot serve this now. Always 503, never 404: controllers of the app cluster delete what depends on
    /// an object that is not found (wire rules 6.5, 11.8).
    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self::new(Side::ControlPlane, Status::unavailable(why, RETRY_AFTER))
    }

    /// The control plane answered with something that cannot be understood.
    pub(crate) fn nonsense(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::unavailable("the control plane's answer cannot be understood")
            .upstream(UpstreamError::Nonsense)
            .because(cause)
    }

    /// The control plane took too long; whether a write took effect is unknown.
    pub(crate) fn too_late() -> Self {
        let status = Status::timeout("the control plane did not answer within the allotted timeout");
        Self { outage: true, ..Self::new(Side::ControlPlane, status) }.upstream(UpstreamError::Timeout)
    }

    /// The control plane is away, as something on the way to it says.
    pub(crate) fn outage(why: impl Into<String>) -> Self {
        Self { outage: true, ..Self::unavailable(why) }.upstream(UpstreamError::ServerError)
    }

    /// The same failure with what went wrong at the control plane.
    pub(crate) fn upstream(mut self, error: UpstreamError) -> Self {
        self.upstream = Some(error);
        self
    }

    /// What went wrong at the control plane, where something did.
    pub(crate) fn upstream_error(&self) -> Option<UpstreamError> {
        self.upstream
    }

    /// Who is at fault.
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// Whether the control plane is away, so that it can be answered for where the answer is known.
    pub(crate) fn is_outage(&self) -> bool {
        self.outage
    }

    /// The app cluster's API, which was asked on the way, failed.
    pub(crate) fn app_cluster(what: &str, cause: kube::Error) -> Self {
        Self::new(Side::AppCluster, Status::internal(what)).because(cause)
    }

    /// Whether a namespace takes the object could be asked, and was answered so.
    pub(crate) fn not_admitted(status: Status) -> Self {
        let side = if status.code >= 500 { Side::AppCluster } else { Side::Client };
        Self::new(side, status)
    }

    /// The connector is not ready for this, or has a fault of its own.
    pub(crate) fn connector(status: Status) -> Self {
        Self::new(Side::Connector, status)
    }

    fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The answer, logged where somebody other than the client has to act.
    pub(crate) fn into_response(self) -> Response<AnswerBody> {
        static TOLD: Repeated = Repeated::new();
        if let Some(cause) = &self.cause
            && let Some(suppressed) = TOLD.pass(&self.status.message)
        {
            let (side, code) = (self.side.as_str(), self.status.code);
            warn!(side, code, suppressed, error = %Chain(cause.as_ref()), "{}", self.status.message);
        }
        let mut answer = if self.page { page() } else { status_response(&self.status) };
        for warning in self.warnings {
            answer.headers_mut().append(header::WARNING, warning);
        }
        answer
    }
}

impl From<Unreachable> for Failure {
    fn from(error: Unreachable) -> Self {
        match error {
            // Not logged for each request: the upstream says once that it is away, and once that it is back.
            Unreachable::Away(kind, _) => {
                Self::outage("the control plane cannot be reached; try again later").upstream(kind)
            }
            Unreachable::Busy(_) => Self::outage("the control plane has no room for more requests; try again later")
                .upstream(UpstreamError::NoRoom),
        }
    }
}

/// A `Warning` header as kube-apiserver writes it (wire rule 7.26); `None` for what cannot be in a header.
pub(crate) fn warning(text: &str) -> Option<HeaderValue> {
    let quoted = text.replace('\\', r"\\").replace('"', r#"\""#);
    HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()).ok()
}

/// What the reference server answers where nothing is served.
fn page() -> Response<AnswerBody> {
    let mut answer = Response::new(full("404 page not found\n"));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// A `Status` as an answer: JSON, whatever the client prefers, as the reference server does where nothing else is possible.
pub(crate) fn status_response(status: &Status) -> Response<AnswerBody> {
    let mut answer = Response::new(full(status.to_json()));
    *answer.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = status.retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wire rule 11.8.
    #[test]
    fn no_way_to_the_control_plane_is_an_outage() {
        for error in [Unreachable::Away(UpstreamError::Broken, "gone".into()), Unreachable::Busy("full".into())] {
            let failure = Failure::from(error);
            assert!(failure.is_outage());
            assert_eq!(failure.side(), Side::ControlPlane);
            let answer = failure.into_response();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()[header::RETRY_AFTER]),
                (503, &"1".parse().unwrap())
            );
        }
    }
}
