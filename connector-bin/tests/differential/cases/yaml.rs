//! Answers in YAML, compared to the byte.

use crate::case::{APP, Case, Kind, WIDGET, case};
use crate::exchange::{JSON, PARTIAL, Request, TABLE, YAML};

const YAML_TABLE: &str = "application/yaml;as=Table;v=v1;g=meta.k8s.io,application/yaml";
const YAML_PARTIAL: &str = "application/yaml;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const YAML_PARTIAL_LIST: &str = "application/yaml;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let after = |name: &str, requests: Vec<Request>| {
        let mut all = vec![
            of.create_labelled("a", r#"{"l":"1"}"#),
            of.post(of.with_metadata(r#"{"name":"b","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}],"finalizers":["example.org/f"],"annotations":{"x":"y"}}"#)),
        ];
        all.extend(requests);
        all.push(of.merge("b", r#"{"metadata":{"finalizers":null}}"#));
        case(format!("{}: yaml {name}", of.label), all)
    };
    let yaml = |request: Request| request.accept(YAML);
    vec![
        after(
            "of reads",
            vec![
                yaml(of.get("a")),
                yaml(of.get("b")),
                yaml(of.list("")),
                yaml(of.list("?labelSelector=l=1")),
                yaml(of.list("?labelSelector=l=2")),
                yaml(of.list("?limit=1&labelSelector=l=1")),
                yaml(of.list("?pretty=true")),
                yaml(Request::new("GET", of.everywhere() + "?fieldSelector=metadata.namespace=$ns")),
                yaml(of.get("a")).header("user-agent", "curl/8"),
                yaml(Request::new("HEAD", of.one("a"))),
            ],
        ),
        after(
            "of writes",
            vec![
                yaml(of.create("c")),
                yaml(of.create("c")),
                yaml(of.merge("c", r#"{"metadata":{"annotations":{"x":"1"}}}"#)),
                yaml(of.put("c", of.with_metadata(r#"{"name":"c","resourceVersion":"$rv(c)"}"#))),
                yaml(of.json_patch("c", r#"[{"op":"test","path":"/metadata/name","value":"x"}]"#)),
                yaml(of.apply("d", "fieldManager=m", of.named("d"))),
                yaml(of.delete("c")),
                yaml(of.delete("b")),
                yaml(Request::new("DELETE", format!("{}?labelSelector=l=1", of.all()))),
                yaml(Request::new("DELETE", format!("{}?labelSelector=l=1", of.all()))),
            ],
        ),
        after(
            "of failures",
            vec![
                yaml(of.get("x")),
                yaml(of.get("a")).by_jane(),
                yaml(of.delete("x")),
                yaml(of.post(of.with_metadata(r#"{"name":"X Y"}"#))),
                yaml(of.post(of.with(r#"{"name":"e"}"#, r#"{"unknown":[]}"#))),
                yaml(of.post("{")),
                yaml(of.list("?labelSelector=a%20b")),
                yaml(of.put("a", of.named("other"))),
                yaml(of.create("e")).header("content-type", "text/plain"),
                yaml(Request::new("GET", format!("{}/nothing", of.one("a")))),
                yaml(Request::new("PUT", of.all()).body(JSON, of.named("a"))),
                yaml(Request::new("POST", of.all_in("$ns-nowhere")).body(JSON, of.named("a"))),
            ],
        ),
        after(
            "of Tables and metadata",
            vec![
                of.get("a").accept(YAML_TABLE),
                of.list("").accept(YAML_TABLE),
                of.list("?includeObject=None").accept(YAML_TABLE),
                of.list("?includeObject=Object").accept(YAML_TABLE),
                of.list("?includeObject=Nonsense").accept(YAML_TABLE),
                of.list("?labelSelector=l=2").accept(YAML_TABLE),
                of.get("x").accept(YAML_TABLE),
                of.get("a").accept(YAML_PARTIAL),
                of.list("").accept(YAML_PARTIAL_LIST),
                of.list("?labelSelector=l=2").accept(YAML_PARTIAL_LIST),
                of.get("a").accept(YAML_PARTIAL_LIST),
                of.list("").accept(YAML_PARTIAL),
                of.get("x").accept(YAML_PARTIAL),
                of.create("c").accept(YAML_TABLE),
                of.delete("c").accept(YAML_PARTIAL),
            ],
        ),
        after("by Accept", {
            let accepts = [
                "application/yaml,application/json".to_owned(),
                "application/json,application/yaml".to_owned(),
                "application/yaml;q=0.5,*/*;q=0.9".to_owned(),
                "*/*;q=0.9,application/yaml;q=0.5".to_owned(),
                "*/*;q=0.5,application/yaml;q=0.9".to_owned(),
                "application/json;q=0.1,application/yaml;q=0.9".to_owned(),
                "text/html,application/yaml".to_owned(),
                "application/yaml;charset=utf-8".to_owned(),
                "application/yaml;pretty=1".to_owned(),
                "application/yaml;stream=watch".to_owned(),
                "application/yaml;stream=watch,application/*;q=0.5".to_owned(),
                "application/json;sv=v1".to_owned(),
                "application/yaml;sv=v2".to_owned(),
                format!("{PROTOBUF},application/yaml"),
                format!("{YAML_TABLE},application/json"),
                format!("{TABLE},application/yaml"),
                format!("application/yaml;q=0.5,{PARTIAL}"),
                "application/yaml;as=Nonsense;v=v1;g=meta.k8s.io,application/json".to_owned(),
            ];
            // A failure has a choice of its own, and is protobuf where that comes first.
            let failures = accepts.clone().into_iter().filter(|accept| !accept.starts_with(PROTOBUF));
            let failures = failures.map(|accept| of.get("x").accept(&accept));
            accepts.iter().map(|accept| of.get("a").accept(accept)).chain(failures).collect()
        }),
        after("of watches", {
            let watch = |accept: &str| of.list("?watch=true&timeoutSeconds=1").accept(accept);
            vec![
                watch("application/yaml"),
                watch("application/yaml,application/json"),
                watch("application/json,application/yaml"),
                watch("application/yaml;stream=watch"),
                watch("application/yaml;stream=watch,application/json;stream=watch"),
                watch(YAML_TABLE),
                of.list("?watch=true&timeoutSeconds=1&resourceVersion=x").accept("application/yaml"),
            ]
        }),
    ]
}

/// What is inside of an object, in kinds that have a free part.
pub(crate) fn contents() -> Vec<Case> {
    let app = |free: &str| format!(r#"{{"parameters":{{"helm":{{"values":{free}}}}}}}"#);
    let widget = |free: &str| format!(r#"{{"free":{free}}}"#);
    let mut cases = Vec::new();
    for (of, spec) in [(WIDGET, &widget as &dyn Fn(&str) -> String), (APP, &app)] {
        for (name, free) in [("texts", TEXTS.to_owned()), ("numbers", NUMBERS.to_owned()), ("shapes", shapes())] {
            cases.push(case(
                format!("{}: yaml content of {name}", of.label),
                [
                    of.post(of.with(r#"{"name":"a","labels":{"l":"1"}}"#, &spec(&free))).accept(YAML),
                    of.get("a"),
                    of.get("a").accept(YAML),
                    of.list("").accept(YAML),
                    of.list("?includeObject=Object").accept(YAML_TABLE),
                    of.delete("a").accept(YAML),
                ],
            ));
        }
    }
    let annotations = r#"{"multi":"a\nb\n","quoted":"'x' \"y\"","number":"5","yes":"yes","empty":"","colon":"a: b","json":"{\"a\":1}\n","a10":"","a2":"","long":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb ccccccccccccccccccc"}"#;
    cases.push(case(
        format!("{}: yaml content of annotations", WIDGET.label),
        [
            WIDGET.post(WIDGET.with_metadata(&format!(r#"{{"name":"a","annotations":{annotations}}}"#))).accept(YAML),
            WIDGET.get("a").accept(YAML),
            WIDGET.get("a").accept(YAML_PARTIAL),
            // Read as YAML again, they are the same.
            WIDGET.put("a", "{}").body(YAML, "apiVersion: differential.example.org/v1\nkind: Widget\nmetadata:\n  name: a\n  resourceVersion: \"$rv(a)\"\n  annotations:\n    multi: |\n      a\n      b\n"),
            WIDGET.get("a").accept(YAML),
        ],
    ));
    let lacking =
        [r#"{"a":"\u007f"}"#.to_owned(), r#"{"a":"x\u0085y"}"#.to_owned(), format!(r#"{{"{}":1}}"#, "k".repeat(1100))];
    let lacking =
        lacking.map(|free| WIDGET.put("a", WIDGET.with(r#"{"name":"a","resourceVersion":"$rv(a)"}"#, &widget(&free))));
    let mut requests = vec![WIDGET.create("a")];
    requests.extend(lacking.into_iter().flat_map(|put| [put, WIDGET.get("a").accept(YAML)]));
    cases.push(case(format!("{}: yaml content that YAML lacks", WIDGET.label), requests));
    cases
}

const TEXTS: &str = r##"{"bool":["true","True","yes","no","y","N","on","Off","null","Null","~","","trUe"],
"number":["0","1","-1","+1","1.5",".5","1e3","1e999","0x1F","0b1","0o7","017","1_000","190:20:30","99999999999999999999",".inf","-.INF",".nan","1.","-","+",".","--","---","...","1e","0x"],
"date":["2001-01-01","2001-1-1","2001-13-01","2001-01-01T00:00:00Z","2001-01-01 00:00:00","2001-01-01T00:00:00.5+01:00","12:30"],
"indicator":["- a","-a","? a","?a",": a",":a","a: b","a:b","a #b","a#b","#","&a","*a","!a","|","> a","'a'","\"a\"","%a","@a","`a","[a]","{a}",",a","a, b","=","<<","a:"],
"blank":[" a","a ","a  b","\ta","a\tb"," ","  ","a\t"],
"lines":["a\nb","a\nb\n","a\n\nb\n\n","\na","\n","\n\n"," a\nb","a\n b","a \nb","a\nb ","a\r\nb","a\tb\nc","a\n#b\n","a\u2028b","a\u2028\nb"],
"unicode":["äöü€","𝄞","<>&","\u00a0","é\u0301","中文 中文"],
"control":["\u0000","\u0007","\b","\f","\u001b","\r","\u001f\n"],
"escape":["\\","a\\b","\"","it's","a'b: c","/"],
"long":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccccc dddddddddddd","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccccc  dddddddddddd eee","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\tbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccccc  dddddddddddd eee","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]}"##;

const NUMBERS: &str = r#"{"a":9223372036854775807,"b":-9223372036854775808,"c":9007199254740993,"d":1.5,"e":0.1,"f":1e3,"g":1E+2,"h":-0,"i":100000000000000000000,"j":1.0,"k":1e-7,"l":123456.7,"m":1234567.8,"n":12345678901234567890,"o":0.0001,"p":0.00001,"q":1e21,"r":839029387372195.25,"s":-1.5e-10}"#;

/// Of keys and collections.
fn shapes() -> String {
    let long = "k".repeat(129);
    format!(
        r#"{{"empty":{{"list":[],"map":{{}},"null":null,"lists":[[],{{}}]}},"lists":[[1,[2,[3]]],[{{"a":[{{"b":1,"c":[]}}]}}]],"a10":1,"a2":2,"a02":3,"true":true,"false":false,"yes":1,"1":1,"":1,"a b":1," a":1,"a:b":1,"a: b":1,"-":1,"é":1,"Z":1,".":1,"/":1,"a\nb":1,"{long}":{{"a":[1]}},"<<":{{"x":1}},"items":[1],"rows":[{{"cells":[]}}],"kind":"List"}}"#
    )
}
