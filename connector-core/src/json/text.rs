//! Strings of a document.

use std::borrow::Cow;

/// A string as it stands in the document.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// With both quotes.
    pub(super) quoted: &'a [u8],
    /// Whether there are escapes in it.
    pub(super) escaped: bool,
}

impl<'a> Text<'a> {
    /// What it says; borrowed unless it has escapes. `None` when it is not Unicode.
    #[inline]
    pub fn decode(&self) -> Option<Cow<'a, str>> {
        if self.escaped {
            self.unescape().map(Cow::Owned)
        } else {
            std::str::from_utf8(self.plain()).ok().map(Cow::Borrowed)
        }
    }

    /// The same as bytes, which need not be UTF-8 where nothing is escaped.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> Option<Cow<'a, [u8]>> {
        if self.escaped {
            self.unescape().map(|said| Cow::Owned(said.into_bytes()))
        } else {
            Some(Cow::Borrowed(self.plain()))
        }
    }

    /// What `see` tells of what it says, however it is written. What is not Unicode says nothing.
    #[inline(always)]
    pub(crate) fn with<T>(&self, see: impl Fn(&[u8]) -> T) -> T {
        if self.escaped { see(self.unescape().unwrap_or_default().as_bytes()) } else { see(self.plain()) }
    }

    /// Whether it says `text`, however it is written.
    #[inline(always)]
    pub fn is(&self, text: &str) -> bool {
        if self.escaped { self.unescape().is_some_and(|said| said == text) } else { self.plain() == text.as_bytes() }
    }

    /// Whether what it says begins with `prefix`, however it is written.
    #[inline(always)]
    pub fn starts_with(&self, prefix: &str) -> bool {
        if self.escaped {
            self.unescape().is_some_and(|said| said.starts_with(prefix))
        } else {
            self.plain().starts_with(prefix.as_bytes())
        }
    }

    /// As it stands in the document, with its quotes.
    #[inline(always)]
    pub(crate) fn quoted(&self) -> &'a [u8] {
        self.quoted
    }

    #[inline(always)]
    fn plain(&self) -> &'a [u8] {
        &self.quoted[1..self.quoted.len() - 1]
    }

    #[cold]
    fn unescape(&self) -> Option<String> {
        serde_json::from_slice(self.quoted).ok()
    }
}
