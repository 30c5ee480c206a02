//! `--set`, as helm reads it.

use serde_json::{Map, Value};
use thiserror::Error;

/// An expression of `--set` is not of the form `name=value,…`. The user's.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SetError {
    /// There is no value.
    #[error("--set {expression:?} gives {name:?} no value: use NAME=VALUE")]
    NoValue {
        /// As it was given.
        expression: String,
        /// What comes before the missing `=`.
        name: String,
    },
    /// A name is empty, or an index is no number.
    #[error("--set {expression:?} has a name that cannot be read: use a.b=VALUE, or a[0]=VALUE")]
    Name {
        /// As it was given.
        expression: String,
    },
    /// An index is beyond what anybody needs.
    #[error("--set {expression:?} has an index above {MAX_INDEX}")]
    Index {
        /// As it was given.
        expression: String,
    },
}

/// As in helm.
const MAX_INDEX: usize = 65536;

enum Step {
    Key(String),
    Index(usize),
}

/// Puts what the expression says into the values.
pub(super) fn into(values: &mut Map<String, Value>, expression: &str) -> Result<(), SetError> {
    let mut rest = Text { expression, chars: expression.chars().peekable() };
    while rest.chars.peek().is_some() {
        let path = rest.path()?;
        let value = rest.value();
        let Some((Step::Key(first), steps)) = path.split_first() else {
            return Err(rest.name_error());
        };
        put(values.entry(first.clone()).or_insert(Value::Null), steps, value);
    }
    Ok(())
}

fn put(place: &mut Value, path: &[Step], value: Value) {
    match path.split_first() {
        None => *place = value,
        Some((Step::Key(key), rest)) => {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            if let Value::Object(object) = place {
                put(object.entry(key.clone()).or_insert(Value::Null), rest, value);
            }
        }
        Some((Step::Index(index), rest)) => {
            if !place.is_array() {
                *place = Value::Array(Vec::new());
            }
            if let Value::Array(array) = place {
                if array.len() <= *index {
                    array.resize(index + 1, Value::Null);
                }
                put(&mut array[*index], rest, value);
            }
        }
    }
}

struct Text<'a> {
    expression: &'a str,
    chars: std::iter::Peekable<std::str::Chars<'a>>,
}

impl Text<'_> {
    /// What comes before `=`, which it takes too.
    fn path(&mut self) -> Result<Vec<Step>, SetError> {
        let mut path = Vec::new();
        // Not after an index.
        let mut named = true;
        loop {
            let (name, end) = self.until(&['.', '[', '=', ',']);
            if name.is_empty() == named {
                return Err(self.name_error());
            }
            if named {
                path.push(Step::Key(name));
            }
            match end {
                Some('=') => return Ok(path),
                Some('.') => named = true,
                Some('[') => {
                    path.push(self.index()?);
                    named = false;
                }
                _ => return Err(self.no_value()),
            }
        }
    }

    fn index(&mut self) -> Result<Step, SetError> {
        let (digits, end) = self.until(&[']']);
        match (digits.parse::<usize>(), end) {
            (Ok(index), Some(_)) if index <= MAX_INDEX => Ok(Step::Index(index)),
            (Ok(_), Some(_)) => Err(SetError::Index { expression: self.expression.to_owned() }),
            _ => Err(self.name_error()),
        }
    }

    /// What comes after `=`, to the comma, which it takes too.
    fn value(&mut self) -> Value {
        if self.chars.next_if_eq(&'{').is_some() {
            let mut list = Vec::new();
            loop {
                let (item, end) = self.until(&[',', '}']);
                if end != Some(',') {
                    if !(item.is_empty() && list.is_empty()) {
                        list.push(typed(item));
                    }
                    self.chars.next_if_eq(&',');
                    return Value::Array(list);
                }
                list.push(typed(item));
            }
        }
        typed(self.until(&[',']).0)
    }

    /// The text before the next of these, and which it was; both are taken.
    fn until(&mut self, ends: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(char) = self.chars.next() {
            match char {
                '\\' => text.extend(self.chars.next()),
                char if ends.contains(&char) => return (text, Some(char)),
                char => text.push(char),
            }
        }
        (text, None)
    }

    fn name_error(&self) -> SetError {
        SetError::Name { expression: self.expression.to_owned() }
    }

    fn no_value(&self) -> SetError {
        let name = self.expression.rsplit(',').next().unwrap_or_default();
        SetError::NoValue { expression: self.expression.to_owned(), name: name.to_owned() }
    }
}

/// As helm takes it: a number with a leading zero is text.
fn typed(text: String) -> Value {
    match text.as_str() {
        "true" => true.into(),
        "false" => false.into(),
        "null" => Value::Null,
        "0" => 0.into(),
        digits if !digits.starts_with('0') => digits.parse::<i64>().map_or(Value::String(text), Value::from),
        _ => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(expression: &str) -> Result<Value, SetError> {
        let mut values = Map::new();
        into(&mut values, expression)?;
        Ok(Value::Object(values))
    }

    #[test]
    fn expressions_are_read_as_helm_does() {
        for (expression, expected) in [
            ("a=b", json!({"a": "b"})),
            ("a.b=c,a.d=1", json!({"a": {"b": "c", "d": 1}})),
            (
                "a=true,b=false,c=null,d=0,e=007,f=-5,g=1.5",
                json!({"a": true, "b": false, "c": null, "d": 0, "e": "007", "f": -5, "g": "1.5"}),
            ),
            ("a[1]=x", json!({"a": [null, "x"]})),
            ("a[0].b=x,a[0].c[0]=1", json!({"a": [{"b": "x", "c": [1]}]})),
            ("a[0][1]=x", json!({"a": [[null, "x"]]})),
            ("a={x,1},b=c", json!({"a": ["x", 1], "b": "c"})),
            ("a={}", json!({"a": []})),
            (r"a\.b/c=x\,y", json!({"a.b/c": "x,y"})),
            ("a=", json!({"a": ""})),
            ("a=b=c", json!({"a": "b=c"})),
            ("", json!({})),
        ] {
            assert_eq!(values(expression).unwrap(), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_there_stays() {
        let mut values = Map::from_iter([("a".to_owned(), json!({"b": [1, 2], "c": 3}))]);
        into(&mut values, "a.b[1]=x").unwrap();
        assert_eq!(values["a"], json!({"b": [1, "x"], "c": 3}));
    }

    #[test]
    fn mistakes_are_told() {
        for (expression, told) in [
            ("a", "gives \"a\" no value"),
            ("a=b,c", "gives \"c\" no value"),
            ("=b", "a name that cannot be read"),
            ("a..b=c", "a name that cannot be read"),
            ("a[x]=c", "a name that cannot be read"),
            ("a[0]b=c", "a name that cannot be read"),
            ("a[70000]=c", "an index above 65536"),
        ] {
            let error = values(expression).unwrap_err().to_string();
            assert!(error.contains(told), "{expression}: {error}");
        }
    }
}
