use std::sync::Mutex;

use serde_json::json;
use tokio::sync::oneshot;

use super::*;

fn attributes() -> Attributes {
    Attributes::Path { verb: "get".into(), path: "/apis".into() }
}

fn jane() -> User {
    User { name: "jane".into(), uid: String::new(), groups: vec![], extra: Default::default() }
}

/// An app cluster whose answers the test gives: what comes out is one sender for each review.
fn app_cluster() -> (Authorizer, Arc<Mutex<Vec<oneshot::Sender<bool>>>>) {
    let open = Arc::new(Mutex::new(Vec::new()));
    let asked = open.clone();
    let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
        let (answer, allowed) = oneshot::channel();
        asked.lock().unwrap().push(answer);
        async move {
            let allowed: bool = allowed.await.unwrap();
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {},
                "status": {"allowed": allowed},
            });
            let body = http_body_util::Full::new(bytes::Bytes::from(review.to_string()));
            Ok::<_, std::convert::Infallible>(http::Response::builder().status(201).body(body).unwrap())
        }
    });
    (Authorizer::new(kube::Client::new(service, "default")), open)
}

/// As if the app cluster had allowed it some time ago.
fn remember(authorizer: &Authorizer, age: Duration) {
    let at = Instant::now().checked_sub(age).expect("the machine runs for longer than that");
    authorizer.0.remembered.insert((jane(), attributes()), Remembered::new(at, Decision::Allowed));
}

async fn asked(open: &Mutex<Vec<oneshot::Sender<bool>>>) -> oneshot::Sender<bool> {
    loop {
        if let Some(review) = open.lock().unwrap().pop() {
            return review;
        }
        tokio::task::yield_now().await;
    }
}

/// Wire rule 9.7: nobody waits for what is asked all the time.
#[tokio::test]
async fn permissions_in_use_are_renewed_beside_the_requests() {
    let (authorizer, open) = app_cluster();
    remember(&authorizer, RENEWED_AFTER);
    for _ in 0..3 {
        assert_eq!(authorizer.decide(&jane(), &attributes(), &Wait::default()).await.unwrap(), Decision::Allowed);
    }
    let review = asked(&open).await;
    assert!(open.lock().unwrap().is_empty(), "asked again once");
    review.send(false).unwrap();
    while authorizer.decide(&jane(), &attributes(), &Wait::default()).await.unwrap() == Decision::Allowed {
        tokio::task::yield_now().await;
    }
}

/// Wire rule 9.7: no answer counts for more than ten seconds, whoever asks again.
#[tokio::test]
async fn old_permissions_do_not_count() {
    let (authorizer, open) = app_cluster();
    remember(&authorizer, DECISION_LIFETIME);
    let (decided, ()) =
        tokio::join!(async { authorizer.decide(&jane(), &attributes(), &Wait::default()).await.unwrap() }, async {
            asked(&open).await.send(false).unwrap();
        });
    assert_eq!(decided, Decision::Denied(String::new()));
}

fn reviewed(fields: &str, labels: &str) -> serde_json::Value {
    let attributes = Attributes::Resource {
        verb: "list",
        group: "g".into(),
        version: "v1".into(),
        resource: "foos".into(),
        subresource: String::new(),
        namespace: "team".into(),
        name: String::new(),
        fields: fields.parse().unwrap(),
        labels: labels.parse().unwrap(),
    };
    let user = User { name: "jane".into(), uid: String::new(), groups: vec![], extra: Default::default() };
    serde_json::to_value(spec(&user, &attributes)).unwrap()["resourceAttributes"].clone()
}

/// Wire rule 9.8.
#[test]
fn reviews_carry_selectors() {
    let review = reviewed("metadata.name=a,spec.x!=,=b", "a=1,b!=2,c in (x,y),d notin (z),e,!f,g>5");
    let field = |key: &str, operator: &str, value: &str| json!({"key": key, "operator": operator, "values": [value]});
    let fields = json!({"requirements": [field("metadata.name", "In", "a"), field("spec.x", "NotIn", "")]});
    assert_eq!(review["fieldSelector"], fields);
    let labels = json!({"requirements": [
        {"key": "a", "operator": "In", "values": ["1"]},
        {"key": "b", "operator": "NotIn", "values": ["2"]},
        {"key": "c", "operator": "In", "values": ["x", "y"]},
        {"key": "d", "operator": "NotIn", "values": ["z"]},
        {"key": "e", "operator": "Exists"},
        {"key": "f", "operator": "DoesNotExist"},
    ]});
    assert_eq!(review["labelSelector"], labels);
}

/// Wire rule 9.8: nothing is said of selectors that say nothing.
#[test]
fn reviews_without_selectors_have_none() {
    for (fields, labels) in [("", ""), (",", "a>1")] {
        let review = reviewed(fields, labels);
        assert!(review.get("fieldSelector").is_none() && review.get("labelSelector").is_none(), "{review}");
    }
}

#[test]
fn refusal_reads_like_the_reference_servers() {
    let user =
        User { name: "jane".into(), uid: String::new(), groups: vec![], extra: std::collections::BTreeMap::new() };
    let mut attributes = Attributes::Resource {
        verb: "get",
        group: "k8s.starter.org".into(),
        version: "v1alpha1".into(),
        resource: "kubernetesclusters".into(),
        subresource: String::new(),
        namespace: "team".into(),
        name: "a".into(),
        fields: FieldSelector::default(),
        labels: LabelSelector::default(),
    };
    assert_eq!(
        attributes.refusal(&user, ""),
        r#"User "jane" cannot get resource "kubernetesclusters" in API group "k8s.starter.org" in the namespace "team""#
    );
    if let Attributes::Resource { namespace, subresource, .. } = &mut attributes {
        namespace.clear();
        subresource.push_str("status");
    }
    assert!(
        attributes.refusal(&user, "no").ends_with(
            r#"resource "kubernetesclusters/status" in API group "k8s.starter.org" at the cluster scope: no"#
        )
    );
}
