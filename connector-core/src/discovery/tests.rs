use serde_json::{Value, json};

use super::*;
use crate::offer::{Offered, Offers};
use crate::origin::Form;

macro_rules! legacy {
    ($group:literal, $version:literal) => {
        (
            $group,
            $version,
            include_bytes!(concat!("../../tests/data/kubernetes-v1.36.3/", $group, "_", $version, ".resources.json")),
        )
    };
}

/// What kube-apiserver v1.36.3 answers: the aggregated list, cut to a few groups, and the legacy lists, untouched.
const NATIVE: &[u8] = include_bytes!("../../tests/data/kubernetes-v1.36.3/apis.json");
const NATIVE_GROUPS: &[u8] = include_bytes!("../../tests/data/kubernetes-v1.36.3/apis-groups.json");
const LEGACY: [(&str, &str, &[u8]); 5] = [
    legacy!("aws.platformref.upbound.io", "v1alpha1"),
    legacy!("example.org", "v1alpha1"),
    legacy!("odd.example.org", "v1beta1"),
    legacy!("odd.example.org", "v1alpha1"),
    legacy!("platform.upbound.io", "v1alpha1"),
];

fn offered(group: &str, plural: &str, kind: &str, versions: &[&str]) -> Offered {
    Offered {
        group: group.into(),
        plural: plural.into(),
        singular: kind.to_lowercase(),
        kind: kind.into(),
        list_kind: format!("{kind}List"),
        form: Form::Claim,
        versions: versions.iter().map(|version| version.to_string()).collect(),
    }
}

/// Every namespaced API of the recording but `namespaces.odd.example.org`.
fn offers() -> Offers {
    [
        offered("aws.platformref.upbound.io", "clusters", "Cluster", &["v1alpha1"]),
        offered("example.org", "useraccesskeys", "UserAccessKey", &["v1alpha1"]),
        offered("odd.example.org", "oddities", "Oddity", &["v1beta1", "v1alpha1"]),
        offered("platform.upbound.io", "apps", "App", &["v1alpha1"]),
    ]
    .into_iter()
    .collect()
}

fn legacy_of(group_version: &GroupVersion) -> &'static [u8] {
    let of =
        |(group, version, _): &&(&str, &str, _)| *group == group_version.group && *version == group_version.version;
    LEGACY.iter().find(of).unwrap().2
}

fn select_all(aggregated: bool, legacy: bool) -> Vec<Selected> {
    let offers = offers();
    let parsed = Aggregated::parse(NATIVE).unwrap();
    let one = |group_version: &GroupVersion| {
        let (aggregated, legacy) = (aggregated.then_some(&parsed), legacy.then(|| legacy_of(group_version)));
        select(group_version, &offers, aggregated, legacy).unwrap()
    };
    offers.group_versions().iter().map(one).collect()
}

fn odd() -> GroupVersion {
    GroupVersion::new("odd.example.org", "v1beta1")
}

fn value(document: &Document) -> Value {
    serde_json::from_slice(document.bytes()).unwrap()
}

/// Wire rules 3.7, 3.10: what is offered is told as natively, and nothing else is.
#[test]
fn aggregated_is_the_native_document_without_what_is_not_offered() {
    let documents = Documents::new(&select_all(true, true));
    let mut native: Value = serde_json::from_slice(NATIVE).unwrap();
    let offers = offers();
    let items = native["items"].as_array_mut().unwrap();
    items.retain(|item| item["metadata"]["name"] != "apiregistration.k8s.io");
    for item in items {
        let group = item["metadata"]["name"].as_str().unwrap().to_owned();
        for version in item["versions"].as_array_mut().unwrap() {
            let name = version["version"].as_str().unwrap().to_owned();
            let resources = version["resources"].as_array_mut().unwrap();
            resources.retain(|resource| offers.get(&group, &name, resource["resource"].as_str().unwrap()).is_some());
            assert_eq!(resources.len(), 1);
        }
    }
    assert_eq!(value(documents.root(RootForm::AggregatedV2)), native);
    native["apiVersion"] = json!("apidiscovery.k8s.io/v2beta1");
    assert_eq!(value(documents.root(RootForm::AggregatedV2Beta1)), native);
}

