//! Spans of OpenTelemetry, joined to the front's and told to the control plane, in the form that the program's propagator has.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::global;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes `span` a part of the trace that the front tells of, if any. To be called before it is entered.
pub(super) fn join(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&From(headers)));
    // Without a layer that collects spans there is nothing to join.
    let _ = span.set_parent(parent);
}

/// Gives `span` another name than it began with.
pub(super) fn name(span: &Span, name: &str) {
    span.context().span().update_name(name.to_owned());
}

/// Writes down that a request is a part of `span`; `false` where that is not collected.
pub(super) fn tell(span: &Span, headers: &mut HeaderMap) -> bool {
    let context = span.context();
    if span.is_disabled() || !context.span().span_context().is_valid() {
        return false;
    }
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut Into(headers)));
    true
}

struct From<'a>(&'a HeaderMap);

impl Extractor for From<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Into<'a>(&'a mut HeaderMap);

impl Injector for Into<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
