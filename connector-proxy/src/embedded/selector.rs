//! Label and field selectors.

use serde_json::Value;

use super::kinds::Kind;
use super::object;

/// What a list, watch or deletecollection selects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// Reads both selectors; the error is the message of a 400.
    pub(crate) fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Self, String> {
        let labels = split(labels).into_iter().map(label).collect::<Option<Vec<_>>>();
        let labels = labels.ok_or_else(|| "unable to parse requirement: invalid label selector".to_owned())?;
        let fields = fields.split(',').filter(|term| !term.is_empty()).map(field).collect::<Option<Vec<_>>>();
        let fields = fields.ok_or_else(|| "invalid field selector: can't understand a requirement".to_owned())?;
        for field in &fields {
            let known = matches!(field.key.as_str(), "metadata.name" | "metadata.namespace")
                || kind.selectable.contains(&field.key);
            // Built-in kinds have many selectable fields, and each is plain text in the object.
            if kind.custom && !known {
                return Err(format!("field label not supported: {}", field.key));
            }
        }
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object::metadata(object).get("labels");
        self.labels.iter().all(|requirement| {
            requirement.holds(labels.and_then(|labels| labels.get(&requirement.key)).and_then(Value::as_str))
        }) && self.fields.iter().all(|requirement| {
            let value = requirement.key.split('.').try_fold(object, |value, name| value.get(name));
            let text = match value {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            requirement.holds(Some(&text))
        })
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        match (&self.test, value) {
            (Test::In(values), Some(value)) => values.iter().any(|one| one == value),
            (Test::NotIn(values), Some(value)) => values.iter().all(|one| one != value),
            (Test::NotIn(_) | Test::Absent, None) | (Test::Exists, Some(_)) => true,
            (Test::In(_) | Test::Exists, None) | (Test::Absent, Some(_)) => false,
        }
    }
}

/// Splits at commas that are not in parentheses.
fn split(selector: &str) -> Vec<&str> {
    let mut depth = 0;
    let terms = selector.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    terms.map(str::trim).filter(|term| !term.is_empty()).collect()
}

fn label(term: &str) -> Option<Requirement> {
    let requirement = |key: &str, test| {
        let key = key.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!key.is_empty() && key.chars().all(plain)).then(|| Requirement { key: key.to_owned(), test })
    };
    if let Some(set) = term.strip_suffix(')') {
        let (head, values) = set.split_once('(')?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => requirement(key, Test::In(values)),
            "notin" => requirement(key, Test::NotIn(values)),
            _ => None,
        };
    }
    if let Some(equality) = equality(term) {
        return requirement(&equality.key, equality.test);
    }
    match term.strip_prefix('!') {
        Some(key) => requirement(key, Test::Absent),
        None => requirement(term, Test::Exists),
    }
}

fn field(term: &str) -> Option<Requirement> {
    equality(term)
}

fn equality(term: &str) -> Option<Requirement> {
    let (key, value, equal) = if let Some((key, value)) = term.split_once("!=") {
        (key, value, false)
    } else if let Some((key, value)) = term.split_once("==") {
        (key, value, true)
    } else {
        let (key, value) = term.split_once('=')?;
        (key, value, true)
    };
    let values = vec![value.trim().to_owned()];
    let test = if equal { Test::In(values) } else { Test::NotIn(values) };
    Some(Requirement { key: key.trim().to_owned(), test })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kinds::Kinds;
    use super::*;

    #[test]
    fn selectors_select() {
        let kind = Kinds::of(&[], false).find("", "v1", "configmaps").unwrap();
        let object = json!({"metadata": {"name": "a", "labels": {"app": "web", "x.org/y": ""}}, "type": "Normal"});
        for (labels, fields, matches) in [
            ("", "", true),
            ("app=web,x.org/y", "metadata.name=a", true),
            ("app==web", "metadata.name!=a", false),
            ("app in (db, web),!gone", "type=Normal", true),
            ("app notin (web)", "", false),
            ("gone!=1,gone notin (1)", "absent=", true),
            ("gone", "", false),
        ] {
            let selector = Selector::parse(&kind, labels, fields).unwrap();
            assert_eq!(selector.matches(&object), matches, "{labels} {fields}");
        }
        assert!(Selector::parse(&kind, "a in b)", "").is_err());
        assert!(Selector::parse(&kind, "a b", "").is_err());
    }
}
