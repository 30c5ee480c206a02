//! Tables: rows whose cells come before the object that tells the origin (wire rules 7.12 to 7.14).

use super::metadata::Subject;
use super::{Asked, RowObject, object};
use crate::json::{Cursor, Error, Kind, Plan, Weeder};

/// Plans the edits of the row at offset `at`; false when it does not exist for the client, as a row without an object, which
/// cannot be verified.
pub(super) fn row(asked: &Asked, show: RowObject, source: &[u8], at: usize, plan: &mut Plan) -> Result<bool, Error> {
    let mut cursor = Cursor::new(source, at);
    if cursor.kind()? != Kind::Object {
        return Ok(false);
    }
    let (mut cells, mut object) = (None, None);
    let mut walk = cursor.object()?;
    while let Some(member) = cursor.member(&mut walk)? {
        let value = cursor.skip()?;
        let part = match () {
            () if member.key.is("cells") => &mut cells,
            () if member.key.is("object") => &mut object,
            () => continue,
        };
        if part.replace(value).is_some() {
            return Err(Error::Syntax { at: member.entry.start });
        }
    }
    let Some(object) = object.filter(|object| source[object.start] == b'{') else { return Ok(false) };
    let mark = plan.mark();
    let Some(subject) = object::rewrite(asked, source, object.start, plan)? else { return Ok(false) };
    if show == RowObject::Null {
        plan.undo(mark);
        plan.replace(object, &[b"null"]);
    }
    if let Some(cells) = cells {
        rename_cells(&subject, source, cells.start, plan)?;
    }
    Ok(true)
}

/// The cell of the column `Name` is the object's name, and user columns may repeat it or show the connection secret: whatever
/// says exactly one of the two remote names says the local one instead. All others are the user's.
fn rename_cells(subject: &Subject<'_>, source: &[u8], at: usize, plan: &mut Plan) -> Result<(), Error> {
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
            plan.replace_string(cell, &subject.origin.name);
        } else if let Some(secret) = subject.secret.as_ref().filter(|secret| text.is(secret.remote.as_str())) {
            plan.replace_string(cell, &secret.local);
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
        return object::rewrite(asked, source, at, plan).map(|subject| subject.is_some());
    }
    let mut weeder = Weeder::default();
    if let Some(rows) = parts.rows {
        let mut cursor = Cursor::new(source, rows);
        if cursor.kind()? == Kind::Array {
            let mut walk = cursor.array()?;
            while let Some(entry) = cursor.element(&mut walk)? {
                let end = cursor.skip()?.end;
                let mark = weeder.lead(source, entry, plan);
                if row(asked, show, source, entry.start, plan)? {
                    weeder.keep();
                } else {
                    weeder.remove(mark, entry, end, plan);
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
