//! Server-side apply (wire rule 8.11).

use std::borrow::Cow;

use super::error::BodyError;
use super::members::{Members, decoding_fault, quote};
use super::object::{
    check_name, check_namespace, finish, hide, keep_unchanged, metadata_of, name_faults, spoil, string, tie,
};
use super::owners::{self, Written};
use super::secret::Secrets;
use super::{Findings, Live, Target, Translated, yaml};

/// The body of a server-side apply, YAML or JSON. `live` is `None` where the object does not exist and apply creates it.
///
/// Everything of ours is in every apply, since an owner that leaves out a field removes it (wire rule 8.11).
pub fn apply_patch(target: &Target<'_>, live: Option<&Live>, body: &[u8]) -> Result<Translated, BodyError> {
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
    let object = match json.trim() {
        "null" => Members::default(),
        json => Members::parse(json).map_err(|error| wrong(&fault(error)))?,
    };
    translate_applied(target, live, object).map_err(BodyError::of_applied)
}

fn translate_applied(
    target: &Target<'_>,
    live: Option<&Live>,
    mut object: Members<'_>,
) -> Result<Translated, BodyError> {
    let content_type = "application/apply-patch+yaml";
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
    let mut findings = Findings::default();
    if live.is_none() {
        findings.faults.extend(name_faults(url_name));
    }
    if target.is_scale() {
        if metadata.get("name").is_some() {
            metadata.set("name", quote(&target.remote_name(url_name)));
        }
        metadata.set("namespace", quote(target.remote_namespace()));
        return Ok(finish(object, &metadata, content_type, url_name.to_owned(), findings));
    }
    let seen = live.filter(|_| target.references().is_some()).map(|live| live.seen(target).unwrap_or_default());
    let secrets = Secrets::rename(target, live, &mut object, seen.as_deref());
    if let Some(live) = live {
        keep_unchanged(target, live, &mut metadata);
    }
    let owners = owners::take(target, &mut metadata, Written::Applied, &mut findings)?;
    hide(target, None, &mut metadata, url_name, Some(&secrets), owners.as_deref())?;
    if findings.forbid() {
        spoil(&mut metadata);
    }
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
    let applied = finish(object, &metadata, content_type, url_name.to_owned(), findings);
    Ok(applied.naming(target, secrets.configured))
}
