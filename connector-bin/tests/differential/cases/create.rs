//! POST.

use crate::case::{Case, Kind, case};
use crate::exchange::{JSON, Request, YAML};

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: create {name}", of.label);
    let long = |length: usize| "n".repeat(length);
    let metadata = |metadata: &str| of.post(of.with_metadata(metadata));
    let spec = of.spec;
    let (api_version, kind) = (of.api_version(), of.kind);
    let number = of.number.1;
    let parent = of.number.0.trim_start_matches("/spec").replace('/', ".");
    let unknown = of.named("a").replacen(&format!(r#""{number}":"#), &format!(r#""colour":1,"{number}":"#), 1);
    let twice = of.named("a").replacen(&format!(r#""{number}":"#), &format!(r#""{number}":1,"{number}":"#), 1);
    let yaml = format!(
        "# a comment\napiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: a\n  labels: {{a: \"1\"}}\nspec: {spec}\n"
    );
    let mut cases = vec![
        case(is("and get"), [of.create("a"), of.get("a"), of.create("a"), of.list("")]),
        case(is("with the namespace"), [metadata(r#"{"name":"a","namespace":"$ns"}"#), of.get("a")]),
        case(is("with another namespace"), [metadata(r#"{"name":"a","namespace":"$other"}"#), of.get("a")]),
        case(
            is("with a generated name"),
            [
                metadata(r#"{"generateName":"gen-"}"#),
                of.get("$generated"),
                metadata(r#"{"generateName":"gen-","name":"given"}"#),
                of.get("given"),
                metadata(&format!(r#"{{"generateName":"{}"}}"#, long(70))),
                of.list(""),
            ],
        ),
        case(
            is("with an invalid name"),
            [
                metadata(r#"{"name":"A_B"}"#),
                metadata(r#"{"name":"-a"}"#),
                metadata(r#"{"name":"a..b"}"#),
                metadata(r#"{"name":"a/b"}"#),
                metadata(r#"{"name":"ä"}"#),
                metadata(&format!(r#"{{"name":"{}"}}"#, long(254))),
                metadata(r#"{"generateName":"A_"}"#),
                metadata(r#"{"generateName":"-"}"#),
                metadata(&format!(r#"{{"generateName":"{}"}}"#, long(260))),
                metadata(r#"{"name":""}"#),
                metadata("{}"),
                of.post(format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}","spec":{spec}}}"#)),
            ],
        ),
        case(
            is("with members of wrong types"),
            [
                metadata(r#"{"name":1}"#),
                metadata(r#"{"name":"a","labels":{"a":1}}"#),
                metadata(r#"{"name":"a","labels":[]}"#),
                metadata(r#"{"name":"a","annotations":"x"}"#),
                metadata(r#"{"name":"a","namespace":[]}"#),
                metadata(r#"{"name":"a","ownerReferences":{}}"#),
                metadata(r#"{"name":"a","finalizers":"x"}"#),
                metadata("[]"),
                metadata("null"),
                metadata(r#"{"name":"a","labels":null,"annotations":null,"finalizers":null,"ownerReferences":null}"#),
                of.get("a"),
            ],
        ),
        case(
            is("with invalid labels and annotations"),
            [
                metadata(r#"{"name":"a","labels":{"a b":"c"}}"#),
                metadata(r#"{"name":"a","labels":{"a":"c d"}}"#),
                metadata(&format!(r#"{{"name":"a","labels":{{"a":"{}"}}}}"#, long(64))),
                metadata(r#"{"name":"a","annotations":{"a b":"c"}}"#),
                metadata(r#"{"name":"a","finalizers":["not qualified"]}"#),
                metadata(r#"{"name":"A","labels":{"a b":"c d"}}"#),
                of.post(of.with(r#"{"name":"A"}"#, "{}")),
                of.post(of.with(r#"{"generateName":"A_","finalizers":["x"]}"#, "{}")),
                metadata(r#"{"labels":{"a b":"c d"}}"#),
                of.post_with("?fieldValidation=Strict", unknown.replace(r#""name":"a""#, r#""name":"A""#)),
                of.post(unknown.replace(r#""name":"a""#, r#""name":"A""#)),
                of.post_with("?dryRun=All", of.named("A")),
                of.post_with("?fieldManager=%00", of.named("A")),
                metadata(r#"{"name":"A","namespace":"$other","labels":{"a b":"c d"}}"#),
                of.list(""),
            ],
        ),
        case(
            is("for a try"),
            [
                of.post_with("?dryRun=All", of.named("a")),
                of.get("a"),
                of.post_with("?dryRun=Some", of.named("a")),
                of.post_with("?dryRun=All", of.with_metadata(r#"{"generateName":"gen-"}"#)),
                of.create("a"),
                of.post_with("?dryRun=All", of.named("a")),
            ],
        ),
        case(
            is("with unknown and duplicate fields"),
            [
                of.post_with("?fieldValidation=Strict", &unknown),
                of.post_with("?fieldValidation=Strict", &twice),
                of.post_with("?fieldValidation=Warn&dryRun=All", &unknown),
                of.post_with("?fieldValidation=Warn&dryRun=All", &twice),
                of.post_with("?fieldValidation=Ignore&dryRun=All", &unknown),
                of.post_with("?dryRun=All", &unknown),
                of.post_with("?fieldValidation=Loose", &unknown),
                of.post_with("?fieldValidation=Strict", of.with_metadata(r#"{"name":"a","colour":1}"#)),
                of.post_with("?fieldValidation=Strict", of.with_metadata(r#"{"name":"b","name":"a"}"#)),
                of.post_with("?fieldValidation=Strict", of.with_metadata(r#"{"name":"a","labels":{"a":"1","a":"2"}}"#)),
                of.post_with("?fieldValidation=Warn&dryRun=All", of.with_metadata(r#"{"name":"b","name":"a"}"#)),
                of.post_with("?fieldValidation=Strict", of.named("a").replacen('{', r#"{"kind":"X","#, 1)),
            ],
        ),
        case(
            is("from YAML"),
            [
                of.post("").body(YAML, &yaml),
                of.get("a"),
                of.post_with("?dryRun=All&fieldValidation=Strict", "").body(YAML, yaml.replace("name: a", "name: b\n  name: c")),
                of.post("").body(YAML, "a: [b"),
                of.post("").body(YAML, "- a\n- b\n"),
                of.post("").body(YAML, "a: b: c"),
                of.post("").body(YAML, "a: \"\\x\""),
                of.post("").body(YAML, "\ta: b"),
                of.post("").body(YAML, format!("{}---\n{}", yaml.replace("name: a", "name: first"), of.named("second"))),
                of.list(""),
                of.post("").body(YAML, "a: *b"),
                of.post("").body(YAML, of.named("json-is-yaml")),
                of.post("").body(YAML, yaml.replace("name: a", "name: 5")),
                of.post("").body(YAML, yaml.replace("name: a", "name: yes")),
            ],
        ),
        case(
            is("from a broken body"),
            [
                of.post(""),
                of.post("{"),
                of.post("[]"),
                of.post("null"),
                of.post("true"),
                of.post("\"x\""),
                of.post("{}"),
                of.post("{} {}"),
                of.post(of.named("a").replace('}', "")),
                of.post(format!("{}x", of.named("a"))),
                of.post(r#"{"apiVersion":1,"kind":"X"}"#),
                of.post("{'a':1}"),
                of.post("{\"a\":1ü}"),
            ],
        ),
        case(
            is("of another type"),
            [
                of.post(of.named("a").replace(kind, "Other")),
                of.post(of.named("a").replace(kind, "")),
                of.post(of.named("a").replace(&api_version, "other.org/v1")),
                of.post(of.named("a").replace(of.version, "v9")),
                of.post(of.named("A").replace(of.version, "v9")),
                of.post(of.with_metadata(r#"{"name":"a","namespace":"$other","ownerReferences":[{}]}"#).replace(of.version, "v9")),
                of.post_with("?fieldValidation=Strict", of.named("a").replace(of.version, "v9")),
                of.post_with("?fieldValidation=Ignore", of.named("a").replace(of.version, "v9")),
                of.post(of.named("a").replace(&api_version, "")),
                of.post(of.named("a").replace(&api_version, "a/b/c")),
                of.post(format!(r#"{{"metadata":{{"name":"a"}},"spec":{spec}}}"#)),
                of.post(format!(r#"{{"kind":"{kind}","metadata":{{"name":"a"}}}}"#)),
                of.post(format!(r#"{{"apiVersion":"{api_version}","metadata":{{"name":"a"}}}}"#)),
                of.post(format!(r#"{{"kind":"{kind}List","apiVersion":"{api_version}","items":[]}}"#)),
            ],
        ),
        case(
            is("with what is the server's"),
            // Wire rule 8.4.
            [
                metadata(
                    r#"{"name":"a","uid":"00000000-0000-0000-0000-000000000000","creationTimestamp":"2000-01-01T00:00:00Z","deletionTimestamp":"2000-01-01T00:00:00Z","generation":7,"selfLink":"/x","managedFields":[]}"#,
                ),
                of.get("a"),
                metadata(r#"{"name":"b","resourceVersion":"5"}"#),
                metadata(
                    r#"{"name":"c","managedFields":[{"manager":"m","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{}}}]}"#,
                ),
                metadata(r#"{"name":"d","deletionGracePeriodSeconds":5,"creationTimestamp":null}"#),
                of.post(format!(
                    r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{{"name":"e"}},"spec":{spec},"status":{{"conditions":[]}}}}"#
                )),
                of.get("e"),
            ],
        ),
        case(
            is("with field managers"),
            [
                of.post_with("?fieldManager=me", of.named("a")),
                of.create("b").header("user-agent", "kubectl/v1.36 (linux)"),
                of.create("c").header("user-agent", ""),
                of.create("d").header("user-agent", "no slash"),
                of.post_with(&format!("?fieldManager={}", long(129)), of.named("e")),
                of.post_with("?fieldManager=a%0Ab", of.named("f")),
                of.create("g").header("user-agent", "x".repeat(200)),
            ],
        ),
        case(
            is("with owners"),
            [
                metadata(
                    r#"{"name":"a","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1"}]}"#,
                ),
                of.get("a"),
                metadata(
                    r#"{"name":"b","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"Owner","name":"o","uid":"u-1","controller":true,"blockOwnerDeletion":true},{"kind":"Other","name":"p","apiVersion":"owners.example.org/v1","uid":"u-2"}]}"#,
                ),
                metadata(r#"{"name":"c","ownerReferences":[{"apiVersion":"","kind":"","name":"","uid":""}]}"#),
                metadata(
                    r#"{"name":"c","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"A","name":"o","uid":"1","controller":true},{"apiVersion":"owners.example.org/v1","kind":"B","name":"p","uid":"2","controller":true}]}"#,
                ),
                metadata(r#"{"name":"c","ownerReferences":[{"apiVersion":"v1","kind":"Event","name":"o","uid":"1"}]}"#),
                metadata(
                    r#"{"name":"c","ownerReferences":[{"apiVersion":"owners.example.org/v1","kind":"A","name":"o","uid":"1"},{"apiVersion":"owners.example.org/v1","kind":"A","name":"o","uid":"1"}]}"#,
                ),
                of.get("c"),
                metadata(r#"{"name":"d","ownerReferences":[]}"#),
                metadata(r#"{"name":"E","labels":{"a b":"c"},"ownerReferences":[{"apiVersion":"","kind":"","name":"","uid":""}]}"#),
                metadata(r#"{"name":"e","ownerReferences":[{"kind":"A"},{"kind":"A"},{"kind":"B"}]}"#),
                metadata(r#"{"name":"a","ownerReferences":[{"kind":"A"}]}"#),
                metadata(
                    r#"{"name":"f","ownerReferences":[{"apiVersion":"v1","kind":"A","name":"o","uid":"1\"ü"},{"apiVersion":"v1","kind":"B","name":"o","uid":"1\"ü"},{"apiVersion":"v1","kind":"A","name":"o","uid":"1\"ü"}]}"#,
                ),
            ],
        ),
        case(
            is("with an invalid spec"),
            [
                of.post(of.with(r#"{"name":"a"}"#, "{}")),
                of.post(of.with(r#"{"name":"a"}"#, "5")),
                of.post(of.with(r#"{"name":"a"}"#, "null")),
                of.post(of.named("a").replacen(&format!(r#""{number}":"#), &format!(r#""{number}":"x","{number}2":"#), 1)),
                of.post(of.named("a").replacen(&format!(r#""{number}":"#), &format!(r#""{number}":null,"{number}2":"#), 1)),
                of.post(of.named("a").replacen(&format!(r#""{number}":"#), &format!(r#""{number}":1.5,"{number}2":"#), 1)),
                of.post(of.named(&long(200)).replacen(&format!(r#""{number}":"#), &format!(r#""{number}":[],"{number}2":"#), 1)),
            ],
        ),
        case(
            is("at a name"),
            [
                Request::new("POST", of.one("a")).body(JSON, of.named("a")),
                Request::new("POST", of.everywhere()).body(JSON, of.named("a")),
                Request::new("POST", format!("{}/status", of.one("a"))).body(JSON, of.named("a")),
                of.post_with("?pretty=true", of.named("p")),
                of.post_with("?watch=true", of.named("q")),
            ],
        ),
        case(
            is("in an unknown namespace"),
            [
                Request::new("POST", of.all_in("$ns-nowhere")).body(JSON, of.named("a")),
                Request::new("POST", of.all_in("$ns-nowhere")).body(JSON, of.with_metadata(r#"{"name":"A"}"#)),
                Request::new("GET", of.all_in("$ns-nowhere")),
                Request::new("GET", format!("{}/a", of.all_in("$ns-nowhere"))),
                Request::new("DELETE", format!("{}/a", of.all_in("$ns-nowhere"))),
                Request::new("DELETE", of.all_in("$ns-nowhere")),
            ],
        ),
        case(is("whose number is large"), {
            let _ = parent;
            let huge = of.named("a").replacen(&format!(r#""{number}":"#), &format!(r#""{number}":9007199254740993,"x":"#), 1);
            [of.post(huge), of.get("a")]
        }),
    ];
    for length in [63, 64, 253] {
        let name = long(length);
        cases.push(case(
            is(&format!("with a name of {length}")),
            [
                of.create(&name),
                of.get(&name),
                of.create(&name),
                of.merge(&name, r#"{"metadata":{"labels":{"a":"b"}}}"#),
                of.apply(&name, "fieldManager=m", of.with_metadata("{}")),
                of.list(&format!("?fieldSelector=metadata.name={name}")),
                Request::new(
                    "GET",
                    format!("{}?fieldSelector=metadata.name={name}&labelSelector=a=b", of.everywhere()),
                ),
                of.delete(&name),
                of.get(&name),
            ],
        ));
    }
    cases
}
