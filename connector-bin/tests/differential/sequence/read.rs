//! Random reads.

use super::Writer;

use crate::exchange::{JSON, PARTIAL, PARTIAL_LIST, Request, TABLE};

const LABEL_SELECTORS: [&str; 18] = [
    "l",
    "!l",
    "l=1",
    "l==2",
    "l!=1",
    "l in (1,2)",
    "l notin (1,2)",
    "l in (claim),m",
    "l,!m",
    "example.org/k",
    "example.org/k in (1,)",
    "l=",
    "l>0",
    "l<2",
    "l=1,l!=2",
    "Upper_case.dots notin (2),l",
    "l in 1",
    "a b",
];
const FIELD_SELECTORS: [&str; 12] = [
    "metadata.name=a",
    "metadata.name!=a",
    "metadata.name=a,metadata.name!=b",
    "metadata.namespace=$ns",
    "metadata.namespace!=$ns",
    "metadata.namespace=$other,metadata.name=b",
    "metadata.name=none",
    "metadata.name=",
    "metadata.uid=1",
    "spec.text=one",
    "spec.text!=one,metadata.name!=a",
    "nonsense",
];

impl Writer {
    pub(super) fn get(&mut self) -> Request {
        let name = match self.random.below(12) {
            0 => "none",
            1 => "$generated",
            2 => "A_",
            _ => self.name(),
        };
        let mut path = self.one(name);
        if self.random.one_in(8) {
            path += self.random.of(&["/status", "/scale"]);
        }
        let accept = self.random.of(&[JSON, JSON, TABLE, PARTIAL]);
        let query = match self.random.below(8) {
            0 if accept == TABLE => {
                self.random.of(&["?includeObject=None", "?includeObject=Object", "?includeObject=Nonsense"])
            }
            1 => "?resourceVersion=0",
            2 => "?pretty=true",
            _ => "",
        };
        Request::new("GET", path + query).accept(accept)
    }

    pub(super) fn list(&mut self) -> Request {
        let everywhere = self.random.one_in(4);
        let path = if everywhere { self.subject.kind.everywhere() } else { self.all() };
        let mut query = self.selectors(everywhere);
        let accept = self.random.of(&[JSON, JSON, TABLE, PARTIAL_LIST]);
        if accept == TABLE && self.random.one_in(2) {
            query += self.random.of(&["&includeObject=None", "&includeObject=Object", "&includeObject=Metadata"]);
            // Rows without an object do not tell whose they are.
            if everywhere {
                query = query.replace("&includeObject=None", "");
            }
        }
        // What shares a page follows from the order ("The order of lists").
        let pages = self.random.one_in(3);
        if pages {
            // kube-apiserver itself shows objects twice then.
            query = query.replace("metadata.namespace%3D", "metadata.namespace!%3D");
            query += self.random.of(&["&limit=1", "&limit=2", "&limit=3"]);
        } else {
            query += self.random.of(&[
                "",
                "",
                "",
                "&resourceVersion=0",
                "&resourceVersion=$list",
                "&resourceVersion=$list&resourceVersionMatch=NotOlderThan",
                "&resourceVersion=$list&resourceVersionMatch=Exact",
                "&resourceVersionMatch=Exact",
                "&limit=500",
                "&pretty=true",
            ]);
        }
        let request = Request::new("GET", format!("{path}?{query}")).accept(accept);
        if pages { request.all_pages() } else { request }
    }

    /// Selectors as a query, not empty.
    pub(super) fn selectors(&mut self, everywhere: bool) -> String {
        let mut query = Vec::new();
        if self.random.one_in(2) {
            query.push(format!("labelSelector={}", escaped(self.random.of(&LABEL_SELECTORS))));
        }
        if self.random.one_in(if everywhere { 2 } else { 4 }) {
            query.push(format!("fieldSelector={}", escaped(self.random.of(&FIELD_SELECTORS))));
        }
        if query.is_empty() { "labelSelector=".to_owned() } else { query.join("&") }
    }

    /// A watch from here on to the end of the sequence, of the kind's objects in the first namespace or of all; see
    /// [`super::watching`].
    pub(super) fn watch(&mut self) -> Watch {
        let (selector, name, labels) = self.random.of(&[
            ("", "end", "{}"),
            ("labelSelector=l%3D1", "end", r#"{"l":"1"}"#),
            ("labelSelector=l+in+(1,2)", "end", r#"{"l":"2"}"#),
            ("labelSelector=l+notin+(1),m", "end", r#"{"m":"2"}"#),
            ("labelSelector=!l", "end", "{}"),
            ("labelSelector=m!%3D1", "end", "{}"),
            ("labelSelector=example.org/k", "end", r#"{"example.org/k":""}"#),
            ("fieldSelector=metadata.name%3Da", "a", "{}"),
            ("fieldSelector=metadata.name!%3Da", "end", "{}"),
            ("fieldSelector=metadata.name!%3Da&labelSelector=l", "end", r#"{"l":"3"}"#),
            ("fieldSelector=metadata.namespace%3D$ns", "end", "{}"),
            ("fieldSelector=metadata.namespace!%3D$other", "end", "{}"),
        ]);
        let kind = self.subject.kind;
        let path = if self.random.one_in(4) { kind.everywhere() } else { kind.all() };
        let accept = self.random.of(&[JSON, JSON, TABLE, PARTIAL]);
        let since = self.random.of(&[
            "",
            "&resourceVersion=0",
            "&resourceVersion=$list",
            "&resourceVersion=$list",
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        ]);
        // The version that it may begin with.
        let list = Request::new("GET", kind.all());
        let request =
            Request::new("GET", format!("{path}?watch=true&timeoutSeconds=600{since}&{selector}")).accept(accept);
        Watch { list, request, name, labels }
    }
}

/// A watch, and an object that it shows.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) list: Request,
    pub(super) request: Request,
    pub(super) name: &'static str,
    pub(super) labels: &'static str,
}

fn escaped(selector: &str) -> String {
    let escape = |c: char| match c {
        '=' => "%3D".to_owned(),
        ' ' => "+".to_owned(),
        '<' => "%3C".to_owned(),
        '>' => "%3E".to_owned(),
        other => other.to_string(),
    };
    selector.chars().map(escape).collect()
}
