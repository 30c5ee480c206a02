//! What a rewriter does where something that it holds ends.

use super::{ItemState, Place, Rewriter, WatchEvent};
use crate::answer::hold::Mode;
use crate::answer::metadata::Secret;
use crate::answer::object::rename_secret;
use crate::answer::out::Out;
use crate::answer::{AnswerError, Shape, table};
use crate::json::{Entry, Scanner, Sink};

impl Rewriter {
    /// The `metadata` of an object ends before `at`: from here on the object is shown, or it is not.
    pub(super) fn decide(&mut self, at: usize, out: &mut Out<'_>) -> Result<(), AnswerError> {
        let Self { asked, shape, hold, list, item, secret, plan, .. } = self;
        let (base, source) = hold.take(out.chunk, at)?;
        let entry = Entry { lead: 0, start: list.element };
        let mark = list.weeder.lead(source, entry, plan);
        let subject = item.parts.rewrite(asked, source, plan).map_err(|error| AnswerError::of(error, base))?;
        match subject {
            Some(subject) => {
                list.weeder.keep();
                item.state = ItemState::Shown;
                if let (Some(known), None) = (subject.secret, item.parts.spec) {
                    secret.clear();
                    secret.push_str(&known.local);
                    item.secret = Some(known.remote);
                }
                plan.apply(source, out);
                hold.release(at, Mode::Pass);
            }
            None if *shape == Shape::Object => return Err(AnswerError::Foreign),
            None => {
                list.weeder.remove(mark, entry, source.len(), plan);
                plan.clear();
                item.state = ItemState::Dropped;
                hold.release(at, Mode::Drop);
            }
        }
        Ok(())
    }

    /// The `spec` of an object that is shown ends before `at`; it is held where it may name a connection secret.
    pub(super) fn rename_secret(&mut self, at: usize, out: &mut Out<'_>) -> Result<(), AnswerError> {
        let Some(remote) = self.item.secret.take() else { return Ok(()) };
        let secret = Secret { local: &self.secret, remote };
        let (base, source) = self.hold.take(out.chunk, at)?;
        rename_secret(&secret, source, 0, &mut self.plan).map_err(|error| AnswerError::of(error, base))?;
        self.plan.apply(source, out);
        self.hold.release(at, Mode::Pass);
        Ok(())
    }

    /// An element that is held whole ends before `at`: a row, or something else than an object with `metadata` in a list.
    pub(super) fn end_element(&mut self, at: usize, out: &mut Out<'_>) -> Result<(), AnswerError> {
        let Self { asked, shape, hold, list, place, plan, .. } = self;
        let (base, source) = hold.take(out.chunk, at)?;
        let entry = Entry { lead: 0, start: list.element };
        let mark = list.weeder.lead(source, entry, plan);
        let shown = match (*shape, *place) {
            (Shape::Table(show), Place::Rows) => {
                table::row(asked, show, source, list.element, plan).map_err(|error| AnswerError::of(error, base))?
            }
            _ => false,
        };
        if shown {
            list.weeder.keep();
            plan.apply(source, out);
        } else {
            list.weeder.remove(mark, entry, source.len(), plan);
            plan.clear();
        }
        hold.release(at, Mode::Hold);
        Ok(())
    }

    /// An event, or a Table that is held whole, ends before `at`.
    pub(super) fn end_whole(&mut self, at: usize, out: &mut Out<'_>) -> Result<(), AnswerError> {
        let Self { asked, shape, hold, item, event, columns, plan, .. } = self;
        let (base, source) = hold.take(out.chunk, at)?;
        let shown = match *shape {
            Shape::TableWatch(show) => {
                WatchEvent::read(source).and_then(|event| event.rewrite_table(asked, show, source, columns, plan))
            }
            Shape::ObjectTable(show) => table::whole(asked, show, source, 0, columns, plan),
            Shape::Object | Shape::List | Shape::Table(_) | Shape::Watch => {
                event.rewrite(asked, source, item.parts, plan)
            }
        };
        let shown = shown.map_err(|error| AnswerError::of(error, base))?;
        if shown {
            plan.apply(source, out);
        } else {
            plan.clear();
        }
        if !shape.is_watch() {
            hold.release(at, Mode::Pass);
            return if shown { Ok(()) } else { Err(AnswerError::Foreign) };
        }
        if shown {
            out.write(b"\n");
        }
        hold.release(at, Mode::Drop);
        self.scanner = Scanner::new();
        self.place = Place::Start;
        Ok(())
    }
}
