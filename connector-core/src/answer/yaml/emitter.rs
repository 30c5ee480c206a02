//! Where lines, indentation and indicators go (go-yaml v2, `emitterc.go`): block collections, and the empty ones in brackets.

use super::scalar::Style;
use crate::answer::AnswerError;

/// Columns of one level.
const INDENT: usize = 2;
/// The most bytes that one text may become, its indentation counted: 64 MiB. Many short lines far inside would else be
/// thousands of times as long as they came.
const MAX_TEXT: usize = 64 << 20;

/// Writes YAML part by part.
///
/// Call order: [`Self::key`] or [`Self::item`] before each value inside a collection, and [`Self::close`] for each one that was
/// opened.
#[derive(Debug, Default)]
pub(super) struct Emitter {
    /// What was written and not taken yet.
    pub(super) out: Vec<u8>,
    pub(super) column: usize,
    /// The line begins here, or a blank was written last.
    pub(super) whitespace: bool,
    /// Nothing but indentation and indicators stands in the line.
    pub(super) indention: bool,
    /// `None` outside of the outermost collection.
    indent: Option<usize>,
    outer: Vec<Option<usize>>,
    /// Where the text that is being written must end.
    limit: usize,
    overfull: bool,
}

impl Emitter {
    pub(super) fn new() -> Self {
        Self { whitespace: true, indention: true, limit: usize::MAX, ..Self::default() }
    }

    /// Begins an object that has members.
    pub(super) fn open_object(&mut self) {
        self.open(Some(self.indent.map_or(0, |indent| indent + INDENT)));
    }

    /// Begins an array that has elements; that of a member is no further in than its key.
    pub(super) fn open_array(&mut self, of_member: bool) {
        let stays = of_member && !self.indention;
        self.open(self.indent.map_or(Some(0), |indent| Some(if stays { indent } else { indent + INDENT })));
    }

    /// Writes a collection that has nothing in it.
    pub(super) fn empty(&mut self, brackets: &str) {
        self.indicator(brackets, true, false);
    }

    /// Ends a collection.
    pub(super) fn close(&mut self) {
        self.indent = self.outer.pop().flatten();
    }

    /// Ends the document.
    pub(super) fn end(&mut self) {
        self.line();
    }

    /// What stands before an element.
    pub(super) fn item(&mut self) {
        self.line();
        self.indicator("-", true, true);
    }

    /// A key, and what stands between it and its value.
    ///
    /// # Errors
    /// [`AnswerError::TooLarge`].
    pub(super) fn key(&mut self, key: &str) -> Result<(), AnswerError> {
        self.line();
        match Style::of_key(key) {
            Some(style) => {
                self.text(key, style, true)?;
                self.indicator(":", false, false);
            }
            None => {
                self.indicator("?", true, true);
                self.text(key, Style::of(key), false)?;
                self.line();
                self.indicator(":", true, true);
            }
        }
        Ok(())
    }

    /// A text that is a value.
    ///
    /// # Errors
    /// [`AnswerError::TooLarge`].
    pub(super) fn string(&mut self, text: &str) -> Result<(), AnswerError> {
        self.text(text, Style::of(text), false)
    }

    /// A number, `true`, `false` or `null`.
    pub(super) fn plain(&mut self, text: &str) {
        self.indicator(text, true, false);
    }

    fn text(&mut self, text: &str, style: Style, is_key: bool) -> Result<(), AnswerError> {
        self.open(Some(self.indent.map_or(INDENT, |indent| indent + INDENT)));
        self.limit = self.out.len() + MAX_TEXT;
        style.write(text, !is_key, self);
        self.limit = usize::MAX;
        self.close();
        if self.overfull { Err(AnswerError::TooLarge) } else { Ok(()) }
    }

    fn open(&mut self, indent: Option<usize>) {
        self.outer.push(self.indent);
        self.indent = indent;
    }

    /// Goes to where the line begins: this one, if nothing stands in it yet.
    pub(super) fn line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if self.out.len() > self.limit {
            self.overfull = true;
            return;
        }
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.newline();
        }
        if self.column < indent {
            self.out.resize(self.out.len() + indent - self.column, b' ');
            self.column = indent;
        }
        self.whitespace = true;
        self.indention = true;
    }

    pub(super) fn newline(&mut self) {
        self.out.push(b'\n');
        self.column = 0;
    }

    pub(super) fn char(&mut self, char: char) {
        self.out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        self.column += 1;
    }

    /// Writes ASCII that is no content.
    pub(super) fn indicator(&mut self, indicator: &str, after_blank: bool, indents: bool) {
        if after_blank && !self.whitespace {
            self.char(' ');
        }
        self.out.extend_from_slice(indicator.as_bytes());
        self.column += indicator.len();
        self.whitespace = false;
        self.indention &= indents;
    }
}
