//! The `metadata` of one object: whose the object is, and how it looks locally.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::secrets::{Named, Secrets};
use super::{Asked, applied, managed};
use crate::json::{Cursor, Entry, Error, Kind, Member, Plan, Text, Weeder};
use crate::origin::{
    ANNOTATION_CONNECTION_SECRET, ANNOTATION_NAME, ANNOTATION_OWNERS, LABEL_CLUSTER, LABEL_NAME, LABEL_NAMESPACE,
    Origin, RESERVED_PREFIX,
};

/// An object that exists for the client.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    /// What it is locally.
    pub(super) origin: Origin<Said<'a>>,
    /// What it is called remotely.
    pub(super) remote_name: Text<'a>,
    /// What the user calls the connection secret, unless there is none.
    pub(super) secret: Option<Origin<Said<'a>>>,
    /// What the user calls the Secrets at configured fields.
    pub(super) configured: Vec<Named>,
}

impl<'a> Subject<'a> {
    /// The Secrets that it names.
    pub(super) fn secrets(&self) -> Secrets<'_, Said<'a>> {
        Secrets { conventional: self.secret.as_ref(), configured: &self.configured }
    }
}

/// A string of the document, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Said<'a> {
    text: Text<'a>,
    said: Cow<'a, str>,
}

impl<'a> Said<'a> {
    fn of(text: Text<'a>) -> Option<Self> {
        Some(Self { text, said: text.decode()? })
    }

    /// Puts it in the place of another value.
    pub(super) fn put(&self, value: Range<usize>, plan: &mut Plan) {
        match self.said {
            Cow::Borrowed(_) => plan.replace(value, &[self.text.quoted()]),
            Cow::Owned(_) => plan.replace_string(value, &self.said),
        }
    }
}

impl AsRef<str> for Said<'_> {
    fn as_ref(&self) -> &str {
        &self.said
    }
}

/// Reads the `metadata` before which the cursor stands and plans its edits.
///
/// `None`, and no edits, when the object does not exist for the client: it is not what was asked for, or does not say whose
/// it is.
pub(super) fn rewrite<'a>(
    asked: &Asked,
    cursor: &mut Cursor<'a>,
    source: &'a [u8],
    plan: &mut Plan,
) -> Result<Option<Subject<'a>>, Error> {
    let mark = plan.mark();
    if cursor.kind()? != Kind::Object {
        return cursor.skip().map(|_| None);
    }
    let start = cursor.at();
    let members = Members::read(asked, cursor, source, plan)?;
    let Some((subject, name)) = members.subject(asked) else {
        plan.undo(mark);
        return Ok(None);
    };
    subject.origin.name.put(name.value.clone(), plan);
    if let Some(namespace) = &members.spots[NAMESPACE] {
        subject.origin.namespace.put(namespace.value.clone(), plan);
    }
    for (spot, weeded) in [(LABELS, &members.labels), (ANNOTATIONS, &members.annotations)] {
        if let (Some(spot), true) = (&members.spots[spot], weeded.emptied) {
            spot.remove(name, plan);
        }
    }
    if let Some((value, text)) = &members.annotations.applied
        && let Some(text) = applied::local(asked, *text)
    {
        plan.replace_string(value.clone(), &text);
    }
    members.restore_owners(source, start, name, plan);
    if let Some(spot) = &members.spots[MANAGED] {
        let left = match members.managed_left {
            Some(left) => left,
            None => {
                managed::rewrite(&mut Cursor::new(source, spot.value.start), source, members.owners.as_ref(), plan)?
            }
        };
        if !left {
            spot.remove(name, plan);
        }
    }
    Ok(Some(subject))
}

const NAME: usize = 0;
const NAMESPACE: usize = 1;
const LABELS: usize = 2;
const ANNOTATIONS: usize = 3;
const OWNERS: usize = 4;
const MANAGED: usize = 5;
const OWNER_REFERENCES: &str = "ownerReferences";

