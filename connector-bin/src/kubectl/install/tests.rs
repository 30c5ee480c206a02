use super::*;

#[test]
fn an_image_has_up_to_three_parts() {
    assert_eq!(parts("connector"), ("connector", "", ""));
    assert_eq!(parts("registry:5000/team/connector"), ("registry:5000/team/connector", "", ""));
    assert_eq!(parts("registry:5000/connector:v1@sha256:ab"), ("registry:5000/connector", "v1", "sha256:ab"));
}

#[test]
fn namespaces_are_labels() {
    assert!(namespace("my-app-ns-1").is_ok());
    for wrong in ["", "My", "-a", "a-", "a.b", &"a".repeat(64)] {
        assert!(namespace(wrong).is_err(), "{wrong}");
    }
}
