//! One of the two clusters, as a case sees it: what `$…` stands for there, and what must be made equal before comparing.

use std::collections::HashMap;

use kube::Client;

use crate::exchange::{Answer, Request, YAML};
use crate::normal::{
    columns, forget_ages, forget_maps, forget_time, sort_events, sorted_elements, sorted_faults, subject_of,
    without_numbers, without_shape, without_suffixes,
};
use crate::tree::Tree;
use crate::watching::Watching;

/// The clients of one cluster.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) admin: Client,
    pub(crate) jane: Client,
}

/// An object as it was seen last.
struct Seen {
    uid: String,
    version: String,
    /// All of it; not of what is shown in part.
    whole: Option<Tree>,
}

/// What one case has seen of one cluster.
pub(crate) struct Side {
    clients: Clients,
    namespace: String,
    /// Every object seen, by name and by `namespace/name`.
    objects: HashMap<String, Seen>,
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
        let request = self.expanded(request);
        // Of YAML, too.
        if let Some((_, base)) = request.body.split_once("\"generateName\":") {
            let base: String = base.trim_start_matches([' ', '"']).chars().take_while(|c| *c != '"').take(58).collect();
            if !base.is_empty() && !self.bases.contains(&base) {
                self.bases.push(base);
            }
        }
        let answer = match request.all_pages {
            true => self.pages(&request, self.client(&request)).await,
            false => request.send(self.client(&request)).await,
        };
        let normal = self.normal(&request, &answer);
        (answer, normal)
    }

    /// Sends a request, and learns nothing from the answer.
    pub(crate) async fn peek(&self, request: &Request) -> String {
        let request = self.expanded(request);
        request.send(self.client(&request)).await.body
    }

    /// Opens a watch.
    pub(crate) async fn watch(&self, request: &Request) -> Watching {
        let request = self.expanded(request);
        Watching::open(&request, self.client(&request)).await
    }

    fn client(&self, request: &Request) -> &Client {
        if request.by_jane { &self.clients.jane } else { &self.clients.admin }
    }

    fn expanded(&self, request: &Request) -> Request {
        let (path, mut body) = (self.expand(&request.path), self.expand(&request.body));
        if let Some((key, change)) = &request.from_last {
            let last = self.objects.get(&self.expand(key)).and_then(|seen| seen.whole.clone());
            if let (Some(mut last), Some(change)) = (last, Tree::parse(&self.expand(change))) {
                last.merge(change);
                body = last.to_string();
            }
        }
        Request { path, body, ..request.clone() }
    }

    /// An answer with everything taken out that may differ.
    pub(crate) fn normal(&mut self, request: &Request, answer: &Answer) -> Normal {
        let watch = request.is_watch() && answer.status == 200;
        let tree = if watch { Tree::parse_stream(&answer.body) } else { Tree::parse(&answer.body) };
        let body = match tree {
            Some(mut tree) => {
                if request.is_everywhere() {
                    self.forget_others(&mut tree);
                }
                self.learn(&tree, request.method == "POST");
                self.normalize(&mut tree);
                if let (true, Tree::Array(events)) = (request.is_watch(), &mut tree) {
                    sort_events(events);
                }
                Content::Json(tree)
            }
            None if answer.headers.iter().any(|(name, value)| name == "content-type" && value == YAML) => {
                Content::Text(sorted_elements(&self.normal_text(&answer.body)))
            }
            None => Content::Text(self.normal_text(&answer.body)),
        };
        let headers = answer.headers.iter().map(|(name, value)| (name.clone(), self.normal_text(value))).collect();
        // What is others' has lines as well, and bookmarks that come when they like.
        let others = request.is_everywhere() || (watch && request.path.contains("allowWatchBookmarks"));
        let lines = if others { 0 } else { answer.body.matches('\n').count() };
        Normal { status: answer.status, headers, body, lines }
    }

    /// Takes out the objects of other namespaces: sequences run at the same time.
    fn forget_others(&self, tree: &mut Tree) {
        let own = [self.namespace.clone(), format!("{}-other", self.namespace)];
        let is_own = |object: &Tree| {
            let namespace = object.text(&["metadata", "namespace"]);
            namespace.is_empty() || own.iter().any(|own| own == namespace)
        };
        for (key, object) in [("items", None), ("rows", Some("object"))] {
            let member = tree.get_mut(key);
            // None at all is `null` in some forms.
            if let Some(items @ Tree::Plain(_)) = member {
                *items = Tree::Array(Vec::new());
            } else if let Some(Tree::Array(items)) = member {
                items.retain(|item| object.map_or(Some(item), |object| item.get(object)).is_none_or(is_own));
            }
        }
        if let Tree::Array(events) = tree {
            let told = events.first_mut().and_then(columns).map(std::mem::take);
            events.iter_mut().filter_map(|event| event.get_mut("object")).for_each(|of| self.forget_others(of));
            events.retain(|event| match event.get("object") {
                Some(table) if table.text(&["kind"]) == "Table" => !table.items("rows").is_empty(),
                object => object.is_none_or(is_own),
            });
            // Whichever is first tells the columns.
            if let (Some(told), Some(place)) = (told, events.first_mut().and_then(columns)) {
                *place = told;
            }
        }
    }

    /// The items of all pages of a list.
    async fn pages(&self, request: &Request, client: &Client) -> Answer {
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
    /// object of that name as it was last seen (or `NAMESPACE/NAME`), `$list` the version of the last list, `$continue` its token, `$generated` the
    /// last name that was generated.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut text = text
            .replace("$ns", &self.namespace)
            .replace("$other", &format!("{}-other", self.namespace))
            .replace("$list", &self.list_version)
            .replace("$continue", &self.continues)
            .replace("$generated", self.generated.last().map_or("none", String::as_str));
        if text.contains("$uid(") || text.contains("$rv(") {
            for (name, Seen { uid, version, .. }) in &self.objects {
                text = text.replace(&format!("$uid({name})"), uid).replace(&format!("$rv({name})"), version);
            }
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
                    let in_part = tree.text(&["apiVersion"]) == "meta.k8s.io/v1";
                    let key = format!("{}/{name}", tree.text(&["metadata", "namespace"]));
                    for key in [name, key] {
                        let before = self.objects.remove(&key).and_then(|seen| seen.whole);
                        let whole = if in_part { before } else { Some(tree.clone()) };
                        self.objects.insert(key, Seen { uid: uid.clone(), version: version.clone(), whole });
                    }
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
                            managers.iter_mut().for_each(forget_time);
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
                        ("message", Tree::Text(message)) => {
                            *message = sorted_faults(&self.normal_text(&self.normal_objects(message)));
                        }
                        ("items", Tree::Array(items)) => {
                            items.iter_mut().for_each(|item| self.normalize(item));
                            items.sort_by_key(subject_of);
                        }
                        ("rows", Tree::Array(rows)) => {
                            rows.iter_mut().for_each(|row| self.normalize(row));
                            rows.iter_mut().filter_map(|row| row.get_mut("cells")).for_each(forget_ages);
                            rows.sort_by_key(|row| {
                                (row.get("object").map(subject_of), row.items("cells").first().map(Tree::to_string))
                            });
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

    /// The objects that a text quotes, with everything taken out that may differ.
    fn normal_objects(&self, text: &str) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find("\"{") {
            let mut quoted = serde_json::Deserializer::from_str(&rest[at..]).into_iter::<String>();
            let object = quoted.next().and_then(Result::ok).and_then(|object| Tree::parse(&object));
            let end = at + if object.is_some() { quoted.byte_offset() } else { 2 };
            match object {
                Some(mut object) => {
                    self.normalize(&mut object);
                    // An empty map is there or not ("Who owns a map").
                    if let Some(Tree::Object(members)) = object.get_mut("metadata") {
                        let empty = Tree::Object(Vec::new());
                        members.retain(|(key, value)| !["labels", "annotations"].contains(&&**key) || *value != empty);
                    }
                    out.push_str(&rest[..at]);
                    out.push_str(&Tree::Text(object.to_string()).to_string());
                }
                None => out.push_str(&rest[..end]),
            }
            rest = &rest[end..];
        }
        out + rest
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
        for before in
            ["resourceVersion\":\"", "resourceVersion\\\":\\\"", "resourceVersion: \"", "in record (", "version: 1 ("]
        {
            text = without_numbers(&text, before);
        }
        without_shape(
            &without_shape(&text, "0000-00-00T00:00:00Z", "<time>"),
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            "<uid>",
        )
    }
}
