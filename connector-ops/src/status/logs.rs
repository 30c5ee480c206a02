//! What the Pods said went wrong.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod as CorePod;
use k8s_openapi::jiff::Timestamp;
use kube::api::LogParams;
use kube::{Api, Client};
use serde::Serialize;
use serde_json::Value;

use super::{Pod, Unread};
use crate::ask::ask;

/// How many lines of each Pod are looked at: a connector that is in order says a few an hour.
const LINES: i64 = 500;
/// How many errors are shown: what is wrong now is in the last of them.
const SHOWN: usize = 10;
/// How many logs are read at a time.
const AT_ONCE: usize = 4;

/// A line of a Pod's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The Pod.
    pub pod: String,
    /// When it was said; `None` of what a program says as it ends.
    pub time: Option<Timestamp>,
    /// `ERROR` or `WARN`.
    pub level: &'static str,
    /// What was said, with its fields.
    pub message: String,
    /// How often, among the lines that were looked at.
    pub times: usize,
}

/// The last errors and warnings of all Pods, the latest first, each once.
pub(super) async fn last_errors(app: &Client, namespace: &str, pods: &[Pod], unread: &mut Vec<Unread>) -> Vec<LogLine> {
    let api = &Api::<CorePod>::namespaced(app.clone(), namespace);
    let logs = pods.iter().map(|pod| async move {
        let now = LogParams { tail_lines: Some(LINES), ..LogParams::default() };
        // What a container that ended said last is the reason.
        let before = LogParams { previous: true, ..now.clone() };
        let mut text = ask(api.logs(&pod.name, &now)).await;
        if !pod.ready
            && pod.restarts > 0
            && let Ok(before) = ask(api.logs(&pod.name, &before)).await
        {
            text = text.map(|now| before + &now);
        }
        (pod, text)
    });
    let mut logs = stream::iter(logs).buffered(AT_ONCE);
    let mut lines = Vec::new();
    while let Some((pod, text)) = logs.next().await {
        match text {
            Ok(text) => lines.extend(text.lines().filter_map(|line| parse(&pod.name, line))),
            Err(error) => {
                unread.push(Unread { what: format!("log of Pod {}", pod.name), message: error.to_string() });
            }
        }
    }
    latest(lines)
}

/// The latest lines, each with how often it was said.
fn latest(lines: Vec<LogLine>) -> Vec<LogLine> {
    let mut latest: Vec<LogLine> = Vec::new();
    for line in lines {
        match latest.iter_mut().find(|known| known.message == line.message && known.pod == line.pod) {
            Some(known) => (known.time, known.times) = (line.time.max(known.time), known.times + 1),
            None => latest.push(line),
        }
    }
    // What has no time was said at an end, and so last.
    latest.sort_by_key(|line| (line.time.is_some(), std::cmp::Reverse(line.time)));
    latest.truncate(SHOWN);
    latest
}

/// A line that tells of trouble, in either format of the connector; others are none.
fn parse(pod: &str, line: &str) -> Option<LogLine> {
    let of = |time, level, message: String| Some(LogLine { pod: pod.to_owned(), time, level, message, times: 1 });
    if let Some(message) = line.strip_prefix("error: ") {
        return of(None, "ERROR", message.to_owned());
    }
    if line.starts_with('{') {
        let value: Value = serde_json::from_str(line).ok()?;
        let level = level(value["level"].as_str()?)?;
        let time = value["timestamp"].as_str().and_then(|time| time.parse().ok());
        let fields = if value["fields"].is_object() { &value["fields"] } else { &value };
        let mut message = fields["message"].as_str().unwrap_or_default().to_owned();
        for (key, value) in fields.as_object()?.iter().filter(|(key, _)| !RESERVED.contains(&key.as_str())) {
            match value {
                Value::String(text) => message.push_str(&format!(" {key}={text:?}")),
                other => message.push_str(&format!(" {key}={other}")),
            }
        }
        return of(time, level, message);
    }
    let (time, rest) = line.split_once(' ')?;
    let time = time.parse().ok()?;
    let (word, message) = rest.trim_start().split_once(' ')?;
    of(Some(time), level(word)?, without_context(message).to_owned())
}

/// A message of a text log without the spans before it, and without how often it was not said, which differ each time.
fn without_context(message: &str) -> &str {
    let mut message = message.trim();
    while let Some((name, fields)) = message.split_once('{')
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && let Some((_, rest)) = fields.split_once('}')
        && let Some(rest) = rest.strip_prefix(':')
    {
        message = rest.trim_start();
    }
    match message.rsplit_once(" suppressed=") {
        Some((said, count)) if count.bytes().all(|byte| byte.is_ascii_digit()) => said,
        _ => message,
    }
}

/// Members of a JSON line that are not fields of its message.
const RESERVED: [&str; 7] = ["message", "level", "timestamp", "target", "span", "spans", "suppressed"];

fn level(text: &str) -> Option<&'static str> {
    ["ERROR", "WARN"].into_iter().find(|level| *level == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_understood() {
        let text = "2026-11-23T23:21:33.123456Z  WARN the control plane does not answer error=\"connection refused\"";
        let json = r#"{"timestamp":"2026-11-23T23:21:34.5Z","level":"ERROR","fields":{"message":"API not registered","group":"g","code":3},"target":"x"}"#;
        let flat = r#"{"timestamp":"2026-11-23T23:21:35Z","level":"ERROR","message":"no","target":"x"}"#;
        let parsed = |line| parse("p", line).map(|line| (line.level, line.message, line.time.is_some()));
        let warned = "the control plane does not answer error=\"connection refused\"".to_owned();
        assert_eq!(parsed(text), Some(("WARN", warned, true)));
        assert_eq!(parsed(json), Some(("ERROR", "API not registered code=3 group=\"g\"".to_owned(), true)));
        assert_eq!(parsed(flat), Some(("ERROR", "no".to_owned(), true)));
        assert_eq!(parsed("error: cannot listen"), Some(("ERROR", "cannot listen".to_owned(), false)));
        let spans = "2026-11-23T23:21:33Z ERROR request{audit_id=\"a\" b=1}: a right is missing (403) told=\"{x}: y\" suppressed=19";
        let said = "a right is missing (403) told=\"{x}: y\"".to_owned();
        assert_eq!(parsed(spans), Some(("ERROR", said, true)));
        for other in ["", "2026-11-23T23:21:33Z  INFO starting", "{\"level\":\"INFO\"}", "{", "panic", "a WARN b"] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }

    #[test]
    fn the_latest_come_first_and_each_once() {
        let line = |second: u32, text: &str| format!("2026-11-23T23:21:{second:02}Z  WARN {text}");
        let lines = [line(1, "a"), line(2, "b"), line(3, "a"), "error: end".to_owned()];
        let latest = latest(lines.iter().filter_map(|line| parse("p", line)).collect());
        let told: Vec<_> = latest.iter().map(|line| (line.message.as_str(), line.times)).collect();
        assert_eq!(told, [("end", 1), ("a", 2), ("b", 1)]);
    }
}
