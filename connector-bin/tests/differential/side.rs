//! One of the two clusters, as a case sees it: what `$…` stands for there, and what must be made equal before comparing.

use std::collections::HashMap;

use kube::Client;

use crate::exchange::{Answer, Request, YAML};
use crate::tree::Tree;

/// The clients of one cluster.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) admin: Client,
    pub(crate) jane: Client,
}

/// What one case has seen of one cluster.
pub(crate) struct Side {
    clients: Clients,
    namespace: String,
    /// uid and resourceVersion of every object seen, by namespace-less name.
    objects: HashMap<String, (String, String)>,
    list_version: String,
    continues: String,
    generated: Vec<String>,
    /// What generated names begin with.
    bases: Vec<String>,
    /// In the order in which they were seen: the same on both sides.
    uids: Vec<String>,
    versions: HashMap<String, Vec<String>>,
}

/// An answer with what may differ taken out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Normal {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Content,
    /// Lines of the body as it came: compact or indented, with or without a newline at the end.
    pub(crate) lines: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Json(Tree),
    Text(String),
}

impl Side {
    pub(crate) fn new(clients: Clients, namespace: &str) -> Self {
        Self {
            clients,
            namespace: namespace.to_owned(),
            objects: HashMap::new(),
            list_version: "0".to_owned(),
            continues: String::new(),
            generated: Vec::new(),
            bases: Vec::new(),
            uids: Vec::new(),
            versions: HashMap::new(),
        }
    }

    /// Sends a request, and answers what came with everything taken out that may differ.
    pub(crate) async fn ask(&mut self, request: &Request) -> (Answer, Normal) {
        let mut request = request.clone();
        request.path = self.expand(&request.path);
        request.body = self.expand(&request.body);
        if let Some(body) = Tree::parse(&request.body) {
            let base: String = body.text(&["metadata", "generateName"]).chars().take(58).collect();
            if !base.is_empty() && !self.bases.contains(&base) {
                self.bases.push(base);
            }
        }
        let client = if request.by_jane { self.clients.jane.clone() } else { self.clients.admin.clone() };
        let answer = match request.all_pages {
            true => self.pages(&request, &client).await,
            false => request.send(&client).await,
        };
        let tree = if request.is_watch() && answer.status == 200 {
            Tree::parse_stream(&answer.body)
        } else {
            Tree::parse(&answer.body)
        };
        let body = match tree {
            Some(mut tree) => {
                self.learn(&tree, request.method == "POST");
                if let Tree::Array(events) = &mut tree
                    && request.is_watch()
                {
                    sort_events(events);
                }
                self.normalize(&mut tree);
                Content::Json(tree)
            }
            None if answer.headers.iter().any(|(name, value)| name == "content-type" && value == YAML) => {
                Content::Text(sorted_elements(&self.normal_text(&answer.body)))
            }
            None => Content::Text(self.normal_text(&answer.body)),
        };
        let headers = answer.headers.iter().map(|(name, value)| (name.clone(), self.normal_text(value))).collect();
        let lines = answer.body.matches('\n').count();
        let normal = Normal { status: answer.status, headers, body, lines };
        (answer, normal)
    }

