//! Bodies in protobuf: typed clients of the reference implementation write built-in kinds so, `kubectl create namespace` too.
//!
//! Only what a client writes of the kinds in [`message`]; answers are always JSON, which these clients accept as well.

use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What every body begins with; an envelope follows.
const MAGIC: &[u8] = b"k8s\0";
/// Deeper messages than the kinds here have.
const DEPTH: usize = 16;

/// A field of a message: its name in JSON, and what it holds.
type Field = (u64, &'static str, Holds);

#[derive(Clone, Copy)]
enum Holds {
    Text,
    Bytes,
    Number,
    Bool,
    Time,
    Message(&'static str),
    Texts,
    Messages(&'static str),
    TextMap,
    BytesMap,
    /// `FieldsV1`, `ManagedFieldsEntry`: the server writes them itself.
    Ignored,
}

use Holds::{Bool, Bytes, BytesMap, Ignored, Message, Messages, Number, Text, TextMap, Texts, Time};

/// The fields of a message, by the numbers of `k8s.io/api/…/generated.proto`.
fn message(name: &str) -> Option<&'static [Field]> {
    Some(match name {
        "Namespace" => &[(1, "metadata", Message("ObjectMeta")), (2, "spec", Message("NamespaceSpec")), (3, "status", Message("NamespaceStatus"))],
        "NamespaceSpec" => &[(1, "finalizers", Texts)],
        "NamespaceStatus" => &[(1, "phase", Text)],
        "ConfigMap" => &[(1, "metadata", Message("ObjectMeta")), (2, "data", TextMap), (3, "binaryData", BytesMap), (4, "immutable", Bool)],
        "Secret" => &[(1, "metadata", Message("ObjectMeta")), (2, "data", BytesMap), (3, "type", Text), (4, "stringData", TextMap), (5, "immutable", Bool)],
        "ServiceAccount" => &[(1, "metadata", Message("ObjectMeta")), (4, "automountServiceAccountToken", Bool)],
        "Lease" => &[(1, "metadata", Message("ObjectMeta")), (2, "spec", Message("LeaseSpec"))],
        "LeaseSpec" => &[(1, "holderIdentity", Text), (2, "leaseDurationSeconds", Number), (3, "acquireTime", Time), (4, "renewTime", Time), (5, "leaseTransitions", Number)],
        "SubjectAccessReview" | "SelfSubjectAccessReview" => &[(1, "metadata", Message("ObjectMeta")), (2, "spec", Message("ReviewSpec"))],
        // The first two fields are the same in both kinds of review.
        "ReviewSpec" => &[
            (1, "resourceAttributes", Message("ResourceAttributes")),
            (2, "nonResourceAttributes", Message("NonResourceAttributes")),
            (3, "user", Text),
            (4, "groups", Texts),
            (6, "uid", Text),
        ],
        "ResourceAttributes" => &[(1, "namespace", Text), (2, "verb", Text), (3, "group", Text), (4, "version", Text), (5, "resource", Text), (6, "subresource", Text), (7, "name", Text)],
        "NonResourceAttributes" => &[(1, "path", Text), (2, "verb", Text)],
        "DeleteOptions" => &[(1, "gracePeriodSeconds", Number), (2, "preconditions", Message("Preconditions")), (3, "orphanDependents", Bool), (4, "propagationPolicy", Text), (5, "dryRun", Texts)],
        "Preconditions" => &[(1, "uid", Text), (2, "resourceVersion", Text)],
        "ObjectMeta" => &[
            (1, "name", Text),
            (2, "generateName", Text),
            (3, "namespace", Text),
            (5, "uid", Text),
            (6, "resourceVersion", Text),
            (7, "generation", Number),
            (8, "creationTimestamp", Time),
            (9, "deletionTimestamp", Time),
            (10, "deletionGracePeriodSeconds", Number),
            (11, "labels", TextMap),
            (12, "annotations", TextMap),
            (13, "ownerReferences", Messages("OwnerReference")),
            (14, "finalizers", Texts),
            (17, "managedFields", Ignored),
        ],
        "OwnerReference" => &[(1, "kind", Text), (3, "name", Text), (4, "uid", Text), (5, "apiVersion", Text), (6, "controller", Bool), (7, "blockOwnerDeletion", Bool)],
        _ => return None,
    })
}

/// The object of a body; `None` where it is broken, or of a kind that is not known here.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    let mut head = Map::new();
    let mut raw: &[u8] = &[];
    let mut envelope = Reader(body.strip_prefix(MAGIC)?);
    while let Some((number, value)) = envelope.field()? {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => {
                let mut meta = Reader(bytes);
                while let Some((number, value)) = meta.field()? {
                    match (number, value) {
                        (1, Wire::Bytes(text)) => head.insert("apiVersion".into(), utf8(text)?),
                        (2, Wire::Bytes(text)) => head.insert("kind".into(), utf8(text)?),
                        _ => None,
                    };
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let fields = message(head.get("kind")?.as_str()?)?;
    let mut object = read(raw, fields, 0)?;
    object.append(&mut head);
    Some(object.into())
}

/// A value as protobuf writes it.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed width: none of the fields here is.
    Fixed,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// The next field, `Some(None)` at the end, `None` where the text is broken.
    #[expect(clippy::option_option, reason = "the end of a message and a broken message are told apart")]
    fn field(&mut self) -> Option<Option<(u64, Wire<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Wire::Number(self.number()?),
            1 => self.take(8).map(|_| Wire::Fixed)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            _ => return None,
        };
        Some(Some((tag >> 3, value)))
    }
}

fn utf8(bytes: &[u8]) -> Option<Value> {
    std::str::from_utf8(bytes).ok().map(Value::from)
}

fn read(bytes: &[u8], fields: &[Field], depth: usize) -> Option<Map<String, Value>> {
    if depth > DEPTH {
        return None;
    }
    let mut object = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, value)) = reader.field()? {
        let Some((_, name, holds)) = fields.iter().find(|(known, _, _)| *known == number) else { continue };
        put(&mut object, name, *holds, &value, depth)?;
    }
    Some(object)
}

