//! A plan of edits: which bytes of a document are replaced, and by what; all others are passed on as they are.

use std::ops::Range;

use super::Entry;

/// Where the parts of an edited document go.
pub trait Sink {
    /// Takes bytes of the document that are as they were; they may be shared instead of copied.
    fn keep(&mut self, part: &[u8]);
    /// Takes bytes that are new.
    fn write(&mut self, text: &[u8]);
}

impl Sink for Vec<u8> {
    fn keep(&mut self, part: &[u8]) {
        self.extend_from_slice(part);
    }

    fn write(&mut self, text: &[u8]) {
        self.extend_from_slice(text);
    }
}

/// Edits of one slice, in any order; none may lie inside another.
///
/// A plan is used again and again ([`Self::clear`]), so it allocates only until it has grown.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    edits: Vec<Edit>,
    /// The new text of all edits, one behind another.
    texts: Vec<u8>,
}

/// The bytes `from..to` become `texts[text]`.
#[derive(Clone, Debug)]
struct Edit {
    from: usize,
    to: usize,
    text: Range<usize>,
}

/// A state of a [`Plan`] to which [`Plan::undo`] goes back.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl Plan {
    /// Forgets every edit.
    pub fn clear(&mut self) {
        self.edits.clear();
        self.texts.clear();
    }

    /// Takes bytes away.
    pub fn remove(&mut self, range: Range<usize>) {
        self.replace(range, &[]);
    }

    /// Puts the concatenation of `parts` in the place of bytes.
    pub fn replace(&mut self, range: Range<usize>, parts: &[&[u8]]) {
        let from = self.texts.len();
        for part in parts {
            self.texts.extend_from_slice(part);
        }
        self.edits.push(Edit { from: range.start, to: range.end, text: from..self.texts.len() });
    }

    /// Puts a JSON string that says `text` in the place of a value.
    pub fn replace_string(&mut self, range: Range<usize>, text: &str) {
        let from = self.texts.len();
        if text.bytes().fold(true, |plain, byte| plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\')) {
            self.texts.reserve(text.len() + 2);
            self.texts.push(b'"');
            self.texts.extend_from_slice(text.as_bytes());
            self.texts.push(b'"');
        } else {
            serde_json::to_writer(&mut self.texts, text).expect("a string can be written into memory");
        }
        self.edits.push(Edit { from: range.start, to: range.end, text: from..self.texts.len() });
    }

    /// Whether nothing would change.
    pub(crate) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The state to which [`Self::undo`] can go back.
    pub fn mark(&self) -> Mark {
        Mark(self.edits.len())
    }

    /// Forgets the edits that were made since `mark`.
    pub fn undo(&mut self, mark: Mark) {
        self.edits.truncate(mark.0);
    }

    /// Gives `source` with all edits done to `sink`, and forgets the edits.
    pub fn apply(&mut self, source: &[u8], sink: &mut impl Sink) {
        // Insertions come before a removal that begins at the same place.
        let place = |edit: &Edit| (edit.from, edit.to);
        if !self.edits.is_sorted_by_key(place) {
            self.edits.sort_unstable_by_key(place);
        }
        let mut at = 0;
        for edit in &self.edits {
            if at < edit.from {
                sink.keep(&source[at..edit.from]);
            }
            if !edit.text.is_empty() {
                sink.write(&self.texts[edit.text.clone()]);
            }
            at = edit.to;
        }
        if at < source.len() {
            sink.keep(&source[at..]);
        }
        self.clear();
    }
}

/// Follows the members or elements of one container of which some are taken away, and keeps the commas right.
///
/// For each one: [`Self::lead`], then its own edits, then [`Self::keep`] or [`Self::remove`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Weeder {
    kept: usize,
    removed: usize,
}

impl Weeder {
    /// How many were kept.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Whether any was taken away.
    pub fn has_removed(&self) -> bool {
        self.removed > 0
    }

    /// Before one that may be kept: takes away the comma before it when it becomes the first. The mark is for [`Self::remove`].
    #[inline(always)]
    pub fn lead(&self, source: &[u8], entry: Entry, plan: &mut Plan) -> Mark {
        let mark = plan.mark();
        if self.kept == 0
            && self.removed > 0
            && let Some(comma) = memchr::memchr(b',', &source[entry.lead..entry.start])
        {
            plan.remove(entry.lead + comma..entry.lead + comma + 1);
        }
        mark
    }

    /// The one that was led in stays.
    pub fn keep(&mut self) {
        self.kept += 1;
    }

    /// The one that was led in, and ends at `end`, is taken away with what stands before it.
    pub fn remove(&mut self, mark: Mark, entry: Entry, end: usize, plan: &mut Plan) {
        plan.undo(mark);
        plan.remove(entry.lead..end);
        self.removed += 1;
    }
}
