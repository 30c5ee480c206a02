//! What joins the lines and spans of one request: the front's Audit-ID and trace.

use http::header::HeaderName;
use http::{HeaderMap, Method, Request};
use tracing::{Instrument, Span, field};

/// Spans of this target are for traces, not for the log; where nobody collects them they cost next to nothing.
const TARGET: &str = "connector_proxy::trace";

/// Identifies a request in the audit log of the app cluster, and by the same name in that of the control plane (wire rule 1.8).
pub(crate) const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What is told about one request of the front belongs to this.
pub(crate) struct RequestSpan {
    /// For the log. Its level is `ERROR`, so that it is there however little is logged.
    pub(crate) log: Span,
    trace: Span,
}

impl RequestSpan {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let headers = request.headers();
        let audit_id = headers.get(AUDIT_ID).and_then(|id| id.to_str().ok());
        let trace = tracing::info_span!(
            target: TARGET,
            parent: None,
            "request",
            otel.kind = "server",
            otel.status_code = field::Empty,
            http.request.method = request.method().as_str(),
            url.path = request.uri().path(),
            http.response.status_code = field::Empty,
            verb = field::Empty,
            resource = field::Empty,
            audit_id
        );
        #[cfg(feature = "otlp")]
        super::otlp::join(&trace, headers);
        let log = tracing::error_span!(parent: &trace, "request", audit_id, trace_id = trace_id(headers));
        Self { log, trace }
    }

    /// Does `work` for the request.
    pub(crate) fn around<T>(&self, work: impl Future<Output = T>) -> impl Future<Output = T> {
        // Both are entered, since who collects one of them does not see the other.
        work.instrument(self.log.clone()).instrument(self.trace.clone())
    }

    /// Notes what was asked, and how it was answered.
    pub(crate) fn answered(&self, verb: &str, resource: &str, code: u16) {
        if self.trace.is_disabled() {
            return;
        }
        #[cfg(feature = "otlp")]
        super::otlp::name(&self.trace, format!("{verb} {resource}").trim_end());
        self.trace.record("verb", verb);
        self.trace.record("resource", resource);
        self.trace.record("http.response.status_code", code);
        if code >= 500 {
            self.trace.record("otel.status_code", "ERROR");
        }
    }
}

/// A request that is made to `whom` for the one of the front: the control plane or the app cluster.
pub(crate) fn client_span(whom: &'static str, method: &Method, path: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "client",
        otel.kind = "client",
        otel.name = whom,
        http.request.method = method.as_str(),
        url.path = path
    )
}

/// The trace that the front has this request belong to (W3C Trace Context; wire rule 1.8).
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get(TRACEPARENT)?.to_str().ok()?.splitn(4, '-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_set = |id: &str| id.bytes().any(|b| b != b'0');
    let is_valid = is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(span, 16);
    (is_valid && is_set(trace) && is_set(span)).then_some(trace)
}

/// Has a request to the control plane belong to the trace of the one that it is made for: as a part of `span` where that is
/// collected, else of what the front told.
pub(crate) fn pass_on(span: &Span, from: &HeaderMap, to: &mut HeaderMap) {
    #[cfg(feature = "otlp")]
    if super::otlp::tell(span, to) {
        return;
    }
    #[cfg(not(feature = "otlp"))]
    let _ = span;
    for name in [TRACEPARENT, TRACESTATE] {
        for value in from.get_all(&name) {
            to.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_trace_counts() {
        let told = |parent: &str| {
            let headers = HeaderMap::from_iter([(TRACEPARENT, parent.parse().unwrap())]);
            trace_id(&headers).map(str::to_owned)
        };
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert_eq!(told(&format!("00-{trace}-{span}-01")).as_deref(), Some(trace));
        assert_eq!(told(&format!("01-{trace}-{span}-01-more")).as_deref(), Some(trace), "a later version");
        let wrong = [
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{trace}"),
        ];
        for parent in wrong {
            assert_eq!(told(&parent), None, "{parent}");
        }
    }
}
