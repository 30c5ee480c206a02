//! Bodies that are whole objects: create and update.

use std::borrow::Cow;

use super::error::{BodyError, invalid_value};
use super::members::{Members, decoding_fault, quote, type_of, unquote};
use super::owners::{self, Written};
use super::references::Found;
use super::secret::Secrets;
use super::{Findings, Live, Target, Translated, yaml};
use crate::address::BodyType;
use crate::address::names::subdomain_faults;
use crate::answer::LAST_APPLIED;
use crate::origin::{
    ANNOTATION_CONNECTION_SECRET, ANNOTATION_NAME, ANNOTATION_OWNERS, LABEL_NAME, RESERVED_PREFIX, annotated_secret,
    name_label,
};
use crate::status::Cause;

/// No value of a label: the mark of [`spoil`].
const SPOILT: &str = "mcp-connector.upbound.io/";

/// Whether a fault that the control plane finds is the one that was put there, and not the user's.
pub fn is_made_up(cause: &Cause) -> bool {
    cause.field == "metadata.labels" && cause.message.contains(&quote(SPOILT))
}

/// The most characters of a generated name that come from `generateName` (`storage/names/generate.go`).
const GENERATED_BASE_MAX: usize = 58;

/// The local name for a `generateName`: its first 58 characters and a random suffix of five, which the caller makes (wire
/// rule 8.5).
pub fn generated_name(base: &str, suffix: &str) -> String {
    let mut end = base.len().min(GENERATED_BASE_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &base[..end])
}

/// The body of a POST.
///
/// `suffix` is for [`generated_name`], used where the body has `generateName` and no name; the caller tries again with
/// another where the name exists already, up to 8 times (wire rule 8.5).
pub fn create(target: &Target<'_>, body: &[u8], body_type: BodyType, suffix: &str) -> Result<Translated, BodyError> {
    let text = text(body, body_type)?;
    let mut object = typed_object(&text, body)?;
    let mut metadata = metadata_of(&object)?;
    let mut findings = Findings::default();
    let is_typed = api_version_fault(target, &object).is_none()
        && unquote(object.get("kind").unwrap_or_default()).as_deref() == Some(target.kind);
    if is_typed {
        check_namespace(target, &metadata)?;
    }

    let base = string(&metadata, "generateName")?;
    let given = string(&metadata, "name")?;
    let name = match base.as_str() {
        base if given.is_empty() && !base.is_empty() => generated_name(base, suffix),
        _ => given,
    };
    if name.is_empty() {
        let (reason, message) = ("FieldValueRequired", "Required value: name or generateName is required");
        findings.faults.push(Cause { reason: reason.into(), message: message.into(), field: "metadata.name".into() });
    } else {
        findings.faults.extend(name_faults(&name));
    }

    let secrets = Secrets::rename(target, None, &mut object, None);
    metadata.set("name", quote(&target.remote_name(&name)));
    let owners = owners::take(target, &mut metadata, Written::Created, &mut findings)?;
    hide(target, None, &mut metadata, &name, Some(&secrets), owners.as_deref())?;
    // Of an object of another type the control plane says that, and nothing else.
    if !is_typed {
        findings = Findings::default();
        metadata.remove("ownerReferences");
    }
    if findings.forbid() {
        spoil(&mut metadata);
    }
    Ok(finish(object, &metadata, "application/json", name, findings).naming(target, secrets.configured))
}

/// The body of a PUT, to the object `live` or its status or scale. Origin labels are added again, since a client that never
/// saw them would remove them (wire rule 8.8).
pub fn update(target: &Target<'_>, live: &Live, body: &[u8], body_type: BodyType) -> Result<Translated, BodyError> {
    let text = text(body, body_type)?;
    let mut object = if target.is_scale() { any_object(&text, body)? } else { typed_object(&text, body)? };
    let mut metadata = metadata_of(&object)?;
    let mut findings = Findings::default();
    if api_version_fault(target, &object).is_some() {
        // The control plane says that, nothing else, and warns of what it cannot read of it.
        let name = target.name.unwrap_or_default();
        metadata.set("name", quote(&target.remote_name(name)));
        metadata.remove("ownerReferences");
        hide(target, Some(live), &mut metadata, name, None, None)?;
        return Ok(finish(object, &metadata, "application/json", name.to_owned(), findings));
    }
    let rename = || Secrets::rename(target, Some(live), &mut object, None);
    let (name, found) = replace_metadata(target, live, &mut metadata, rename, Written::Updated, &mut findings)?;
    Ok(finish(object, &metadata, "application/json", name, findings).naming(target, found))
}

