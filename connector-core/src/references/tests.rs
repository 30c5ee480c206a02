use super::*;

fn fault(path: &str) -> PathFault {
    References::new([], [path]).unwrap_err().fault
}

#[test]
fn paths_lead_below_spec() {
    let references = References::new(
        ["spec.outputs.secretName", "spec['a.b'][*]"],
        ["spec.users[*].passwordSecretRef", "spec.users[*].keys[*][*]", "spec.outputs.secretRef"],
    );
    let references = references.unwrap();
    assert!(!references.is_empty() && References::default().is_empty());
    assert!(references.refer_to_inputs());
    assert!(!References::new(["spec.outputs.secretName", "spec['a.b'][*]"], []).unwrap().refer_to_inputs());
    let keys: Vec<&str> = references.in_spec().iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["outputs", "a.b", "users"]);
}

#[test]
fn what_is_wrong_with_a_path_is_told() {
    for path in ["", "status.secretRef", "specs.a", ".spec.a", "$.spec.a", "metadata.name"] {
        assert_eq!(fault(path), PathFault::NotBelowSpec, "{path}");
    }
    for path in ["spec", "spec[*]", "spec[*].a"] {
        assert_eq!(fault(path), PathFault::Whole, "{path}");
    }
    for (path, rest) in [
        ("spec.", "."),
        ("spec.a..b", "..b"),
        ("spec.a[0].b", "[0].b"),
        ("spec.a[*]b", "b"),
        ("spec['']", "['']"),
        ("spec['a'", "['a'"),
        ("spec['it's'].a", "['it's'].a"),
        ("spec.a b", ".a b"),
        ("spec.a/b", ".a/b"),
    ] {
        assert_eq!(fault(path), PathFault::Syntax { rest: rest.into() }, "{path}");
    }
    for path in ["spec.writeConnectionSecretToRef", "spec.writeConnectionSecretToRef.name"] {
        assert_eq!(fault(path), PathFault::Conventional, "{path}");
    }
    let told = References::new(["spec.a b"], []).unwrap_err().to_string();
    assert!(told.contains(r#""spec.a b""#) && told.contains("spec.users[*].passwordSecretRef"), "{told}");
}

#[test]
fn paths_do_not_overlap() {
    for (one, other) in [
        ("spec.a", "spec.a"),
        ("spec.a", "spec.a.b"),
        ("spec.a.b.c", "spec.a.b"),
        ("spec.a[*]", "spec.a.b"),
        ("spec.a[*]", "spec.a"),
        ("spec['a']", "spec.a[*].b"),
    ] {
        for (connection, input) in [(one, other), (other, one)] {
            let wrong = References::new([connection], [input]).unwrap_err();
            assert_eq!(wrong, InvalidPath { path: input.into(), fault: PathFault::Overlap });
        }
    }
}

#[test]
fn pointers_touch_a_field_around_and_within_it() {
    let references = References::new(["spec.a.b"], ["spec.users[*].ref"]).unwrap();
    let touched = |pointer: &str| {
        let segments: Vec<&str> = pointer.split('/').skip(1).collect();
        references.touched_by(&segments)
    };
    for pointer in [
        "",
        "/spec",
        "/spec/a",
        "/spec/a/b",
        "/spec/a/b/c",
        "/spec/users",
        "/spec/users/-",
        "/spec/users/0",
        "/spec/users/0/ref",
        "/spec/users/0/ref/name",
    ] {
        assert!(touched(pointer), "{pointer}");
    }
    for pointer in ["/status", "/metadata/a", "/spec/b", "/spec/a/c", "/spec/users/0/name", "/a/b"] {
        assert!(!touched(pointer), "{pointer}");
    }
    assert!(!References::default().touched_by(&[]));
}

#[test]
fn places_are_told_with_the_numbers_of_elements() {
    let users = Place { holder: None, step: Step::Key("users") };
    let first = Place { holder: Some(&users), step: Step::Element(0) };
    let dotted = Place { holder: Some(&first), step: Step::Key("a.b") };
    assert_eq!(dotted.to_string(), "spec.users[0]['a.b']");
}
