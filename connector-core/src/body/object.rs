//! Bodies that are whole objects: create, update, apply.

use std::borrow::Cow;

use super::error::{BodyError, invalid_value};
use super::members::{Members, decoding_fault, quote, type_of, unquote};
use super::{Live, Target, Translated, owners, secret, yaml};
use crate::address::BodyType;
use crate::address::names::{generate_name_faults, subdomain_faults};
use crate::origin::{ANNOTATION_CONNECTION_SECRET, ANNOTATION_NAME, ANNOTATION_OWNERS, RESERVED_PREFIX, name_label};
use crate::status::Cause;

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
    let mut object = typed_object(target, &text, body)?;
    let mut metadata = metadata_of(&object)?;
    check_namespace(target, &metadata)?;

    let base = string(&metadata, "generateName")?;
    let given = string(&metadata, "name")?;
    let name = match base.as_str() {
        base if given.is_empty() && !base.is_empty() => generated_name(base, suffix),
        _ => given,
    };
    let mut causes: Vec<Cause> = Vec::new();
    if !base.is_empty() {
        let faults = generate_name_faults(&base);
        causes.extend(faults.iter().map(|fault| invalid_value("metadata.generateName", &base, fault)));
    }
    if name.is_empty() {
        let (reason, message) = ("FieldValueRequired", "Required value: name or generateName is required");
        causes.push(Cause { reason: reason.into(), message: message.into(), field: "metadata.name".into() });
    }
    let faults = if name.is_empty() { Vec::new() } else { subdomain_faults(&name) };
    causes.extend(faults.iter().map(|fault| invalid_value("metadata.name", &name, fault)));
    // Of an object of another kind the control plane says that, and nothing of its name.
    if !causes.is_empty() && unquote(object.get("kind").unwrap_or_default()).as_deref() == Some(target.kind) {
        return Err(BodyError::Invalid { name, causes });
    }

    let secret = secret::rename(target, None, &mut object);
    metadata.set("name", quote(&target.remote_name(&name)));
    hide(target, None, &mut metadata, &name, secret.annotation())?;
    finish(object, &metadata, "application/json", name)
}

/// The body of a PUT, to the object `live` or its status or scale. Origin labels are added again, since a client that never
/// saw them would remove them (wire rule 8.8).
pub fn update(target: &Target<'_>, live: &Live, body: &[u8], body_type: BodyType) -> Result<Translated, BodyError> {
    let text = text(body, body_type)?;
    let mut object = if target.is_scale() { any_object(&text, body)? } else { typed_object(target, &text, body)? };
    let mut metadata = metadata_of(&object)?;
    let name = replace_metadata(target, live, &mut metadata, |live| secret::rename(target, Some(live), &mut object))?;
    finish(object, &metadata, "application/json", name)
}

/// What the reference server finds wrong with the body of a PUT before it looks for the object (wire rules 8.1 to 8.3).
pub fn check_update(target: &Target<'_>, body: &[u8], body_type: BodyType) -> Result<(), BodyError> {
    let text = text(body, body_type)?;
    let object = if target.is_scale() { any_object(&text, body)? } else { typed_object(target, &text, body)? };
    let metadata = metadata_of(&object)?;
    check_namespace(target, &metadata)?;
    check_name(target, &string(&metadata, "name")?)
}

/// The body of a server-side apply, YAML or JSON. `live` is `None` where the object does not exist and apply creates it.
///
/// Everything of ours is in every apply, since an owner that leaves out a field removes it (wire rule 8.11).
pub fn apply_patch(target: &Target<'_>, live: Option<&Live>, body: &[u8]) -> Result<Translated, BodyError> {
    let content_type = "application/apply-patch+yaml";
    let wrong = |error: &dyn ToString| BodyError::Apply(error.to_string());
    let text = std::str::from_utf8(body).map_err(|error| wrong(&error))?;
    // Clients mostly send JSON, whose numbers need no reading.
    let json = match Members::parse(text) {
        Ok(_) => Cow::Borrowed(text),
        Err(_) => {
            Cow::Owned(yaml::to_json(text).map_err(|error| wrong(&format!("error converting YAML to JSON: {error}")))?)
        }
    };
    let go_type = "map[string]interface {}";
    let fault =
        |error| format!("error unmarshaling JSON: while decoding JSON: {}", decoding_fault(&json, &error, go_type));
    let mut object = match json.trim() {
        "null" => Members::default(),
        json => Members::parse(json).map_err(|error| wrong(&fault(error)))?,
    };
    let (api_version, kind) = (string(&object, "apiVersion")?, string(&object, "kind")?);
    if api_version.is_empty() && kind.is_empty() {
        return Err(BodyError::Untyped);
    }
    let mut metadata = metadata_of(&object)?;
    check_namespace(target, &metadata)?;
    let names_namespace = !string(&metadata, "namespace")?.is_empty();

    let url_name = target.name.unwrap_or_default();
    match string(&metadata, "name")?.as_str() {
        // The existing object has the name.
        "" if live.is_some() => metadata.remove("name"),
        found => check_name(target, found)?,
    }
    if live.is_none() {
        check_new_name(url_name)?;
    }
    if target.is_scale() {
        if metadata.get("name").is_some() {
            metadata.set("name", quote(&target.remote_name(url_name)));
        }
        metadata.set("namespace", quote(target.remote_namespace()));
        return finish(object, &metadata, content_type, url_name.to_owned());
    }
    let secret = secret::rename(target, live, &mut object);
    hide(target, None, &mut metadata, url_name, secret.annotation())?;
    // The reference server fills in what is not there, and shows what was there in its texts and to kubectl.
    if !names_namespace {
        metadata.remove("namespace");
    }
    if metadata.get("name").is_some() {
        metadata.set("name", quote(&target.remote_name(url_name)));
    }
    if let Some(live) = live {
        tie(&mut metadata, live);
    }
    finish(object, &metadata, content_type, url_name.to_owned())
}