/// Wire rule 7.4: the order of members, too, is the reference encoder's.
#[test]
fn aggregated_is_written_as_natively() {
    let offers = [offered("example.org", "useraccesskeys", "UserAccessKey", &["v1alpha1"])].into_iter().collect();
    let group_version = GroupVersion::new("example.org", "v1alpha1");
    let selected =
        select(&group_version, &offers, Some(&Aggregated::parse(NATIVE).unwrap()), Some(legacy_of(&group_version)));
    let documents = Documents::new(&[selected.unwrap()]);
    let ours = std::str::from_utf8(documents.root(RootForm::AggregatedV2).bytes()).unwrap();
    let (head, rest) = ours.split_once('[').unwrap();
    let item = rest.strip_suffix("]}\n").unwrap();
    let native = std::str::from_utf8(NATIVE).unwrap();
    assert!(native.starts_with(head) && native.contains(item), "{ours}");
}

/// Wire rule 3.8: as natively, and for the front with group and version filled in.
#[test]
fn legacy_is_the_native_list_without_what_is_not_offered() {
    let (documents, offers) = (Documents::new(&select_all(true, true)), offers());
    for (group, version, native) in LEGACY {
        let mut native: Value = serde_json::from_slice(native).unwrap();
        let resources = native["resources"].as_array_mut().unwrap();
        let plural = |resource: &Value| resource["name"].as_str().unwrap().split('/').next().unwrap().to_owned();
        resources.retain(|resource| offers.get(group, version, &plural(resource)).is_some());
        assert!(resources[0]["storageVersionHash"].is_string());
        assert_eq!(value(documents.version(group, version).unwrap()), native, "{group}/{version}");
        let resources = native["resources"].as_array_mut().unwrap();
        for resource in resources.iter_mut().filter(|resource| resource["kind"] != "Scale") {
            assert_eq!((resource.get("group"), resource.get("version")), (None, None));
            resource["group"] = json!(group);
            resource["version"] = json!(version);
        }
        assert_eq!(value(documents.version_for_front(group, version).unwrap()), native, "{group}/{version}");
    }
    let ours = std::str::from_utf8(documents.version_for_front("odd.example.org", "v1beta1").unwrap().bytes()).unwrap();
    let expected = concat!(
        r#"{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"odd.example.org/v1beta1","resources":[{"name":"oddities","#,
        r#""singularName":"oddity","namespaced":true,"group":"odd.example.org","version":"v1beta1","kind":"Oddity","verbs":["delete","#,
    );
    assert!(ours.starts_with(expected) && ours.ends_with("]}\n"), "{ours}");
}

#[test]
fn groups_are_listed_as_natively() {
    let documents = Documents::new(&select_all(true, true));
    let by_name = |groups: &Value| {
        let mut groups = groups["groups"].as_array().unwrap().clone();
        groups.sort_by_key(|group| group["name"].as_str().unwrap().to_owned());
        groups
    };
    let native: Value = serde_json::from_slice(NATIVE_GROUPS).unwrap();
    let ours = value(documents.root(RootForm::Groups));
    assert_eq!(by_name(&ours), by_name(&native));
    assert_eq!(
        std::str::from_utf8(documents.group("odd.example.org").unwrap().bytes()).unwrap(),
        concat!(
            r#"{"kind":"APIGroup","apiVersion":"v1","name":"odd.example.org","versions":["#,
            r#"{"groupVersion":"odd.example.org/v1beta1","version":"v1beta1"},"#,
            r#"{"groupVersion":"odd.example.org/v1alpha1","version":"v1alpha1"}],"#,
            r#""preferredVersion":{"groupVersion":"odd.example.org/v1beta1","version":"v1beta1"}}"#,
            "\n"
        )
    );
    assert!(documents.has(&odd()) && !documents.has(&GroupVersion::new("odd.example.org", "v1")));
    assert_eq!(documents.group("apiregistration.k8s.io"), None);
}

