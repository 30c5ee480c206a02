//! The anchor that builds no tree: the same rewriting by cutting out the text of values that stay, with `serde_json`'s `RawValue`
//! and with `sonic-rs`' `LazyValue`.
//!
//! Both know only the member order of custom resources and keys without escapes, which makes them faster than a complete one,
//! never slower.

use std::borrow::Cow;
use std::collections::BTreeMap;

use connector_core::answer::Asked;
use connector_core::origin::{ANNOTATION_CONNECTION_SECRET, Origin, RESERVED_PREFIX};
use serde_json::Value;
use serde_json::value::RawValue;
use sonic_rs::LazyValue;

use crate::value::weed_fields;

/// A library that cuts values out of a text.
pub trait Library {
    /// The members of an object, and the text of each value.
    fn members(object: &str) -> Option<BTreeMap<&str, Cow<'_, str>>>;
    /// The texts of an array's elements.
    fn elements(array: &str) -> Option<Vec<Cow<'_, str>>>;
    /// What a string says.
    fn string(text: &str) -> Option<String>;
}

/// `serde_json`
#[derive(Debug)]
pub struct SerdeJson;

impl Library for SerdeJson {
    fn members(object: &str) -> Option<BTreeMap<&str, Cow<'_, str>>> {
        let members: BTreeMap<&str, &RawValue> = serde_json::from_str(object).ok()?;
        Some(members.into_iter().map(|(key, value)| (key, value.get().into())).collect())
    }

    fn elements(array: &str) -> Option<Vec<Cow<'_, str>>> {
        let elements: Vec<&RawValue> = serde_json::from_str(array).ok()?;
        Some(elements.into_iter().map(|element| element.get().into()).collect())
    }

    fn string(text: &str) -> Option<String> {
        serde_json::from_str(text).ok()
    }
}

/// `sonic-rs`
#[derive(Debug)]
pub struct SonicRs;

impl Library for SonicRs {
    fn members(object: &str) -> Option<BTreeMap<&str, Cow<'_, str>>> {
        let members: BTreeMap<&str, LazyValue<'_>> = sonic_rs::from_str(object).ok()?;
        Some(members.into_iter().map(|(key, value)| (key, value.as_raw_cow())).collect())
    }

    fn elements(array: &str) -> Option<Vec<Cow<'_, str>>> {
        let elements: Vec<LazyValue<'_>> = sonic_rs::from_str(array).ok()?;
        Some(elements.into_iter().map(|element| element.as_raw_cow()).collect())
    }

    fn string(text: &str) -> Option<String> {
        sonic_rs::from_str(text).ok()
    }
}

/// Rewrites a list and writes it behind `out`; `None` where the document is none.
pub fn list<L: Library>(asked: &Asked, document: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let root = L::members(std::str::from_utf8(document).ok()?)?;
    write_members(&root, out, |key, text, out| {
        if key != "items" {
            return put(text, out);
        }
        let mut separator = b'[';
        for item in L::elements(text)? {
            let before = out.len();
            out.push(separator);
            match object::<L>(asked, item.as_bytes(), out) {
                Some(()) => separator = b',',
                None => out.truncate(before),
            }
        }
        if separator == b'[' {
            out.push(b'[');
        }
        put("]", out)
    })
}

/// Rewrites one object and writes it behind `out`; `None` if it belongs to another.
pub fn object<L: Library>(asked: &Asked, document: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let object = L::members(std::str::from_utf8(document).ok()?)?;
    let metadata = L::members(object.get("metadata")?)?;
    let labels = L::members(metadata.get("labels")?)?;
    let annotations = metadata.get("annotations").map_or(Some(BTreeMap::new()), |text| L::members(text))?;
    let origin: Origin<String> =
        asked.scheme.origin(|key| L::string(labels.get(key)?), |key| L::string(annotations.get(key)?))?;
    let wanted = |want: &Option<String>, is: &str| want.as_ref().is_none_or(|want| want == is);
    if !wanted(&asked.namespace, &origin.namespace) || !wanted(&asked.name, &origin.name) {
        return None;
    }
    let secret = annotations.get(ANNOTATION_CONNECTION_SECRET).and_then(|text| L::string(text));
    write_members(&object, out, |key, text, out| match key {
        "metadata" => write_metadata::<L>(&metadata, &labels, &annotations, &origin, out),
        "spec" if let Some(secret) = &secret => write_members(&L::members(text)?, out, |key, text, out| {
            if key != "writeConnectionSecretToRef" {
                return put(text, out);
            }
            write_members(&L::members(text)?, out, |key, text, out| {
                let remote = || asked.scheme.remote_name(asked.form, &origin.namespace, secret);
                match key == "name" && L::string(text)? == remote() {
                    true => serde_json::to_writer(out, secret).ok(),
                    false => put(text, out),
                }
            })
        }),
        _ => put(text, out),
    })
}

type Members<'a> = BTreeMap<&'a str, Cow<'a, str>>;

fn write_metadata<L: Library>(
    metadata: &Members<'_>,
    labels: &Members<'_>,
    annotations: &Members<'_>,
    origin: &Origin,
    out: &mut Vec<u8>,
) -> Option<()> {
    let users = |members: &Members<'_>| members.keys().any(|key| !key.starts_with(RESERVED_PREFIX));
    let mut metadata = metadata.clone();
    metadata.retain(|key, _| match *key {
        "labels" => users(labels),
        "annotations" => users(annotations),
        key => key != "ownerReferences",
    });
    write_members(&metadata, out, |key, text, out| match key {
        "name" => serde_json::to_writer(out, &origin.name).ok(),
        "namespace" => serde_json::to_writer(out, &origin.namespace).ok(),
        "labels" | "annotations" => {
            let mut left = if key == "labels" { labels.clone() } else { annotations.clone() };
            left.retain(|key, _| !key.starts_with(RESERVED_PREFIX));
            write_members(&left, out, |_, text, out| put(text, out))
        }
        "managedFields" => {
            let mut separator = b'[';
            for manager in L::elements(text)? {
                let mut edited = None;
                if manager.contains(RESERVED_PREFIX) {
                    let mut value: Value = serde_json::from_str(&manager).ok()?;
                    weed_fields(value.get_mut("fieldsV1")?.as_object_mut()?);
                    edited = Some(value.to_string());
                }
                out.push(std::mem::replace(&mut separator, b','));
                out.extend_from_slice(edited.as_deref().unwrap_or(&manager).as_bytes());
            }
            put("]", out)
        }
        _ => put(text, out),
    })
}

fn write_members(
    members: &Members<'_>,
    out: &mut Vec<u8>,
    mut value: impl FnMut(&str, &str, &mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    let mut separator = b'{';
    for (key, text) in members {
        out.push(std::mem::replace(&mut separator, b','));
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        value(key, text, out)?;
    }
    if members.is_empty() {
        out.push(b'{');
    }
    put("}", out)
}

fn put(text: &str, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(text.as_bytes());
    Some(())
}