/// Translates the metadata that replaces that of `live`; gives the local name. `rename` renames the connection secret.
pub(super) fn replace_metadata(
    target: &Target<'_>,
    live: &Live,
    metadata: &mut Members<'_>,
    rename: impl FnOnce(&Live) -> secret::Change,
) -> Result<String, BodyError> {
    check_namespace(target, metadata)?;
    let name = string(metadata, "name")?;
    check_name(target, &name)?;
    if target.is_scale() {
        metadata.set("namespace", quote(target.remote_namespace()));
    } else {
        let secret = rename(live);
        if let Some(managers) = metadata.get_some("managedFields").and_then(|given| live.restored_managers(given)) {
            metadata.set("managedFields", managers);
        }
        hide(target, Some(live), metadata, &name, secret.annotation())?;
    }
    metadata.set("name", quote(&target.remote_name(&name)));
    tie(metadata, live);
    Ok(name)
}

/// A name that the control plane does not see must be checked here before an object gets it.
fn check_new_name(name: &str) -> Result<(), BodyError> {
    let faults = subdomain_faults(name);
    let causes: Vec<Cause> = faults.iter().map(|fault| invalid_value("metadata.name", name, fault)).collect();
    if causes.is_empty() { Ok(()) } else { Err(BodyError::Invalid { name: name.to_owned(), causes }) }
}

/// Puts everything of ours into metadata: the namespace, origin labels, and annotations. What `live` has under our prefix
/// beyond that is kept.
fn hide(
    target: &Target<'_>,
    live: Option<&Live>,
    metadata: &mut Members<'_>,
    name: &str,
    secret: Option<&str>,
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

    let owners = owners::stash(metadata.get("ownerReferences").unwrap_or("null"), name)?;
    metadata.remove("ownerReferences");
    let given = metadata.get("annotations").unwrap_or("null").to_owned();
    let mut annotations = user_map("metadata.annotations", &given, name)?;
    let reserved = live.iter().flat_map(|live| &live.annotations).filter(|(key, _)| key.starts_with(RESERVED_PREFIX));
    for (key, value) in
        reserved.filter(|(key, _)| ![ANNOTATION_OWNERS, ANNOTATION_CONNECTION_SECRET].contains(&key.as_str()))
    {
        annotations.set(key, quote(value));
    }
    let own = [
        (ANNOTATION_NAME, full_name(name)),
        (ANNOTATION_OWNERS, owners.as_deref()),
        (ANNOTATION_CONNECTION_SECRET, secret),
    ];
    for (key, value) in own.into_iter().filter_map(|(key, value)| Some((key, value?))) {
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

/// An object of the kind and version of the URL (wire rule 8.3). A wrong kind is left to the control plane.
fn typed_object<'a>(target: &Target<'_>, text: &'a str, body: &[u8]) -> Result<Members<'a>, BodyError> {
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
    let (found, expected) = (string(&object, "apiVersion")?, target.api_version());
    if found.split('/').count() > 2 {
        return Err(BodyError::unrecognized(format!("unexpected GroupVersion string: {found}"), body));
    }
    if found == expected { Ok(object) } else { Err(BodyError::ApiVersion { found, expected }) }
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
) -> Result<Translated, BodyError> {
    object.set("metadata", metadata.render());
    Ok(Translated { body: object.render().into_bytes(), content_type, name })
}
