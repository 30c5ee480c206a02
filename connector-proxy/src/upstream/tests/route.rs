//! What a kubeconfig may ask for, over real sockets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::*;
use crate::chain::Chain;
use crate::upstream::kubeconfig::Route;
use crate::upstream::own::{self, Patience};
use crate::upstream::{TELL_INTERVAL, Upstream};

const NAME: &str = "control-plane.example.org";

/// A server that goes by a name of its own and tells what it was asked, in which version of HTTP. Its certificate comes second.
async fn server(alpn: &[&[u8]]) -> (SocketAddr, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    tls.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let server = auto::Builder::new(TokioExecutor::new());
                // How a connection ends is the test's affair.
                let _ = server.serve_connection(TokioIo::new(stream), service_fn(tell)).await;
            });
        }
    });
    (address, certificate.pem())
}

async fn tell(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path().ends_with("/silence") {
        std::future::pending::<()>().await;
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = request.uri().path_and_query().unwrap();
    let told = format!(
        "{:?} {path} {} {}",
        request.version(),
        header(header::AUTHORIZATION),
        header(header::HeaderName::from_static("impersonate-user"))
    );
    Ok(Response::new(Full::from(told)))
}

/// A kubeconfig for that server, in a folder of its own.
fn kubeconfig(address: SocketAddr, ca: &str, user: Value, proxy: Option<String>) -> (TempDir, PathBuf) {
    // The process has one provider; who is first does not matter.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let mut config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        "clusters": [{ "name": "it", "cluster": {
            "server": format!("https://{address}/spaces/one/"),
            "tls-server-name": NAME,
            "certificate-authority-data": STANDARD.encode(ca),
        } }],
        "users": [{ "name": "it", "user": user }],
    });
    if let Some(proxy) = proxy {
        config["clusters"][0]["cluster"]["proxy-url"] = proxy.into();
    }
    std::fs::write(&path, config.to_string()).unwrap();
    (folder, path)
}

async fn ask(route: &Route) -> String {
    let request = Request::get("/apis?limit=1").body(Full::default()).unwrap();
    let answer =
        timeout(LONG, route.stack.clone().oneshot(request)).await.expect("an answer in time").expect("an answer");
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn the_server_chooses_the_version_of_http() {
    let cases: [(&[&[u8]], &str); 3] =
        [(&[b"h2", b"http/1.1"], "HTTP/2.0"), (&[b"http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")];
    for (alpn, version) in cases {
        let (address, ca) = server(alpn).await;
        let user = json!({ "token": "secret", "as": "someone" });
        let (_folder, path) = kubeconfig(address, &ca, user, None);
        let route = Route::read(&path, false, &Metrics::new()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(ask(&route).await, format!("{version} /spaces/one/apis?limit=1 Bearer secret someone"));
        }
        assert!(!route.is_ending());
    }
}

#[tokio::test]
async fn a_proxy_may_want_a_credential() {
    let (address, ca) = server(&[b"h2"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://user:p%40ss@{}", listener.local_addr().unwrap());
    let seen = tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let mut client = BufStream::new(client);
        let mut asked = String::new();
        while !asked.ends_with("\r\n\r\n") {
            assert!(client.read_line(&mut asked).await.unwrap() > 0, "{asked}");
        }
        let mut server = TcpStream::connect(address).await.unwrap();
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        client.flush().await.unwrap();
        // It ends with the test.
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        asked
    });
    let (_folder, path) = kubeconfig(address, &ca, json!({}), Some(proxy));
    let route = Route::read(&path, false, &Metrics::new()).await.unwrap();
    assert!(ask(&route).await.starts_with("HTTP/2.0"));
    let asked = timeout(LONG, seen).await.unwrap().unwrap();
    let credential = format!("Basic {}", STANDARD.encode("user:p@ss"));
    assert!(asked.starts_with(&format!("CONNECT {address} ")) && asked.contains(&credential), "{asked}");
}

/// As kubectl reads it: files end in a line break, and what is no token changes nothing.
#[tokio::test]
async fn a_token_file_is_read_again() {
    let (address, ca) = server(&[b"h2"]).await;
    let (folder, path) = kubeconfig(address, &ca, json!({ "tokenFile": "token" }), None);
    let file = folder.path().join("token");
    let told = Route::read(&path, false, &Metrics::new()).await.err().unwrap();
    assert!(Chain(&told).to_string().contains("cannot read tokenFile"), "{}", Chain(&told));
    std::fs::write(&file, "first\n").unwrap();
    let route = Route::read(&path, false, &Metrics::new()).await.unwrap();
    assert_eq!(ask(&route).await, "HTTP/2.0 /spaces/one/apis?limit=1 Bearer first ");
    for wrong in ["", " \n", "two\nlines"] {
        std::fs::write(&file, wrong).unwrap();
        assert!(route.refresh().is_err(), "{wrong:?}");
        assert!(ask(&route).await.contains("Bearer first "), "{wrong:?}");
    }
    std::fs::write(&file, "second").unwrap();
    route.refresh().unwrap();
    assert!(ask(&route).await.contains("Bearer second "));
}

/// The Secret may be written while the connector starts.
#[tokio::test]
async fn no_change_of_the_kubeconfig_is_missed() {
    let (address, ca) = server(&[b"h2"]).await;
    let (folder, path) = kubeconfig(address, &ca, json!({ "token": "first" }), None);
    let upstream = Arc::new(Upstream::open(&path, false, Arc::new(Metrics::new())).await.unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("first", "second")).unwrap();
    let mut generation = upstream.generation();
    let following = upstream.clone();
    let follow = tokio::spawn(async move { following.follow_file().await });
    timeout(LONG, generation.changed()).await.expect("it is seen").unwrap();
    assert!(ask(&upstream.route.load()).await.contains("Bearer second "));
    follow.abort();
    drop(folder);
}

/// What an exec plugin gives has an end, and another one has to be asked for in time.
#[tokio::test]
async fn a_client_certificate_of_a_plugin_ends() {
    let (address, ca) = server(&[b"h2"]).await;
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    for (ends, is_ending) in [("2001-01-01T00:00:00Z", true), ("2999-01-01T00:00:00Z", false)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credential.json");
        let credential = json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {
                "clientCertificateData": certificate.pem(),
                "clientKeyData": key.serialize_pem(),
                "expirationTimestamp": ends,
            },
        });
        std::fs::write(&file, credential.to_string()).unwrap();
        let user = json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "/bin/cat",
            "args": [file],
            "interactiveMode": "Never",
        } });
        let (_folder, path) = kubeconfig(address, &ca, user, None);
        let route = Route::read(&path, false, &Metrics::new()).await.unwrap();
        assert_eq!(route.is_ending(), is_ending, "{ends}");
        assert!(ask(&route).await.starts_with("HTTP/2.0"));
    }
}

