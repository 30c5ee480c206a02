use connector_core::offer::Offered;
use connector_core::origin::Form;

use super::*;

fn account(id: &str) -> Account {
    Account::of(&id.parse().unwrap(), "claims")
}

#[test]
fn an_account_is_named_after_its_cluster_where_that_is_a_name() {
    assert_eq!(account("prod-1").name, "connector-prod-1");
    assert_eq!(account("00000000-0000-0000-0000-000000000000").name, "connector-00000000-0000-0000-0000-000000000000");
    assert_eq!(account("Prod_1").name, "connector-18c8b8c9c43a8a88");
    assert_eq!(account(&"a".repeat(63)).name.len(), "connector-".len() + 16);
}

fn offers() -> Offers {
    let offered = |group: &str, plural: &str| Offered {
        group: group.to_owned(),
        plural: plural.to_owned(),
        singular: String::new(),
        kind: String::new(),
        list_kind: String::new(),
        form: Form::Claim,
        versions: vec!["v1".to_owned()],
    };
    [offered("a.example.org", "ones"), offered("b.example.org", "others")].into_iter().collect()
}

fn role(group: &str, plural: &str, verb: &str) -> ClusterRole {
    let rule = PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![plural.to_owned()]),
        verbs: vec![verb.to_owned()],
        ..PolicyRule::default()
    };
    ClusterRole { rules: Some(vec![rule]), ..ClusterRole::default() }
}

#[test]
fn groups_are_named_only_where_nothing_aggregates_them() {
    let set = |groups: &[&str]| groups.iter().map(|&group| group.to_owned()).collect::<BTreeSet<_>>();
    let roles = [role("a.example.org", "ones", "*"), role("b.example.org", "others", "get")];
    let rights = Rights::for_offers(&offers(), &roles, true, false);
    assert_eq!((rights.groups, rights.scaled), (set(&["b.example.org"]), set(&["a.example.org"])));
    let rights = Rights::for_offers(&offers(), &roles, false, false);
    assert_eq!((rights.groups, rights.scaled), (set(&["a.example.org", "b.example.org"]), set(&[])));
}

/// Least rights: nothing cluster-wide but to read definitions, and Secrets are not written unless input Secrets are configured.
#[test]
fn nothing_more_is_given() {
    let rights = Rights { aggregated: true, groups: ["a.example.org".to_owned()].into(), ..Rights::default() };
    let objects = account("prod-1").objects(&json!({}), &rights);
    for object in &objects {
        let text = object.to_string();
        if object["kind"] == "ClusterRole" {
            assert!(object["rules"].is_null() || !text.contains("create"), "{text}");
        }
        if object["kind"] == "Role" {
            let secrets = object["rules"].as_array().unwrap().iter().find(|rule| rule["resources"][0] == "secrets");
            assert_eq!(secrets.unwrap()["verbs"], json!(["get", "list", "watch"]));
            assert!(object["rules"].as_array().unwrap().iter().all(|rule| rule["apiGroups"][0] != "*"), "{text}");
        }
    }
    let bound = objects.iter().filter(|object| object["kind"] == "ClusterRoleBinding");
    assert_eq!(bound.map(|binding| &binding["roleRef"]["name"]).collect::<Vec<_>>(), [OFFERS_ROLE]);
}
