//! The JSONPath of printer columns: names, indexes, `[*]`, and filters that compare one member with a text.

use serde_json::Value;

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Index(usize),
    All,
    /// Items whose member at the path equals the text.
    Where(Vec<String>, String),
}

impl JsonPath {
    /// Reads a path such as `.status.conditions[?(@.type=='Ready')].status`; `None` for anything beyond the subset.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (step, after) = bracket(inner)?;
                steps.push(step);
                rest = after;
            } else {
                let (name, after) = member(rest.strip_prefix('.')?);
                if !name.is_empty() {
                    steps.push(Step::Member(name));
                }
                rest = after;
            }
        }
        Some(Self(steps))
    }

    /// The first value that the path finds.
    pub(crate) fn first<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        find(root, &self.0)
    }
}

/// A member name up to the next `.` or `[`, with `\.` standing for a dot in it.
fn member(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '.' | '[' => return (name, &text[at..]),
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            c => name.push(c),
        }
    }
    (name, "")
}

/// What stands in brackets, and what follows them.
fn bracket(text: &str) -> Option<(Step, &str)> {
    if let Some(filter) = text.strip_prefix("?(") {
        let (condition, after) = filter.split_once(")]")?;
        let (left, right) = condition.split_once("==")?;
        let path = left.trim().strip_prefix("@.")?.split('.').map(str::to_owned).collect();
        let right = right.trim();
        let right = right.strip_prefix(['\'', '"'])?.strip_suffix(['\'', '"'])?;
        return Some((Step::Where(path, right.to_owned()), after));
    }
    let (inner, after) = text.split_once(']')?;
    let step = match inner {
        "*" => Step::All,
        _ => match inner.strip_prefix(['\'', '"']).and_then(|inner| inner.strip_suffix(['\'', '"'])) {
            Some(name) => Step::Member(name.to_owned()),
            None => Step::Index(inner.parse().ok()?),
        },
    };
    Some((step, after))
}

fn find<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Member(name) => find(value.get(name)?, rest),
        Step::Index(index) => find(value.get(*index)?, rest),
        Step::All => items(value).find_map(|item| find(item, rest)),
        Step::Where(path, text) => items(value)
            .filter(|item| {
                let found = path.iter().try_fold(*item, |value, name| value.get(name));
                found.is_some_and(|found| match found {
                    Value::String(found) => found == text,
                    other => serde_json::from_str::<Value>(text).is_ok_and(|text| *other == text),
                })
            })
            .find_map(|item| find(item, rest)),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_of_printer_columns_find_their_value() {
        let object = json!({
            "metadata": {"annotations": {"a.b/c": "dotted"}},
            "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
            "list": [1, 2]
        });
        for (path, found) in [
            (".status.conditions[?(@.type=='Ready')].status", Some(json!("True"))),
            (".status.conditions[?(@.type==\"Nothing\")].status", None),
            (".metadata.annotations.a\\.b/c", Some(json!("dotted"))),
            (".metadata.annotations['a.b/c']", Some(json!("dotted"))),
            (".list[1]", Some(json!(2))),
            (".list[*]", Some(json!(1))),
            (".missing.deeper", None),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().first(&object).cloned(), found, "{path}");
        }
        assert_eq!(JsonPath::parse(".a[?(@.b>3)]"), None);
    }
}
