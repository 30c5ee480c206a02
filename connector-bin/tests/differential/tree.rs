//! JSON as it was written: members keep their order, numbers their digits.

use std::fmt;

use serde_json::value::RawValue;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Text(String),
    /// A number, `true`, `false` or `null`, as written.
    Plain(String),
}

impl Default for Tree {
    fn default() -> Self {
        Self::Plain("null".to_owned())
    }
}

impl Tree {
    /// Reads one JSON text; `None` where it is none, or so deep that walking through it would take too much stack.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if depth(text) > 200 {
            return None;
        }
        serde_json::from_str::<&RawValue>(text).ok().map(Self::of)
    }

    /// Reads JSON texts that follow each other, as in a watch; `None` where one is none.
    pub(crate) fn parse_stream(text: &str) -> Option<Self> {
        let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        values.map(|value| value.ok().map(Self::of)).collect::<Option<_>>().map(Self::Array)
    }

    fn of(raw: &RawValue) -> Self {
        let text = raw.get().trim();
        match text.as_bytes().first() {
            Some(b'{') => {
                Self::Object(members::read(text).into_iter().map(|(key, value)| (key, Self::of(value))).collect())
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
                Self::Array(items.into_iter().map(Self::of).collect())
            }
            Some(b'"') => Self::Text(serde_json::from_str(text).unwrap_or_default()),
            _ => Self::Plain(text.to_owned()),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Does what an RFC 7386 merge patch says.
    pub(crate) fn merge(&mut self, patch: Self) {
        let Self::Object(changes) = patch else {
            *self = patch;
            return;
        };
        if !matches!(self, Self::Object(_)) {
            *self = Self::Object(Vec::new());
        }
        for (key, change) in changes {
            let Self::Object(members) = self else { return };
            if change == Self::default() {
                members.retain(|(known, _)| *known != key);
            } else if let Some((_, value)) = members.iter_mut().find(|(known, _)| *known == key) {
                value.merge(change);
            } else {
                let mut value = Self::default();
                value.merge(change);
                members.push((key, value));
            }
        }
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |tree, key| tree.get(key))
    }

    /// The text at a path; empty where there is none.
    pub(crate) fn text(&self, path: &[&str]) -> &str {
        match self.at(path) {
            Some(Self::Text(text)) => text,
            _ => "",
        }
    }

    pub(crate) fn items(&self, key: &str) -> &[Self] {
        match self.get(key) {
            Some(Self::Array(items)) => items,
            _ => &[],
        }
    }
}

/// At least how deep a JSON text is nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

mod members {
    use std::fmt;

    use serde::de::{Deserializer, MapAccess, Visitor};
    use serde_json::value::RawValue;

    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    /// The members of an object that was read before as a whole.
    pub(super) fn read(text: &str) -> Vec<(String, &RawValue)> {
        serde_json::Deserializer::from_str(text).deserialize_map(Members).unwrap_or_default()
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(members) => {
                let members: Vec<_> = members.iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
                write!(formatter, "{{{}}}", members.join(","))
            }
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::to_string).collect();
                write!(formatter, "[{}]", items.join(","))
            }
            Self::Text(text) => formatter.write_str(&quoted(text)),
            Self::Plain(text) => formatter.write_str(text),
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// How two values differ, one line for each place; `first` and `second` name them.
pub(crate) fn differences(first: &Tree, second: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    compare("", first, second, &mut found);
    found
}

fn compare(path: &str, native: &Tree, through: &Tree, found: &mut Vec<String>) {
    match (native, through) {
        (Tree::Object(first), Tree::Object(second)) => {
            for (key, value) in first {
                let path = format!("{path}.{key}");
                match through.get(key) {
                    Some(other) => compare(&path, value, other, found),
                    None => found.push(format!("{path}: native {}, missing through the connector", short(value))),
                }
            }
            for (key, value) in second.iter().filter(|(key, _)| native.get(key).is_none()) {
                found.push(format!("{path}.{key}: only through the connector: {}", short(value)));
            }
            let keys = |members: &[(String, Tree)]| members.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
            let (first, second) = (keys(first), keys(second));
            let mut sorted = (first.clone(), second.clone());
            sorted.0.sort();
            sorted.1.sort();
            if sorted.0 == sorted.1 && first != second {
                found.push(format!("{path}: order of members: native {first:?}, through {second:?}"));
            }
        }
        (Tree::Array(first), Tree::Array(second)) => {
            if first.len() != second.len() {
                let (native, through) = (short(native), short(through));
                found.push(format!(
                    "{path}: native {} items, through {}:\n      native  {native}\n      through {through}",
                    first.len(),
                    second.len()
                ));
                return;
            }
            for (at, (first, second)) in first.iter().zip(second).enumerate() {
                compare(&format!("{path}[{at}]"), first, second, found);
            }
        }
        _ if native == through => {}
        _ => found.push(format!("{path}:\n      native  {}\n      through {}", short(native), short(through))),
    }
}

fn short(tree: &Tree) -> String {
    const MAX: usize = 900;
    let text = tree.to_string();
    if text.len() <= MAX { text } else { format!("{}…", text.chars().take(MAX).collect::<String>()) }
}