/// What one pass over `metadata` finds.
#[derive(Default)]
struct Members<'a> {
    /// Where the members stand that have a number.
    spots: [Option<Spot>; 6],
    remote_name: Option<Text<'a>>,
    labels: Weeded<'a>,
    annotations: Weeded<'a>,
    /// The references that the annotations hold.
    owners: Option<Owners>,
    /// Whether anything is left of `managedFields`; unset where they could not be read yet.
    managed_left: Option<bool>,
}

/// Where a member of `metadata` stands.
struct Spot {
    entry: Entry,
    value: Range<usize>,
    /// Where the next member begins; unset for the last.
    next: Option<usize>,
}

impl Spot {
    /// Takes the member away. `name` always stays, so a member before it goes with the comma behind it, one behind it with the
    /// comma before it, and all commas are right whatever else goes.
    fn remove(&self, name: &Self, plan: &mut Plan) {
        match self.next {
            Some(next) if self.entry.start < name.entry.start => plan.remove(self.entry.start..next),
            _ => remove_behind_name(self.entry, self.value.end, plan),
        }
    }
}

/// Takes a member away that stands behind `name`, which stays.
pub(super) fn remove_behind_name(entry: Entry, end: usize, plan: &mut Plan) {
    plan.remove(entry.lead..end);
}

impl<'a> Members<'a> {
    fn read(asked: &Asked, cursor: &mut Cursor<'a>, source: &'a [u8], plan: &mut Plan) -> Result<Self, Error> {
        let mut walk = cursor.object()?;
        let mut all = Self::default();
        // Only then they are looked for.
        all.annotations.secrets = asked.references.as_ref().map(|_| Vec::new());
        let mut last: Option<usize> = None;
        while let Some(Member { key, entry }) = cursor.member(&mut walk)? {
            if let Some(spot) = last.take().and_then(|last| all.spots[last].as_mut()) {
                spot.next = Some(entry.start);
            }
            let found = key.with(|key| {
                Some(match key {
                    b"name" => NAME,
                    b"namespace" => NAMESPACE,
                    b"labels" => LABELS,
                    b"annotations" => ANNOTATIONS,
                    b"ownerReferences" => OWNERS,
                    b"managedFields" => MANAGED,
                    _ => return None,
                })
            });
            // What is there twice would be read one way here and another way by the client.
            if found.is_some_and(|found| all.spots[found].is_some()) {
                return Err(Error::Syntax { at: entry.start });
            }
            let value = match (found, cursor.kind()?) {
                (Some(NAME), Kind::String) => {
                    let (value, text) = cursor.string()?;
                    all.remote_name = Some(text);
                    value
                }
                (Some(LABELS), Kind::Object) => {
                    all.labels.read([LABEL_CLUSTER, LABEL_NAMESPACE, LABEL_NAME], cursor, source, plan)?;
                    all.labels.whole.clone()
                }
                (Some(ANNOTATIONS), Kind::Object) => {
                    let wanted = [ANNOTATION_NAME, ANNOTATION_OWNERS, ANNOTATION_CONNECTION_SECRET];
                    all.annotations.read(wanted, cursor, source, plan)?;
                    all.owners = all.annotations.values[1].and_then(|owners| Owners::parse(&owners.decode()?));
                    all.annotations.whole.clone()
                }
                // Whose references a manager has set is known by the annotations. Kubernetes writes these before, in both
                // orders; else the fields are passed over and read at the end.
                (Some(MANAGED), _) if all.spots[ANNOTATIONS].is_some() => {
                    let start = cursor.at();
                    all.managed_left = Some(managed::rewrite(cursor, source, all.owners.as_ref(), plan)?);
                    start..cursor.at()
                }
                _ => cursor.skip()?,
            };
            if let Some(found) = found {
                all.spots[found] = Some(Spot { entry, value, next: None });
                last = Some(found);
            }
        }
        Ok(all)
    }

