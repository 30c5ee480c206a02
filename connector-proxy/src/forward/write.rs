//! Update, patch and delete.
//!
//! A write by name first reads the object: its labels say whether it is the one that is meant, and the write is tied to its
//! UID (wire rule 8.7).

use bytes::Bytes;
use connector_core::address::{BodyType, PatchType, Query, Remote, Verb};
use connector_core::answer::Shape;
use connector_core::body::{self, Live, Target, Translated};
use connector_core::status::Status;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::answer::{MAX_OBJECT, MAX_STATUS, Sent, Stored};
use super::read::ShapeOf;
use super::refused::warned;
use super::{AnswerBody, Corridor, Passage, attributes};
use crate::admission::Named;
use crate::failure::Failure;
use crate::upstream::Body;

/// The most bytes of a request's body. The front does not limit what it passes on (wire rule 1.26).
const MAX_BODY: usize = 3 << 20;
/// How often a write is tried when its object changes in between. kube-apiserver does the same beside its storage for as long
/// as the client waits; a control plane is further away, and the client should hear of a conflict before it gives up.
const CHANGED_TRIES: usize = 10;
/// A write by name: what it is translated to depends on the object as it is stored now.
enum Write {
    Update(BodyType),
    Patch(PatchType),
    Delete,
}

impl Write {
    /// What of an object the write is tied to: its UID, and the resource version where the outcome is made here.
    fn tie<'a>(&self, target: &Target<'_>, live: &'a Live) -> (&'a str, &'a str) {
        let is_versioned = match self {
            Self::Patch(PatchType::Json) => true,
            Self::Patch(PatchType::Merge) => target.references.is_some(),
            Self::Patch(PatchType::Apply) | Self::Update(_) | Self::Delete => false,
        };
        (&live.uid, if is_versioned { live.resource_version.as_str() } else { "" })
    }
}

impl Corridor {
    pub(super) async fn update(&self, passage: &Passage<'_>, body: Incoming) -> Result<Response<AnswerBody>, Failure> {
        let write = Write::Update(passage.body_type()?);
        self.write(passage, &write, body).await
    }

    pub(super) async fn patch(&self, passage: &Passage<'_>, body: Incoming) -> Result<Response<AnswerBody>, Failure> {
        let content_type = passage.header(header::CONTENT_TYPE);
        let write = Write::Patch(PatchType::parse(content_type).map_err(|error| Failure::client(error.status()))?);
        self.write(passage, &write, body).await
    }

    pub(super) async fn delete(&self, passage: &Passage<'_>, body: Incoming) -> Result<Response<AnswerBody>, Failure> {
        self.write(passage, &Write::Delete, body).await
    }

    pub(super) async fn delete_collection(
        &self,
        passage: &Passage<'_>,
        body: Incoming,
    ) -> Result<Response<AnswerBody>, Failure> {
        let negotiated = passage.negotiated()?;
        let raw = read(body).await?;
        let body_type = passage.options_type(&raw)?;
        let target = self.target(passage);
        let options = body::delete_options(&target, None, &raw, body_type, &passage.request.query)
            .map_err(|error| Failure::client(error.status(&target)))?;
        // The origin selector is part of the remote request (wire rule 6.15).
        let remote = self.remote(passage)?;
        let sent = (!options.body.is_empty()).then(|| options.into());
        let work = async {
            let answer = self.send(passage, &remote, &negotiated.upstream_accept(), sent).await?;
            if !answer.status().is_success() {
                return Err(self.failed_of_one(passage, &remote, answer).await);
            }
            self.stream(passage, answer, Shape::List, None).await
        };
        self.or_known_empty(passage, &negotiated, work).await
    }

    /// A write by name.
    async fn write(
        &self,
        passage: &Passage<'_>,
        write: &Write,
        body: Incoming,
    ) -> Result<Response<AnswerBody>, Failure> {
        let negotiated = passage.negotiated()?;
        let raw = read(body).await?;
        let target = self.target(passage);
        if !matches!(write, Write::Delete) {
            self.admit(passage, target.namespace, None).await?;
        }
        let remote = self.remote(passage)?;
        let mut live = self.live_for(passage, write).await?;
        let mut tries = 1;
        loop {
            let accept = negotiated.upstream_accept();
            let (answer, warnings) = self.try_write(passage, write, &raw, live.as_ref(), &remote, &accept).await?;
            // The write was tied to an object that may be gone, or changed: the client, who knows nothing of the tie, must
            // not see that it failed by that. Whatever else is refused is.
            if tries < CHANGED_TRIES
                && matches!(answer.status(), StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY)
            {
                let now = self.live_for(passage, write).await?;
                if now.as_ref().map(|now| write.tie(&target, now)) != live.as_ref().map(|live| write.tie(&target, live))
                {
                    live = now;
                    tries += 1;
                    continue;
                }
            }
            let answer = self.single(passage, &remote, answer, negotiated.shape(&remote, false)).await;
            return warned(answer, &warnings);
        }
    }

