//! The shapes in which a control plane answers.

use bytes::Bytes;
use serde_json::Value;

use crate::chunks;
use crate::claim::{API_VERSION, KIND, claim};

/// One claim: the answer to a get.
pub fn object(index: usize) -> Bytes {
    finish(claim(index).to_string())
}

/// A list of whole claims.
pub fn list(count: usize) -> Bytes {
    let items = join(count, |index| claim(index).to_string());
    finish(format!(
        r#"{{"apiVersion":"{API_VERSION}","items":[{items}],"kind":"{KIND}List","metadata":{{"continue":"","resourceVersion":"2950143"}}}}"#
    ))
}

/// A list of `times` times `count` whole claims in chunks, which takes the memory of `count` claims, however long it is.
pub fn long_list(count: usize, times: usize) -> impl Iterator<Item = Bytes> + Clone {
    let items: Bytes = escape(&join(count, |index| claim(index).to_string())).into();
    let head = format!(r#"{{"apiVersion":"{API_VERSION}","items":["#);
    let tail = format!(r#"],"kind":"{KIND}List","metadata":{{"resourceVersion":"2950143"}}}}"#);
    let separated = (0..times).flat_map(move |at| {
        let separator = if at == 0 { &b""[..] } else { &b","[..] };
        std::iter::once(Bytes::from_static(separator)).chain(chunks(&items))
    });
    std::iter::once(head.into()).chain(separated).chain(std::iter::once(tail.into()))
}

/// The same claims as `PartialObjectMetadataList`.
pub fn partial_list(count: usize) -> Bytes {
    let items = join(count, |index| partial(&claim(index)));
    finish(format!(
        r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"2950143"}},"items":[{items}]}}"#
    ))
}

/// The same claims as a Table, each row with the claim's `PartialObjectMetadata` (wire rules 7.12, 7.13).
pub fn table(count: usize) -> Bytes {
    let column = |name: &str, format: &str| {
        format!(
            r#"{{"name":"{name}","type":"string","format":"{format}","description":"{name} of the claim","priority":0}}"#
        )
    };
    let columns = [("Name", "name"), ("Synced", ""), ("Ready", ""), ("Connection-Secret", ""), ("Age", "")]
        .map(|(name, format)| column(name, format))
        .join(",");
    let rows = join(count, |index| {
        let claim = claim(index);
        let (name, secret) = (&claim["metadata"]["name"], &claim["spec"]["writeConnectionSecretToRef"]["name"]);
        format!(r#"{{"cells":[{name},"True","True",{secret},"3d"],"object":{}}}"#, partial(&claim))
    });
    finish(format!(
        r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"2950143"}},"columnDefinitions":[{columns}],"rows":[{rows}]}}"#
    ))
}

/// Watch events, each with a whole claim, one to a line (wire rule 7.5).
pub fn watch(count: usize) -> Bytes {
    let event = |index: usize| format!("{{\"type\":\"MODIFIED\",\"object\":{}}}\n", claim(index));
    (0..count).map(|index| escape(&event(index))).collect::<String>().into()
}

/// The `PartialObjectMetadata` of a claim: its members are in the order of the Go structs.
fn partial(claim: &Value) -> String {
    let metadata = &claim["metadata"];
    let managers = metadata["managedFields"].as_array().into_iter().flatten().map(|manager| {
        let order = ["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"];
        format!("{{{}}}", members(manager, &order))
    });
    let managers = managers.collect::<Vec<_>>().join(",");
    let order = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "labels",
        "annotations",
        "finalizers",
    ];
    let metadata = members(metadata, &order);
    format!(
        r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{{metadata},"managedFields":[{managers}]}}}}"#
    )
}

/// The members of `object` that are in `order`, in that order.
fn members(object: &Value, order: &[&str]) -> String {
    let members = order.iter().filter_map(|key| Some(format!("\"{key}\":{}", object.get(key)?)));
    members.collect::<Vec<_>>().join(",")
}

fn join(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(",")
}

fn finish(document: String) -> Bytes {
    (escape(&document) + "\n").into()
}

/// Escapes what Go's encoder escapes; it stands in strings only.
fn escape(document: &str) -> String {
    document.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}