/// What the reference server finds wrong with the body of a PUT before it looks for the object (wire rules 8.1 to 8.3).
pub fn check_update(target: &Target<'_>, body: &[u8], body_type: BodyType) -> Result<(), BodyError> {
    let text = text(body, body_type)?;
    let object = if target.is_scale() { any_object(&text, body)? } else { typed_object(&text, body)? };
    api_version_fault(target, &object).map_or(Ok(()), Err)?;
    let metadata = metadata_of(&object)?;
    check_namespace(target, &metadata)?;
    check_name(target, &string(&metadata, "name")?)
}

/// The UID that the body of a PUT names, where it names one.
pub fn named_uid(body: &[u8], body_type: BodyType) -> Option<String> {
    let text = text(body, body_type).ok()?;
    let metadata = metadata_of(&Members::parse(&text).ok()?).ok()?;
    string(&metadata, "uid").ok().filter(|uid| !uid.is_empty())
}

/// Translates the metadata that replaces that of `live`; gives the local name, and what `rename`, which renames all Secrets,
/// finds at the configured fields.
pub(super) fn replace_metadata(
    target: &Target<'_>,
    live: &Live,
    metadata: &mut Members<'_>,
    rename: impl FnOnce() -> Secrets,
    written: Written,
    findings: &mut Findings,
) -> Result<(String, Found), BodyError> {
    check_namespace(target, metadata)?;
    let name = string(metadata, "name")?;
    check_name(target, &name)?;
    let mut found = Found::default();
    if target.is_scale() {
        metadata.set("namespace", quote(target.remote_namespace()));
    } else {
        let secrets = rename();
        keep_unchanged(target, live, metadata);
        let owners = owners::take(target, metadata, written, findings)?;
        hide(target, Some(live), metadata, &name, Some(&secrets), owners.as_deref())?;
        found = secrets.configured;
        if findings.forbid() {
            spoil(metadata);
        }
    }
    metadata.set("name", quote(&target.remote_name(&name)));
    tie(metadata, live);
    Ok((name, found))
}

/// What reads differently in remote terms is written back as it is stored, where the user has not changed it: else it would
/// be the user's change.
pub(super) fn keep_unchanged(target: &Target<'_>, live: &Live, metadata: &mut Members<'_>) {
    const MANAGED: &str = "managedFields";
    const ANNOTATIONS: &str = "annotations";
    let annotations = metadata.get(ANNOTATIONS).unwrap_or("null").to_owned();
    let mut annotations = Members::parse(&annotations).unwrap_or_default();
    let read = |object: &str| Members::parse(object).ok().and_then(|object| metadata_of(&object).ok());
    let Some(stored) = live.stored().and_then(read) else { return };
    if let (Some(given), Some(stored)) = (metadata.get_some(MANAGED), stored.get_some(MANAGED))
        && let Some(managers) = live.restored_managers(given, stored)
    {
        metadata.set(MANAGED, managers);
    }
    let applied = |metadata: &Members<'_>| {
        let annotations = metadata.get(ANNOTATIONS).and_then(|json| Members::parse(json).ok())?;
        annotations.get(LAST_APPLIED).map(str::to_owned)
    };
    if let (Some(given), Some(stored)) = (annotations.get(LAST_APPLIED), applied(&stored))
        && let Some(seen) = live.seen(target).as_deref().and_then(read).as_ref().and_then(applied)
        && unquote(given) == unquote(&seen)
    {
        annotations.set(LAST_APPLIED, stored);
        metadata.set(ANNOTATIONS, annotations.render());
    }
}

