//! The rewriter of answers that come in chunks.

mod at_once;
mod end;

use bytes::{Bytes, BytesMut};

use super::event::Event as WatchEvent;
use super::hold::{Hold, Mode, Reach};
use super::object::Parts;
use super::out::{Out, Target};
use super::secrets::Named;
use super::table::Columns;
use super::{AnswerError, Asked, Shape};
use crate::json::{Event, Kind, Plan, Scanner, Sink, Weeder};
use crate::origin::Origin;

/// Rewrites one answer, chunk by chunk, whatever the chunks.
///
/// Call order: [`Self::push`] for each chunk, then [`Self::finish`] once. After an error it is of no more use, and the answer to
/// the client must be broken off.
///
/// Of an object in a list only what comes before the end of its `metadata` is held back, of a Table one row, of a watch one
/// event; at most [`MAX_HELD`](super::MAX_HELD) bytes. Everything else goes out with the chunk in which it came, an event with the chunk that
/// ends it. At the end of a watch's chunk nothing is kept but the beginning of an event.
///
/// It allocates for a chunk, not for an object. Parts of 4 KiB and more that are as they came are slices of the chunk, which they
/// keep in memory; shorter ones are copied together.
///
/// ```
/// # use std::sync::Arc;
/// use connector_core::answer::{Asked, Rewriter, Shape};
/// use connector_core::origin::{Form, Hashed};
///
/// let scheme = Arc::new(Hashed { cluster: "c1".parse()?, claim_namespace: "claims".into() });
/// let asked = Asked { scheme, form: Form::Claim, namespace: Some("team".into()), name: None, references: None };
/// let mut rewriter = Rewriter::new(asked, Shape::List);
/// let mut out = Vec::new();
/// rewriter.push(r#"{"apiVersion":"v1","items":[{"metadata":{"labels":{"mcp-connector.upbound.io/app-cluster":"c1","#.into(), &mut out)?;
/// rewriter.push(r#""mcp-connector.upbound.io/app-namespace":"team","mcp-connector.upbound.io/app-resource-name":"db"},"#.into(), &mut out)?;
/// rewriter.push(r#""name":"claim-0123456789abcdef","namespace":"claims"},"spec":{}}],"kind":"List"}"#.into(), &mut out)?;
/// rewriter.finish()?;
/// assert_eq!(out.concat(), br#"{"apiVersion":"v1","items":[{"metadata":{"name":"db","namespace":"team"},"spec":{}}],"kind":"List"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rewriter {
    asked: Asked,
    shape: Shape,
    scanner: Scanner,
    place: Place,
    hold: Hold,
    /// The member whose value comes next, at the level that the scanner is in.
    member: Member,
    list: List,
    item: Item,
    event: WatchEvent,
    columns: Columns,
    /// The length of what was last read at once: the next one is taken to be as long.
    usual: usize,
    /// What the user calls the connection secret of the object that is being gone through, where [`Item::names_secret`].
    secret: Origin,
    /// What the user calls the Secrets at its configured fields, where [`Item::renames`].
    configured: Vec<Named>,
    plan: Plan,
    scratch: BytesMut,
    failed: Option<AnswerError>,
}

/// What the scanner is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a document.
    Start,
    /// A document that is held whole: a Table in an event, or of one object.
    Whole,
    /// The outermost object of a list or Table.
    Root,
    /// The array of a list's objects, of a Table's rows.
    Items,
    Rows,
    /// An object, wherever it stands.
    Item,
    /// A watch event.
    Event,
}

/// The members that matter somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Metadata,
    Spec,
    Items,
    Rows,
    Type,
    Object,
    Other,
}

impl Member {
    fn of(key: Option<&[u8]>) -> Self {
        match key {
            Some(b"metadata") => Self::Metadata,
            Some(b"spec") => Self::Spec,
            Some(b"items") => Self::Items,
            Some(b"rows") => Self::Rows,
            Some(b"type") => Self::Type,
            Some(b"object") => Self::Object,
            _ => Self::Other,
        }
    }
}

/// The array that is being gone through.
#[derive(Debug, Default)]
struct List {
    weeder: Weeder,
    /// Where the element stands, counted from the beginning of what is held.
    element: usize,
}

/// The object that is being gone through.
#[derive(Debug, Default)]
struct Item {
    /// Where its parts stand, counted from the beginning of what is held.
    parts: Parts,
    state: ItemState,
    /// Whether `spec` comes yet and may name Secrets.
    renames: bool,
    /// Whether one of them can be the conventional one.
    names_secret: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ItemState {
    /// Its `metadata` has not come, or it is part of an event that is held whole.
    #[default]
    Undecided,
    Shown,
    Dropped,
}

impl Rewriter {
    /// A rewriter of the answer to one request.
    pub fn new(asked: Asked, shape: Shape) -> Self {
        let mode = match shape {
            Shape::Object | Shape::ObjectTable(_) => Mode::Hold,
            Shape::List | Shape::Table(_) => Mode::Pass,
            Shape::Watch | Shape::TableWatch(_) => Mode::Drop,
        };
        Self {
            asked,
            shape,
            scanner: Scanner::new(),
            place: Place::Start,
            hold: Hold::new(mode),
            member: Member::Other,
            list: List::default(),
            item: Item::default(),
            event: WatchEvent::default(),
            columns: Columns::default(),
            usual: 0,
            secret: Origin { namespace: String::new(), name: String::new() },
            configured: Vec::new(),
            plan: Plan::default(),
            scratch: BytesMut::new(),
            failed: None,
        }
    }

