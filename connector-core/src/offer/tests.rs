use serde_json::{Value, json};

use super::*;

/// XRDs as a real Crossplane wrote them, in the order of its watch events (schemas cut out).
fn recorded_xrds() -> Vec<Value> {
    let events: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/data/definitions/xrd-events.json")).unwrap();
    events.into_iter().map(|event| event["object"].clone()).collect()
}

/// CRDs as a real Crossplane rendered them (schemas cut out); the recording has no status.
fn rendered_crd(name: &str) -> Value {
    let crds: Vec<Value> = serde_json::from_str(include_str!("../../tests/data/definitions/crds.json")).unwrap();
    let mut crd = crds.into_iter().find(|crd| crd["metadata"]["name"] == name).unwrap();
    crd["status"] =
        json!({"conditions": [{"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}]});
    crd
}

fn xrd(api_version: &str) -> Value {
    json!({
        "apiVersion": format!("apiextensions.crossplane.io/{api_version}"),
        "kind": "CompositeResourceDefinition",
        "metadata": {"name": "xbuckets.example.org"},
        "spec": {
            "group": "example.org",
            "names": {"kind": "XBucket", "plural": "xbuckets"},
            "versions": [{"name": "v1", "served": true}],
        },
        "status": {"conditions": [{"type": "Established", "status": "True", "reason": "WatchingCompositeResource"}]},
    })
}

fn claimable(status: &str, reason: &str) -> Value {
    let mut xrd = xrd("v1");
    xrd["spec"]["claimNames"] = json!({"kind": "Bucket", "plural": "buckets"});
    xrd["status"]["conditions"].as_array_mut().unwrap().push(json!({
        "type": "Offered", "status": status, "reason": reason
    }));
    xrd
}

#[test]
fn recorded_claim_is_offered_and_its_composite_is_not() {
    let claim = Offered {
        group: "k8s.starter.org".into(),
        plural: "kubernetesclusters".into(),
        singular: "kubernetescluster".into(),
        kind: "KubernetesCluster".into(),
        list_kind: "KubernetesClusterList".into(),
        form: Form::Claim,
        versions: vec!["v1alpha1".into()],
    };
    assert_eq!(from_xrd(&recorded_xrds()[1]), Ok(vec![claim]));
}

#[test]
fn recorded_namespaced_composite_is_offered_to_its_end() {
    let events = recorded_xrds();
    let composites: Vec<&Value> =
        events.iter().filter(|xrd| xrd["metadata"]["name"] == "useraccesskeys.example.org").collect();
    assert_eq!(composites.len(), 4);
    assert_eq!(composites[3]["status"]["conditions"][0]["reason"], "TerminatingCompositeResource");
    for xrd in composites {
        let offers = from_xrd(xrd).unwrap();
        assert_eq!(offers.len(), 1);
        assert_eq!((offers[0].kind.as_str(), offers[0].form), ("UserAccessKey", Form::NamespacedComposite));
    }
}

#[test]
fn scope_defaults_by_the_version_of_the_xrd() {
    assert_eq!(from_xrd(&xrd("v1")), Ok(vec![]), "LegacyCluster");
    assert_eq!(from_xrd(&xrd("v2")).unwrap().len(), 1, "Namespaced");
    for (scope, offers) in [("Namespaced", 1), ("Cluster", 0), ("LegacyCluster", 0)] {
        for version in ["v1", "v2"] {
            let mut xrd = xrd(version);
            xrd["spec"]["scope"] = json!(scope);
            assert_eq!(from_xrd(&xrd).unwrap().len(), offers, "{scope} in {version}");
        }
    }
}

#[test]
fn conditions_decide() {
    for (status, reason, offers) in [
        ("True", "WatchingCompositeResourceClaim", 1),
        ("False", "TerminatingCompositeResourceClaim", 1),
        ("False", "Whatever", 0),
        ("Unknown", "TerminatingCompositeResourceClaim", 0),
    ] {
        assert_eq!(from_xrd(&claimable(status, reason)).unwrap().len(), offers, "{status} {reason}");
    }
    let mut silent = claimable("True", "");
    silent["status"] = json!({});
    assert_eq!(from_xrd(&silent), Ok(vec![]), "a new XRD has no conditions");
}

#[test]
fn only_served_versions_the_preferred_first() {
    let mut xrd = claimable("True", "");
    xrd["spec"]["versions"] = json!([
        {"name": "v1alpha1", "served": true}, {"name": "v2", "served": false}, {"name": "v1", "served": true},
        {"name": "v10beta1", "served": true}, {"name": "v1alpha10", "served": true}, {"name": "foo", "served": true},
    ]);
    let offers = from_xrd(&xrd).unwrap();
    assert_eq!(offers[0].versions, ["v1", "v10beta1", "v1alpha10", "v1alpha1", "foo"]);
    xrd["spec"]["versions"] = json!([{"name": "v1", "served": false}]);
    assert_eq!(from_xrd(&xrd), Ok(vec![]));
}

#[test]
fn malformed_definitions_say_which_field() {
    for (pointer, value, field) in [
        ("/spec/group", json!(7), "spec.group"),
        ("/spec/versions", json!({}), "spec.versions"),
        ("/spec/versions/0/name", json!(null), "spec.versions"),
        ("/spec/claimNames/plural", json!(""), "spec.claimNames"),
    ] {
        let mut xrd = claimable("True", "");
        *xrd.pointer_mut(pointer).unwrap() = value;
        assert_eq!(from_xrd(&xrd), Err(InvalidDefinition { name: "xbuckets.example.org".into(), field }));
    }
    let empty = InvalidDefinition { name: String::new(), field: "spec.group" };
    assert_eq!(from_xrd(&json!("text")), Err(empty));
}

#[test]
fn crds_of_claims_and_namespaced_composites_are_recognised() {
    for (name, form) in [
        ("clusters.aws.platformref.upbound.io", Some(Form::Claim)),
        ("xclusters.aws.platformref.upbound.io", None),
        ("kubernetesclusters.k8s.starter.org", Some(Form::Claim)),
        ("xkubernetesclusters.k8s.starter.org", None),
        ("useraccesskeys.example.org", Some(Form::NamespacedComposite)),
    ] {
        assert_eq!(from_crd(&rendered_crd(name)).map(|offered| offered.form), form, "{name}");
    }
}

#[test]
fn xrd_and_crd_tell_the_same() {
    for (xrd, crd) in [(1, "kubernetesclusters.k8s.starter.org"), (0, "useraccesskeys.example.org")] {
        assert_eq!(from_xrd(&recorded_xrds()[xrd]).unwrap(), [from_crd(&rendered_crd(crd)).unwrap()]);
    }
}

/// Authors can add any category, so it proves nothing alone.
#[test]
fn a_category_is_no_proof() {
    let composite = || rendered_crd("useraccesskeys.example.org");
    let mut both = composite();
    both["spec"]["names"]["categories"] = json!(["claim", "composite"]);
    assert_eq!(from_crd(&both).unwrap().form, Form::NamespacedComposite);

    let mut claim = rendered_crd("kubernetesclusters.k8s.starter.org");
    claim["spec"]["names"]["categories"] = json!(["composite", "claim"]);
    assert_eq!(from_crd(&claim).unwrap().form, Form::Claim);

    let spoil: [(&str, Value); 6] = [
        ("/metadata/ownerReferences", json!([])),
        ("/metadata/ownerReferences/0/controller", json!(false)),
        ("/metadata/ownerReferences/0/kind", json!("ManagedResourceDefinition")),
        ("/metadata/ownerReferences/0/apiVersion", json!("example.org/v1")),
        ("/status/conditions/0/status", json!("False")),
        ("/spec/names/categories", json!(["managed"])),
    ];
    for (pointer, value) in spoil {
        let mut crd = composite();
        *crd.pointer_mut(pointer).unwrap() = value;
        assert_eq!(from_crd(&crd), None, "{pointer}");
    }
}

fn sample(group: &str, plural: &str, versions: &[&str]) -> Offered {
    Offered {
        group: group.into(),
        plural: plural.into(),
        singular: "s".into(),
        kind: "K".into(),
        list_kind: "KList".into(),
        form: Form::Claim,
        versions: versions.iter().map(|version| version.to_string()).collect(),
    }
}

#[test]
fn offers_are_found_by_group_version_and_plural() {
    let offers: Offers = [
        sample("b.org", "cats", &["v1", "v1beta1"]),
        sample("b.org", "dogs", &["v2", "v1beta1"]),
        sample("a.org", "cats", &["v1"]),
    ]
    .into_iter()
    .collect();
    assert_eq!(offers.get("b.org", "v1beta1", "dogs").unwrap().plural, "dogs");
    assert_eq!(offers.get("b.org", "v1", "dogs"), None, "not served in this version");
    assert_eq!(offers.get("c.org", "v1", "cats"), None);
    let served: Vec<&str> = offers.in_group_version("b.org", "v1beta1").map(|o| o.plural.as_str()).collect();
    assert_eq!(served, ["cats", "dogs"]);
    let all: Vec<String> = offers.group_versions().iter().map(GroupVersion::to_string).collect();
    assert_eq!(all, ["a.org/v1", "b.org/v2", "b.org/v1", "b.org/v1beta1"]);
}

#[test]
fn offers_are_equal_whatever_the_order() {
    let (one, other) = (sample("a.org", "cats", &["v1"]), sample("b.org", "dogs", &["v1"]));
    let offers: Offers = [one.clone(), other.clone()].into_iter().collect();
    assert_eq!(offers, [other.clone(), one].into_iter().collect());
    assert_ne!(offers, [other].into_iter().collect());
    assert!(Offers::default().is_empty() && !offers.is_empty());
}