/// A name that the control plane does not see must be checked here before an object gets it.
pub(super) fn name_faults(name: &str) -> Vec<Cause> {
    subdomain_faults(name).iter().map(|fault| invalid_value("metadata.name", name, fault)).collect()
}

/// Makes an object invalid for the control plane, too, so that it goes no further than to say what else is: what comes behind
/// validation, such as warnings of names, is not said of what is invalid.
pub(super) fn spoil(metadata: &mut Members<'_>) {
    let labels = metadata.get("labels").unwrap_or("{}").to_owned();
    let mut labels = Members::parse(&labels).unwrap_or_default();
    labels.set(LABEL_NAME, quote(SPOILT));
    metadata.set("labels", labels.render());
}

/// Puts everything of ours into metadata: the namespace, origin labels, and annotations. What `live` has under our prefix
/// beyond that is kept.
pub(super) fn hide(
    target: &Target<'_>,
    live: Option<&Live>,
    metadata: &mut Members<'_>,
    name: &str,
    secrets: Option<&Secrets>,
    owners: Option<&str>,
) -> Result<(), BodyError> {
    metadata.set("namespace", quote(target.remote_namespace()));

    let given = metadata.get("labels").unwrap_or("null").to_owned();
    let mut labels = user_map("metadata.labels", &given, name)?;
    for (key, value) in live.iter().flat_map(|live| &live.labels).filter(|(key, _)| key.starts_with(RESERVED_PREFIX)) {
        labels.set(key, quote(value));
    }
    for (key, value) in target.scheme.labels(target.namespace, name) {
        labels.set(key, quote(&value));
    }
    metadata.set("labels", labels.render());

    let given = metadata.get("annotations").unwrap_or("null").to_owned();
    let mut annotations = user_map("metadata.annotations", &given, name)?;
    let reserved = live.iter().flat_map(|live| &live.annotations).filter(|(key, _)| key.starts_with(RESERVED_PREFIX));
    let is_written = |key: &str| {
        [ANNOTATION_OWNERS, ANNOTATION_CONNECTION_SECRET].contains(&key)
            || (target.references().is_some() && annotated_secret(key).is_some())
    };
    for (key, value) in reserved.filter(|(key, _)| !is_written(key)) {
        annotations.set(key, quote(value));
    }
    let own = [(ANNOTATION_NAME, full_name(name)), (ANNOTATION_OWNERS, owners)];
    let own = own.into_iter().filter_map(|(key, value)| Some((key, value?)));
    for (key, value) in own.chain(secrets.into_iter().flat_map(Secrets::annotations)) {
        annotations.set(key, quote(value));
    }
    if !annotations.is_empty() {
        metadata.set("annotations", annotations.render());
    }
    Ok(())
}

/// A name that does not fit a label (wire rule 8.6).
pub(super) fn full_name(name: &str) -> Option<&str> {
    (name_label(name) != name).then_some(name)
}

/// Ties a write to the object that was checked, unless the client ties it itself (wire rule 8.7).
pub(super) fn tie(metadata: &mut Members<'_>, live: &Live) {
    if live.is_absent() || metadata.get_some("uid").is_none_or(|uid| uid == "\"\"") {
        metadata.set("uid", quote(&live.uid));
    }
}

/// The user's labels or annotations; `null` is none. A key of ours among them is refused (wire rule 11.17).
/// `name` is the local name of the object.
pub(super) fn user_map<'a>(field: &'static str, json: &'a str, name: &str) -> Result<Members<'a>, BodyError> {
    if json == "null" {
        return Ok(Members::default());
    }
    let member = field.trim_start_matches("metadata.");
    let wrong = BodyError::WrongType { field: member, found: type_of(json), expected: "map[string]string" };
    let members = Members::parse(json).map_err(|_| wrong)?;
    if let Some((key, _)) = members.iter().find(|(key, _)| key.starts_with(RESERVED_PREFIX)) {
        return Err(BodyError::Reserved { name: name.to_owned(), field, key: key.to_owned() });
    }
    Ok(members)
}