    /// The items of all pages of a list.
    async fn pages(&mut self, request: &Request, client: &Client) -> Answer {
        let (mut pages, mut all, mut next) = (0, Vec::new(), request.clone());
        loop {
            let answer = next.send(client).await;
            let Some(tree) = Tree::parse(&answer.body).filter(|_| answer.status == 200) else { return answer };
            let key = if tree.text(&["kind"]) == "Table" { "rows" } else { "items" };
            pages += 1;
            all.extend(tree.items(key).iter().map(Tree::to_string));
            let token = tree.text(&["metadata", "continue"]);
            if token.is_empty() || pages > 50 {
                // Which objects share a page follows from the order of the list.
                let body = format!(r#"{{"{key}":[{}]}}"#, all.join(","));
                return Answer { body, ..answer };
            }
            next.path = format!("{}&continue={token}", request.path);
        }
    }

    /// Fills in what stands for something: `$ns` and `$other` the namespaces of the case, `$uid(NAME)` and `$rv(NAME)` of the
    /// object of that name as it was last seen, `$list` the version of the last list, `$continue` its token, `$generated` the
    /// last name that was generated.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut text = text
            .replace("$ns", &self.namespace)
            .replace("$other", &format!("{}-other", self.namespace))
            .replace("$list", &self.list_version)
            .replace("$continue", &self.continues)
            .replace("$generated", self.generated.last().map_or("none", String::as_str));
        for (name, (uid, version)) in &self.objects {
            text = text.replace(&format!("$uid({name})"), uid).replace(&format!("$rv({name})"), version);
        }
        text
    }

    fn learn(&mut self, tree: &Tree, created: bool) {
        let metadata = |tree: &Tree, key: &str| tree.text(&["metadata", key]).to_owned();
        match tree {
            Tree::Object(_) => {
                let (uid, version) = (metadata(tree, "uid"), metadata(tree, "resourceVersion"));
                if uid.is_empty() {
                    if !version.is_empty() {
                        self.list_version = version;
                        self.continues = metadata(tree, "continue");
                    }
                    // Sorted, because each side lists in an order of its own.
                    let mut items: Vec<&Tree> = tree.items("items").iter().collect();
                    items.extend(tree.items("rows").iter().filter_map(|row| row.get("object")));
                    items.sort_by_key(|item| (metadata(item, "namespace"), metadata(item, "name")));
                    items.into_iter().for_each(|item| self.learn(item, false));
                } else {
                    let (name, base) = (metadata(tree, "name"), metadata(tree, "generateName"));
                    if created && !base.is_empty() && name.starts_with(&base) && !self.generated.contains(&name) {
                        self.generated.push(name.clone());
                    }
                    if !self.uids.contains(&uid) {
                        self.uids.push(uid.clone());
                    }
                    let versions = self.versions.entry(uid.clone()).or_default();
                    if !versions.contains(&version) {
                        versions.push(version.clone());
                    }
                    self.objects.insert(name, (uid, version));
                }
            }
            Tree::Array(events) => {
                events.iter().filter_map(|event| event.get("object")).for_each(|of| self.learn(of, false));
            }
            _ => {}
        }
    }

    fn normalize(&self, tree: &mut Tree) {
        match tree {
            Tree::Object(members) => {
                let uid = members.iter().find(|(key, _)| key == "uid").map(|(_, value)| value.text(&[]).to_owned());
                for (key, value) in &mut *members {
                    match (key.as_str(), &mut *value) {
                        ("resourceVersion", Tree::Text(version)) => {
                            let versions = uid.as_ref().and_then(|uid| self.versions.get(uid));
                            let at = versions.and_then(|versions| versions.iter().position(|known| known == version));
                            *version = at.map_or("<version>".to_owned(), |at| format!("<version {at}>"));
                        }
                        ("continue", Tree::Text(token)) if !token.is_empty() => *token = "<continue>".to_owned(),
                        ("managedFields", Tree::Array(managers)) => {
                            managers.iter_mut().for_each(|manager| self.normalize(manager));
                            managers.retain_mut(|manager| !forget_maps(manager));
                            // Sorted by time, whose seconds each side counts for itself.
                            managers.sort_by_key(|of| {
                                ["operation", "manager", "subresource", "apiVersion"]
                                    .map(|key| of.text(&[key]).to_owned())
                            });
                        }
                        ("causes", Tree::Array(causes)) => {
                            causes.iter_mut().for_each(|cause| self.normalize(cause));
                            // They come in the order of a Go map.
                            causes.sort_by_key(Tree::to_string);
                        }
                        ("message", Tree::Text(message)) => *message = sorted_faults(&self.normal_text(message)),
                        ("items", Tree::Array(items)) => {
                            items.sort_by_key(|item| {
                                ["namespace", "name"].map(|key| item.text(&["metadata", key]).to_owned())
                            });
                            items.iter_mut().for_each(|item| self.normalize(item));
                        }
                        ("rows", Tree::Array(rows)) => {
                            rows.sort_by_key(|row| {
                                let namespace = row.text(&["object", "metadata", "namespace"]).to_owned();
                                (namespace, row.items("cells").first().map(Tree::to_string))
                            });
                            rows.iter_mut().for_each(|row| self.normalize(row));
                            rows.iter_mut().filter_map(|row| row.get_mut("cells")).for_each(forget_ages);
                        }
                        (_, value) => self.normalize(value),
                    }
                    *key = self.normal_text(key);
                }
            }
            Tree::Array(items) => items.iter_mut().for_each(|item| self.normalize(item)),
            Tree::Text(text) => *text = self.normal_text(text),
            Tree::Plain(_) => {}
        }
    }