/// A fleet must not knock with all the watches that each of it has.
#[tokio::test]
async fn own_requests_pause_after_one_that_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let knocks = Arc::new(AtomicUsize::new(0));
    let count = knocks.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (_, ca) = server(&[b"h2"]).await;
    let (_folder, path) = kubeconfig(address, &ca, json!({}), None);
    let upstream = Upstream::open(&path, false, Arc::new(Metrics::new())).await.unwrap();
    let own = upstream.client();
    for _ in 0..50 {
        own.apiserver_version().await.unwrap_err();
    }
    let of_one = knocks.load(Ordering::Relaxed);
    assert!((1..=3).contains(&of_one), "{of_one} knocks");
    // Requests of users are tried all the same.
    let request = Request::get("/version").body(Full::default()).unwrap();
    assert!(upstream.send(request).await.is_err());
    assert!(knocks.load(Ordering::Relaxed) > of_one);
}

/// Nobody is there who would give up in their place.
#[tokio::test]
async fn own_requests_do_not_wait_for_ever() {
    let (address, ca) = server(&[b"h2"]).await;
    let (_folder, path) = kubeconfig(address, &ca, json!({}), None);
    let route = Arc::new(ArcSwap::from_pointee(Route::read(&path, false, &Metrics::new()).await.unwrap()));
    let patience = Patience { answer: Duration::from_millis(200), events: LONG };
    let own = own::client(route, "default".to_owned(), patience);
    let ask = |path: &str| {
        let request = Request::get(path).body(Vec::new()).unwrap();
        timeout(LONG, own.request_text(request))
    };
    assert!(ask("/apis").await.expect("an answer").unwrap().contains("/spaces/one/apis"));
    let error = ask("/silence").await.expect("an end").unwrap_err();
    assert!(Chain(&error).to_string().contains("the control plane does not answer"), "{}", Chain(&error));
}

/// Every other request may fail, for months.
#[tokio::test]
async fn a_control_plane_that_comes_and_goes_is_not_told_of_each_time() {
    let (address, ca) = server(&[b"h2"]).await;
    let (_folder, path) = kubeconfig(address, &ca, json!({}), None);
    let upstream = Upstream::open(&path, false, Arc::new(Metrics::new())).await.unwrap();
    let said = || upstream.told.lock().unwrap().reachable;
    upstream.observe(Some(&std::io::Error::other("gone")));
    assert!(!said(), "the first time at once");
    for _ in 0..3 {
        upstream.observe(None);
        upstream.observe(Some(&std::io::Error::other("gone")));
        upstream.observe(None);
        assert!(!said() && !upstream.reached_for().is_zero());
    }
    upstream.told.lock().unwrap().at = Some(tokio::time::Instant::now() - TELL_INTERVAL);
    // What follows the file looks now and then: what lasts is told.
    upstream.tell();
    assert!(said());
}
