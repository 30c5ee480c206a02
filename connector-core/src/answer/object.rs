//! One object that is whole in memory.

use super::metadata::{self, Subject};
use super::{AnswerError, Asked, Rewriter, Shape};
use crate::json::{Cursor, Error, Plan};

/// Rewrites one object that is whole in memory, such as the answer to a write: [`Shape::Object`] in one chunk.
///
/// # Errors
/// Those of [`Rewriter`]: [`AnswerError::Foreign`] when it is not the object that was asked for.
pub fn object(asked: &Asked, raw: &[u8]) -> Result<Vec<u8>, AnswerError> {
    let mut rewriter = Rewriter::new(asked.clone(), Shape::Object);
    let mut out = Vec::with_capacity(raw.len());
    rewriter.push_copied(raw, &mut out)?;
    rewriter.finish()?;
    Ok(out)
}

/// Reads the object before which the cursor stands and plans its edits; `None`, and no edits, when it does not exist for the
/// client.
pub(super) fn rewrite<'a>(
    asked: &Asked,
    cursor: &mut Cursor<'a>,
    source: &'a [u8],
    plan: &mut Plan,
) -> Result<Option<Subject<'a>>, Error> {
    let mut parts = Parts::default();
    let mut subject = None;
    let mut walk = cursor.object()?;
    while let Some(member) = cursor.member(&mut walk)? {
        cursor.kind()?;
        let start = cursor.at();
        if member.key.is("metadata") {
            once(&mut parts.metadata, start)?;
            subject = metadata::rewrite(asked, cursor, source, plan)?;
        } else if member.key.is("spec") {
            once(&mut parts.spec, start)?;
            match subject.as_ref().map(Subject::secrets).filter(|secrets| !secrets.is_empty()) {
                Some(secrets) => secrets.rename(asked, cursor, plan)?,
                None => cursor.skip().map(drop)?,
            }
        } else {
            cursor.skip()?;
        }
    }
    // In the order of Kubernetes `metadata` comes first.
    if let (Some(secrets), Some(spec)) = (subject.as_ref().map(Subject::secrets), parts.spec)
        && parts.metadata > Some(spec)
        && !secrets.is_empty()
    {
        secrets.rename(asked, &mut Cursor::new(source, spec), plan)?;
    }
    Ok(subject)
}

/// Refuses a member that is there twice: it would be read one way here and another way by the client.
pub(super) fn once(part: &mut Option<usize>, start: usize) -> Result<(), Error> {
    match part.replace(start) {
        Some(_) => Err(Error::Syntax { at: start }),
        None => Ok(()),
    }
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
            once(part, start)?;
        }
        Ok(parts)
    }

    /// Plans the edits of the object of which these are the parts; `None` when it does not exist for the client. `depth` is
    /// that of the parts. Behind the `metadata` the document may be incomplete; the offset is where it ends.
    pub(super) fn rewrite<'a>(
        self,
        asked: &Asked,
        source: &'a [u8],
        depth: u32,
        plan: &mut Plan,
    ) -> Result<(Option<Subject<'a>>, usize), Error> {
        let Some(metadata) = self.metadata else { return Ok((None, 0)) };
        let mut cursor = Cursor::within(source, metadata, depth);
        let subject = metadata::rewrite(asked, &mut cursor, source, plan)?;
        if let (Some(spec), Some(secrets)) = (self.spec, subject.as_ref().map(Subject::secrets))
            && !secrets.is_empty()
        {
            secrets.rename(asked, &mut Cursor::within(source, spec, depth), plan)?;
        }
        Ok((subject, cursor.at()))
    }
}