fn put(object: &mut Map<String, Value>, name: &str, holds: Holds, value: &Wire<'_>, depth: usize) -> Option<()> {
    let nested = |bytes, of| Some(Value::Object(read(bytes, message(of)?, depth + 1)?));
    let bytes_value = |bytes: &[u8]| json!(ByteString(bytes.to_vec()));
    let single = match (holds, value) {
        (Ignored, _) => return Some(()),
        // The encoder writes empty fields too, which JSON leaves out.
        (Text | Message(_), Wire::Bytes([])) => return Some(()),
        (Text, Wire::Bytes(bytes)) => utf8(bytes)?,
        (Bytes, Wire::Bytes(bytes)) => bytes_value(bytes),
        // Numbers below zero come as the 64-bit two's complement.
        (Number, Wire::Number(number)) => number.cast_signed().into(),
        (Bool, Wire::Number(number)) => (*number != 0).into(),
        (Time, Wire::Bytes(bytes)) => match time(bytes)? {
            Some(time) => time.into(),
            None => return Some(()),
        },
        (Message(of), Wire::Bytes(bytes)) => nested(bytes, of)?,
        (Texts | Messages(_), Wire::Bytes(bytes)) => {
            let item = if let Messages(of) = holds { nested(bytes, of)? } else { utf8(bytes)? };
            object.entry(name).or_insert_with(|| json!([])).as_array_mut()?.push(item);
            return Some(());
        }
        (TextMap | BytesMap, Wire::Bytes(bytes)) => {
            let mut entry = Map::new();
            let holds = if matches!(holds, TextMap) { Text } else { Bytes };
            let mut reader = Reader(bytes);
            while let Some((number, value)) = reader.field()? {
                let (name, holds) = if number == 1 { ("key", Text) } else { ("value", holds) };
                put(&mut entry, name, holds, &value, depth)?;
            }
            let key = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = entry.remove("value").unwrap_or_else(|| "".into());
            object.entry(name).or_insert_with(|| json!({})).as_object_mut()?.insert(key, value);
            return Some(());
        }
        _ => return None,
    };
    object.insert(name.to_owned(), single);
    Some(())
}

/// A time as text, `Some(None)` where it is not set.
#[expect(clippy::option_option, reason = "an unset time and a broken one are told apart")]
fn time(bytes: &[u8]) -> Option<Option<String>> {
    let (mut seconds, mut nanos) = (None, 0);
    let mut reader = Reader(bytes);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Wire::Number(value)) => seconds = Some(value.cast_signed()),
            (2, Wire::Number(value)) => nanos = i32::try_from(value.cast_signed()).ok()?,
            _ => {}
        }
    }
    let Some(seconds) = seconds else { return Some(None) };
    let time = Timestamp::new(seconds, nanos).ok()?;
    let format = if nanos == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%6fZ" };
    Some(Some(time.strftime(format).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kubectl create configmap x --from-literal=a=b` sends.
    #[test]
    fn a_config_map_reads_as_its_json() {
        let meta = b"\x0a\x01x\x12\x00\x1a\x07default\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00";
        let mut raw = vec![0x0a, u8::try_from(meta.len()).unwrap()];
        raw.extend_from_slice(meta);
        raw.extend_from_slice(b"\x12\x06\x0a\x01a\x12\x01b");
        let mut body = MAGIC.to_vec();
        body.extend_from_slice(b"\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12");
        body.push(u8::try_from(raw.len()).unwrap());
        body.extend_from_slice(&raw);
        body.extend_from_slice(b"\x1a\x00\x22\x00");
        let wanted = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
            "metadata": {"name": "x", "namespace": "default", "generation": 0}
        });
        assert_eq!(decode(&body), Some(wanted));
        assert_eq!(decode(&body[..body.len() - 8]), None);
        assert_eq!(decode(b"{}"), None);
    }
}