    /// Whose the object is, if it is what was asked for; and its member `name`.
    fn subject(&self, asked: &Asked) -> Option<(Subject<'a>, &Spot)> {
        let name = self.spots[NAME].as_ref()?;
        let remote_name = self.remote_name?;
        let [cluster, namespace, label] = self.labels.values;
        let [full_name, _, secret] = self.annotations.values;
        let find = |key: &str| match key {
            LABEL_CLUSTER => cluster.and_then(Said::of),
            LABEL_NAMESPACE => namespace.and_then(Said::of),
            LABEL_NAME => label.and_then(Said::of),
            _ => None,
        };
        let origin = asked.scheme.origin(find, |_| full_name.and_then(Said::of))?;
        if !asked.covers(&origin) {
            return None;
        }
        let secret = secret.and_then(Said::of).map(|name| Origin { namespace: origin.namespace.clone(), name });
        let said = self.annotations.secrets.iter().flatten();
        let configured =
            said.filter_map(|(key, value)| Named::read(asked, origin.namespace.as_ref(), *key, *value)).collect();
        Some((Subject { origin, remote_name, secret, configured }, name))
    }

    /// Puts the user's owner references where they were (wire rule 6.9): in the place of those that were set remotely, or
    /// where the order of the members wants them.
    fn restore_owners(&self, source: &[u8], start: usize, name: &Spot, plan: &mut Plan) {
        let structured = self.spots[LABELS].as_ref().is_some_and(|labels| name.entry.start < labels.entry.start);
        match (&self.spots[OWNERS], &self.owners) {
            (Some(spot), Some(owners)) => plan.replace(spot.value.clone(), &[owners.json(structured).as_bytes()]),
            (Some(spot), None) => spot.remove(name, plan),
            (None, Some(owners)) => {
                let Ok(Some((like, end))) = self.anchor(source, start, structured) else { return };
                // The same whitespace as before the neighbour.
                let space = source[like.lead..like.start].trim_ascii_start().strip_prefix(b",");
                let space = space.unwrap_or(&source[like.lead..like.start]);
                let colon: &[u8] = if space.is_empty() { b"\":" } else { b"\": " };
                let key = OWNER_REFERENCES.as_bytes();
                plan.replace(end..end, &[b",", space, b"\"", key, colon, owners.json(structured).as_bytes()]);
            }
            (None, None) => {}
        }
    }

    /// The member behind which `ownerReferences` stand, and its end: in the order of the struct, or sorted.
    fn anchor(&self, source: &[u8], start: usize, structured: bool) -> Result<Option<(Entry, usize)>, Error> {
        let mut cursor = Cursor::new(source, start);
        let mut walk = cursor.object()?;
        let mut anchor = None;
        while let Some(Member { key, entry }) = cursor.member(&mut walk)? {
            let end = cursor.skip()?.end;
            let stays = match () {
                () if key.is("labels") => !self.labels.emptied,
                () if key.is("annotations") => !self.annotations.emptied,
                () => !key.is(OWNER_REFERENCES) && !key.is("managedFields"),
            };
            let comes_before = match structured {
                true => !key.is("finalizers"),
                false => key.decode().is_some_and(|key| *key < *OWNER_REFERENCES),
            };
            if stays && comes_before {
                anchor = Some((entry, end));
            }
        }
        Ok(anchor)
    }
}

