//! What a rewriter reads at once, since all of it is in one chunk.

use super::{Rewriter, WatchEvent};
use crate::answer::hold::{Mode, Reach};
use crate::answer::object;
use crate::answer::out::Out;
use crate::answer::{AnswerError, MAX_HELD};
use crate::json::{Cursor, Sink};

impl Rewriter {
    /// The one object that was asked for, which begins at `here` of what is held, if all of it is in this chunk. The offset behind it
    /// as above.
    pub(super) fn object_at_once(&mut self, here: usize, out: &mut Out<'_>) -> Result<Option<usize>, AnswerError> {
        let Self { asked, hold, plan, .. } = self;
        let Some((_, source)) = hold.take(out.chunk, Reach::Begun)? else { return Ok(None) };
        let mut cursor = Cursor::new(source, here);
        let Ok(subject) = object::rewrite(asked, &mut cursor, source, plan) else {
            plan.clear();
            return Ok(None);
        };
        let len = cursor.at();
        if len > MAX_HELD {
            plan.clear();
            return Ok(None);
        }
        if subject.is_none() {
            return Err(AnswerError::Foreign);
        }
        plan.apply(&source[..len], out);
        let end = hold.end(Reach::Begun, len);
        hold.release(end, Mode::Pass);
        Ok(Some(end))
    }

    /// The event about an object at the beginning of what is held, if all of it is in this chunk. The offset behind it as above.
    pub(super) fn event_at_once(&mut self, out: &mut Out<'_>) -> Result<Option<usize>, AnswerError> {
        let Self { asked, hold, plan, usual, .. } = self;
        let Some((_, source)) = hold.take(out.chunk, Reach::Begun)? else { return Ok(None) };
        if source.len() < *usual {
            return Ok(None);
        }
        let mut cursor = Cursor::new(source, 0);
        let (Ok(Some(shown)), len @ ..=MAX_HELD) =
            (WatchEvent::about_object(asked, &mut cursor, source, plan), cursor.at())
        else {
            plan.clear();
            return Ok(None);
        };
        *usual = len;
        if shown {
            plan.apply(&source[..len], out);
            out.write(b"\n");
        } else {
            plan.clear();
        }
        let end = hold.end(Reach::Begun, len);
        hold.release(end, Mode::Drop);
        Ok(Some(end))
    }
}
