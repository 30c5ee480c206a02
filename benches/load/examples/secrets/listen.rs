//! A watch of Secrets that notes when each was told of.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use tokio::sync::mpsc;

use crate::stage::PASSWORD;

/// How long a Secret may take until something is wrong.
const LONG: Duration = Duration::from_secs(120);

/// Which Secrets are watched.
pub(crate) struct Wanted {
    pub(crate) api: Api<Secret>,
    pub(crate) labels: String,
}

/// One that was created or changed.
pub(crate) struct Heard {
    pub(crate) at: Instant,
    /// Namespace and name.
    pub(crate) place: (String, String),
    pub(crate) secret: Secret,
}

/// What a watch tells, from the moment when it began.
pub(crate) struct Hears(mpsc::UnboundedReceiver<Result<Heard>>);

impl Hears {
    /// The next one.
    pub(crate) async fn next(&mut self) -> Result<Heard> {
        let heard = tokio::time::timeout(LONG, self.0.recv()).await.context("no Secret comes any more")?;
        heard.context("the watch goes on")?
    }

    /// The next one, which must be of this password.
    pub(crate) async fn next_marked(&mut self, mark: &str) -> Result<Heard> {
        let heard = self.next().await?;
        match heard.secret.data.as_ref().and_then(|data| data.get(PASSWORD)) {
            Some(password) if *password == ByteString(mark.into()) => Ok(heard),
            other => bail!("{other:?} came and not {mark}"),
        }
    }

    /// Whether nothing more has come.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// Watches from now on, as long as it is listened to. A Secret that is deleted is an error: none ever is.
pub(crate) async fn listen(wanted: &Wanted) -> Result<Hears> {
    let (tell, hears) = mpsc::unbounded_channel();
    let api = wanted.api.clone();
    let parameters = WatchParams::default().timeout(290).labels(&wanted.labels);
    let list = api.list_metadata(&ListParams::default().limit(1)).await?;
    let mut version = list.metadata.resource_version.context("a list has a version")?;
    let first = api.watch(&parameters, &version).await?.boxed();
    tokio::spawn(async move {
        let mut events = Some(first);
        let ended = async {
            loop {
                let mut watch = match events.take() {
                    Some(watch) => watch,
                    None => api.watch(&parameters, &version).await?.boxed(),
                };
                while let Some(event) = watch.next().await {
                    let secret = match event? {
                        WatchEvent::Added(secret) | WatchEvent::Modified(secret) => secret,
                        WatchEvent::Bookmark(bookmark) => {
                            version = bookmark.metadata.resource_version;
                            continue;
                        }
                        other => bail!("the watch told of {other:?}"),
                    };
                    version = secret.resource_version().context("an object has a version")?;
                    let place = (secret.namespace().unwrap_or_default(), secret.name_any());
                    if tell.send(Ok(Heard { at: Instant::now(), place, secret })).is_err() {
                        return Ok(());
                    }
                }
            }
        };
        if let Err(error) = ended.await {
            // Nobody listens any more, or hears why.
            let _ = tell.send(Err(error));
        }
    });
    Ok(Hears(hears))
}