    /// The object as a write finds it. Of a scale that operations are done on, what that shows goes with it.
    async fn live_for(&self, passage: &Passage<'_>, write: &Write) -> Result<Option<Live>, Failure> {
        let live = self.live(passage).await?;
        let of_scale = passage.request.subresource.as_deref() == Some("scale");
        let (Some(live), true, Write::Patch(PatchType::Json)) = (live.as_ref(), of_scale, write) else {
            return Ok(live);
        };
        let mut read = passage.request.clone();
        (read.verb, read.query) = (Verb::Get, Query::default());
        let passage = Passage { request: &read, ..*passage };
        let remote = self.remote(&passage)?;
        let answer = self.send(&passage, &remote, "application/json", None).await?;
        let shown = match answer.status() {
            status if status.is_success() => self.collect(&passage, answer, MAX_OBJECT).await?.1.into(),
            // It has no replicas, which an operation may add.
            StatusCode::INTERNAL_SERVER_ERROR => Vec::new(),
            _ => return Err(self.failed(&passage, Some(&remote), answer).await),
        };
        Ok(Some(live.clone().showing(shown)))
    }

    /// What the control plane answers, and what else there is to warn of.
    async fn try_write(
        &self,
        passage: &Passage<'_>,
        write: &Write,
        raw: &[u8],
        live: Option<&Live>,
        remote: &Remote,
        accept: &str,
    ) -> Result<(Response<Body>, Vec<String>), Failure> {
        let target = self.target(passage);
        let tied = match write {
            Write::Update(_) => true,
            // The patch of a Scale is not tied to a UID.
            Write::Patch(PatchType::Json | PatchType::Merge) => target.subresource != Some("scale"),
            Write::Patch(PatchType::Apply) | Write::Delete => false,
        };
        if live.is_none() && tied {
            return self.write_nothing(passage, write, raw, remote, accept).await;
        }
        let present = || live.ok_or_else(|| passage.not_found());
        let translated = match write {
            Write::Update(body_type) => body::update(&target, present()?, raw, *body_type),
            Write::Patch(PatchType::Json) => body::json_patch(&target, present()?, raw),
            Write::Patch(PatchType::Merge) => body::merge_patch(&target, present()?, raw),
            Write::Patch(PatchType::Apply) => {
                if live.is_none() {
                    self.admit_create_through_apply(passage).await?;
                    self.check_free(passage).await?;
                }
                body::apply_patch(&target, live, raw)
            }
            Write::Delete if live.is_none() => {
                return Ok((self.delete_nothing(passage, raw, remote, accept).await?, Vec::new()));
            }
            Write::Delete => {
                let body_type = passage.options_type(raw)?;
                body::delete_options(&target, Some(present()?), raw, body_type, &passage.request.query)
            }
        };
        let translated = match translated {
            Ok(translated) => translated,
            Err(error) => return Err(self.refused(passage, raw, &error).await),
        };
        self.check_inputs(passage, &translated.name, &translated.inputs).await?;
        if translated.findings.forbid() {
            return Err(self.invalid(passage, translated).await);
        }
        let warnings = translated.findings.warnings.clone();
        let secrets = translated.secrets.clone();
        let answer = self.send(passage, remote, accept, Some(translated.into())).await?;
        let answer = self.naming_secrets(passage, answer, &secrets).await?;
        if live.is_none() {
            self.note_created(passage, remote, answer.status());
        }
        Ok((answer, warnings))
    }

