//! Watch events that are whole in memory.

use std::ops::Range;

use super::object::{self, Parts};
use super::table::{self, Columns};
use super::{Asked, RowObject, status};
use crate::json::{Cursor, Error, Kind, Plan};

/// Where the parts of an event stand.
#[derive(Debug, Default)]
pub(super) struct Event {
    /// `type`
    pub(super) kind: Option<Range<usize>>,
    /// `object`
    pub(super) object: Option<Range<usize>>,
}

impl Event {
    /// Finds the parts of the event at the beginning of `source`.
    pub(super) fn read(source: &[u8]) -> Result<Self, Error> {
        let mut event = Self::default();
        let mut cursor = Cursor::new(source, 0);
        let mut walk = cursor.object()?;
        while let Some(member) = cursor.member(&mut walk)? {
            let value = cursor.skip()?;
            let part = match () {
                () if member.key.is("type") => &mut event.kind,
                () if member.key.is("object") => &mut event.object,
                () => continue,
            };
            if part.replace(value).is_some() {
                return Err(Error::Syntax { at: member.entry.start });
            }
        }
        Ok(event)
    }

    /// Whether it is known to be about an object, before that has come to its end; `source` is what has come.
    pub(super) fn is_about_object(&self, source: &[u8]) -> Result<bool, Error> {
        let Some(kind) = self.kind.as_ref().filter(|kind| !kind.is_empty()) else { return Ok(false) };
        let (_, kind) = Cursor::new(source, kind.start).string()?;
        Ok(!kind.is("BOOKMARK") && !kind.is("ERROR"))
    }

    /// Reads the event before which the cursor stands, and plans its edits, where its `type` comes first and says that it is about an
    /// object: whether that exists for the client. `None`, and edits that mean nothing, for every other event.
    pub(super) fn about_object<'a>(
        asked: &Asked,
        cursor: &mut Cursor<'a>,
        source: &'a [u8],
        plan: &mut Plan,
    ) -> Result<Option<bool>, Error> {
        let (mut kind, mut shown) = (None, None);
        let mut walk = cursor.object()?;
        while let Some(member) = cursor.member(&mut walk)? {
            if member.key.is("type") && kind.is_none() {
                let text = cursor.string()?.1;
                if text.is("BOOKMARK") || text.is("ERROR") {
                    return Ok(None);
                }
                kind = Some(text);
            } else if member.key.is("object") && kind.is_some() && shown.is_none() {
                shown = Some(object::rewrite(asked, cursor, source, plan)?.is_some());
            } else {
                return Ok(None);
            }
        }
        Ok(shown)
    }

    /// Plans the edits of an event whose object has these parts; false when it does not happen for the client.
    pub(super) fn rewrite(&self, asked: &Asked, source: &[u8], parts: Parts, plan: &mut Plan) -> Result<bool, Error> {
        match self.class(source)? {
            Class::Bookmark(_) => Ok(true),
            Class::Error(object) => Ok(report(asked, source, object, plan)),
            Class::Object(_) => parts.rewrite(asked, source, 0, plan).map(|(subject, _)| subject.is_some()),
        }
    }

    /// The same of an event whose object is a Table.
    pub(super) fn rewrite_table(
        &self,
        asked: &Asked,
        show: RowObject,
        source: &[u8],
        columns: &mut Columns,
        plan: &mut Plan,
    ) -> Result<bool, Error> {
        match self.class(source)? {
            Class::Bookmark(object) => table::bookmark(source, object.start, columns, plan).map(|()| true),
            Class::Error(object) => Ok(report(asked, source, object, plan)),
            Class::Object(object) => table::whole(asked, show, source, object.start, columns, plan),
        }
    }

    /// An event of a type that is not known is taken for one about an object: it is shown only when the object is.
    fn class(&self, source: &[u8]) -> Result<Class, Error> {
        let (Some(kind), Some(object)) = (&self.kind, &self.object) else {
            return Err(Error::Syntax { at: source.len() });
        };
        let (_, kind) = Cursor::new(source, kind.start).string()?;
        let object = object.clone();
        if Cursor::new(source, object.start).kind()? != Kind::Object {
            return Err(Error::Syntax { at: object.start });
        }
        Ok(match () {
            () if kind.is("BOOKMARK") => Class::Bookmark(object),
            () if kind.is("ERROR") => Class::Error(object),
            () => Class::Object(object),
        })
    }
}

/// What an event is about.
enum Class {
    /// Nothing but a resource version: it passes as it is (wire rule 7.8).
    Bookmark(Range<usize>),
    /// A `Status` (wire rule 7.9).
    Error(Range<usize>),
    Object(Range<usize>),
}

/// Plans that the failure in an event says local names. One that is not understood passes as it is: the client must be told.
fn report(asked: &Asked, source: &[u8], object: Range<usize>, plan: &mut Plan) -> bool {
    if let Some(status) = status::status(asked, &source[object.clone()]) {
        plan.replace(object, &[status.to_json().trim_ascii_end()]);
    }
    true
}
