//! The connector and what it is compared with, each started anew for every measurement.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::{asked, asked_one, chunks, local_name, local_namespace, object, rewrite};
use bytes::Bytes;
use clap::ValueEnum;
use connector_core::answer::Shape;
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Empty};

use crate::client::{self, Dialer, Windows};
use crate::process::Process;
use crate::stage::Stage;
use crate::stand_in;

/// How long one may take until it answers.
const READY: Duration = Duration::from_secs(30);
/// The claim by which answers are checked.
const CHECKED: usize = 7;
/// Who asks: somebody whose rights the connector has to ask for, and whom the embedded cluster grants them.
const USER: [(HeaderName, HeaderValue); 3] = [
    (HeaderName::from_static("x-remote-user"), HeaderValue::from_static("system:serviceaccount:kube-system:load")),
    (HeaderName::from_static("x-remote-group"), HeaderValue::from_static("system:serviceaccounts")),
    (HeaderName::from_static("x-remote-group"), HeaderValue::from_static("system:authenticated")),
];

/// Who stands between the load and the stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    /// The product
    Connector,
    /// Nobody: the load asks the stand-in
    Direct,
    /// TLS on both sides and no HTTP
    Shovel,
    /// HTTP/2 by hyper on both sides and nothing else
    Pass,
    /// nginx
    Nginx,
    /// haproxy
    Haproxy,
    /// Go's ReverseProxy
    Go,
    /// The same with a BufferPool
    GoPool,
    /// The same with JSON decoded, changed and encoded
    GoRewrite,
}

impl Contender {
    /// As it is written in tables and files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Direct => "direct",
            Self::Shovel => "shovel",
            Self::Pass => "pass",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Go => "go",
            Self::GoPool => "go-pool",
            Self::GoRewrite => "go-rewrite",
        }
    }

    /// What it takes that is missing here, and how it is had.
    pub(crate) fn missing(self, programs: &Programs) -> Option<&'static str> {
        let is_there = |name: &str| {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&folders).any(|folder| folder.join(name).exists())
        };
        match self {
            Self::Nginx if !is_there("nginx") => Some("nginx is missing: apt-get install nginx-light"),
            Self::Haproxy if !is_there("haproxy") => Some("haproxy is missing: apt-get install haproxy"),
            Self::Go | Self::GoPool | Self::GoRewrite if programs.go.is_none() => {
                Some("Go's peers are missing: install Go 1.26 or newer, and start this by benches/macro")
            }
            _ => None,
        }
    }

    fn is_rewriting(self) -> bool {
        matches!(self, Self::Connector | Self::GoRewrite)
    }
}

/// What was built for this.
pub(crate) struct Programs {
    pub(crate) connector: PathBuf,
    pub(crate) go: Option<PathBuf>,
    /// The folder with the configurations of the peers.
    pub(crate) peers: PathBuf,
}

/// A contender that answers.
pub(crate) struct Running {
    pub(crate) dialer: Dialer,
    /// `None` where nobody stands between.
    pub(crate) process: Option<Process>,
    contender: Contender,
    objects: Vec<(Uri, usize)>,
    claims: String,
}

impl Running {
    /// Starts it, waits until it answers, and checks that the answer is right.
    pub(crate) async fn start(contender: Contender, stage: &Stage) -> Result<Self> {
        let address = match contender {
            Contender::Direct => stage.upstream,
            _ => free()?,
        };
        let command = command(contender, address, stage)?;
        let log = stage.folder.path().join(format!("{}.log", contender.name()));
        let process = match command {
            Some(command) => Some(Process::start(stage.cpu, &command, &log)?),
            None => None,
        };
        let is_local = contender == Contender::Connector;
        let objects = (0..stand_in::OBJECTS).map(|index| {
            let path = match is_local {
                true => local_claim(index),
                false => stand_in::claim(index),
            };
            anyhow::Ok((uri(&path)?, expected(contender, index).len()))
        });
        let mut running = Self {
            dialer: Dialer { address, two: stage.two.clone(), one: stage.one.clone() },
            process,
            contender,
            objects: objects.collect::<Result<_>>()?,
            claims: if is_local { local_claims() } else { stand_in::claims() },
        };
        let end = || std::fs::read_to_string(&log).unwrap_or_default();
        running.check().await.with_context(|| format!("{} does not answer; its log:\n{}", contender.name(), end()))?;
        Ok(running)
    }

