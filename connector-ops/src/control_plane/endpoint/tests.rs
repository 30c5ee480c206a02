use super::*;

const GIVEN: &str = "
apiVersion: v1
kind: Config
current-context: prod
contexts:
- {name: prod, context: {cluster: far, user: admin}}
- {name: broken, context: {cluster: nowhere, user: admin}}
clusters:
- name: far
  cluster:
    server: https://cp.example.org:6443/base
    certificate-authority-data: Q0E=
    tls-server-name: cp.internal
    proxy-url: http://proxy.example.org:3128
users:
- {name: admin, user: {token: the-admins}}
";

#[test]
fn all_that_leads_there_is_taken_over_and_the_credential_is_not() {
    let endpoint = Endpoint::of(&Kubeconfig::from_yaml(GIVEN).unwrap(), None).unwrap();
    assert_eq!(endpoint.server, "https://cp.example.org:6443/base");
    assert_eq!(endpoint.certificate_authority.as_deref(), Some(&b"CA"[..]));
    let made = endpoint.kubeconfig(&Token::new("the-connectors"), "claims");
    let text = serde_saphyr::to_string(&made).unwrap();
    assert!(!text.contains("the-admins") && text.contains("the-connectors"), "{text}");
    let read = Kubeconfig::from_yaml(&text).unwrap();
    assert_eq!(Endpoint::of(&read, None).unwrap(), endpoint);
}

#[test]
fn a_context_that_is_not_there_is_told_with_those_that_are() {
    let kubeconfig = Kubeconfig::from_yaml(GIVEN).unwrap();
    let error = Endpoint::of(&kubeconfig, Some("test")).unwrap_err();
    assert_eq!(error.to_string(), "the kubeconfig has no context \"test\", but prod, broken");
    let error = Endpoint::of(&kubeconfig, Some("broken")).unwrap_err();
    assert_eq!(error.to_string(), "context \"broken\" of the kubeconfig names no cluster with a server");
}

#[test]
fn the_machine_itself_is_recognized() {
    let at = |server: &str| Endpoint { server: server.to_owned(), ..Endpoint::default() }.is_loopback();
    assert!(at("https://127.0.0.1:6443") && at("https://localhost") && at("https://[::1]:6443"));
    assert!(!at("https://10.0.0.1:6443") && !at("https://localhost.example.org"));
}
