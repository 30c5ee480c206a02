//! What is inside an object must not matter.

use crate::case::{Case, Kind, case};
use crate::exchange::TABLE;

pub(crate) fn cases(of: Kind) -> Vec<Case> {
    let is = |name: &str| format!("{}: content {name}", of.label);
    let free =
        |name: &str, free: &str| of.post(of.with(&format!(r#"{{"name":"{name}"}}"#), &format!(r#"{{"free":{free}}}"#)));
    let spec = |spec: &str| of.with(r#"{"name":"a"}"#, spec);
    let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let by = |manager: &str, body: String| of.apply("a", &format!("fieldManager={manager}"), body);
    vec![
        case(
            is("that looks like ours"),
            [
                free("a", r#"{"metadata":{"name":"x","namespace":"y","labels":{"z":"1"}},"items":[{"metadata":{"name":"b"}}],"rows":[{"cells":["a"],"object":{}}],"object":{"kind":"Status"},"kind":"Status","type":"BOOKMARK"}"#),
                of.get("a"),
                of.list(""),
                of.list("").accept(TABLE),
                of.list("?includeObject=Object").accept(TABLE),
                of.list("?watch=true&timeoutSeconds=1"),
                of.delete("a"),
            ],
        ),
        case(
            is("numbers"),
            [
                free("a", r#"{"a":9223372036854775807,"b":-9223372036854775808,"c":1.5,"d":1e3,"e":0.1,"f":1E+2,"g":9007199254740993,"h":-0,"i":100000000000000000000,"j":1.0}"#),
                of.get("a"),
                of.merge("a", r#"{"spec":{"free":{"k":9007199254740995,"l":1e400}}}"#),
                of.merge("a", r#"{"spec":{"free":{"k":9007199254740995}}}"#),
                of.json_patch("a", r#"[{"op":"test","path":"/spec/free/g","value":9007199254740993},{"op":"add","path":"/spec/free/m","value":9007199254740997}]"#),
                by("m", spec(r#"{"number":9007199254740999,"free":{"n":9007199254740999,"o":0.10}}"#)),
                of.get("a"),
                of.post(of.with(r#"{"name":"b"}"#, r#"{"number":9223372036854775807,"ratio":1}"#)),
                of.post(of.with(r#"{"name":"c"}"#, r#"{"number":9223372036854775808}"#)),
                of.post(of.with(r#"{"name":"c"}"#, r#"{"number":1.0}"#)),
            ],
        ),
        case(
            is("of any Unicode"),
            [
                free("a", r#"{"a":"<>&\u2028\u2029","b":"äöü€𝄞","c":"\u0000\u0001\u001f\u007f","d":"\ud800","e":"\"\\\/\b\f\n\r\t","ключ":"значение","":"empty"}"#),
                of.get("a"),
                of.merge("a", r#"{"metadata":{"annotations":{"u":"äöü€𝄞<>&"}}}"#),
                by("m", spec(r#"{"free":{"z":"äöü€𝄞<>&\u2028"}}"#)),
                of.get("a"),
            ],
        ),
        case(is("that is deep"), [free("a", &deep(50)), of.get("a"), free("b", &deep(500)), of.get("b"), free("c", &deep(5000)), free("d", &deep(10_001))]),
        case(
            is("of lists"),
            [
                by("m", spec(r#"{"texts":["a","b"],"parts":[{"name":"x","size":1}],"atoms":["1"]}"#)),
                by("n", spec(r#"{"texts":["c"],"parts":[{"name":"y","size":2}]}"#)),
                by("n", spec(r#"{"atoms":["2"]}"#)),
                by("n", spec(r#"{"parts":[{"name":"x","size":2}]}"#)),
                by("m", spec(r#"{"texts":["b"]}"#)),
                by("m", spec(r#"{"texts":["b","b"]}"#)),
                of.json_patch("a", r#"[{"op":"add","path":"/spec/texts/-","value":"z"},{"op":"remove","path":"/spec/parts/0"}]"#),
                of.merge("a", r#"{"spec":{"parts":[{"name":"q"},{"name":"q"}]}}"#),
                of.get("a"),
            ],
        ),
        case(
            is("with rules"),
            [
                of.post(spec(r#"{"fixed":"one"}"#)),
                of.merge("a", r#"{"spec":{"fixed":"two"}}"#),
                of.put("a", of.with(r#"{"name":"a","resourceVersion":"$rv(a)"}"#, r#"{"fixed":"two"}"#)),
                by("m", spec(r#"{"fixed":"two"}"#)),
                of.merge("a", r#"{"spec":{"text":"this is a text that is too long"}}"#),
                of.merge("a", r#"{"spec":{"number":-1}}"#),
                of.post(of.with(r#"{"name":"b"}"#, r#"{"text":"this is a text that is too long","number":-1}"#)),
                of.get("a"),
            ],
        ),
        case(
            is("with defaults and pruning"),
            [
                of.post(spec("{}")),
                of.get("a"),
                of.merge("a", r#"{"spec":{"preset":null}}"#),
                of.merge("a", r#"{"spec":{"unknown":1}}"#),
                of.merge("a", r#"{"unknown":1}"#),
                of.merge("a", r#"{"status":{"note":"x"}}"#),
                of.get("a"),
            ],
        ),
        case(
            is("with a connection secret"),
            [
                of.post(of.with(r#"{"name":"a"}"#, r#"{"writeConnectionSecretToRef":{"name":"secret"}}"#)),
                of.get("a"),
                of.list("?includeObject=Object").accept(TABLE),
                of.merge("a", r#"{"spec":{"writeConnectionSecretToRef":{"name":"other"}}}"#),
                of.json_patch("a", r#"[{"op":"test","path":"/spec/writeConnectionSecretToRef/name","value":"other"},{"op":"replace","path":"/spec/writeConnectionSecretToRef/name","value":"third"}]"#),
                by("m", spec(r#"{"writeConnectionSecretToRef":{"name":"fourth"}}"#)),
                of.apply("a", "fieldManager=m&force=true", spec(r#"{"writeConnectionSecretToRef":{"name":"fourth"}}"#)),
                of.put("a", of.with(r#"{"name":"a","resourceVersion":"$rv(a)"}"#, r#"{"writeConnectionSecretToRef":{"name":"fifth"}}"#)),
                of.merge("a", r#"{"spec":{"writeConnectionSecretToRef":null}}"#),
                of.merge("a", r#"{"spec":{"writeConnectionSecretToRef":{}}}"#),
                of.merge("a", r#"{"spec":{"writeConnectionSecretToRef":{"name":5}}}"#),
                of.post(of.with(r#"{"name":"b"}"#, r#"{"writeConnectionSecretToRef":{"name":5}}"#)),
                of.get("a"),
            ],
        ),
        case(is("that is too large"), {
            let large = |size: usize| free("a", &format!(r#"{{"a":"{}"}}"#, "x".repeat(size)));
            [large(100_000), of.get("a"), of.merge("a", format!(r#"{{"metadata":{{"annotations":{{"a":"{}"}}}}}}"#, "x".repeat(270_000))), large(3 << 20)]
        }),
    ]
}
