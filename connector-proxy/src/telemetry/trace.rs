//! What joins the lines and spans of one request: the front's Audit-ID and trace.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use tracing::{Span, field};

/// Identifies a request in the audit log of the app cluster, and by the same name in that of the control plane (wire rule 1.8).
pub(crate) const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What everything that is logged about one request belongs to. Its level is `ERROR`, so that it is there however little is logged.
pub(crate) fn request_span(headers: &HeaderMap) -> Span {
    let audit_id = headers.get(AUDIT_ID).and_then(|id| id.to_str().ok());
    tracing::error_span!(
        "request",
        audit_id,
        trace_id = trace_id(headers),
        otel.kind = "server",
        otel.name = field::Empty
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

/// Has a request to the control plane belong to the trace of the one that it is made for.
pub(crate) fn pass_on(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [TRACEPARENT, TRACESTATE] {
        let values: Vec<HeaderValue> = from.get_all(&name).iter().cloned().collect();
        for value in values {
            to.append(name.clone(), value);
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
