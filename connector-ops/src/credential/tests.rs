use serde_json::json;

use super::*;

fn kubeconfig(user: Value) -> String {
    json!({
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://control-plane.example.org"}}],
        "users": [{"name": "u", "user": user}],
    })
    .to_string()
}

fn jwt(claims: Value) -> String {
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[test]
fn a_token_tells_whose_it_is_and_until_when() {
    let token = jwt(json!({"sub": "system:serviceaccount:claims:connector-c1", "exp": 1_800_000_000}));
    let reading = Reading::of(&kubeconfig(json!({"token": token}))).unwrap();
    assert_eq!(reading.kind, CredentialKind::ServiceAccountToken);
    assert_eq!(service_account(reading.subject.as_deref().unwrap()), Some(("claims", "connector-c1")));
    assert_eq!(reading.expires.unwrap().to_string(), "2027-01-15T08:00:00Z");
    let opaque = Reading::of(&kubeconfig(json!({"token": "abc"}))).unwrap();
    assert_eq!((opaque.kind, opaque.subject, opaque.expires), (CredentialKind::Token, None, None));
}

/// What a Secret says must not make the reader's machine run a program, or send a file of it away.
#[tokio::test]
async fn nothing_outside_the_kubeconfig_is_used() {
    for user in [
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": ["/tmp/x"]}}),
        json!({"tokenFile": "/etc/passwd"}),
        json!({"client-certificate": "/etc/passwd", "client-key": "/etc/passwd"}),
        json!({"token": "abc", "tokenFile": "/etc/passwd"}),
    ] {
        let why = client(&kubeconfig(user.clone())).await.err().unwrap_or_default();
        assert!(why.contains("which only the Pod can use"), "{user}: {why}");
    }
    let of_a_file = kubeconfig(json!({"token": "abc"}))
        .replace("\"server\"", "\"certificate-authority\":\"/etc/passwd\",\"server\"");
    let why = client(&of_a_file).await.err().unwrap_or_default();
    assert!(why.contains("has certificate-authority"), "{why}");
}

#[test]
fn a_kubeconfig_that_is_incomplete_says_what_is_missing() {
    let why = |text: &str| Reading::of(text).unwrap_err();
    assert_eq!(why("{}"), "it has no current-context");
    assert_eq!(why("current-context: c"), "its current-context \"c\" is not in it");
    let no_cluster = "{current-context: c, contexts: [{name: c, context: {cluster: k}}]}";
    assert_eq!(why(no_cluster), "the cluster of context \"c\" is not in it");
}

#[test]
fn ports_of_urls() {
    assert_eq!(host_and_port("https://a.example.org/k8s"), Some(("a.example.org".to_owned(), 443)));
    assert_eq!(host_and_port("https://127.0.0.1:6443"), Some(("127.0.0.1".to_owned(), 6443)));
}
