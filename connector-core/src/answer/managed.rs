//! `metadata.managedFields` without a trace of ours (wire rule 8.11).

use serde_json::value::RawValue;

use super::metadata::Owners;
use crate::json::{Cursor, Entry, Error, Kind, Member, Plan, Weeder};
use crate::origin::{ANNOTATION_OWNERS, RESERVED_PREFIX};

/// How `fieldsV1` writes the name of a field.
const FIELD: &str = "f:";
const OWNER_FIELDS: &str = "f:ownerReferences";

/// Reads the array before which the cursor stands and plans its edits; false, and no edits, when nothing of it is left. A value
/// that is no array stays.
pub(super) fn rewrite<'a>(
    cursor: &mut Cursor<'a>,
    source: &'a [u8],
    owners: Option<&Owners>,
    plan: &mut Plan,
) -> Result<bool, Error> {
    if cursor.kind()? != Kind::Array {
        return cursor.skip().map(|_| true);
    }
    let all = plan.mark();
    let mut fields = Fields { source, cursor, owners, plan };
    let mut walk = fields.cursor.array()?;
    let mut weeder = Weeder::default();
    while let Some(entry) = fields.cursor.element(&mut walk)? {
        let mark = weeder.lead(source, entry, fields.plan);
        if fields.manager()? {
            weeder.keep();
        } else {
            weeder.remove(mark, entry, fields.cursor.at(), fields.plan);
        }
    }
    let left = weeder.kept() > 0 || !weeder.has_removed();
    if !left {
        plan.undo(all);
    }
    Ok(left)
}

/// What a user sees of each entry of `managedFields`, given as JSON, beside what is stored; `None` for what is hidden. `owners`
/// is the text of the user's owner references.
pub(crate) fn shown(managed: &str, owners: Option<&str>) -> Vec<(Option<String>, String)> {
    let entries: Vec<&RawValue> = serde_json::from_str(managed).unwrap_or_default();
    let owners = owners.and_then(Owners::parse);
    let local = |stored: &str| {
        let source = format!("[{stored}]").into_bytes();
        let mut plan = Plan::default();
        let left = rewrite(&mut Cursor::new(&source, 0), &source, owners.as_ref(), &mut plan).ok()?;
        let mut out = Vec::with_capacity(source.len());
        plan.apply(&source, &mut out);
        let text = String::from_utf8(out).ok().filter(|_| left)?;
        Some(text.strip_prefix('[')?.strip_suffix(']')?.to_owned())
    };
    entries.into_iter().map(|entry| (local(entry.get()), entry.get().to_owned())).collect()
}

/// A walk over the field sets. Each step reads one value and tells whether any of it is left; what was empty before stays.
struct Fields<'a, 'p> {
    source: &'a [u8],
    cursor: &'p mut Cursor<'a>,
    owners: Option<&'p Owners>,
    plan: &'p mut Plan,
}

impl<'a> Fields<'a, '_> {
    /// One manager's entry; it goes when its fields do.
    fn manager(&mut self) -> Result<bool, Error> {
        if self.cursor.kind()? != Kind::Object {
            return self.cursor.skip().map(|_| true);
        }
        let mut walk = self.cursor.object()?;
        let mut left = true;
        while let Some(key) = self.cursor.container(&mut walk)? {
            if key.is("fieldsV1") && self.cursor.kind()? == Kind::Object {
                left &=
                    self.weed(|this, member| if member.key.is("f:metadata") { this.metadata() } else { this.skip() })?;
            } else {
                self.cursor.skip()?;
            }
        }
        Ok(left)
    }

    /// `f:metadata`: our labels and annotations go, and whatever was set of the remote owner references. Who set the
    /// annotation that holds the user's references has set these references.
    fn metadata(&mut self) -> Result<bool, Error> {
        if self.cursor.kind()? != Kind::Object {
            return self.skip();
        }
        let mut set_owners = false;
        // Behind which member `f:ownerReferences` stand in sorted order.
        let mut anchor: Option<usize> = None;
        let mut weeder = Weeder::default();
        let mut walk = self.cursor.object()?;
        let open = walk.open();
        while let Some(member) = self.cursor.member(&mut walk)? {
            let mark = weeder.lead(self.source, member.entry, self.plan);
            let left = if member.key.is("f:labels") || member.key.is("f:annotations") {
                self.keys(&mut set_owners)?
            } else {
                self.skip()? && !member.key.is(OWNER_FIELDS)
            };
            if left {
                weeder.keep();
                if member.key.with(|key| *key < *OWNER_FIELDS.as_bytes()) {
                    anchor = Some(self.cursor.at());
                }
            } else {
                weeder.remove(mark, member.entry, self.cursor.at(), self.plan);
            }
        }
        let Some(owners) = self.owners.filter(|_| set_owners) else {
            return Ok(weeder.kept() > 0 || !weeder.has_removed());
        };
        let (at, before, behind) = match anchor {
            Some(end) => (end, ",", ""),
            None if weeder.kept() > 0 => (open, "", ","),
            None => (open, "", ""),
        };
        let fields = owners.fields();
        let parts = [before, "\"", OWNER_FIELDS, "\":", &fields, behind];
        self.plan.replace(at..at, &parts.map(str::as_bytes));
        Ok(true)
    }

    /// The keys of `f:labels` or `f:annotations`: ours go, and with them the mark of the map itself when it is all that is left.
    fn keys(&mut self, set_owners: &mut bool) -> Result<bool, Error> {
        if self.cursor.kind()? != Kind::Object {
            return self.skip();
        }
        let mut users = false;
        let mut ours = false;
        let any = self.weed(|this, member| {
            let (reserved, owners) = member.key.with(|key| {
                let name = key.strip_prefix(FIELD.as_bytes()).unwrap_or_default();
                let reserved = name.starts_with(RESERVED_PREFIX.as_bytes());
                (reserved, reserved && name == ANNOTATION_OWNERS.as_bytes())
            });
            *set_owners |= owners;
            ours |= reserved;
            users |= !reserved && !member.key.is(".");
            this.skip()?;
            Ok(!reserved)
        })?;
        Ok(any && (users || !ours))
    }

    /// Goes over an object and takes away the members of which `left` says that nothing is left; the object is gone with them.
    #[inline(always)]
    fn weed(&mut self, mut left: impl FnMut(&mut Self, Member<'a>) -> Result<bool, Error>) -> Result<bool, Error> {
        let mut weeder = Weeder::default();
        let mut walk = self.cursor.object()?;
        while let Some(member) = self.cursor.member(&mut walk)? {
            let entry: Entry = member.entry;
            let mark = weeder.lead(self.source, entry, self.plan);
            if left(self, member)? {
                weeder.keep();
            } else {
                weeder.remove(mark, entry, self.cursor.at(), self.plan);
            }
        }
        Ok(weeder.kept() > 0 || !weeder.has_removed())
    }

    #[inline(always)]
    fn skip(&mut self) -> Result<bool, Error> {
        self.cursor.skip().map(|_| true)
    }
}
