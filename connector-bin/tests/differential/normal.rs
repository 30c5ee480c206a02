//! What must be made equal before answers are compared.

use crate::tree::Tree;

impl Tree {
    fn is_bookmark(&self) -> bool {
        self.text(&["type"]) == "BOOKMARK"
    }
}

/// Who owns the map of labels, annotations or owner references itself is a known difference. Takes it out, and says whether
/// nothing is left then.
pub(crate) fn forget_maps(manager: &mut Tree) -> bool {
    let Some(fields) = manager.get_mut("fieldsV1") else { return false };
    let Some(metadata) = fields.get_mut("f:metadata") else { return false };
    const MAPS: [&str; 3] = ["f:labels", "f:annotations", "f:ownerReferences"];
    for map in MAPS {
        if let Some(Tree::Object(members)) = metadata.get_mut(map) {
            members.retain(|(key, _)| key != ".");
        }
    }
    let empty = |tree: &Tree| *tree == Tree::Object(Vec::new());
    if let Tree::Object(members) = metadata {
        members.retain(|(key, value)| !(MAPS.contains(&key.as_str()) && empty(value)));
    }
    if let Tree::Object(members) = fields {
        members.retain(|(key, value)| !(key == "f:metadata" && empty(value)));
    }
    empty(fields)
}

/// A manager that applies what is there already has a time only if it was there before, which is a known difference, too.
pub(crate) fn forget_time(manager: &mut Tree) {
    let applied = manager.text(&["operation"]) == "Apply";
    if let (Tree::Object(members), true) = (manager, applied) {
        members.retain(|(key, _)| key != "time");
    }
}

/// YAML with the elements of its outermost lists in an order of their own, and without ages and `continue`.
pub(crate) fn sorted_elements(yaml: &str) -> String {
    let (mut sorted, mut elements) = (String::new(), Vec::<String>::new());
    let put = |elements: &mut Vec<String>, sorted: &mut String| {
        elements.sort();
        elements.drain(..).for_each(|element| sorted.push_str(&element));
    };
    for line in yaml.split_inclusive('\n') {
        let line = match line.trim_start_matches([' ', '-']).trim_end().strip_suffix('s') {
            Some(age) if line.contains("- ") && age.parse::<u32>().is_ok() => line.replace(age, "<age>"),
            _ if line.starts_with("  continue: ") => "  continue: <continue>\n".to_owned(),
            _ => line.to_owned(),
        };
        match elements.last_mut() {
            _ if line.starts_with("- ") => elements.push(line),
            Some(element) if line.starts_with([' ', '\n']) => element.push_str(&line),
            _ => {
                put(&mut elements, &mut sorted);
                sorted.push_str(&line);
            }
        }
    }
    put(&mut elements, &mut sorted);
    sorted
}

/// `… is invalid: [b, a]` as `… is invalid: [a, b]`.
pub(crate) fn sorted_faults(message: &str) -> String {
    let parts = message.split_once(" is invalid: [").and_then(|(what, faults)| Some((what, faults.strip_suffix(']')?)));
    let Some((what, faults)) = parts else { return message.to_owned() };
    let mut faults: Vec<&str> = faults.split(", ").collect();
    faults.sort_unstable();
    format!("{what} is invalid: [{}]", faults.join(", "))
}

/// Takes out cells such as `3s`.
pub(crate) fn forget_ages(cells: &mut Tree) {
    let Tree::Array(cells) = cells else { return };
    for cell in cells {
        let seconds = cell.text(&[]).strip_suffix('s').is_some_and(|number| number.parse::<u32>().is_ok());
        if seconds {
            *cell = Tree::Text("<age>".to_owned());
        }
    }
}

