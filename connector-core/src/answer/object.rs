//! One object that is whole in memory.

use bytes::Bytes;

use super::metadata::{self, Secret, Subject};
use super::{AnswerError, Asked, Rewriter, Shape};
use crate::json::{Cursor, Error, Kind, Plan};

/// Rewrites one object that is whole in memory, such as the answer to a write: [`Shape::Object`] in one chunk.
///
/// # Errors
/// Those of [`Rewriter`]: [`AnswerError::Foreign`] when it is not the object that was asked for.
pub fn object(asked: &Asked, raw: &[u8]) -> Result<Vec<u8>, AnswerError> {
    let mut rewriter = Rewriter::new(asked.clone(), Shape::Object);
    let mut out = Vec::new();
    rewriter.push(Bytes::copy_from_slice(raw), &mut out)?;
    rewriter.finish()?;
    Ok(out.concat())
}

/// Plans the edits of the object at offset `at`; `None` when it does not exist for the client.
pub(super) fn rewrite<'a>(
    asked: &Asked,
    source: &'a [u8],
    at: usize,
    plan: &mut Plan,
) -> Result<Option<Subject<'a>>, Error> {
    Parts::read(source, at)?.rewrite(asked, source, plan)
}

/// Where the values of an object stand that are ever looked into.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    pub(super) metadata: Option<usize>,
    pub(super) spec: Option<usize>,
}

impl Parts {
    pub(super) fn read(source: &[u8], at: usize) -> Result<Self, Error> {
        let mut parts = Self::default();
        let mut cursor = Cursor::new(source, at);
        let mut walk = cursor.object()?;
        while let Some(member) = cursor.member(&mut walk)? {
            let start = cursor.skip()?.start;
            let part = match () {
                () if member.key.is("metadata") => &mut parts.metadata,
                () if member.key.is("spec") => &mut parts.spec,
                () => continue,
            };
            if part.replace(start).is_some() {
                return Err(Error::Syntax { at: start });
            }
        }
        Ok(parts)
    }

    /// Plans the edits of the object of which these are the parts; `None` when it does not exist for the client.
    pub(super) fn rewrite<'a>(
        self,
        asked: &Asked,
        source: &'a [u8],
        plan: &mut Plan,
    ) -> Result<Option<Subject<'a>>, Error> {
        let Some(metadata) = self.metadata else { return Ok(None) };
        let Some(subject) = metadata::rewrite(asked, source, metadata, plan)? else { return Ok(None) };
        if let (Some(spec), Some(secret)) = (self.spec, &subject.secret) {
            rename_secret(secret, source, spec, plan)?;
        }
        Ok(Some(subject))
    }
}

/// Plans that the `spec` at offset `at` names the connection secret as the user did. Only a name that was made from the user's
/// is changed: an object that was imported keeps the one it had.
pub(super) fn rename_secret<T: AsRef<str>>(
    secret: &Secret<T>,
    source: &[u8],
    at: usize,
    plan: &mut Plan,
) -> Result<(), Error> {
    let mut cursor = Cursor::new(source, at);
    if cursor.kind()? != Kind::Object {
        return Ok(());
    }
    let mut spec = cursor.object()?;
    while let Some(member) = cursor.member(&mut spec)? {
        if !member.key.is("writeConnectionSecretToRef") || cursor.kind()? != Kind::Object {
            cursor.skip()?;
            continue;
        }
        let mut reference = cursor.object()?;
        while let Some(member) = cursor.member(&mut reference)? {
            if member.key.is("name") && cursor.kind()? == Kind::String {
                let (value, text) = cursor.string()?;
                if text.is(secret.remote.as_str()) {
                    plan.replace_string(value, secret.local.as_ref());
                }
            } else {
                cursor.skip()?;
            }
        }
    }
    Ok(())
}