    /// An update or a patch of what is not there. What is wrong with the options, and of an update with the body, is told before,
    /// with the control plane's warnings.
    async fn write_nothing(
        &self,
        passage: &Passage<'_>,
        write: &Write,
        raw: &[u8],
        remote: &Remote,
        accept: &str,
    ) -> Result<(Response<Body>, Vec<String>), Failure> {
        let target = self.target(passage);
        let absent = Live::absent();
        let (translated, named) = match write {
            Write::Update(body_type) => (
                body::check_update(&target, raw, *body_type)
                    .and_then(|()| body::update(&target, &absent, raw, *body_type)),
                body::named_uid(raw, *body_type).filter(|uid| !uid.contains(['"', '\\'])),
            ),
            // It is not looked at where there is nothing to patch.
            _ => (body::merge_patch(&target, &absent, b"{}"), None),
        };
        let translated = match translated {
            Ok(translated) => translated,
            Err(error) => return Err(self.refused(passage, raw, &error).await),
        };
        let warnings = translated.findings.warnings.clone();
        let answer = self.send(passage, remote, accept, Some(translated.into())).await?;
        let (parts, raw) = self.collect(passage, answer, MAX_STATUS).await?;
        let told = serde_json::from_slice::<Status>(&raw).ok();
        let details = told.as_ref().and_then(|told| told.details.as_ref());
        let of_options = details.is_some_and(|details| details.kind.ends_with("Options"));
        let of_none = told.is_some_and(|told| told.message.ends_with("UID in object meta: "));
        match parts.status {
            StatusCode::UNPROCESSABLE_ENTITY if of_options => {}
            // Of an object that is to have a UID, older versions say that it has another, although there is none.
            StatusCode::CONFLICT if of_none && named.is_some() => {
                let told = String::from_utf8_lossy(&raw).replace(&absent.uid, &named.unwrap_or_default());
                return Ok((Response::from_parts(parts, Body::from(Bytes::from(told))), warnings));
            }
            // The object that is there is another's, and was not written.
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                return Err(passage.not_found().with_warnings(&parts.headers).warning(&warnings));
            }
            _ => {}
        }
        Ok((Response::from_parts(parts, Body::from(raw)), warnings))
    }

    pub(super) fn note_created(&self, passage: &Passage<'_>, remote: &Remote, status: StatusCode) {
        let request = passage.request;
        let stored = status.is_success() && !request.query.is_dry_run();
        if let (true, Some(name), Some(namespace)) = (stored, &remote.name, &request.namespace) {
            self.claims.created(&request.group, &request.resource, namespace, name.clone());
        }
    }

    /// A delete of what is not there: options that cannot be are told before, as the reference server does.
    async fn delete_nothing(
        &self,
        passage: &Passage<'_>,
        raw: &[u8],
        remote: &Remote,
        accept: &str,
    ) -> Result<Response<Body>, Failure> {
        let target = self.target(passage);
        let body_type = passage.options_type(raw)?;
        let options = body::delete_options_of_none(&target, raw, body_type, &passage.request.query)
            .map_err(|error| Failure::client(error.status(&target)))?;
        let Some(options) = options else { return Err(passage.not_found()) };
        let answer = self.send(passage, remote, accept, Some(options.into())).await?;
        match answer.status() {
            // The object that is there is another's, and was not deleted.
            StatusCode::CONFLICT => Err(passage.not_found()),
            _ => Ok(answer),
        }
    }

    /// The front authorized a patch; that it creates is known only here, and the control plane sees the connector's own
    /// identity (wire rule 9.10).
    async fn admit_create_through_apply(&self, passage: &Passage<'_>) -> Result<(), Failure> {
        if passage.request.subresource.is_some() {
            return Err(passage.not_found());
        }
        self.authorize(passage.user, &attributes(passage.request, "create"), passage.waits).await?;
        let request = passage.request;
        let named = passage.named(request.name.as_deref().unwrap_or_default());
        let namespace = request.namespace.as_deref().unwrap_or_default();
        self.admit(passage, namespace, Some(named)).await
    }

    /// An apply creates where nothing is, and takes over what is there: where that is another's (wire rule 8.7), it must not
    /// be sent.
    async fn check_free(&self, passage: &Passage<'_>) -> Result<(), Failure> {
        match self.stored(passage).await? {
            Stored::Anothers => {
                let request = passage.request;
                let name = request.name.as_deref().unwrap_or_default();
                Err(Failure::client(Status::already_exists(&request.group, &request.resource, name)))
            }
            Stored::Absent | Stored::Ours(_) => Ok(()),
        }
    }

    pub(super) fn target<'a>(&'a self, passage: &Passage<'a>) -> Target<'a> {
        let request = passage.request;
        Target {
            scheme: &self.scheme,
            form: passage.offered.form,
            references: self.references(passage),
            group: &request.group,
            version: &request.version,
            resource: &request.resource,
            kind: &passage.offered.kind,
            namespace: request.namespace.as_deref().unwrap_or_default(),
            name: request.name.as_deref(),
            subresource: request.subresource.as_deref(),
        }
    }
}

impl<'a> Passage<'a> {
    pub(super) fn body_type(&self) -> Result<BodyType, Failure> {
        BodyType::parse(self.header(header::CONTENT_TYPE)).map_err(|error| Failure::client(error.status()))
    }

    /// The format of delete options, which most clients leave out.
    fn options_type(&self, raw: &[u8]) -> Result<BodyType, Failure> {
        if raw.is_empty() { Ok(BodyType::Json) } else { self.body_type() }
    }

    pub(super) fn named<'n>(&self, name: &'n str) -> Named<'n>
    where
        'a: 'n,
    {
        Named { group: &self.request.group, resource: &self.request.resource, name }
    }
}

impl From<Translated> for Sent {
    fn from(translated: Translated) -> Self {
        Self { body: translated.body, content_type: translated.content_type }
    }
}

pub(super) async fn read(body: Incoming) -> Result<Vec<u8>, Failure> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::client(Status::too_large(MAX_BODY))),
        Err(_) => Err(Failure::client(Status::bad_request("the request's body broke off"))),
    }
}