#[test]
fn either_source_is_enough() {
    let (both, aggregated, legacy) = (select_all(true, true), select_all(true, false), select_all(false, true));
    assert_eq!(both, legacy, "the legacy form tells all that is written");
    let mut without_hash = both;
    for resource in without_hash.iter_mut().flat_map(|selected| &mut selected.resources) {
        assert!(resource.storage_version_hash.take().is_some());
    }
    assert_eq!(without_hash, aggregated);
}

/// Wire rule 3.5: an API that is missing must not become a document without it.
#[test]
fn a_missing_api_fails_its_group_version_only() {
    let more = offered("odd.example.org", "evens", "Even", &["v1beta1"]);
    let offers: Offers = offers().iter().cloned().chain([more]).collect();
    let aggregated = Aggregated::parse(NATIVE).unwrap();
    let missing = SelectError::Missing { plural: "evens".into(), kind: "Even".into() };
    assert_eq!(select(&odd(), &offers, Some(&aggregated), Some(legacy_of(&odd()))), Err(missing));
    for group_version in offers.group_versions().into_iter().filter(|group_version| *group_version != odd()) {
        assert!(select(&group_version, &offers, Some(&aggregated), None).is_ok(), "{group_version}");
    }
}

#[test]
fn an_offer_is_matched_by_kind_and_scope() {
    for offer in [
        offered("odd.example.org", "oddities", "Curiosity", &["v1beta1"]),
        offered("odd.example.org", "xoddities", "XOddity", &["v1beta1"]),
    ] {
        let offers = [offer].into_iter().collect();
        let aggregated = Aggregated::parse(NATIVE).unwrap();
        for (aggregated, legacy) in [(Some(&aggregated), None), (None, Some(legacy_of(&odd())))] {
            let error = select(&odd(), &offers, aggregated, legacy).unwrap_err();
            assert!(matches!(error, SelectError::Missing { .. }), "{error}");
        }
    }
}

#[test]
fn one_bad_source_is_made_up_for_by_the_other() {
    let (offers, aggregated) = (offers(), Aggregated::parse(NATIVE).unwrap());
    let good = select(&odd(), &offers, Some(&aggregated), None).unwrap();
    assert_eq!(select(&odd(), &offers, Some(&aggregated), Some(b"{")).unwrap(), good);
    let stale = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": [
        "not a group",
        {"metadata": {"name": "odd.example.org"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]},
    ]})
    .to_string();
    let stale = Aggregated::parse(stale.as_bytes()).unwrap();
    assert_eq!(select(&odd(), &offers, Some(&stale), None), Err(SelectError::Stale));
    assert!(select(&odd(), &offers, Some(&stale), Some(legacy_of(&odd()))).is_ok());
    assert_eq!(select(&odd(), &offers, None, None), Err(SelectError::Absent));
    let other = GroupVersion::new("odd.example.org", "v2");
    assert_eq!(select(&other, &offers, Some(&aggregated), None), Err(SelectError::Absent));
}

#[test]
fn other_documents_are_refused() {
    assert!(Aggregated::parse(NATIVE_GROUPS).is_err());
    assert!(Aggregated::parse(b"").is_err());
    let other = legacy_of(&GroupVersion::new("odd.example.org", "v1alpha1"));
    assert!(matches!(select(&odd(), &offers(), None, Some(other)), Err(SelectError::Invalid(_))));
}

/// Wire rules 3.7, 3.8: no kind may be empty, whatever the control plane leaves out.
#[test]
fn response_kinds_are_filled_in() {
    let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2beta1", "items": [{
        "metadata": {"name": "odd.example.org"},
        "versions": [{"version": "v1beta1", "resources": [{
            "resource": "oddities", "scope": "Namespaced", "verbs": null, "responseKind": {"kind": "Oddity"},
            "subresources": [{"subresource": "status"}, {"subresource": "scale", "responseKind": {}, "verbs": ["get"]}],
        }]}],
    }]})
    .to_string();
    let selected = select(&odd(), &offers(), Some(&Aggregated::parse(list.as_bytes()).unwrap()), None).unwrap();
    let documents = Documents::new([&selected]);
    let resource = &value(documents.root(RootForm::AggregatedV2))["items"][0]["versions"][0]["resources"][0];
    let own = json!({"group": "odd.example.org", "version": "v1beta1", "kind": "Oddity"});
    let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    assert_eq!(resource["responseKind"], own);
    assert_eq!(resource["singularResource"], "oddity");
    assert_eq!(resource["verbs"], json!([]));
    assert_eq!(resource["subresources"][0]["responseKind"], own);
    assert_eq!(resource["subresources"][1]["responseKind"], scale);
}