/// Labels or annotations without what is ours.
#[derive(Default)]
struct Weeded<'a> {
    whole: Range<usize>,
    /// Nothing is left, because of us.
    emptied: bool,
    /// The values of the keys that were wanted.
    values: [Option<Text<'a>>; 3],
    /// Key and value of what else is ours; `None` where nobody asks for it.
    secrets: Option<Vec<(Text<'a>, Text<'a>)>>,
    /// What kubectl applied, where that may be in remote terms.
    applied: Option<(Range<usize>, Text<'a>)>,
}

impl<'a> Weeded<'a> {
    /// Reads an object and plans that all members under [`RESERVED_PREFIX`] go; none when the object goes with them.
    #[inline(always)]
    fn read(
        &mut self,
        wanted: [&str; 3],
        cursor: &mut Cursor<'a>,
        source: &'a [u8],
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let all = plan.mark();
        let start = cursor.at();
        let mut walk = cursor.object()?;
        let mut weeder = Weeder::default();
        while let Some(Member { key, entry }) = cursor.member(&mut walk)? {
            let mark = weeder.lead(source, entry, plan);
            if !key.starts_with(RESERVED_PREFIX) {
                if key.is(applied::KEY) && cursor.kind()? == Kind::String {
                    self.applied =
                        Some(cursor.string()?).filter(|(value, _)| applied::is_remote(&source[value.clone()]));
                } else {
                    cursor.skip()?;
                }
                weeder.keep();
                continue;
            }
            if cursor.kind()? != Kind::String {
                cursor.skip()?;
            } else {
                let text = cursor.string()?.1;
                if let Some(slot) = wanted.iter().position(|wanted| key.is(wanted)) {
                    // What is there twice would be read one way here and another way by the control plane.
                    if self.values[slot].replace(text).is_some_and(|other| other.decode() != text.decode()) {
                        return Err(Error::Syntax { at: entry.start });
                    }
                } else if let Some(secrets) = &mut self.secrets {
                    secrets.push((key, text));
                }
            }
            weeder.remove(mark, entry, cursor.at(), plan);
        }
        self.emptied = weeder.kept() == 0 && weeder.has_removed();
        if self.emptied {
            plan.undo(all);
        }
        self.whole = start..cursor.at();
        Ok(())
    }
}

/// The user's owner references, as they were put away.
pub(super) struct Owners {
    json: String,
    uids: Vec<String>,
}

impl Owners {
    /// `None` when there are none, or the text is not an array of references: then nobody's are shown.
    pub(super) fn parse(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Reference {
            uid: String,
        }
        let references: Vec<Reference> = serde_json::from_str(json).ok()?;
        let mut uids: Vec<String> = references.into_iter().map(|reference| reference.uid).collect();
        uids.sort_unstable();
        uids.dedup();
        (!uids.is_empty()).then(|| Self { json: json.to_owned(), uids })
    }

    /// The value of `ownerReferences`: as it was put away, which is how an object has it; or as PartialObjectMetadata has it,
    /// in the order of the struct.
    fn json(&self, structured: bool) -> Cow<'_, str> {
        const STRUCT: [&str; 6] = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
        let references = serde_json::from_str::<Vec<BTreeMap<String, &RawValue>>>(&self.json);
        let (true, Ok(references)) = (structured, references) else { return Cow::Borrowed(&self.json) };
        let member = |key: &str, value: &RawValue| format!("{}:{}", serde_json::Value::from(key), value.get());
        let told = references.iter().map(|reference| {
            let known = STRUCT.iter().filter_map(|key| Some((*key, *reference.get(*key)?)));
            let others = reference.iter().filter(|(key, _)| !STRUCT.contains(&key.as_str()));
            let members = known.chain(others.map(|(key, value)| (key.as_str(), *value)));
            format!("{{{}}}", members.map(|(key, value)| member(key, value)).collect::<Vec<_>>().join(","))
        });
        Cow::Owned(format!("[{}]", told.collect::<Vec<_>>().join(",")))
    }

    /// What `managedFields` say of whoever set the references: the value of `f:ownerReferences`.
    pub(super) fn fields(&self) -> String {
        let mut fields = String::from("{\".\":{}");
        for uid in &self.uids {
            let key = format!("k:{{\"uid\":{}}}", serde_json::Value::from(uid.as_str()));
            fields.push_str(&format!(",{}:{{}}", serde_json::Value::from(key)));
        }
        fields.push('}');
        fields
    }
}
