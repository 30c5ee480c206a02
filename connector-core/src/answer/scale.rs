//! The answer of the subresource `scale`: a `Scale`, its metadata, or a Table of it.
//!
//! Its `metadata` has no labels that would tell its origin (wire rule 7.19), so name and namespace are those that were asked
//! for: the caller has made sure that the object is the one.

use super::object::Parts;
use super::{AnswerError, Asked, RowObject};
use crate::json::{Cursor, Error, Kind, Plan};

/// Rewrites a `Scale`, or the Table that shows it, whose rows have an object as `show` says.
///
/// # Errors
/// [`AnswerError::Malformed`] and [`AnswerError::TooDeep`] when the control plane sent no object.
pub fn scale(asked: &Asked, show: RowObject, raw: &[u8]) -> Result<Vec<u8>, AnswerError> {
    let mut plan = Plan::default();
    rewrite(asked, show, raw, &mut plan).map_err(|error| AnswerError::of(error, 0))?;
    let mut out = Vec::with_capacity(raw.len());
    plan.apply(raw, &mut out);
    Ok(out)
}

fn rewrite(asked: &Asked, show: RowObject, raw: &[u8], plan: &mut Plan) -> Result<(), Error> {
    let mut cursor = Cursor::new(raw, 0);
    let mut walk = cursor.object()?;
    while let Some(member) = cursor.member(&mut walk)? {
        let value = cursor.skip()?;
        if member.key.is("rows") && Cursor::new(raw, value.start).kind()? == Kind::Array {
            let mut rows = Cursor::new(raw, value.start);
            let mut walk = rows.array()?;
            while let Some(entry) = rows.element(&mut walk)? {
                rows.skip()?;
                row(asked, show, raw, entry.start, plan)?;
            }
        }
    }
    object(asked, raw, 0, plan)
}

fn row(asked: &Asked, show: RowObject, raw: &[u8], at: usize, plan: &mut Plan) -> Result<(), Error> {
    let remote = asked.remote_name();
    let mut cursor = Cursor::new(raw, at);
    let mut walk = cursor.object()?;
    while let Some(member) = cursor.member(&mut walk)? {
        let value = cursor.skip()?;
        let kind = Cursor::new(raw, value.start).kind()?;
        match kind {
            Kind::Array if member.key.is("cells") => {
                let mut cells = Cursor::new(raw, value.start);
                let mut walk = cells.array()?;
                while let Some(entry) = cells.element(&mut walk)? {
                    let cell = cells.skip()?;
                    let mut text = Cursor::new(raw, entry.start);
                    if text.kind()? == Kind::String
                        && let (said, Some(remote), Some(local)) = (text.string()?.1, &remote, &asked.name)
                        && said.is(remote)
                    {
                        plan.replace_string(cell, local);
                    }
                }
            }
            Kind::Object if member.key.is("object") => match show {
                RowObject::Show => object(asked, raw, value.start, plan)?,
                RowObject::Null => plan.replace(value, &[b"null"]),
            },
            _ => {}
        }
    }
    Ok(())
}

/// Plans the edits of the `metadata` of the object at an offset.
fn object(asked: &Asked, raw: &[u8], at: usize, plan: &mut Plan) -> Result<(), Error> {
    let Some(at) = Parts::read(raw, at)?.metadata else { return Ok(()) };
    let mut cursor = Cursor::new(raw, at);
    let mut walk = cursor.object()?;
    while let Some(member) = cursor.member(&mut walk)? {
        let value = cursor.skip()?;
        if let (true, Some(name)) = (member.key.is("name"), &asked.name) {
            plan.replace_string(value, name);
        } else if let (true, Some(namespace)) = (member.key.is("namespace"), &asked.namespace) {
            plan.replace_string(value, namespace);
        }
    }
    Ok(())
}
