//! What a rewriter does where something that it holds ends.

use super::{ItemState, Place, Rewriter, WatchEvent};
use crate::answer::hold::{Mode, Reach, fits};
use crate::answer::object;
use crate::answer::out::Out;
use crate::answer::secrets::Secrets;
use crate::answer::{AnswerError, MAX_HELD, Shape, table};
use crate::json::{Cursor, Entry, Scanner, Sink};

impl Rewriter {
    /// The `metadata` of an object: when it has been read the object is shown, or it is not. The offset behind it, or `None` where it
    /// is not known yet.
    pub(super) fn decide(&mut self, reach: Reach, out: &mut Out<'_>) -> Result<Option<usize>, AnswerError> {
        let Self { asked, shape, scanner, hold, list, item, event, secret, configured, plan, .. } = self;
        let Some((base, source)) = hold.take(out.chunk, reach)? else { return Ok(None) };
        let is_watch = *shape == Shape::Watch;
        if is_watch && !event.is_about_object(source).map_err(|error| AnswerError::of(error, base))? {
            return Ok(None);
        }
        let mark = plan.mark();
        let entry = Entry { lead: 0, start: list.element };
        list.weeder.lead(source, entry, plan);
        let (subject, len) = match item.parts.rewrite(asked, source, scanner.depth(), plan) {
            Ok(read) => read,
            Err(error) => return incomplete(reach, AnswerError::of(error, base), || plan.undo(mark)),
        };
        fits(len)?;
        if let Some(subject) = subject {
            list.weeder.keep();
            item.state = ItemState::Shown;
            if item.parts.spec.is_none() {
                item.renames = !subject.secrets().is_empty();
                item.names_secret = subject.secret.is_some();
                if let Some(named) = subject.secret {
                    secret.namespace.clear();
                    secret.namespace.push_str(named.namespace.as_ref());
                    secret.name.clear();
                    secret.name.push_str(named.name.as_ref());
                }
                *configured = subject.configured;
            }
            if !is_watch {
                plan.apply(&source[..len], out);
            }
        } else {
            list.weeder.remove(mark, entry, len, plan);
            plan.undo(mark);
            item.state = ItemState::Dropped;
        }
        let end = hold.end(reach, len);
        match (*shape, item.state) {
            (Shape::Watch, _) => {}
            (Shape::Object, ItemState::Dropped) => return Err(AnswerError::Foreign),
            (_, ItemState::Dropped) => hold.release(end, Mode::Drop),
            _ => hold.release(end, Mode::Pass),
        }
        Ok(Some(end))
    }

    /// The `spec` of an object that is shown and may name Secrets there; the offset behind it as above.
    pub(super) fn rename_secrets(&mut self, reach: Reach, out: &mut Out<'_>) -> Result<Option<usize>, AnswerError> {
        let Self { asked, shape, scanner, hold, item, secret, configured, plan, .. } = self;
        let (true, Some(spec)) = (item.renames, item.parts.spec) else { return Ok(None) };
        let Some((base, source)) = hold.take(out.chunk, reach)? else { return Ok(None) };
        let mark = plan.mark();
        let mut cursor = Cursor::within(source, spec, scanner.depth());
        let secrets = Secrets { conventional: item.names_secret.then_some(&*secret), configured };
        if let Err(error) = secrets.rename(asked, &mut cursor, plan) {
            return incomplete(reach, AnswerError::of(error, base), || plan.undo(mark));
        }
        item.renames = false;
        let len = cursor.at();
        fits(len - spec)?;
        // What is not changed goes on passing.
        let is_done = *shape != Shape::Watch && (reach != Reach::Begun || !plan.is_empty());
        if is_done {
            plan.apply(&source[..len], out);
        }
        let end = hold.end(reach, len);
        if is_done {
            hold.release(end, Mode::Pass);
        }
        Ok(Some(end))
    }

    /// An element of a list or Table, read at once; or something else than an object with `metadata` in a list, at its end. The offset
    /// behind it as above.
    pub(super) fn end_element(&mut self, reach: Reach, out: &mut Out<'_>) -> Result<Option<usize>, AnswerError> {
        let Self { asked, shape, scanner, hold, list, place, plan, usual, .. } = self;
        let Some((base, source)) = hold.take(out.chunk, reach)? else { return Ok(None) };
        if reach == Reach::Begun && source.len() < *usual {
            return Ok(None);
        }
        let mark = plan.mark();
        let entry = Entry { lead: 0, start: list.element };
        list.weeder.lead(source, entry, plan);
        let mut cursor = Cursor::within(source, list.element, scanner.depth());
        let shown = match (*shape, *place) {
            (Shape::Table(show), Place::Rows) => table::row(asked, show, &mut cursor, source, plan),
            _ if reach == Reach::Begun => object::rewrite(asked, &mut cursor, source, plan).map(|it| it.is_some()),
            _ => cursor.skip().map(|_| false),
        };
        let len = cursor.at();
        let shown = match shown {
            Ok(shown) => shown,
            Err(error) => return incomplete(reach, AnswerError::of(error, base), || plan.undo(mark)),
        };
        // What is not held may be longer.
        if reach == Reach::Begun && len > MAX_HELD {
            plan.undo(mark);
            return Ok(None);
        }
        fits(len)?;
        *usual = len;
        if shown {
            list.weeder.keep();
            plan.apply(&source[..len], out);
        } else {
            list.weeder.remove(mark, entry, len, plan);
            plan.undo(mark);
        }
        let end = hold.end(reach, len);
        hold.release(end, Mode::Hold);
        Ok(Some(end))
    }

    /// An event, or a Table that is held whole, ends before `at`.
    pub(super) fn end_whole(&mut self, at: usize, out: &mut Out<'_>) -> Result<(), AnswerError> {
        let Self { asked, shape, hold, item, event, columns, plan, .. } = self;
        let Some((base, source)) = hold.take(out.chunk, Reach::Ended(at))? else { return Ok(()) };
        let shown = match *shape {
            Shape::Watch if item.state != ItemState::Undecided => Ok(item.state == ItemState::Shown),
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

/// A value could not be read: it goes on in the next chunk, where it is not known to be at its end, and is read again then.
fn incomplete(reach: Reach, error: AnswerError, undo: impl FnOnce()) -> Result<Option<usize>, AnswerError> {
    match reach {
        Reach::Begun => {
            undo();
            Ok(None)
        }
        Reach::Ended(_) => Err(error),
    }
}
