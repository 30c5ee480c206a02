use connector_proxy::embedded::Options;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::support::{Bench, MERGE, THINGS};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

#[tokio::test]
async fn lists_come_in_pages_of_one_state() {
    let bench = Bench::start().await;
    for name in ["a", "b", "c", "d"] {
        bench.make(name).await;
    }
    let first = bench.get(&format!("{THINGS}?limit=2")).await;
    assert_eq!(first.names(), ["a", "b"]);
    assert_eq!(first.json["metadata"]["remainingItemCount"], 2);
    assert!(first.text.starts_with(r#"{"apiVersion":"example.org/v1","items":[{"#), "wire section 7");
    bench.delete(&format!("{THINGS}/c")).await;
    bench.make("cc").await;
    let token = first.json["metadata"]["continue"].as_str().unwrap();
    let second = bench.get(&format!("{THINGS}?limit=2&continue={token}")).await;
    assert_eq!(second.names(), ["c", "d"], "as it was when the first page was read");
    assert_eq!(second.json["metadata"]["resourceVersion"], first.json["metadata"]["resourceVersion"]);
    assert_eq!(second.json["metadata"]["continue"], Value::Null);
    bench.cluster.compact("example.org", "things");
    let expired = bench.get(&format!("{THINGS}?limit=2&continue={token}")).await;
    assert_eq!((expired.code.as_u16(), expired.reason()), (410, "Expired"), "wire rule 11.10");
    assert_eq!(bench.get(&format!("{THINGS}?continue=nonsense")).await.code, 400);
}

#[tokio::test]
async fn a_list_can_ask_for_a_revision() {
    let bench = Bench::start().await;
    let revision = bench.make("a").await.json["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    bench.make("b").await;
    let exact = bench.get(&format!("{THINGS}?resourceVersion={revision}&resourceVersionMatch=Exact")).await;
    assert_eq!(exact.names(), ["a"]);
    assert_eq!(bench.get(&format!("{THINGS}?resourceVersion={revision}")).await.names(), ["a", "b"]);
    assert_eq!(bench.get(&format!("{THINGS}?resourceVersion=0")).await.names(), ["a", "b"]);
    let future = bench.get(&format!("{THINGS}?resourceVersion=99999")).await;
    assert_eq!(future.code, 504, "wire rule 11.9");
    assert_eq!(future.json["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
}

#[tokio::test]
async fn selectors_choose() {
    let bench = Bench::start().await;
    for name in ["a", "b"] {
        bench.make(name).await;
        bench.patch(&format!("{THINGS}/{name}"), MERGE, &json!({"metadata": {"labels": {"app": name}}})).await;
    }
    assert_eq!(bench.get(&format!("{THINGS}?labelSelector=app+in+(b,c)")).await.names(), ["b"]);
    assert_eq!(bench.get(&format!("{THINGS}?fieldSelector=metadata.name%3Da")).await.names(), ["a"]);
    let everywhere = "/apis/example.org/v1/things?fieldSelector=metadata.namespace%3Dother";
    assert!(bench.get(everywhere).await.names().is_empty());
    let unknown = bench.get(&format!("{THINGS}?fieldSelector=spec.size%3Dsmall")).await;
    assert_eq!(
        (unknown.code.as_u16(), unknown.message()),
        (400, "field label not supported: spec.size"),
        "wire rule 8.15"
    );
}

#[tokio::test]
async fn tables_and_metadata_have_the_reference_form() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    bench.patch(&format!("{THINGS}/a/status"), MERGE, &status).await;
    let table = bench.get_as(&format!("{THINGS}?limit=500"), TABLE).await;
    let columns = table.json["columnDefinitions"].as_array().unwrap();
    let told: Vec<&str> = columns.iter().filter_map(|column| column["name"].as_str()).collect();
    assert_eq!(told, ["Name", "SIZE", "READY", "AGE"]);
    assert_eq!(columns[0]["format"], "name", "wire rule 7.12");
    let row = &table.json["rows"][0];
    assert_eq!(row["cells"].as_array().unwrap()[..3], [json!("a"), json!("small"), json!("True")]);
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata", "wire rule 7.13");
    let bare = bench.get_as(&format!("{THINGS}?includeObject=None"), TABLE).await;
    assert_eq!(bare.json["rows"][0]["object"], Value::Null);
    let whole = bench.get_as(&format!("{THINGS}/a?includeObject=Object"), TABLE).await;
    assert_eq!(whole.json["rows"][0]["object"]["spec"]["size"], "small");
    assert_eq!(bench.get_as(&format!("{THINGS}?includeObject=Some"), TABLE).await.code, 400);

    let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let partial = bench.get_as(THINGS, partial).await;
    assert_eq!(partial.json["kind"], "PartialObjectMetadataList");
    assert_eq!(partial.json["items"][0]["spec"], Value::Null);
    let one =
        bench.get_as(&format!("{THINGS}/a"), "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").await;
    assert!(one.text.starts_with(
        r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a","namespace":"default","uid":"#
    ));
    assert_eq!(bench.get_as(THINGS, "application/vnd.kubernetes.protobuf").await.code, 406);
}

#[tokio::test]
async fn an_object_reads_in_each_served_version() {
    let bench = Bench::start().await;
    bench.make("a").await;
    let other = bench.get("/apis/example.org/v1beta1/namespaces/default/things/a").await;
    assert_eq!(other.json["apiVersion"], "example.org/v1beta1");
    assert_eq!(other.json["spec"]["size"], "small");
}

#[tokio::test]
async fn people_get_indented_answers() {
    let bench = Bench::start().await;
    let curl = bench.call("GET", THINGS, &[("user-agent", "curl/8.0")], &Value::Null).await;
    assert!(curl.text.starts_with("{\n  \"apiVersion\""), "wire rule 7.3");
    let plain = bench.call("GET", &format!("{THINGS}?pretty=false"), &[("user-agent", "curl/8.0")], &Value::Null).await;
    assert!(plain.text.starts_with("{\"apiVersion\""));
}

/// Over HTTP/2, which the other tests' client does not speak.
#[tokio::test]
async fn nobody_is_let_in_without_the_token() {
    let bench = Bench::with(Options::default()).await;
    let mut roots = rustls::RootCertStore::empty();
    let authority = rustls_pki_types::CertificateDer::from_pem_slice(bench.cluster.authority_pem().as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let mut tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls));
    let stream = tokio::net::TcpStream::connect(bench.cluster.address()).await.unwrap();
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.unwrap();
    tokio::spawn(connection);
    let mut call = async |headers: &[(&str, &str)]| {
        let mut request = Request::get(format!("{}/api/v1/namespaces", bench.cluster.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
        let code = answer.status().as_u16();
        (code, answer.into_body().collect().await.unwrap().to_bytes())
    };
    let token = format!("Bearer {}", bench.cluster.token());
    assert_eq!(call(&[]).await.0, 401);
    assert_eq!(call(&[("authorization", "Bearer guess")]).await.0, 401);
    assert_eq!(call(&[("authorization", &token), ("impersonate-user", "x")]).await.0, 403);
    let (code, body) = call(&[("authorization", &token)]).await;
    assert_eq!(code, 200);
    assert!(body.starts_with(b"{\"apiVersion\":\"v1\",\"items\":["));
}