    /// Puts names in the place of uids, times, resource versions and generated names.
    fn normal_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (at, uid) in self.uids.iter().enumerate() {
            text = text.replace(uid, &format!("<uid {at}>"));
        }
        for base in &self.bases {
            text = without_suffixes(&text, base);
        }
        for before in ["resourceVersion\":\"", "resourceVersion\\\":\\\"", "resourceVersion: \"", "in record ("] {
            text = without_numbers(&text, before);
        }
        without_shape(
            &without_shape(&text, "0000-00-00T00:00:00Z", "<time>"),
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            "<uid>",
        )
    }
}

impl Tree {
    fn is_bookmark(&self) -> bool {
        self.text(&["type"]) == "BOOKMARK"
    }
}

/// Who owns the map of labels, annotations or owner references itself is a known difference. Takes it out, and says whether
/// nothing is left then.
fn forget_maps(manager: &mut Tree) -> bool {
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

/// YAML with the elements of its outermost lists in an order of their own, and without ages and `continue`.
fn sorted_elements(yaml: &str) -> String {
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
fn sorted_faults(message: &str) -> String {
    let parts = message.split_once(" is invalid: [").and_then(|(what, faults)| Some((what, faults.strip_suffix(']')?)));
    let Some((what, faults)) = parts else { return message.to_owned() };
    let mut faults: Vec<&str> = faults.split(", ").collect();
    faults.sort_unstable();
    format!("{what} is invalid: [{}]", faults.join(", "))
}

/// Takes out cells such as `3s`.
fn forget_ages(cells: &mut Tree) {
    let Tree::Array(cells) = cells else { return };
    for cell in cells {
        let seconds = cell.text(&[]).strip_suffix('s').is_some_and(|number| number.parse::<u32>().is_ok());
        if seconds {
            *cell = Tree::Text("<age>".to_owned());
        }
    }
}

/// Events about different objects have no order between the two sides; bookmarks that end nothing come when they like.
fn sort_events(events: &mut Vec<Tree>) {
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

fn columns(event: &mut Tree) -> Option<&mut Tree> {
    event.get_mut("object")?.get_mut("columnDefinitions")
}

fn subject(event: &Tree) -> (String, String) {
    let of = match event.get("object") {
        Some(table) if table.text(&["kind"]) == "Table" => table.items("rows").first().cloned(),
        object => object.cloned(),
    };
    let Some(of) = of else { return Default::default() };
    if let Some(name) = of.items("cells").first() {
        return (String::new(), name.to_string());
    }
    (of.text(&["metadata", "namespace"]).to_owned(), of.text(&["metadata", "name"]).to_owned())
}

/// The text with `<5>` for the five random characters behind every `base`.
fn without_suffixes(text: &str, base: &str) -> String {
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
fn without_numbers(text: &str, before: &str) -> String {
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
fn without_shape(text: &str, shape: &str, name: &str) -> String {
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
