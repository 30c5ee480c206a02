//! The log: what is in it, and how it is written.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use anyhow::Context;
use clap::ValueEnum;
use serde::Deserialize;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

#[cfg(feature = "otlp")]
use crate::traces::Traces;

/// What filters the log.
const VARIABLE: &str = "CONNECTOR_LOG";

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object in each line, for collectors.
    Json,
}

/// Logs go to standard error from now on. `CONNECTOR_LOG` filters them; what it does not say is `default`.
///
/// # Errors
/// `CONNECTOR_LOG` is no filter.
pub(crate) fn init(default: &str, format: LogFormat) -> anyhow::Result<Log> {
    let given = std::env::var(VARIABLE).unwrap_or_default();
    let lines = lines(format).with_filter(filter(&given, default)?);
    let registry = tracing_subscriber::registry();
    std::panic::set_hook(Box::new(tell_panic));
    #[cfg(feature = "otlp")]
    {
        let traces = Traces::begin()?;
        registry.with(traces.layer()).with(lines).init();
        Ok(Log { traces })
    }
    #[cfg(not(feature = "otlp"))]
    {
        registry.with(lines).init();
        if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some_and(|endpoint| !endpoint.is_empty()) {
            tracing::warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this program was built without traces (feature otlp)"
            );
        }
        Ok(Log {})
    }
}

/// A panic is a line of the log as all others. One whose text was put together may quote what was being worked on, a Secret's data
/// perhaps: of that the place is told only.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let text = panic.payload().downcast_ref::<&'static str>().copied();
    tracing::error!(place, text, "the connector has a bug: a part of it panicked");
}

/// The log, to be ended when all is done.
pub(crate) struct Log {
    #[cfg(feature = "otlp")]
    traces: Traces,
}

impl Log {
    /// Sees to it that nothing is left.
    pub(crate) async fn end(self) {
        #[cfg(feature = "otlp")]
        self.traces.end().await;
    }
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

/// A level by itself is the connector's own: of libraries only warnings are shown, as some print headers, and with them tokens.
/// Who names a library hears it.
fn filter(given: &str, default: &str) -> anyhow::Result<EnvFilter> {
    let is_level = |text: &str| {
        ["off", "error", "warn", "info", "debug", "trace"].iter().any(|level| level.eq_ignore_ascii_case(text))
    };
    let parts = given.split(',').map(str::trim).filter(|part| !part.is_empty());
    let (levels, named): (Vec<&str>, Vec<&str>) = parts.partition(|part| is_level(part));
    let own = levels.last().map_or_else(|| default.to_owned(), |level| level.to_ascii_lowercase());
    let others = if matches!(&*own, "off" | "error") { &own } else { "warn" };
    // The client library reports each answer of 500 and more as an error; the connector says it once, in its own words. And it warns
    // of an answer that it cannot read with all that is in it.
    let fixed = format!("{others},connector={own},kube_client=off,kube_runtime=off,tower=off");
    let directives = std::iter::once(fixed.as_str()).chain(named).collect::<Vec<_>>().join(",");
    // Those spans are for traces.
    let directives = format!("{directives},connector_proxy::trace=off");
    EnvFilter::try_new(directives).with_context(|| {
        format!("{VARIABLE} {given:?} cannot be used: give a level such as debug, or warn,connector_proxy=debug")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_tells_its_place_and_no_data() {
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let secret = "pässword".to_owned();
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(tell_panic));
        tracing::subscriber::with_default(log, || {
            assert!(std::panic::catch_unwind(|| secret[..2].len()).is_err(), "it was cut in a letter");
            assert!(std::panic::catch_unwind(|| panic!("a text of the program")).is_err());
        });
        std::panic::set_hook(former);
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(!written.contains(&secret), "{written}");
        assert!(written.contains("a text of the program"), "{written}");
        let places = written.lines().filter(|line| line.contains(r#""place":""#) && line.contains("logging.rs:"));
        assert_eq!(places.count(), 2, "{written}");
    }

    fn shown(given: &str) -> String {
        filter(given, "info").unwrap().to_string()
    }

    #[test]
    fn a_level_is_the_connectors_own() {
        let levels = |given: &str| {
            let shown = shown(given);
            let has = |directive: &str| shown.split(',').any(|one| one == directive);
            assert!(has("kube_client=off") && has("connector_proxy::trace=off"), "{shown}");
            (has("warn"), has("connector=info"), has("connector=trace"))
        };
        assert_eq!(levels(""), (true, true, false));
        assert_eq!(levels("trace"), (true, false, true));
        assert_eq!(levels(" TRACE , hyper=info"), (true, false, true));
        assert!(shown("error").split(',').any(|one| one == "error"));
    }

    #[test]
    fn who_names_a_library_hears_it() {
        let shown = shown("debug,kube_client=trace");
        assert!(shown.contains("kube_client=trace") && !shown.contains("kube_client=off"), "{shown}");
        let error = filter("connector_proxy=loud", "info").unwrap_err().to_string();
        assert!(error.contains("CONNECTOR_LOG"), "{error}");
    }
}
