//! Tables: rows whose cells come before the object that tells the origin (wire rules 7.12 to 7.14).

use super::metadata::Subject;
use super::object::once;
use super::secrets::is_remote;
use super::{Asked, RowObject, object};
use crate::json::{Cursor, Error, Kind, Plan, Weeder};

/// Reads the row before which the cursor stands and plans its edits; false, and edits that mean nothing, when it does not exist
/// for the client, as a row without an object, which cannot be verified.
pub(super) fn row<'a>(
    asked: &Asked,
    show: RowObject,
    cursor: &mut Cursor<'a>,
    source: &'a [u8],
    plan: &mut Plan,
) -> Result<bool, Error> {
    if cursor.kind()? != Kind::Object {
        return cursor.skip().map(|_| false);
    }
    let (mut cells, mut object, mut subject) = (None, None, None);
    let mut walk = cursor.object()?;
    while let Some(member) = cursor.member(&mut walk)? {
        let kind = cursor.kind()?;
        let start = cursor.at();
        if member.key.is("cells") {
            once(&mut cells, start)?;
            cursor.skip()?;
        } else if member.key.is("object") {
            once(&mut object, start)?;
            if kind != Kind::Object {
                cursor.skip()?;
                continue;
            }
            let mark = plan.mark();
            subject = object::rewrite(asked, cursor, source, plan)?;
            if show == RowObject::Null {
                plan.undo(mark);
                plan.replace(start..cursor.at(), &[b"null"]);
            }
        } else {
            cursor.skip()?;
        }
    }
    let Some(subject) = subject else { return Ok(false) };
    if let Some(cells) = cells {
        rename_cells(asked, &subject, source, cells, plan)?;
    }
    Ok(true)
}

/// The cell of the column `Name` is the object's name, and user columns may repeat it or show a Secret: whatever says
/// exactly one of the remote names says the local one instead. All others are the user's.
fn rename_cells(asked: &Asked, subject: &Subject<'_>, source: &[u8], at: usize, plan: &mut Plan) -> Result<(), Error> {
    let mut cursor = Cursor::new(source, at);
    if cursor.kind()? != Kind::Array {
        return Ok(());
    }
    let Some(remote_name) = subject.remote_name.decode() else { return Ok(()) };
    let mut walk = cursor.array()?;
    while cursor.element(&mut walk)?.is_some() {
        if cursor.kind()? != Kind::String {
            cursor.skip()?;
            continue;
        }
        let (cell, text) = cursor.string()?;
        if text.is(&remote_name) {
            subject.origin.name.put(cell, plan);
        } else if let Some(secret) = subject.secret.as_ref().filter(|secret| is_remote(asked, secret, text)) {
            secret.name.put(cell, plan);
        } else if let Some(named) = subject.configured.iter().find(|named| text.is(&named.remote)) {
            plan.replace_string(cell, &named.local);
        }
    }
    Ok(())
}

/// The column definitions of a watch. Only its first event has them (wire rule 7.10): when that one is withheld, the next must
/// bring them.
#[derive(Debug, Default)]
pub(super) struct Columns(Option<Vec<u8>>);

/// Where the parts of a Table stand.
#[derive(Debug, Default)]
struct Parts {
    columns: Option<std::ops::Range<usize>>,
    rows: Option<usize>,
    is_table: bool,
}

impl Parts {
    fn read(source: &[u8], at: usize) -> Result<Self, Error> {
        let mut parts = Self::default();
        let mut cursor = Cursor::new(source, at);
        let mut walk = cursor.object()?;
        while let Some(member) = cursor.member(&mut walk)? {
            let key = member.key;
            if key.is("kind") && cursor.kind()? == Kind::String {
                parts.is_table |= cursor.string()?.1.is("Table");
                continue;
            }
            let value = cursor.skip()?;
            let again = match () {
                () if key.is("columnDefinitions") => parts.columns.replace(value).is_some(),
                () if key.is("rows") => parts.rows.replace(value.start).is_some(),
                () => false,
            };
            if again {
                return Err(Error::Syntax { at: member.entry.start });
            }
        }
        parts.is_table |= parts.rows.is_some();
        Ok(parts)
    }
}

/// Plans the edits of the Table at offset `at`, which is whole in memory, or of the object that came instead of one; false when
/// no row of it exists for the client.
pub(super) fn whole(
    asked: &Asked,
    show: RowObject,
    source: &[u8],
    at: usize,
    columns: &mut Columns,
    plan: &mut Plan,
) -> Result<bool, Error> {
    let parts = Parts::read(source, at)?;
    if !parts.is_table {
        return object::rewrite(asked, &mut Cursor::new(source, at), source, plan).map(|subject| subject.is_some());
    }
    let mut weeder = Weeder::default();
    if let Some(rows) = parts.rows {
        let mut cursor = Cursor::new(source, rows);
        if cursor.kind()? == Kind::Array {
            let mut walk = cursor.array()?;
            while let Some(entry) = cursor.element(&mut walk)? {
                let mark = weeder.lead(source, entry, plan);
                if row(asked, show, &mut cursor, source, plan)? {
                    weeder.keep();
                } else {
                    weeder.remove(mark, entry, cursor.at(), plan);
                }
            }
        }
    }
    let shown = weeder.kept() > 0;
    columns.pass(source, &parts, shown, plan);
    Ok(shown)
}

/// Plans the edits of the Table in a bookmark, whose row is nobody's and passes as it is (wire rules 7.8, 7.10).
pub(super) fn bookmark(source: &[u8], at: usize, columns: &mut Columns, plan: &mut Plan) -> Result<(), Error> {
    let parts = Parts::read(source, at)?;
    columns.pass(source, &parts, true, plan);
    Ok(())
}

impl Columns {
    fn pass(&mut self, source: &[u8], parts: &Parts, shown: bool, plan: &mut Plan) {
        let Some(range) = parts.columns.clone() else { return };
        let has_columns = source[range.start] == b'[';
        match (shown, has_columns) {
            (true, true) => self.0 = None,
            (true, false) => {
                if let Some(columns) = self.0.take() {
                    plan.replace(range, &[&columns]);
                }
            }
            (false, true) => self.0 = Some(source[range].to_vec()),
            (false, false) => {}
        }
    }
}