    /// Takes the next chunk and puts what can go out behind `out`.
    ///
    /// # Errors
    /// Those of [`AnswerError`] except [`AnswerError::Truncated`]; the same again on every further call.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), AnswerError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let target = Target::Parts { chunk: &chunk, copied: &mut scratch, parts: out };
        self.take(Out { chunk: &chunk, target })?;
        if !self.shape.is_watch() {
            self.scratch = scratch;
        }
        Ok(())
    }

    /// The same, but all that can go out is copied behind `out`: for who wants it in one piece.
    ///
    /// # Errors
    /// Those of [`Self::push`].
    pub fn push_copied(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), AnswerError> {
        self.take(Out { chunk, target: Target::Whole(out) })
    }

    fn take(&mut self, mut out: Out<'_>) -> Result<(), AnswerError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if let Err(error) = self.scan(&mut out) {
            self.failed = Some(error);
            return Err(error);
        }
        out.flush();
        if self.at_boundary() {
            // Most watches are idle most of the time: they keep no memory.
            self.hold.shrink();
            self.plan = Plan::default();
            self.configured = Vec::new();
        }
        Ok(())
    }

    /// Takes the end of the answer.
    ///
    /// # Errors
    /// [`AnswerError::Truncated`] when the answer is not complete, or that of a [`Self::push`] which failed.
    pub fn finish(&self) -> Result<(), AnswerError> {
        match self.failed {
            Some(failed) => Err(failed),
            None if self.scanner.is_done() || (self.shape.is_watch() && self.scanner.is_idle()) => Ok(()),
            None => Err(AnswerError::Truncated),
        }
    }

    /// Whether a watch may be ended here: whole events only have come and gone out (wire rule 11.23).
    pub fn at_boundary(&self) -> bool {
        self.shape.is_watch() && self.scanner.is_idle() && self.failed.is_none()
    }

    fn scan(&mut self, out: &mut Out<'_>) -> Result<(), AnswerError> {
        let chunk = out.chunk;
        let mut at = 0;
        loop {
            let base = self.hold.seen();
            let Some(event) = self.scanner.next(chunk, &mut at).map_err(|error| AnswerError::of(error, base))? else {
                break;
            };
            match event {
                Event::Key => self.member = Member::of(self.scanner.key()),
                Event::Value(kind) => self.value(kind, &mut at, out)?,
                Event::End => self.end(at, out)?,
                Event::Close => self.close(at, out)?,
            }
        }
        self.hold.end_chunk(out)
    }

    /// A value begins at `at`. What is read anyhow is read at once where it lies in the chunk, and not looked for first.
    fn value(&mut self, kind: Kind, at: &mut usize, out: &mut Out<'_>) -> Result<(), AnswerError> {
        let here = self.hold.offset(*at);
        let mut enter = None;
        let mut behind = None;
        match (self.place, self.member, kind) {
            (Place::Start, ..) => return self.start(kind, at, out),
            (Place::Root, Member::Items, Kind::Array) => enter = Some(Place::Items),
            (Place::Root, Member::Rows, Kind::Array) if matches!(self.shape, Shape::Table(_)) => {
                enter = Some(Place::Rows);
            }
            (Place::Items, _, kind) => {
                self.list.element = here;
                if kind == Kind::Object {
                    behind = self.end_element(Reach::Begun, out)?;
                    enter = behind.is_none().then_some(Place::Item);
                    self.item = Item::default();
                }
            }
            (Place::Rows, _, kind) => {
                self.list.element = here;
                if kind == Kind::Object {
                    behind = self.end_element(Reach::Begun, out)?;
                }
            }
            (Place::Item, Member::Metadata, kind) => {
                self.once(self.item.parts.metadata.is_some(), *at)?;
                self.item.parts.metadata = Some(here);
                if kind == Kind::Object {
                    behind = self.decide(Reach::Begun, out)?;
                }
            }
            (Place::Item, Member::Spec, kind) => {
                self.once(self.item.parts.spec.is_some(), *at)?;
                self.item.parts.spec = Some(here);
                if kind == Kind::Object {
                    behind = self.rename_secrets(Reach::Begun, out)?;
                }
                if self.item.renames && self.shape != Shape::Watch {
                    self.hold.begin(*at, out);
                    self.item.parts.spec = Some(0);
                }
            }
            (Place::Event, Member::Type, _) => {
                self.once(self.event.kind.is_some(), *at)?;
                self.event.kind = Some(here..here);
            }
            (Place::Event, Member::Object, kind) => {
                self.once(self.event.object.is_some(), *at)?;
                self.event.object = Some(here..here);
                enter = (kind == Kind::Object).then_some(Place::Item);
            }
            _ => {}
        }
        if let Some(behind) = behind {
            self.scanner.pass();
            *at = behind;
        }
        if let Some(place) = enter {
            self.enter(place, at)?;
            if matches!(place, Place::Items | Place::Rows) {
                self.list = List::default();
                self.hold.begin(*at, out);
            }
        }
        Ok(())
    }

    /// A document begins at `at`.
    fn start(&mut self, kind: Kind, at: &mut usize, out: &mut Out<'_>) -> Result<(), AnswerError> {
        if kind != Kind::Object {
            return Err(self.malformed(*at));
        }
        let here = self.hold.offset(*at);
        match self.shape {
            Shape::Object => match self.object_at_once(here, out)? {
                Some(behind) => {
                    self.scanner.pass();
                    *at = behind;
                    Ok(())
                }
                None => self.enter(Place::Item, at),
            },
            Shape::List | Shape::Table(_) => self.enter(Place::Root, at),
            Shape::ObjectTable(_) => {
                self.place = Place::Whole;
                Ok(())
            }
            Shape::Watch => {
                self.hold.begin(*at, out);
                if let Some(behind) = self.event_at_once(out)? {
                    self.scanner = Scanner::new();
                    *at = behind;
                    return Ok(());
                }
                self.event = WatchEvent::default();
                self.item = Item::default();
                self.enter(Place::Event, at)
            }
            Shape::TableWatch(_) => {
                self.hold.begin(*at, out);
                self.place = Place::Whole;
                Ok(())
            }
        }
    }

    fn enter(&mut self, place: Place, at: &mut usize) -> Result<(), AnswerError> {
        self.place = place;
        let base = self.hold.seen();
        self.scanner.enter(at).map_err(|error| AnswerError::of(error, base))
    }

    /// A value that was passed over ends before `at`.
    fn end(&mut self, at: usize, out: &mut Out<'_>) -> Result<(), AnswerError> {
        match (self.place, self.member) {
            (Place::Items | Place::Rows, _) => self.end_element(Reach::Ended(at), out).map(drop),
            (Place::Item, Member::Metadata) => self.decide(Reach::Ended(at), out).map(drop),
            (Place::Item, Member::Spec) => self.rename_secrets(Reach::Ended(at), out).map(drop),
            (Place::Event, Member::Type) => {
                self.event.kind = self.event.kind.take().map(|range| range.start..self.hold.offset(at));
                Ok(())
            }
            (Place::Event, Member::Object) => {
                self.event.object = self.event.object.take().map(|range| range.start..self.hold.offset(at));
                Ok(())
            }
            (Place::Whole, _) => self.end_whole(at, out),
            _ => Ok(()),
        }
    }

    /// The container that the scanner was in ends before `at`.
    fn close(&mut self, at: usize, out: &mut Out<'_>) -> Result<(), AnswerError> {
        match self.place {
            Place::Items | Place::Rows => {
                // An array of which nothing is left has no whitespace in it, as one that was empty from the beginning.
                if self.list.weeder.kept() == 0 && self.list.weeder.has_removed() {
                    out.write(b"]");
                } else {
                    let held = self.hold.take(out.chunk, Reach::Ended(at))?;
                    out.keep(held.map_or(&[], |(_, source)| source));
                }
                self.hold.release(at, Mode::Pass);
                self.place = Place::Root;
                self.member = Member::Other;
                Ok(())
            }
            Place::Item => match self.shape {
                Shape::Watch => {
                    self.place = Place::Event;
                    self.member = Member::Other;
                    self.event.object = self.event.object.take().map(|range| range.start..self.hold.offset(at));
                    Ok(())
                }
                Shape::List | Shape::Table(_) => {
                    self.place = Place::Items;
                    if self.item.state == ItemState::Undecided {
                        // Without metadata it is nobody's.
                        self.end_element(Reach::Ended(at), out)?;
                    }
                    self.hold.begin(at, out);
                    Ok(())
                }
                _ if self.item.state == ItemState::Undecided => Err(AnswerError::Foreign),
                _ => Ok(()),
            },
            Place::Event => self.end_whole(at, out),
            Place::Start | Place::Whole | Place::Root => Ok(()),
        }
    }

    /// Refuses a member that is there twice: it would be read one way here and another way by the client.
    fn once(&self, again: bool, at: usize) -> Result<(), AnswerError> {
        if again { Err(self.malformed(at)) } else { Ok(()) }
    }

    fn malformed(&self, at: usize) -> AnswerError {
        AnswerError::Malformed { at: self.hold.seen() + at as u64 }
    }
}

impl Shape {
    fn is_watch(self) -> bool {
        matches!(self, Self::Watch | Self::TableWatch(_))
    }
}
