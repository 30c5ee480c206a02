use super::*;

#[test]
fn an_image_has_up_to_three_parts() {
    assert_eq!(parts("connector"), ("connector", "", ""));
    assert_eq!(parts("registry:5000/team/connector"), ("registry:5000/team/connector", "", ""));
    assert_eq!(parts("registry:5000/connector:v1@sha256:ab"), ("registry:5000/connector", "v1", "sha256:ab"));
}