/// Wire rule 3.3: quoted, and another only for another content.
#[test]
fn etag_follows_the_content() {
    let mut selected = select_all(true, true);
    let one = Documents::new(&selected);
    selected.reverse();
    let other = Documents::new(&selected);
    assert_eq!(one, other);
    let document = one.root(RootForm::AggregatedV2);
    assert_eq!(document.etag(), format!("\"{}\"", document.hash()));
    assert!(
        document.hash().len() == 64 && document.hash().bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    );
    let etag = document.etag();
    for (header, known) in
        [(etag, true), (&format!("\"x\", W/{etag}"), true), ("*", true), ("\"x\"", false), ("", false)]
    {
        assert_eq!(document.is_known(header), known, "{header}");
    }
    assert!(!document.is_known(document.hash()), "a tag has quotes");
    selected.pop();
    assert_ne!(Documents::new(&selected).root(RootForm::AggregatedV2).etag(), document.etag());
}

#[test]
fn nothing_offered_gives_empty_documents() {
    let documents = Documents::new([]);
    let aggregated = b"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"metadata\":{},\"items\":[]}\n";
    assert_eq!(documents.root(RootForm::AggregatedV2).bytes().as_ref(), aggregated);
    let groups = b"{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[]}\n";
    assert_eq!(documents.root(RootForm::Groups).bytes().as_ref(), groups);
}

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// Wire rules 3.1, 3.2, 3.13.
#[test]
fn accept_chooses_the_form() {
    use RootForm::{AggregatedV2, AggregatedV2Beta1, Groups};
    for (accept, form) in [
        ("", Some(Groups)),
        ("application/json", Some(Groups)),
        ("*/*", Some(Groups)),
        ("application/yaml, application/*;q=0.5", Some(Groups)),
        (V2, Some(AggregatedV2)),
        (V2BETA1, Some(AggregatedV2Beta1)),
        (&format!("{V2},{V2BETA1}"), Some(AggregatedV2)),
        (&format!("{V2},{V2BETA1},application/json"), Some(AggregatedV2)),
        (&format!("{V2BETA1},{V2}"), Some(AggregatedV2Beta1)),
        (&format!("{V2BETA1};q=0.8,{V2};q=0.9"), Some(AggregatedV2)),
        (&format!("application/json,{V2}"), Some(AggregatedV2)),
        (&format!("{V2};profile=nopeer"), Some(AggregatedV2)),
        (&format!("{V2};whatever=1;pretty"), Some(AggregatedV2)),
        ("application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io", Some(AggregatedV2)),
        (&format!("{V2};sv=v3,application/json"), Some(Groups)),
        ("application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList", None),
        ("application/json;as=Table;g=meta.k8s.io;v=v1", None),
        ("application/vnd.kubernetes.protobuf", None),
        ("application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", None),
        (",;/,", None),
    ] {
        assert_eq!(negotiate(accept), form, "{accept}");
    }
    assert_eq!(AggregatedV2.content_type(), V2);
    assert_eq!(AggregatedV2Beta1.content_type(), V2BETA1);
    assert_eq!(Groups.content_type(), "application/json");
}

/// Wire rule 4.9.
#[test]
fn accept_takes_json_or_not() {
    for (accept, takes) in [
        ("", true),
        ("application/json", true),
        ("application/com.github.proto-openapi.spec.v3.v1.0+protobuf, */*", true),
        ("application/com.github.proto-openapi.spec.v2@v1.0+protobuf", false),
        ("text/html", false),
    ] {
        assert_eq!(accepts_json(accept), takes, "{accept}");
    }
}
