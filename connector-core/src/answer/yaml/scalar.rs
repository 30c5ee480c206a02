//! Texts: which style one gets, and how it is written (go-yaml v2, `encode.go` and `emitterc.go`).

use super::emitter::Emitter;
use super::resolve::stays_text;

/// The column behind which a blank becomes a line break.
const WIDTH: usize = 80;
/// The longest key, in bytes, that stands before its colon without a `?`.
const SIMPLE_KEY: usize = 128;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

impl Style {
    /// The style of a value, or of a key behind a `?`.
    pub(super) fn of(text: &str) -> Self {
        Self::select(text, &Traits::of(text))
    }

    /// The style of a key; `None` where it needs a `?`.
    pub(super) fn of_key(text: &str) -> Option<Self> {
        let traits = Traits::of(text);
        (!traits.multiline && text.len() <= SIMPLE_KEY).then(|| Self::select(text, &traits))
    }

    fn select(text: &str, traits: &Traits) -> Self {
        if text.contains('\n') {
            return if traits.block { Self::Literal } else { Self::DoubleQuoted };
        }
        match traits {
            _ if !stays_text(text) => Self::DoubleQuoted,
            Traits { plain: true, .. } => Self::Plain,
            Traits { single_quoted: true, .. } => Self::SingleQuoted,
            _ => Self::DoubleQuoted,
        }
    }

    pub(super) fn write(self, text: &str, breaks_lines: bool, emitter: &mut Emitter) {
        match self {
            Self::Plain => {
                if !emitter.whitespace {
                    emitter.char(' ');
                }
                write_lines(text, breaks_lines, false, emitter);
            }
            Self::SingleQuoted => {
                emitter.indicator("'", true, false);
                write_lines(text, breaks_lines, true, emitter);
                emitter.indicator("'", false, false);
            }
            Self::DoubleQuoted => write_double_quoted(text, breaks_lines, emitter),
            Self::Literal => return write_literal(text, emitter),
        }
        emitter.whitespace = false;
        emitter.indention = false;
    }
}

/// What a text has that some styles cannot show.
struct Traits {
    multiline: bool,
    plain: bool,
    single_quoted: bool,
    block: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        let (mut indicators, mut special) = (text.starts_with("---") || text.starts_with("..."), false);
        let (mut breaks, mut blank_breaks, mut break_blanks) = (false, false, false);
        let mut before: Option<char> = None;
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let ends_word = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            let begins_word = before.is_none_or(|before| matches!(before, ' ' | '\t' | '\0') || is_break(before));
            indicators |= match char {
                ':' => ends_word,
                '#' => begins_word,
                '?' | '-' => before.is_none() && ends_word,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    before.is_none()
                }
                _ => false,
            };
            special |= !is_printable(char);
            breaks |= is_break(char);
            blank_breaks |= is_break(char) && before == Some(' ');
            break_blanks |= char == ' ' && before.is_some_and(is_break);
            before = Some(char);
        }
        let edges = [text.chars().next(), before].into_iter().flatten();
        let edged = edges.into_iter().any(|edge| edge == ' ' || is_break(edge));
        Self {
            multiline: breaks,
            plain: !(edged || breaks || special || indicators),
            single_quoted: !(break_blanks || blank_breaks || special),
            block: !(text.is_empty() || before == Some(' ') || blank_breaks || special),
        }
    }
}

/// A plain or single quoted text. Without a `\n` in it: its line breaks are those beyond ASCII.
fn write_lines(text: &str, breaks_lines: bool, quoted: bool, emitter: &mut Emitter) {
    let (mut after_blank, mut after_break) = (false, false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if char == ' ' {
            let is_inside = !quoted || (at > 0 && at < text.len() - 1);
            let folds = breaks_lines && !after_blank && emitter.column > WIDTH && is_inside;
            if folds && chars.peek().is_none_or(|(_, next)| *next != ' ') {
                emitter.line();
            } else {
                emitter.char(char);
            }
            after_blank = true;
        } else if is_break(char) {
            write_break(char, emitter);
            emitter.indention = true;
            after_break = true;
        } else {
            if after_break {
                emitter.line();
            }
            if quoted && char == '\'' {
                emitter.char(char);
            }
            emitter.char(char);
            emitter.indention = false;
            (after_blank, after_break) = (false, false);
        }
    }
}

fn write_double_quoted(text: &str, breaks_lines: bool, emitter: &mut Emitter) {
    // The reference encoder asks of each character whether the text begins with a byte order mark.
    let escapes_all = text.starts_with('\u{feff}');
    let mut after_blank = false;
    emitter.indicator("\"", true, false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let is_blank = char == ' ';
        if escapes_all || !is_printable(char) || is_break(char) || matches!(char, '"' | '\\') {
            write_escape(char, emitter);
            after_blank = false;
            continue;
        }
        if is_blank && breaks_lines && !after_blank && emitter.column > WIDTH && at > 0 && at < text.len() - 1 {
            emitter.line();
            if chars.peek().is_some_and(|(_, next)| *next == ' ') {
                emitter.char('\\');
            }
        } else {
            emitter.char(char);
        }
        after_blank = is_blank;
    }
    emitter.indicator("\"", false, false);
}

fn write_escape(char: char, emitter: &mut Emitter) {
    let code = u32::from(char);
    let escape = match char {
        '\0' => "\\0".to_owned(),
        '\x07' => "\\a".to_owned(),
        '\x08' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\x0b' => "\\v".to_owned(),
        '\x0c' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\x1b' => "\\e".to_owned(),
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{a0}' => "\\_".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        _ if code <= 0xff => format!("\\x{code:02X}"),
        _ if code <= 0xffff => format!("\\u{code:04X}"),
        _ => format!("\\U{code:08X}"),
    };
    escape.chars().for_each(|char| emitter.char(char));
}

fn write_literal(text: &str, emitter: &mut Emitter) {
    emitter.indicator("|", true, false);
    if text.starts_with([' ', '\n', '\u{2028}', '\u{2029}']) {
        emitter.indicator("2", false, false);
    }
    let mut ends = text.chars().rev().map(is_break);
    match (ends.next(), ends.next()) {
        (Some(true), Some(true) | None) => emitter.indicator("+", false, false),
        (Some(true), Some(false)) => {}
        _ => emitter.indicator("-", false, false),
    }
    emitter.newline();
    emitter.indention = true;
    emitter.whitespace = true;
    let mut after_break = true;
    for char in text.chars() {
        if is_break(char) {
            write_break(char, emitter);
        } else {
            if after_break {
                emitter.line();
            }
            emitter.char(char);
        }
        after_break = is_break(char);
        emitter.indention = after_break;
    }
}

/// A line break as the text has it.
fn write_break(char: char, emitter: &mut Emitter) {
    emitter.char(char);
    emitter.column = 0;
}

fn is_break(char: char) -> bool {
    matches!(char, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character may stand as it is. To the reference encoder nothing beyond the Basic Multilingual Plane may.
fn is_printable(char: char) -> bool {
    matches!(char, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}
