//! The built-in kinds, one line each.

use super::{Cell, Column, JsonPath, Kind, Resource};

/// `Name|plural|short names|scope|columns`; scope is `n` for namespaced, `c` for cluster, `r` for a review; `s` adds a
/// status subresource. A column is `NAME=path`, with `#` before the path for a count.
const KINDS: &[(&str, &str, &[&str])] = &[
    (
        "",
        "v1",
        &[
            "Namespace|namespaces|ns|cs|STATUS=.status.phase",
            "ConfigMap|configmaps|cm|n|DATA=#.data",
            "Secret|secrets||n|TYPE=.type DATA=#.data",
            "ServiceAccount|serviceaccounts|sa|n|",
            "Service|services|svc|ns|TYPE=.spec.type CLUSTER-IP=.spec.clusterIP EXTERNAL-NAME=.spec.externalName",
            "Event|events|ev|n|LAST_SEEN=@.lastTimestamp TYPE=.type REASON=.reason OBJECT=.involvedObject.name MESSAGE=.message",
        ],
    ),
    ("events.k8s.io", "v1", &["Event|events|ev|n|TYPE=.type REASON=.reason OBJECT=.regarding.name NOTE=.note"]),
    ("coordination.k8s.io", "v1", &["Lease|leases||n|HOLDER=.spec.holderIdentity"]),
    (
        "authorization.k8s.io",
        "v1",
        &["SubjectAccessReview|subjectaccessreviews||r|", "SelfSubjectAccessReview|selfsubjectaccessreviews||r|"],
    ),
    ("authentication.k8s.io", "v1", &["SelfSubjectReview|selfsubjectreviews||r|"]),
    (
        "apiextensions.k8s.io",
        "v1",
        &["CustomResourceDefinition|customresourcedefinitions|crd,crds|cs|CREATED_AT=.metadata.creationTimestamp"],
    ),
];

const AGGREGATION: (&str, &str, &[&str]) = (
    "apiregistration.k8s.io",
    "v1",
    &[
        "APIService|apiservices||cs|SERVICE=.spec.service.name AVAILABLE=.status.conditions[?(@.type=='Available')].status",
    ],
);

/// The built-in kinds; APIServices only where there is an aggregation layer.
pub(super) fn kinds(aggregation: bool) -> Vec<Kind> {
    let tables = KINDS.iter().chain(aggregation.then_some(&AGGREGATION));
    tables.flat_map(|(group, version, lines)| lines.iter().map(|line| kind(group, version, line))).collect()
}

fn kind(group: &str, version: &str, line: &str) -> Kind {
    let mut fields = line.split('|').map(str::to_owned);
    let mut next = || fields.next().unwrap_or_default();
    let (kind, plural, short_names, scope, columns) = (next(), next(), next(), next(), next());
    let stored = if plural == "events" { "" } else { group };
    let mut columns: Vec<Column> = columns.split(' ').filter(|column| !column.is_empty()).map(column).collect();
    if group != "apiextensions.k8s.io" {
        columns.push(age());
    }
    Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        list_kind: format!("{kind}List"),
        singular: kind.to_lowercase(),
        resource: Resource::new(stored, &plural),
        categories: if plural == "services" { vec!["all".into()] } else { Vec::new() },
        kind,
        plural,
        short_names: short_names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        namespaced: scope.starts_with('n'),
        custom: false,
        review: scope.starts_with('r'),
        status: scope.ends_with('s'),
        scale: None,
        schema: None,
        columns,
        selectable: Vec::new(),
    }
}

fn column(told: &str) -> Column {
    let (name, path) = told.split_once('=').unwrap_or((told, ""));
    let parse = |path: &str| JsonPath::parse(path);
    let (kind, cell) = if let Some(path) = path.strip_prefix('#') {
        ("integer", parse(path).map(Cell::Count))
    } else if let Some(path) = path.strip_prefix('@') {
        ("date", parse(path).map(Cell::Path))
    } else {
        ("string", parse(path).map(Cell::Path))
    };
    Column {
        name: name.replace('_', " "),
        kind: kind.into(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        cell: cell.unwrap_or(Cell::Nothing),
    }
}

/// The column `Age`, which built-in kinds have, and custom ones that declare no column.
pub(super) fn age() -> Column {
    Column { name: "Age".into(), ..column("Age=@.metadata.creationTimestamp") }
}
