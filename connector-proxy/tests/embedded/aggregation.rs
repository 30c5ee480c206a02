//! The aggregation layer, with a server behind it that tells what arrives.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use connector_proxy::embedded::Options;
use futures::StreamExt;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use k8s_openapi::ByteString;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::Bench;

type Body = UnsyncBoxBody<Bytes, Infallible>;
const GROUP: &str = "remote.org";
const WIDGETS: &str = "/apis/remote.org/v1/namespaces/default/widgets";
const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.remote.org";

fn whole(content_type: &'static str, json: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(json.to_string())).boxed_unsync();
    Response::builder().header("content-type", content_type).body(body).unwrap()
}

/// Answers as a connector would; objects are what arrived.
async fn answer(request: Request<Incoming>, items: Arc<AtomicUsize>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let header = |name: &str| {
        let values = parts.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
        values.collect::<Vec<_>>().join(",")
    };
    let verbs = ["create", "delete", "deletecollection", "get", "list", "watch"];
    let kind = json!({"group": GROUP, "version": "v1", "kind": "Widget"});
    let resource = json!({"resource": "widgets", "scope": "Namespaced", "singularResource": "widget", "verbs": verbs, "responseKind": kind});
    Ok(match path {
        "/apis" => {
            assert!(header("accept").starts_with("application/json;g=apidiscovery.k8s.io;v=v2;"), "wire rule 3.1");
            let version = json!({"version": "v1", "resources": [resource]});
            let item = json!({"metadata": {"name": GROUP}, "versions": [version]});
            let document =
                json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": [item]});
            whole("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", &document)
        }
        "/apis/remote.org/v1" => whole(
            "application/json",
            &json!({"kind": "APIResourceList", "groupVersion": "remote.org/v1", "resources": []}),
        ),
        "/openapi/v3" => {
            let url = json!({"serverRelativeURL": "/openapi/v3/apis/remote.org/v1?hash=1"});
            whole("application/json", &json!({"paths": {"apis/remote.org/v1": url, "apis/apps/v1": {}}}))
        }
        _ if path.ends_with("/moved") => {
            Response::builder().status(302).header("location", "/").body(Full::default().boxed_unsync()).unwrap()
        }
        _ if parts.uri.query().is_some_and(|query| query.contains("watch=true")) => {
            let ticks = futures::stream::unfold(0, |count| async move {
                tokio::time::sleep(Duration::from_millis(if count == 0 { 0 } else { 300 })).await;
                let event = format!("{{\"type\":\"ADDED\",\"object\":{{\"metadata\":{{\"name\":\"{count}\"}}}}}}\n");
                Some((Ok(Frame::data(Bytes::from(event))), count + 1))
            });
            Response::new(StreamBody::new(ticks.boxed()).boxed_unsync())
        }
        _ if parts.method == "DELETE" => {
            items.store(0, Ordering::SeqCst);
            whole("application/json", &json!({"kind": "Status", "by": header("x-remote-user")}))
        }
        "/apis/remote.org/v1/namespaces/team/widgets" => {
            whole("application/json", &json!({"items": vec![json!({}); items.load(Ordering::SeqCst)]}))
        }
        _ => {
            let body = body.collect().await.unwrap().to_bytes();
            whole(
                "application/json",
                &json!({
                    "query": parts.uri.query(), "user": header("x-remote-user"), "groups": header("x-remote-group"),
                    "authorization": header("authorization"), "proto": header("x-forwarded-proto"),
                    "method": parts.method.as_str(), "body": String::from_utf8_lossy(&body)
                }),
            )
        }
    })
}

/// Serves behind a certificate for `widgets.default.svc`, to clients whose certificate the given authority signed.
async fn backend(front_authority: &str, items: Arc<AtomicUsize>) -> (u16, ByteString) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["widgets.default.svc".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let mut clients = rustls::RootCertStore::empty();
    clients.add(CertificateDer::from_pem_slice(front_authority.as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(clients)).build().unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let mut tls = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, items) = (acceptor.clone(), items.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| answer(request, items.clone()));
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (port, ByteString(authority.pem().into_bytes()))
}

