//! YAML bodies, turned into JSON text as `sigs.k8s.io/yaml` does: integers whole, duplicate keys kept for the control plane
//! to find. Nothing recurses, so nesting costs no stack.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::value::RawValue;

use super::members::{Members, quote};

mod scalar;

/// How deep flow and block collections may nest (`max_flow_level` and `max_indents` of Go's `yaml`).
const DEPTH_MAX: usize = 10_000;
/// The most bytes that aliases may add. What comes of a body larger than the control plane takes is of no use.
const ALIASED_MAX: usize = 4 << 20;

/// The JSON text of a YAML document, or of the first of several: the reference library reads no further.
pub(crate) fn to_json(text: &str) -> Result<String, String> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
        // As libyaml does, and Go's library after it.
        block_scalar_eof_without_line_feed: true,
    };
    options.set_emit_comments(false);
    let mut writer = Writer::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, _) = event.map_err(|error| told(&error))?;
        if writer.take(event)? {
            return Ok(writer.out);
        }
    }
    Ok("null".to_owned())
}

fn told(error: &ScanError) -> String {
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => format!("yaml: exceeded max depth of {DEPTH_MAX}"),
        _ => error.to_string(),
    }
}

/// Writes JSON as events of YAML come.
#[derive(Default)]
struct Writer {
    out: String,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    aliased: usize,
}

/// A collection that has begun and not ended.
struct Open {
    is_map: bool,
    anchor: usize,
    start: usize,
    is_empty: bool,
    /// A key has come, and its value has not.
    value: Value,
    /// What `<<` brings in, as JSON.
    merged: Vec<String>,
}

enum Value {
    NotDue,
    Due,
    /// Of the key `<<`; written from this offset on, and taken out again.
    Merged(usize),
}

/// What an alias stands for.
enum Anchored {
    /// Its collection has not ended.
    Open,
    /// Where it is in what is written.
    At(Range<usize>),
    /// It was taken out of what is written.
    Text(String),
}

impl Writer {
    /// Whether the document ends.
    fn take(&mut self, event: Event<'_>) -> Result<bool, String> {
        match event {
            Event::DocumentEnd => return Ok(true),
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                self.node(anchor, is_merge, &scalar::to_json(&text, style, tag.as_deref())?)?;
            }
            Event::Alias(id) => {
                let text = match self.anchors.get(&id) {
                    Some(Anchored::At(range)) => self.out[range.clone()].to_owned(),
                    Some(Anchored::Text(text)) => text.clone(),
                    Some(Anchored::Open) => return Err("an anchor's value contains itself".to_owned()),
                    None => return Err("unknown anchor".to_owned()),
                };
                self.count(text.len())?;
                self.node(0, false, &text)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(false, anchor)?,
            Event::MappingStart(_, anchor, _) => self.begin(true, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            _ => {}
        }
        Ok(false)
    }

    fn count(&mut self, aliased: usize) -> Result<(), String> {
        self.aliased += aliased;
        if self.aliased > ALIASED_MAX { Err("document contains excessive aliasing".to_owned()) } else { Ok(()) }
    }

    /// A scalar, or what an alias stands for.
    fn node(&mut self, anchor: usize, is_merge: bool, json: &str) -> Result<(), String> {
        let is_key = self.open.last().is_some_and(|open| open.is_map && matches!(open.value, Value::NotDue));
        if is_key {
            self.key(is_merge, json)?;
        } else {
            self.separate();
            self.out.push_str(json);
        }
        // The text of a key may be another one than that of its node.
        if anchor != 0 {
            let at = if is_key {
                Anchored::Text(json.to_owned())
            } else {
                Anchored::At(self.out.len() - json.len()..self.out.len())
            };
            self.count(if is_key { json.len() } else { 0 })?;
            self.anchors.insert(anchor, at);
        }
        if is_key { Ok(()) } else { self.ended() }
    }

    fn key(&mut self, is_merge: bool, json: &str) -> Result<(), String> {
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        if is_merge {
            open.value = Value::Merged(self.out.len());
            return Ok(());
        }
        open.value = Value::Due;
        if !std::mem::take(&mut open.is_empty) {
            self.out.push(',');
        }
        match json.as_bytes().first() {
            Some(b'"') => self.out.push_str(json),
            Some(b'[' | b'{' | b'n') => return Err("a key is no scalar".to_owned()),
            // `on: 1` has the key `true`.
            _ => self.out.push_str(&quote(json)),
        }
        self.out.push(':');
        Ok(())
    }

    /// Before an element of a list.
    fn separate(&mut self) {
        if let Some(open) = self.open.last_mut()
            && !open.is_map
            && !std::mem::take(&mut open.is_empty)
        {
            self.out.push(',');
        }
    }

    fn begin(&mut self, is_map: bool, anchor: usize) -> Result<(), String> {
        if self.open.last().is_some_and(|open| open.is_map && matches!(open.value, Value::NotDue)) {
            return Err("a key is no scalar".to_owned());
        }
        self.separate();
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored::Open);
        }
        let (start, value) = (self.out.len(), Value::NotDue);
        self.open.push(Open { is_map, anchor, start, is_empty: true, value, merged: Vec::new() });
        self.out.push(if is_map { '{' } else { '[' });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.out.push(if open.is_map { '}' } else { ']' });
        if !open.merged.is_empty() {
            self.merge(&open)?;
        }
        if open.anchor != 0 {
            self.anchors.insert(open.anchor, Anchored::At(open.start..self.out.len()));
        }
        self.ended()
    }

    /// Adds what `<<` brings in and the map has not itself. What is written stays where it is.
    fn merge(&mut self, open: &Open) -> Result<(), String> {
        const WRONG: &str = "yaml: map merge requires map or sequence of maps as the value";
        let parse = |text: &str| Members::parse(text).map(Members::into_owned).map_err(|_| WRONG.to_owned());
        let mut all = parse(&self.out[open.start..])?;
        let mut is_empty = all.is_empty();
        self.out.pop();
        for merged in &open.merged {
            let maps: Vec<&RawValue> = match merged.as_bytes().first() {
                Some(b'[') => serde_json::from_str(merged).map_err(|_| WRONG)?,
                _ => vec![serde_json::from_str(merged).map_err(|_| WRONG)?],
            };
            for map in maps {
                for (key, value) in parse(map.get())?.iter() {
                    if all.get(key).is_some() {
                        continue;
                    }
                    if !std::mem::take(&mut is_empty) {
                        self.out.push(',');
                    }
                    self.out.push_str(&quote(key));
                    self.out.push(':');
                    self.out.push_str(value);
                    all.set(key, "null");
                }
            }
        }
        self.out.push('}');
        Ok(())
    }

    /// A value is whole.
    fn ended(&mut self) -> Result<(), String> {
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        if let Value::Merged(from) = std::mem::replace(&mut open.value, Value::NotDue) {
            let text = self.out.split_off(from);
            // Looking through the anchors costs something, too.
            let mut kept = text.len() + self.anchors.len();
            for anchored in self.anchors.values_mut() {
                if let Anchored::At(range) = anchored
                    && range.start >= from
                {
                    let part = text[range.start - from..range.end - from].to_owned();
                    kept += part.len();
                    *anchored = Anchored::Text(part);
                    if kept > ALIASED_MAX {
                        break;
                    }
                }
            }
            open.merged.push(text);
            self.count(kept)?;
        }
        Ok(())
    }
}

/// A tag of YAML's own, such as `!!str`.
fn core(tag: Option<&Tag>) -> Option<Cow<'_, str>> {
    tag.and_then(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:"))
}

#[cfg(test)]
mod tests;
