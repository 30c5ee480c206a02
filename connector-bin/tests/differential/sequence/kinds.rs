//! What the sequences are about: the kinds, and what their specs can hold.

use serde_json::{Value, json};

use super::random::{Random, raw};
use crate::case::{CLAIM, Kind, WIDGET, XR};

/// A kind, and members of its objects with values for them as JSON. A schema or a rule refuses some.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) members: &'static [Member],
}

/// A place, as a JSON pointer, and what can be there.
type Member = (&'static str, &'static [&'static str]);

const SECRET: Member =
    ("/spec/writeConnectionSecretToRef", &[r#"{"name":"s1"}"#, r#"{"name":"s2"}"#, r#"{"name":"s1"}"#, "{}", "null"]);
const SECRET_NAME: Member =
    ("/spec/writeConnectionSecretToRef/name", &[r#""s1""#, r#""s2""#, r#""a""#, r#""""#, "null"]);
const COMPOSITION: Member = ("/spec/compositionRef", &[r#"{"name":"c1"}"#, r#"{"name":"claim"}"#, "{}"]);
const SELECTOR: Member = (
    "/spec/compositionSelector",
    &[r#"{"matchLabels":{"app":"x"}}"#, r#"{"matchLabels":{"app":"y","b":"z"}}"#, r#"{"matchLabels":{"n":1}}"#],
);
const POLICY: Member = ("/spec/compositeDeletePolicy", &[r#""Background""#, r#""Foreground""#, r#""Sideways""#]);
const RESOURCE: Member =
    ("/spec/resourceRef", &[r#"{"apiVersion":"x.org/v1","kind":"X","name":"x-1"}"#, r#"{"kind":"X"}"#, "null"]);
const MODERN: Member = (
    "/spec/crossplane",
    &[
        r#"{"compositionRef":{"name":"c1"}}"#,
        r#"{"compositionUpdatePolicy":"Manual"}"#,
        r#"{"resourceRefs":[{"apiVersion":"v1","kind":"ConfigMap","name":"x"},{"apiVersion":"v1","kind":"Secret"}]}"#,
        r#"{"resourceRefs":[{"kind":"Secret"}]}"#,
        "{}",
    ],
);
const CONDITIONS: Member = (
    "/status/conditions",
    &[
        r#"[{"type":"Ready","status":"True","reason":"R","lastTransitionTime":"2020-01-01T00:00:00Z"}]"#,
        r#"[{"type":"Ready","status":"False","reason":"S","lastTransitionTime":"2021-01-01T00:00:00Z"},{"type":"Synced","status":"True","reason":"S","lastTransitionTime":"2021-01-01T00:00:00Z"}]"#,
        "[]",
        r#"[{"type":"Ready"}]"#,
    ],
);
/// What any JSON can hold, where no schema says otherwise.
const ANYTHING: &[&str] = &[
    r#"{"metadata":{"name":"x","labels":{"l":"1"},"namespace":"y"},"items":[{"metadata":{"name":"z"}}],"kind":"List"}"#,
    r#"{"object":{"metadata":{"name":"a"}},"rows":[{"cells":["a"]}],"labels":{"l":"2"},"annotations":null}"#,
    r#"{"big":9007199254740993,"huge":12345678901234567890,"small":-9223372036854775808,"max":18446744073709551615}"#,
    r#"{"float":0.1,"whole":1.0,"exponent":1e21,"tiny":1.5e-9,"long":0.1234567890123456789,"minus":-0.0}"#,
    r#"{"ä":"ß","emoji":"😀","escaped":"\u003c\u2028\ud83d\ude00\/","quote":"\"\\\n\t","<&>":"<&>","":"empty"}"#,
    r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":{"j":[[[[[[{"k":[]}]]]]]]}}}}}}}}}}"#,
    r#"{"null":null,"true":true,"list":[null,false,{},[],""],"writeConnectionSecretToRef":{"name":"s1"}}"#,
    r#"{"ownerReferences":[{"uid":"u"}],"managedFields":[{"manager":"m"}],"uid":"x","spec":{"spec":{}}}"#,
    r#"{"name":"claim","namespace":"nxr","text":"in the namespace \"claims\" and a/b"}"#,
    "[]",
    r#""text""#,
    "5",
];

const fn kind(
    label: &'static str,
    group: &'static str,
    name: &'static str,
    plural: &'static str,
    spec: &'static str,
    text: (&'static str, &'static str),
) -> Kind {
    Kind { label, group, version: "v1alpha1", kind: name, plural, spec, text, number: text }
}

/// Everything that the world offers.
pub(super) const ALL: &[Subject] = &[
    Subject {
        kind: CLAIM,
        members: &[
            ("/spec/id", &[r#""one""#, r#""two""#, r#""a""#, r#""claim""#, "5"]),
            ("/spec/parameters/nodes/count", &["1", "2", "3", "9007199254740993", "1.0", "2.5", r#""x""#]),
            ("/spec/parameters/nodes/size", &[r#""small""#, r#""medium""#, r#""large""#, r#""huge""#]),
            ("/spec/parameters/services/operators/prometheus/version", &[r#""1""#, r#""34.5.1""#, r#""é""#]),
            SECRET,
            SECRET_NAME,
            COMPOSITION,
            SELECTOR,
            POLICY,
            RESOURCE,
            CONDITIONS,
            ("/status/subnetIds", &[r#"["a","b"]"#, "[]", "[1]"]),
        ],
    },
    Subject {
        kind: kind(
            "cluster",
            "aws.platformref.upbound.io",
            "Cluster",
            "clusters",
            r#"{"parameters":{"id":"one","region":"r1","nodes":{"count":3,"instanceType":"t3.small"},"gitops":{"git":{"url":"https://x.org","ref":{"name":"main"}}}}}"#,
            ("/spec/parameters", "region"),
        ),
        members: &[
            ("/spec/parameters/region", &[r#""r1""#, r#""r2""#]),
            ("/spec/parameters/version", &[r#""1.27""#, r#""1.28""#, r#""1.99""#]),
            ("/spec/parameters/deletionPolicy", &[r#""Orphan""#, r#""Delete""#, "null"]),
            ("/spec/parameters/operators", &["{}", r#"{"flux":{}}"#, r#"{"flux":{"version":"1"},"other":1}"#]),
            ("/spec/parameters/gitops/git/interval", &[r#""1m""#, r#""1h30m""#, r#""soon""#]),
            ("/spec/parameters/iam", &[r#"{"principalArn":"arn"}"#, "{}"]),
            SECRET,
            SECRET_NAME,
            POLICY,
            SELECTOR,
            CONDITIONS,
            ("/status/clusterName", &[r#""x""#, "1"]),
        ],
    },
    Subject {
        kind: kind(
            "modern cluster",
            "v2.platformref.example.org",
            "Cluster",
            "clusters",
            r#"{"parameters":{"id":"one","region":"r1","nodes":{"count":3},"gitops":{"git":{"url":"https://x.org","ref":{"name":"main"}}}}}"#,
            ("/spec/parameters", "region"),
        ),
        members: &[
            ("/spec/parameters/region", &[r#""r1""#, r#""r2""#, r#""nxr""#]),
            ("/spec/parameters/managementPolicies", &[r#"["Create","Delete"]"#, "[]", r#"["Nonsense"]"#]),
            ("/spec/parameters/operators/flux", &["{}", r#"{"version":"1"}"#]),
            ("/spec/parameters/gitops/git/path", &[r#""/a/b""#, r#""""#]),
            MODERN,
            CONDITIONS,
            ("/status/oidcProvider", &[r#""x""#]),
        ],
    },
    Subject {
        kind: kind(
            "database",
            "v1.platform.example.org",
            "SQLInstance",
            "sqlinstances",
            r#"{"parameters":{"region":"r1","engine":"postgres","engineVersion":"13","storageGB":5,"passwordSecretRef":{"namespace":"n","name":"s","key":"k"},"networkRef":{"id":"n"}}}"#,
            ("/spec/parameters", "region"),
        ),
        members: &[
            ("/spec/parameters/engine", &[r#""postgres""#, r#""mariadb""#, r#""oracle""#]),
            ("/spec/parameters/storageGB", &["5", "6", "7.0", "9007199254740993"]),
            ("/spec/parameters/autoGeneratePassword", &["true", "false", r#""yes""#]),
            ("/spec/parameters/passwordSecretRef/namespace", &[r#""$ns""#, r#""$other""#]),
            ("/spec/parameters/networkRef", &[r#"{"id":"m"}"#, "{}"]),
            SECRET,
            SECRET_NAME,
            RESOURCE,
            POLICY,
            CONDITIONS,
        ],
    },
    Subject {
        kind: XR,
        members: &[
            ("/spec/parameters/region", &[r#""one""#, r#""two""#]),
            ("/spec/parameters/storageGB", &["1", "2", "3", "1.5"]),
            ("/spec/parameters/engine", &[r#""postgres""#, r#""mariadb""#, r#""oracle""#]),
            ("/spec/parameters/passwordSecretRef", &[r#"{"name":"a","key":"b"}"#, r#"{"name":"a"}"#, "null"]),
            MODERN,
            CONDITIONS,
        ],
    },
    Subject {
        kind: kind(
            "app",
            "platform.upbound.io",
            "App",
            "apps",
            r#"{"parameters":{"providerConfigName":"p","helm":{"values":{}}}}"#,
            ("/spec/parameters", "providerConfigName"),
        ),
        members: &[
            ("/spec/parameters/helm/values", ANYTHING),
            ("/spec/parameters/helm/values/deep", ANYTHING),
            ("/spec/parameters/helm/wait", &["true", "false"]),
            ("/spec/parameters/providerConfigName", &[r#""p""#, r#""q""#]),
            SECRET,
            POLICY,
            CONDITIONS,
        ],
    },
    Subject {
        // Where nobody manages anything any more, the next apply differs ("Who owns a map").
        kind: kind(
            "keys",
            "example.org",
            "UserAccessKey",
            "useraccesskeys",
            r#"{"crossplane":{"compositionUpdatePolicy":"Manual"}}"#,
            ("/spec", "unknown"),
        ),
        members: &[SECRET, SECRET, SECRET_NAME, SECRET_NAME, MODERN, CONDITIONS],
    },
    WIDGETS,
    WIDGETS,
    Subject { kind: Kind { version: "v1beta1", label: "old widget", ..WIDGET }, ..WIDGETS },
];

const WIDGETS: Subject = Subject {
    kind: WIDGET,
    members: &[
        ("/spec/text", &[r#""one""#, r#""two""#, r#""a text that is much too long""#]),
        ("/spec/number", &["1", "2", "9007199254740993", "9223372036854775807", "-1", "1e3"]),
        ("/spec/ratio", &["1", "1.0", "0.1", "1e21", "1.5e-9", "0.1234567890123456789"]),
        ("/spec/free", ANYTHING),
        ("/spec/free/deep/deeper", ANYTHING),
        ("/spec/texts", &[r#"["a","b"]"#, r#"["b"]"#, "[]", r#"["a","a"]"#]),
        (
            "/spec/parts",
            &[
                r#"[{"name":"a","size":1}]"#,
                r#"[{"name":"b"},{"name":"a","size":2}]"#,
                "[]",
                r#"[{"name":"a"},{"name":"a"}]"#,
                "null",
            ],
        ),
        ("/spec/atoms", &[r#"["x"]"#, r#"["x","y"]"#, "null"]),
        ("/spec/fixed", &[r#""f""#, r#""f""#, r#""g""#]),
        ("/spec/preset", &[r#""other""#, "null"]),
        ("/spec/replicas", &["1", "2", "-1"]),
        SECRET,
        SECRET_NAME,
        CONDITIONS,
        ("/status/note", &[r#""a""#, r#""b""#, "1"]),
        ("/status/replicas", &["1", "2"]),
        ("/status/selector", &[r#""a=b""#]),
    ],
};

impl Subject {
    /// A whole spec and perhaps status, mostly valid.
    pub(super) fn content(&self, random: &mut Random) -> Value {
        let mut object = json!({"spec": serde_json::from_str::<Value>(self.kind.spec).unwrap_or_default()});
        for _ in 0..random.below(4) {
            let (path, value) = self.member(random);
            set(&mut object, path, value);
        }
        object
    }

    /// A member and a value for it. The first values are the common ones.
    pub(super) fn member(&self, random: &mut Random) -> (&'static str, Value) {
        let (path, values) = random.of(self.members);
        let end = random.below(values.len()) + 1;
        (path, raw(values[random.below(end)]))
    }
}

/// Puts a value at a JSON pointer, and makes the objects on the way there.
pub(super) fn set(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for segment in path.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[segment];
    }
    *at = value;
}