    /// Waits until the first answer is right.
    async fn check(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY;
        loop {
            if let Some(process) = &mut self.process {
                process.check()?;
            }
            match self.fetch(CHECKED).await {
                Ok(body) => {
                    let right = match self.contender {
                        // Go writes members in another order, and escapes otherwise.
                        Contender::GoRewrite => {
                            let is_local = |name: &str, value: String| {
                                let text = format!("\"{name}\":\"{value}\"");
                                body.windows(text.len()).any(|window| window == text.as_bytes())
                            };
                            is_local("name", local_name(CHECKED)) && is_local("namespace", local_namespace(CHECKED))
                        }
                        contender => body == expected(contender, CHECKED),
                    };
                    ensure!(right, "a wrong answer: {}", String::from_utf8_lossy(&body));
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn fetch(&self, index: usize) -> Result<Bytes> {
        let mut connection = self.dialer.two(Windows::FRONT).await?;
        let answer = client::send(&mut connection, self.object(index).0).await?;
        Ok(answer.into_body().collect().await?.to_bytes())
    }

    /// A GET of a claim, any number for one of those that are there; and how long the answer has to be, where that is known.
    pub(crate) fn object(&self, index: usize) -> (Request<Empty<Bytes>>, Option<usize>) {
        let (uri, length) = &self.objects[index % self.objects.len()];
        (request(uri.clone()), (self.contender != Contender::GoRewrite).then_some(*length))
    }

    /// The list of all claims, and how long it is.
    pub(crate) fn list(&self, stage: &Stage) -> Result<(Request<Empty<Bytes>>, Option<usize>)> {
        let length = match self.contender {
            Contender::Connector => Some(stage.local_list),
            Contender::GoRewrite => None,
            _ => Some(stage.stand_in.list().len()),
        };
        Ok((request(uri(&self.claims)?), length))
    }

    /// A watch that gets `events` at once, and then ends, or stays open in silence; and how many bytes the events are.
    pub(crate) fn watch(&self, stage: &Stage, events: usize, stays: bool) -> Result<(Request<Empty<Bytes>>, usize)> {
        let stays = if stays { "&timeoutSeconds=3600" } else { "" };
        let uri = uri(&format!("{}?watch=true&resourceVersion={events}{stays}", self.claims))?;
        let lengths = if self.contender.is_rewriting() { &stage.local_events } else { &stage.remote_events };
        Ok((request(uri), lengths.iter().cycle().take(events).sum()))
    }
}

/// What is answered to a GET of claim `index`, to the byte.
fn expected(contender: Contender, index: usize) -> Bytes {
    let remote = object(index);
    if !contender.is_rewriting() {
        return remote;
    }
    let mut out = Vec::new();
    // A document that is made here has no faults.
    let _ = rewrite(&asked_one(index), Shape::Object, &chunks(&remote), &mut out);
    out.into()
}

/// How long a document is in local terms.
pub(crate) fn local_length(shape: Shape, remote: &Bytes) -> Result<usize> {
    let mut out = Vec::new();
    rewrite(&asked(), shape, &chunks(remote), &mut out)?;
    Ok(out.len())
}

fn local_claims() -> String {
    "/apis/platform.example.org/v1alpha1/postgresqlinstances".to_owned()
}

fn local_claim(index: usize) -> String {
    let (name, namespace) = (local_name(index), local_namespace(index));
    format!("/apis/platform.example.org/v1alpha1/namespaces/{namespace}/postgresqlinstances/{name}")
}

fn uri(path: &str) -> Result<Uri> {
    Ok(format!("https://localhost{path}").parse()?)
}

fn request(uri: Uri) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri;
    for (name, value) in USER {
        request.headers_mut().append(name, value);
    }
    request.headers_mut().insert("accept", HeaderValue::from_static("application/json"));
    request.headers_mut().insert("user-agent", HeaderValue::from_static("load/1"));
    request
}

/// An address of loopback that was free a moment ago.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// How it is started; `None` where nothing is.
fn command(contender: Contender, listen: SocketAddr, stage: &Stage) -> Result<Option<Vec<String>>> {
    let (pki, upstream, programs) = (&stage.pki, stage.upstream, &stage.programs);
    let text = |path: &Path| path.display().to_string();
    let own = |mode: &str| -> Result<Vec<String>> {
        let program = std::env::current_exe()?;
        let pki = [&pki.ca, &pki.certificate, &pki.key].map(|path| text(path));
        let between = [listen.to_string(), upstream.to_string()];
        Ok([text(&program), mode.to_owned()].into_iter().chain(between).chain(pki).collect())
    };
    let go = |mode: &str| -> Result<Vec<String>> {
        let program = programs.go.as_ref().context("no Go peer")?;
        Ok(vec![
            text(program),
            format!("-listen={listen}"),
            format!("-upstream=https://localhost:{}", upstream.port()),
            format!("-cert={}", text(&pki.certificate)),
            format!("-key={}", text(&pki.key)),
            format!("-ca={}", text(&pki.ca)),
            format!("-mode={mode}"),
        ])
    };
    let configured = |template: &str| -> Result<String> {
        let path = programs.peers.join(template);
        let config = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let folder = stage.folder.path();
        let config = [
            ("@FOLDER@", text(folder)),
            ("@LISTEN@", listen.to_string()),
            ("@UPSTREAM@", upstream.to_string()),
            ("@CA@", text(&pki.ca)),
            ("@CERTIFICATE@", text(&pki.certificate)),
            ("@KEY@", text(&pki.key)),
            ("@BOTH@", text(&pki.both)),
        ]
        .iter()
        .fold(config, |config, (name, value)| config.replace(name, value));
        let written = folder.join(template);
        std::fs::write(&written, config)?;
        Ok(text(&written))
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    Ok(Some(match contender {
        Contender::Direct => return Ok(None),
        Contender::Connector => vec![
            text(&programs.connector),
            "serve".to_owned(),
            format!("--kubeconfig={}", text(&stage.app_kubeconfig)),
            format!("--control-plane-kubeconfig={}", text(&stage.control_plane_kubeconfig)),
            format!("--claim-namespace={}", benches::scheme().claim_namespace),
            format!("--cluster-id={}", benches::scheme().cluster.as_str()),
            format!("--listen={listen}"),
            format!("--admin-listen={}", free()?),
            format!("--service=kube-system/connector:{}", listen.port()),
            format!("--tls-cert-file={}", text(&pki.certificate)),
            format!("--tls-key-file={}", text(&pki.key)),
            format!("--tls-ca-file={}", text(&pki.ca)),
        ],
        Contender::Shovel => own("shovel")?,
        Contender::Pass => own("pass")?,
        Contender::Nginx => words(&["nginx", "-e", "stderr", "-c", &configured("nginx.conf")?]),
        Contender::Haproxy => words(&["haproxy", "-f", &configured("haproxy.cfg")?]),
        Contender::Go => go("pass")?,
        Contender::GoPool => go("pool")?,
        Contender::GoRewrite => go("rewrite")?,
    }))
}
