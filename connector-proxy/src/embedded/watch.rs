//! `watch`: the changes of a resource as they happen.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connector_core::status::{Cause, Status};
use http::StatusCode;
use http::request::Parts;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep_until};

use super::api::Api;
use super::kinds::Kind;
use super::media::{self, Answer, BodyError, Form};
use super::object;
use super::read::{expired, parse_revision};
use super::render::Renderer;
use super::request::{Params, Target};
use super::selector::Selector;
use super::store::{Change, Object, Shared};

/// How often a watch that allows bookmarks gets one; about a minute, as on real servers (wire rule 11.15).
const BOOKMARKS: Duration = Duration::from_secs(60);
/// Frames that wait for a slow reader before the watch itself waits.
const QUEUE: usize = 64;

struct Watch {
    api: Arc<Api>,
    kind: Arc<Kind>,
    namespace: String,
    selector: Selector,
    bookmarks: bool,
    frames: mpsc::Sender<Bytes>,
}

/// The reader has gone, or the watch has come to its end.
struct Done;

pub(super) fn watch(api: &Arc<Api>, kind: &Arc<Kind>, target: &Target, params: &Params, parts: &Parts) -> Answer {
    let selector = Selector::parse(kind, params.get("labelSelector"), params.get("fieldSelector"));
    let form = Form::negotiate(&parts.headers, false)?;
    Renderer::new(kind, form.clone(), params.get("includeObject"))?;
    let include = params.get("includeObject").to_owned();
    let initial = initial_events(params)?;
    let start = match params.get("resourceVersion") {
        "" | "0" => None,
        revision => Some(parse_revision(revision)?),
    };
    let seconds = params.number("timeoutSeconds").filter(|seconds| *seconds > 0).unwrap_or(1800);
    let deadline = Instant::now() + Duration::from_secs(seconds.min(86_400));
    let (frames, receiver) = mpsc::channel(QUEUE);
    let watch = Watch {
        api: api.clone(),
        kind: kind.clone(),
        namespace: target.namespace.clone(),
        selector: selector.map_err(Status::bad_request)?,
        bookmarks: params.is_true("allowWatchBookmarks"),
        frames,
    };
    tokio::spawn(async move {
        let kind = watch.kind.clone();
        if let Ok(mut renderer) = Renderer::new(&kind, form, &include) {
            // Either way the stream ends here, at the end of a frame.
            let _ = watch.run(&mut renderer, start, initial, deadline).await;
        }
    });
    let frames = futures::stream::unfold(receiver, |mut receiver| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, BodyError>(Frame::data(bytes)), receiver))
    });
    let mut response = media::json(StatusCode::OK, Bytes::new());
    *response.body_mut() = StreamBody::new(frames).boxed_unsync();
    Ok(response)
}

/// Whether the present state is to be sent and closed with a marked bookmark (wire rule 11.12).
fn initial_events(params: &Params) -> Result<bool, Status> {
    let asked = params.get("sendInitialEvents");
    let forbidden = |field: &str, message: &str| {
        let message = format!("Forbidden: {message}");
        let cause = Cause { reason: "FieldValueForbidden".into(), message, field: field.into() };
        Status::invalid("meta.k8s.io", "ListOptions", "", vec![cause])
    };
    match (asked, params.get("resourceVersionMatch")) {
        ("", "") => Ok(false),
        ("", _) => Err(forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )),
        (_, "NotOlderThan") => Ok(params.is_true("sendInitialEvents")),
        _ => Err(forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )),
    }
}

impl Watch {
    async fn run(
        self,
        renderer: &mut Renderer<'_>,
        start: Option<u64>,
        initial: bool,
        deadline: Instant,
    ) -> Result<(), Done> {
        let mut bell = self.api.store.bell(&self.kind.resource);
        let mut revision = match start {
            Some(start) if !initial => start,
            _ => self.present(renderer).await?,
        };
        if initial && self.bookmarks {
            let bookmark = renderer.bookmark(revision, true);
            self.send("BOOKMARK", &bookmark).await?;
        }
        let mut ticks = interval_at(Instant::now() + BOOKMARKS, BOOKMARKS);
        loop {
            bell.mark_unchanged();
            revision = self.news(renderer, revision).await?;
            tokio::select! {
                () = self.frames.closed() => return Err(Done),
                () = sleep_until(deadline) => {
                    // Real servers tell the last revision shortly before they end a watch.
                    return if self.bookmarks {
                        let bookmark = renderer.bookmark(revision, false);
                        self.send("BOOKMARK", &bookmark).await
                    } else {
                        Ok(())
                    };
                }
                _ = ticks.tick(), if self.bookmarks => {
                    let bookmark = renderer.bookmark(revision, false);
                    self.send("BOOKMARK", &bookmark).await?;
                }
                changed = bell.changed() => {
                    if changed.is_err() {
                        return Err(Done);
                    }
                }
            }
        }
    }

    /// The present state as ADDED events; the revision that it is of.
    async fn present(&self, renderer: &mut Renderer<'_>) -> Result<u64, Done> {
        let Ok(snapshot) = self.api.store.list(&self.kind.resource, &self.namespace, None) else { return Err(Done) };
        for object in snapshot.objects {
            if self.selector.matches(renderer.view(&object).value()) {
                let json = renderer.one(&object);
                self.send("ADDED", &json).await?;
            }
        }
        Ok(snapshot.revision)
    }

    /// What has changed since a revision; the revision that the reader now knows.
    async fn news(&self, renderer: &mut Renderer<'_>, revision: u64) -> Result<u64, Done> {
        let Ok((changes, current)) = self.api.store.since(&self.kind.resource, revision) else {
            let status = Status { message: format!("too old resource version: {revision}"), ..expired(false) };
            self.send("ERROR", status.to_json().trim_ascii_end()).await?;
            return Err(Done);
        };
        for change in changes {
            if let Some((event, object)) = self.event(renderer, &change) {
                let json = renderer.one(&object);
                self.send(event, &json).await?;
            }
        }
        Ok(current.max(revision))
    }

    /// What a change is to this watch: an object that begins or ceases to match is added or deleted (wire rule 7.7).
    fn event(&self, renderer: &Renderer<'_>, change: &Change) -> Option<(&'static str, Shared)> {
        if !self.namespace.is_empty() && self.namespace != change.key.namespace {
            return None;
        }
        let matches = |object: &Shared| self.selector.matches(renderer.view(object).value());
        let before = change.before.as_ref().filter(|before| matches(before));
        let now = !change.deleted && matches(&change.object);
        match (before, now) {
            (None, true) => Some(("ADDED", change.object.clone())),
            (Some(_), true) => Some(("MODIFIED", change.object.clone())),
            (Some(before), false) => {
                let mut last = before.value().clone();
                object::metadata_mut(&mut last).insert("resourceVersion".into(), change.revision.to_string().into());
                Some(("DELETED", Object::new(last)))
            }
            (None, false) => None,
        }
    }

    async fn send(&self, event: &str, object: &[u8]) -> Result<(), Done> {
        let mut frame = Vec::with_capacity(object.len() + 40);
        frame.extend_from_slice(format!(r#"{{"type":"{event}","object":"#).as_bytes());
        frame.extend_from_slice(object);
        frame.extend_from_slice(b"}\n");
        self.frames.send(frame.into()).await.map_err(|_| Done)
    }
}