async fn bench(items: usize) -> (Bench, Arc<AtomicUsize>) {
    let bench = Bench::with(Options { aggregation: true, ..Options::default() }).await;
    let map = bench.get("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication").await.json;
    let items = Arc::new(AtomicUsize::new(items));
    let (port, bundle) = backend(map["data"]["requestheader-client-ca-file"].as_str().unwrap(), items.clone()).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "widgets", "namespace": "default"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
    });
    bench.cluster.load(&service.to_string()).unwrap();
    let registration = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.remote.org"},
        "spec": {
            "group": GROUP, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100, "caBundle": bundle,
            "service": {"name": "widgets", "namespace": "default", "port": port}
        }
    });
    let made = bench.post("/apis/apiregistration.k8s.io/v1/apiservices", &registration).await;
    assert_eq!(made.code, 201, "{}", made.text);
    bench.until(API_SERVICE, |found| found.json["status"]["conditions"][0]["reason"] == "Passed").await;
    (bench, items)
}

#[tokio::test]
async fn requests_arrive_with_the_users_identity() {
    let (bench, _) = bench(0).await;
    let headers = [("x-remote-user", "forged"), ("content-type", "application/json")];
    let told = bench.call("POST", &format!("{WIDGETS}?pretty=false&dryRun=All"), &headers, &json!({"a": 1})).await;
    assert_eq!(
        told.json,
        json!({
            "query": "dryRun=All&pretty=false", "user": "kubernetes-admin", "groups": "system:masters,system:authenticated",
            "authorization": "", "proto": "https", "method": "POST", "body": "{\"a\":1}"
        }),
        "wire rules 1.4 to 1.8"
    );
    assert_eq!(bench.get(&format!("{WIDGETS}/moved")).await.code, 502, "wire rule 1.17");
}

#[tokio::test]
async fn a_watch_passes_as_it_comes() {
    let (bench, _) = bench(0).await;
    let mut events = bench.watch(&format!("{WIDGETS}?watch=true"), "application/json").await;
    assert_eq!(events.told().await, "ADDED 0");
    let others: Vec<_> = (0..300).map(|_| bench.get(WIDGETS)).collect();
    assert!(futures::future::join_all(others).await.iter().all(|answer| answer.code == 200));
    assert_eq!(events.told().await, "ADDED 1");
}

#[tokio::test]
async fn its_documents_are_merged() {
    let (bench, _) = bench(0).await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let all = bench.get_as("/apis", accept).await.json;
    let group = all["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == GROUP).unwrap().clone();
    assert_eq!(group["versions"][0]["freshness"], "Current");
    assert_eq!(group["versions"][0]["resources"][0]["resource"], "widgets");
    assert_eq!(bench.get("/apis/remote.org").await.json["preferredVersion"]["groupVersion"], "remote.org/v1");
    let paths = bench.get("/openapi/v3").await.json["paths"].clone();
    assert_eq!(paths["apis/remote.org/v1"]["serverRelativeURL"], "/openapi/v3/apis/remote.org/v1?hash=1");
    assert_eq!(paths["apis/apps/v1"], Value::Null, "only what is registered");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told() {
    let (bench, _) = bench(0).await;
    bench.delete("/api/v1/namespaces/default/services/widgets").await;
    bench.until(API_SERVICE, |found| found.json["status"]["conditions"][0]["reason"] == "ServiceNotFound").await;
    let refused = bench.get(WIDGETS).await;
    assert_eq!((refused.code.as_u16(), refused.text.trim()), (503, "service unavailable"), "wire rule 1.2");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let all = bench.get_as("/apis", accept).await.json;
    let group = all["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == GROUP).unwrap().clone();
    assert_eq!(group["versions"][0]["freshness"], "Stale", "wire rule 2.9");

    bench.post("/api/v1/namespaces", &json!({"metadata": {"name": "team"}})).await;
    bench.delete("/api/v1/namespaces/team").await;
    let stuck =
        |ns: &crate::support::Answer| ns.json["status"]["conditions"][0]["type"] == "NamespaceDeletionDiscoveryFailure";
    bench.until("/api/v1/namespaces/team", stuck).await;
}

#[tokio::test]
async fn a_namespace_is_emptied_behind_it_too() {
    let (bench, items) = bench(2).await;
    bench.post("/api/v1/namespaces", &json!({"metadata": {"name": "team"}})).await;
    bench.delete("/api/v1/namespaces/team").await;
    bench.until("/api/v1/namespaces/team", |ns| ns.code == 404).await;
    assert_eq!(items.load(Ordering::SeqCst), 0);
}