/// Events about different objects have no order between the two sides; bookmarks that end nothing come when they like.
pub(crate) fn sort_events(events: &mut Vec<Tree>) {
    events.retain(|event| !event.is_bookmark() || event.to_string().contains("initial-events-end"));
    // Whichever is first tells the columns.
    let columns = events.first_mut().and_then(columns).map(std::mem::take);
    let mark = events.iter().position(Tree::is_bookmark).unwrap_or(events.len());
    let (initial, later) = events.split_at_mut(mark);
    initial.sort_by_key(subject);
    if let Some((_, later)) = later.split_first_mut() {
        later.sort_by_key(subject);
    }
    if let (Some(told), Some(place)) = (columns, events.first_mut().and_then(self::columns)) {
        *place = told;
    }
}

pub(crate) fn columns(event: &mut Tree) -> Option<&mut Tree> {
    event.get_mut("object")?.get_mut("columnDefinitions")
}

/// What an event is about: namespace, name and uid.
pub(crate) fn subject(event: &Tree) -> [String; 3] {
    let Some(of) = event.get("object") else { return Default::default() };
    if of.text(&["kind"]) != "Table" {
        return subject_of(of);
    }
    let Some(row) = of.items("rows").first() else { return Default::default() };
    match row.get("object") {
        Some(object @ Tree::Object(_)) => subject_of(object),
        _ => [row.items("cells").first().map(Tree::to_string).unwrap_or_default(), String::new(), String::new()],
    }
}

/// Generated names are the same, and uids are not.
pub(crate) fn subject_of(object: &Tree) -> [String; 3] {
    ["namespace", "name", "uid"].map(|key| object.text(&["metadata", key]).to_owned())
}

/// The text with `<5>` for the five random characters behind every `base`.
pub(crate) fn without_suffixes(text: &str, base: &str) -> String {
    const ALPHABET: &str = "bcdfghjklmnpqrstvwxz2456789";
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(base) {
        let (before, behind) = rest.split_at(at + base.len());
        out.push_str(before);
        rest = behind;
        let suffix = behind.get(..5).filter(|suffix| suffix.chars().all(|c| ALPHABET.contains(c)));
        if suffix.is_some() && !behind[5..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
            out.push_str("<5>");
            rest = &behind[5..];
        }
    }
    out + rest
}

/// The text with `<version>` for the number behind every `before`.
pub(crate) fn without_numbers(text: &str, before: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(before) {
        let (head, behind) = rest.split_at(at + before.len());
        out.push_str(head);
        let digits = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 1 {
            out.push_str("<version>");
        }
        rest = if digits > 1 { &behind[digits..] } else { behind };
    }
    out + rest
}

/// The text with `name` for everything of a shape, where `0` is any digit and `x` any hexadecimal one.
pub(crate) fn without_shape(text: &str, shape: &str, name: &str) -> String {
    let bytes = text.as_bytes();
    let fits = |byte: u8, shape: u8| match shape {
        b'0' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_hexdigit(),
        shape => byte == shape,
    };
    let found = |at: usize| {
        let found = bytes.get(at..at + shape.len());
        found.is_some_and(|found| found.iter().zip(shape.bytes()).all(|(byte, shape)| fits(*byte, shape)))
    };
    let (mut out, mut from, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        if found(at) {
            out.push_str(&text[from..at]);
            out.push_str(name);
            at += shape.len();
            from = at;
        } else {
            at += 1;
        }
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::{sorted_elements, without_shape, without_suffixes};

    #[test]
    fn elements_of_yaml_are_sorted() {
        let yaml = "items:\n- b: |\n    x\n\n  c: 1\n- a:\n  - 3s\nkind: List\n";
        assert_eq!(sorted_elements(yaml), "items:\n- a:\n  - <age>s\n- b: |\n    x\n\n  c: 1\nkind: List\n");
    }

    #[test]
    fn suffixes_are_taken_out() {
        assert_eq!(without_suffixes("gen-b2c4d, gen-other and gen-", "gen-"), "gen-<5>, gen-other and gen-");
    }

    #[test]
    fn times_are_taken_out() {
        let text = "é at 2026-01-02T03:04:05Z, 2026-01-02T";
        assert_eq!(without_shape(text, "0000-00-00T00:00:00Z", "<time>"), "é at <time>, 2026-01-02T");
    }
}
