//! How deep and how large.

use crate::case::{Case, Kind, WIDGET, case};
use crate::exchange::{JSON, JSON_PATCH, MERGE_PATCH, Request, YAML};

/// Wire rule 1.26 (3 MiB and not a byte more), and the depth of 10,000 at which Go's reader of JSON and YAML gives up.
pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let mut cases = sizes(of);
    cases.extend(depths(WIDGET));
    cases
}

const LIMIT: usize = 3 << 20;

fn sizes(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: limit of {name}", of.label);
    // White space counts, and nothing of it is stored.
    let padded = |body: String, size: usize| format!("{body}{}", " ".repeat(size - body.len()));
    let around = |body: &str| [LIMIT - 1, LIMIT, LIMIT + 1].map(|size| padded(body.to_owned(), size));
    let post = |body: String| Request::new("POST", format!("{}?dryRun=All", of.all())).body(JSON, body);
    let patch = |content_type: &str, body: String| Request::new("PATCH", of.one("a")).body(content_type, body);
    let all = |sent: &dyn Fn(String) -> Request, body: &str| around(body).map(sent).to_vec();
    let after_create = |name: &str, requests: Vec<Request>| {
        let mut all = vec![of.create("a")];
        all.extend(requests);
        case(is(name), all)
    };
    vec![
        after_create("creates", all(&post, &of.named("b"))),
        after_create(
            "updates",
            all(&|body| of.put("a", body), &of.with_metadata(r#"{"name":"a","labels":{"l":"1"}}"#)),
        ),
        after_create("merge patches", all(&|body| patch(MERGE_PATCH, body), r#"{"metadata":{"labels":{"l":"1"}}}"#)),
        after_create(
            "JSON patches",
            all(&|body| patch(JSON_PATCH, body), r#"[{"op":"add","path":"/metadata/labels","value":{"l":"2"}}]"#),
        ),
        after_create("applies", all(&|body| of.apply("b", "fieldManager=m", body), &of.named("b"))),
        after_create("delete options", all(&|body| of.delete("a").body(JSON, body), r#"{"dryRun":["All"]}"#)),
        after_create(
            "options for all",
            all(&|body| Request::new("DELETE", of.all()).body(JSON, body), r#"{"dryRun":["All"]}"#),
        ),
        after_create("YAML", {
            let yaml = |size: usize| {
                let body = of.named("b");
                Request::new("POST", format!("{}?dryRun=All", of.all())).body(YAML, padded(body, size))
            };
            vec![yaml(LIMIT), yaml(LIMIT + 1)]
        }),
    ]
}

fn depths(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: limit of {name}", of.label);
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let lists = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let free = |name: &str, free: String| of.with(&format!(r#"{{"name":"{name}"}}"#), &format!(r#"{{"free":{free}}}"#));
    // The object, its spec and what is free there are three levels more.
    // Tried only: what is stored so deep, kube-apiserver cannot read again itself.
    let around = [100, 10_000, 10_001];
    // kube-apiserver takes half a minute for ten thousand levels of what is patched, and its deadline is near then.
    let patched = [100, 2_000, 10_001];
    let body = |depth: usize| free("a", objects(depth - 3 + 1));
    vec![
        case(
            is("the depth of creates"),
            around.map(|depth| Request::new("POST", format!("{}?dryRun=All", of.all())).body(JSON, body(depth))),
        ),
        case(
            is("the depth of lists"),
            around.map(|depth| of.post_with("?dryRun=All", free("a", format!(r#"{{"a":{}}}"#, lists(depth - 3))))),
        ),
        case(is("the depth of merge patches"), {
            let patch = |depth: usize| Request {
                path: format!("{}?dryRun=All", of.one("a")),
                ..of.merge("a", format!(r#"{{"spec":{{"free":{}}}}}"#, objects(depth - 2)))
            };
            let mut all = vec![of.create("a")];
            all.extend(patched.map(patch));
            all
        }),
        case(is("the depth of JSON patches"), {
            let value =
                |depth: usize| format!(r#"[{{"op":"add","path":"/spec/free","value":{}}}]"#, objects(depth - 2));
            let mut all = vec![of.create("a")];
            all.extend(patched.map(|depth| Request {
                path: format!("{}?dryRun=All", of.one("a")),
                ..of.json_patch("a", value(depth))
            }));
            all
        }),
        case(is("the depth of applies"), patched.map(|depth| of.apply("a", "fieldManager=m&dryRun=All", body(depth)))),
        case(
            is("the depth of YAML"),
            around.map(|depth| of.post_with("?dryRun=All", "").body(YAML, body(depth).replace(r#""a":"#, "a: "))),
        ),
        case(is("what YAML says"), {
            let scalars = "[~, null, yes, No, on, y, 0x1F, 0o17, 017, 1_000, +5, -5, 1.50, .5, 1e3, 12345678901234567890, 2001-01-01, 1:30, 1.2.3, 0x, -x, !!str 1, '1', \"\\u00e9\", 0b11, 1__0, 09, 1e400, 1.0, 100000000000000000000000]";
            let yaml = |free: &str| {
                let (api_version, kind) = (of.api_version(), of.kind);
                let head = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\n");
                of.post_with("?dryRun=All", "").body(YAML, format!("{head}spec:\n  free:\n{free}"))
            };
            vec![
                yaml(&format!("    all: {scalars}\n")),
                yaml("    1: a\n    true: b\n    1.5: c\n    y: d\n    ~: e\n"),
                yaml("    1: a\n    true: b\n    1.5: c\n"),
                yaml("    text: |\n      a\n      b"),
                yaml("    text: |\n      a\n      b\n\n"),
                yaml("    text: >\n      a\n      b\n\n      c\n"),
                yaml("    text: |+\n      a\n\n"),
                yaml("    base: &b {a: 1, c: [1, 2]}\n    more: {<<: *b, d: 2}\n    same: *b\n"),
                yaml("    more: {<<: [{a: 1}, {b: 3}], c: 4}\n"),
                yaml("    more: {<<: 5}\n"),
                yaml("    self: &s [*s]\n"),
                yaml("    none: *s\n"),
                yaml("    [a]: b\n"),
                yaml("    data: !!binary aGVsbG8=\n    set: !!set {a, b}\n    own: !own x\n"),
                yaml("    a: 1\n---\nnonsense: [\n"),
                yaml("    a: 'b\n"),
            ]
        }),
        case(
            is("the depth of indented YAML"),
            [20, 90, 150].map(|depth| {
                let lines: String = (0..depth).map(|at| format!("{}a:\n", " ".repeat(at + 4))).collect();
                let (api_version, kind) = (of.api_version(), of.kind);
                let yaml = format!(
                    "apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: a\nspec:\n  free:\n{lines}{}b: 1\n",
                    " ".repeat(depth + 4)
                );
                of.apply("a", "fieldManager=m&dryRun=All", yaml)
            }),
        ),
    ]
}