/// A member of metadata that is text; empty where it is absent or `null`.
pub(super) fn string(metadata: &Members<'_>, key: &'static str) -> Result<String, BodyError> {
    match metadata.get_some(key) {
        None => Ok(String::new()),
        Some(json) => {
            unquote(json).ok_or(BodyError::WrongType { field: key, found: type_of(json), expected: "string" })
        }
    }
}

/// Wire rule 8.1.
pub(super) fn check_namespace(target: &Target<'_>, metadata: &Members<'_>) -> Result<(), BodyError> {
    match string(metadata, "namespace")? {
        found if found.is_empty() || found == target.namespace => Ok(()),
        _ => Err(BodyError::NamespaceMismatch),
    }
}

/// Wire rule 8.2.
pub(super) fn check_name(target: &Target<'_>, found: &str) -> Result<(), BodyError> {
    let expected = target.name.unwrap_or_default().to_owned();
    match found {
        "" => Err(BodyError::NameUndeterminable(expected)),
        found if found == expected => Ok(()),
        found => Err(BodyError::NameMismatch { found: found.to_owned(), expected }),
    }
}

/// The JSON text of a body.
pub(super) fn text(body: &[u8], body_type: BodyType) -> Result<Cow<'_, str>, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| BodyError::unrecognized(error, body))?;
    match body_type {
        BodyType::Yaml if Members::parse(text).is_err() => {
            yaml::to_json(text).map(Cow::Owned).map_err(|error| BodyError::unrecognized(error, body))
        }
        BodyType::Json | BodyType::Yaml => Ok(Cow::Borrowed(text)),
    }
}

fn any_object<'a>(text: &'a str, body: &[u8]) -> Result<Members<'a>, BodyError> {
    if text == "null" {
        return Ok(Members::default());
    }
    Members::parse(text).map_err(|error| BodyError::unrecognized(type_meta_fault(text, &error), body))
}

/// What the reference decoder says of a body that is no object.
pub(super) fn type_meta_fault(text: &str, error: &serde_json::Error) -> String {
    const TYPE: &str =
        r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
    format!("couldn't get version/kind; json parse error: {}", decoding_fault(text, error, TYPE))
}

/// An object that says what it is (wire rule 8.3). Whether it is what the URL says is left to the control plane.
fn typed_object<'a>(text: &'a str, body: &[u8]) -> Result<Members<'a>, BodyError> {
    let object = any_object(text, body)?;
    for key in ["apiVersion", "kind"] {
        if let Err(BodyError::WrongType { found, .. }) = string(&object, key) {
            let fault = format!("json: cannot unmarshal {found} into Go struct field .{key} of type string");
            return Err(BodyError::unrecognized(format!("couldn't get version/kind; json parse error: {fault}"), body));
        }
    }
    if object.get_some("kind").is_none_or(|kind| kind == "\"\"") {
        return Err(BodyError::unrecognized(format_args!("Object 'Kind' is missing in '{text}'"), body));
    }
    let found = string(&object, "apiVersion")?;
    if found.split('/').count() > 2 {
        return Err(BodyError::unrecognized(format!("unexpected GroupVersion string: {found}"), body));
    }
    Ok(object)
}

/// An object of another API version than the URL's.
fn api_version_fault(target: &Target<'_>, object: &Members<'_>) -> Option<BodyError> {
    let (found, expected) = (string(object, "apiVersion").unwrap_or_default(), target.api_version());
    (found != expected && !target.is_scale()).then_some(BodyError::ApiVersion { found, expected })
}

/// The metadata of an object as its own list of members.
pub(super) fn metadata_of(object: &Members<'_>) -> Result<Members<'static>, BodyError> {
    let Some(json) = object.get_some("metadata") else { return Ok(Members::default()) };
    let wrong = BodyError::WrongType { field: "", found: type_of(json), expected: "v1.ObjectMeta" };
    Members::parse(json).map(Members::into_owned).map_err(|_| wrong)
}

pub(super) fn finish(
    mut object: Members<'_>,
    metadata: &Members<'_>,
    content_type: &'static str,
    name: String,
    findings: Findings,
) -> Translated {
    object.set("metadata", metadata.render());
    Translated::new(object.render(), content_type, name, findings)
}
