//! Delete options: tied to the object that was checked (wire rules 8.7, 8.14).

use super::error::BodyError;
use super::members::{Members, quote, type_of, unquote};
use super::object::{text, type_meta_fault};
use super::{Findings, Live, Target, Translated};
use crate::address::{BodyType, Query};

/// The body of a DELETE of the object `live`, or of a collection where `live` is `None`.
///
/// A body makes the reference server ignore the options in the query, so those go into a body that is added. A collection's
/// options pass as they are, and an empty body stays empty.
pub fn delete_options(
    target: &Target<'_>,
    live: Option<&Live>,
    body: &[u8],
    body_type: BodyType,
    query: &Query,
) -> Result<Translated, BodyError> {
    options(target, live.map(|live| live.uid.as_str()), false, body, body_type, query)
}

/// The same for an object that is not there, or is another's: it deletes nothing, and is sent for what the control plane has
/// to say of the options. `None` where there are none to speak of.
pub fn delete_options_of_none(
    target: &Target<'_>,
    body: &[u8],
    body_type: BodyType,
    query: &Query,
) -> Result<Option<Translated>, BodyError> {
    const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
    let given = !body.is_empty() || !query.is_empty();
    let options = options(target, Some(NOBODY), true, body, body_type, query)?;
    Ok(given.then_some(options))
}

/// `always` ties to `uid`, whatever the client ties to.
fn options(
    target: &Target<'_>,
    uid: Option<&str>,
    always: bool,
    body: &[u8],
    body_type: BodyType,
    query: &Query,
) -> Result<Translated, BodyError> {
    let content_type = "application/json";
    let name = target.name.unwrap_or_default().to_owned();
    if body.is_empty() && uid.is_none() {
        return Ok(Translated::new(String::new(), content_type, name, Findings::default()));
    }
    let json;
    let mut options = if body.is_empty() {
        from_query(query)?
    } else {
        let wrong = |error: &dyn ToString| BodyError::DeleteOptions(error.to_string());
        json = text(body, body_type).map_err(|error| wrong(&error))?;
        match json.trim() {
            "null" => Members::default(),
            json => Members::parse(json).map_err(|error| wrong(&type_meta_fault(json, &error)))?,
        }
    };
    if let Some(uid) = uid {
        let given = options.get_some("preconditions").unwrap_or("{}").to_owned();
        let place = "Go struct field DeleteOptions.preconditions of type v1.Preconditions";
        let wrong = |_| BodyError::DeleteOptions(format!("json: cannot unmarshal {} into {place}", type_of(&given)));
        let mut preconditions = Members::parse(&given).map_err(wrong)?;
        if let Some(other) = preconditions.get_some("uid").filter(|uid| unquote(uid).is_none()) {
            let place = "Go struct field Preconditions.preconditions.uid of type types.UID";
            return Err(BodyError::DeleteOptions(format!("json: cannot unmarshal {} into {place}", type_of(other))));
        }
        // An empty UID is one that no object has.
        if always || preconditions.get_some("uid").is_none() {
            preconditions.set("uid", quote(uid));
        }
        options.set("preconditions", preconditions.render());
    }
    Ok(Translated::new(options.render(), content_type, name, Findings::default()))
}

/// The options of a query as a body.
fn from_query(query: &Query) -> Result<Members<'static>, BodyError> {
    let mut options = Members::default();
    options.set("kind", quote("DeleteOptions"));
    options.set("apiVersion", quote("v1"));
    if let Some(seconds) = query.get("gracePeriodSeconds") {
        let wrong = || BodyError::DeleteOptions(format!("strconv.ParseInt: parsing {seconds:?}: invalid syntax"));
        let seconds: i64 = seconds.parse().map_err(|_| wrong())?;
        options.set("gracePeriodSeconds", seconds.to_string());
    }
    for key in ["orphanDependents", "ignoreStoreReadErrorWithClusterBreakingPotential"] {
        if query.get(key).is_some() {
            options.set(key, query.flag(key).to_string());
        }
    }
    if let Some(policy) = query.get("propagationPolicy") {
        options.set("propagationPolicy", quote(policy));
    }
    let dry_run: Vec<String> = query.get_all("dryRun").map(quote).collect();
    if !dry_run.is_empty() {
        options.set("dryRun", format!("[{}]", dry_run.join(",")));
    }
    Ok(options)
}
