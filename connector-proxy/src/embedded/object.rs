//! Small helpers over objects as JSON values.
//!
//! Numbers are held as the reference server holds those of custom resources: 64-bit integers, else doubles.

use std::fmt::Write as _;
use std::sync::OnceLock;

use k8s_openapi::jiff::Timestamp;
use rustls::crypto::SecureRandom;
use serde_json::{Map, Value};

/// The members of `metadata`; empty where there is none.
pub(crate) fn metadata(object: &Value) -> &Map<String, Value> {
    static NONE: OnceLock<Map<String, Value>> = OnceLock::new();
    object.get("metadata").and_then(Value::as_object).unwrap_or_else(|| NONE.get_or_init(Map::new))
}

/// The members of `metadata`, made where there is none.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    member_mut(object, "metadata")
}

/// The members of a member that is an object; whatever else stood there is replaced.
pub(crate) fn member_mut<'a>(object: &'a mut Value, name: &str) -> &'a mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let members = object.as_object_mut().expect("made an object above");
    let member = members.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !member.is_object() {
        *member = Value::Object(Map::new());
    }
    member.as_object_mut().expect("made an object above")
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> &'a str {
    members.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A string of `metadata`, empty where it is not given.
pub(crate) fn meta_text<'a>(object: &'a Value, name: &str) -> &'a str {
    text(metadata(object), name)
}

pub(crate) fn name(object: &Value) -> &str {
    meta_text(object, "name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    meta_text(object, "namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    meta_text(object, "uid")
}

pub(crate) fn revision(object: &Value) -> &str {
    meta_text(object, "resourceVersion")
}

pub(crate) fn is_terminating(object: &Value) -> bool {
    metadata(object).contains_key("deletionTimestamp")
}

pub(crate) fn has_finalizers(object: &Value) -> bool {
    metadata(object).get("finalizers").and_then(Value::as_array).is_some_and(|finalizers| !finalizers.is_empty())
}

/// The string at a JSON pointer, empty where there is none.
pub(crate) fn text_at<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Compact JSON.
pub(crate) fn to_json(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value can be written")
}

/// The present second, as Kubernetes writes times.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The age of a time as `kubectl get` tells it (`apimachinery/pkg/util/duration: HumanDuration`).
pub(crate) fn age(time: &str) -> Option<String> {
    let time: Timestamp = time.parse().ok()?;
    let seconds = Timestamp::now().as_second() - time.as_second();
    Some(human(seconds))
}

fn human(seconds: i64) -> String {
    let pair = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        i64::MIN..-1 => "<invalid>".into(),
        -1..=0 => "0s".into(),
        1..120 => format!("{seconds}s"),
        120..600 => pair(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => pair(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

fn random() -> &'static dyn SecureRandom {
    static RANDOM: OnceLock<&'static dyn SecureRandom> = OnceLock::new();
    *RANDOM.get_or_init(|| rustls::crypto::aws_lc_rs::default_provider().secure_random)
}

/// Random bytes.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    random().fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// Random bytes as hexadecimal text, for a token.
pub(crate) fn random_token() -> String {
    hex(&random_bytes::<24>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A new UID.
pub(crate) fn new_uid() -> String {
    let mut bytes = random_bytes::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A name with a random ending, as `generateName` asks for (wire rule 8.5).
pub(crate) fn generate_name(prefix: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut end = prefix.len().min(58);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = prefix[..end].to_owned();
    name.extend(random_bytes::<5>().iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])));
    name
}

/// A content hash for an ETag or the `hash` of an OpenAPI document; not for security.
pub(crate) fn content_hash(bytes: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016X}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_tells_them() {
        for (seconds, told) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3600, "60m"),
            (11_100, "3h5m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (64_000_000, "2y10d"),
        ] {
            assert_eq!(human(seconds), told);
        }
    }

    #[test]
    fn a_uid_has_the_form_of_a_random_one() {
        let uid = new_uid();
        assert_eq!(uid.len(), 36);
        assert_eq!(uid.as_bytes()[14], b'4');
        assert_ne!(uid, new_uid());
    }
}
