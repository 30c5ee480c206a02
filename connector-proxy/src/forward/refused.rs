//! Refusals, and warnings, of what the control plane cannot see: it is asked for a try what it has to say of the rest.

use connector_core::address::{BodyType, PatchType, Verb};
use connector_core::answer;
use connector_core::body::{self, BodyError, Findings, Translated};
use connector_core::status::{Cause, Status};
use http::{Response, StatusCode, header};

use super::answer::{MAX_OBJECT, MAX_STATUS, Sent};
use super::{AnswerBody, Corridor, Passage};
use crate::failure::{Failure, warning};

impl Corridor {
    /// Refuses what cannot be translated. Of what cannot be read the control plane says why, asked for a try in case that it can
    /// read it.
    pub(super) async fn refused(&self, passage: &Passage<'_>, raw: &[u8], error: &BodyError) -> Failure {
        let refused = Failure::client(error.status(&self.target(passage)));
        if let Some(failure) = self.wrong_options(passage).await {
            return failure;
        }
        let code = match error {
            BodyError::Unrecognized { .. } | BodyError::Apply(_) => StatusCode::BAD_REQUEST,
            BodyError::NotApplicable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => return refused,
        };
        let Some(content_type) = passage.content_type() else { return refused };
        let mut request = passage.request.clone();
        request.query.set("dryRun", "All");
        let attempt = Passage { request: &request, ..*passage };
        let Ok(remote) = self.remote(&attempt) else { return refused };
        let sent = Sent { body: raw.to_vec(), content_type };
        match self.send(&attempt, &remote, "application/json", Some(sent)).await {
            Ok(answer) if answer.status() == code => self.failed(&attempt, Some(&remote), answer).await,
            _ => refused,
        }
    }

    /// What is wrong with the options of a write, which is told before what is wrong with its body. The control plane is sent a
    /// body that nobody can read.
    async fn wrong_options(&self, passage: &Passage<'_>) -> Option<Failure> {
        const OPTIONS: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "force"];
        OPTIONS.iter().find_map(|option| passage.request.query.get(option))?;
        let sent = Sent { body: b"unreadable".to_vec(), content_type: passage.content_type()? };
        let remote = self.remote(passage).ok()?;
        let answer = self.send(passage, &remote, "application/json", Some(sent)).await.ok()?;
        let (parts, raw) = self.collect(passage, answer, MAX_STATUS).await.ok()?;
        let told = serde_json::from_slice::<Status>(&raw).ok()?.details?;
        if !told.kind.ends_with("Options") {
            return None;
        }
        Some(self.failed(passage, Some(&remote), Response::from_parts(parts, raw.into())).await)
    }

    /// Refuses what is invalid in a way that the control plane cannot see. It is asked, for a try, what else is wrong.
    pub(super) async fn invalid(&self, passage: &Passage<'_>, translated: Translated) -> Failure {
        let Findings { mut faults, doubted, mut warnings } = translated.findings.clone();
        if doubted {
            // The control plane finds them itself.
            warnings.clear();
        }
        let name = translated.name.clone();
        let secrets = translated.secrets.clone();
        let mut request = passage.request.clone();
        request.query.set("dryRun", "All");
        let tried = async {
            let attempt = Passage { request: &request, ..*passage };
            let remote = self.remote(&attempt)?;
            let answer = self.send(&attempt, &remote, "application/json", Some(translated.into())).await?;
            let answer = self.naming_secrets(&attempt, answer, &secrets).await?;
            let (parts, raw) = self.collect(&attempt, answer, MAX_OBJECT).await?;
            Ok::<_, Failure>((remote, parts, raw))
        };
        let (remote, parts, raw) = match tried.await {
            Ok(tried) => tried,
            Err(failure) => return failure,
        };
        // The answer is about the object that would be made.
        request.name = Some(name.clone());
        let passage = Passage { request: &request, ..*passage };
        let told = answer::status(&self.asked(&passage), &raw).and_then(|status| status.details).unwrap_or_default();
        match parts.status.as_u16() {
            422 if told.kind == passage.offered.kind => {
                faults.extend(told.causes.into_iter().filter(|cause| !body::is_made_up(cause)));
            }
            // What is told before anything is validated.
            _ => {
                let answer = Response::from_parts(parts, raw.into());
                return self.failed(&passage, Some(&remote), answer).await.warning(&warnings);
            }
        }
        if faults.is_empty() {
            faults.push(Cause {
                reason: "FieldValueInvalid".into(),
                message: "Invalid value: not one that every version of Kubernetes takes".into(),
                field: "metadata.ownerReferences".into(),
            });
        }
        let status = Status::invalid(&request.group, &passage.offered.kind, &name, faults);
        Failure::client(status).with_warnings(&parts.headers).warning(&warnings)
    }
}

impl Passage<'_> {
    /// That of the body of a create, an update or a patch.
    fn content_type(&self) -> Option<&'static str> {
        match self.request.verb {
            Verb::Create | Verb::Update => self.body_type().ok().map(BodyType::content_type),
            Verb::Patch => PatchType::parse(self.header(header::CONTENT_TYPE)).ok().map(PatchType::content_type),
            _ => None,
        }
    }
}

/// The same answer with warnings of ours (wire rule 7.26).
pub(super) fn warned(
    answer: Result<Response<AnswerBody>, Failure>,
    warnings: &[String],
) -> Result<Response<AnswerBody>, Failure> {
    let mut answer = answer.map_err(|failure| failure.warning(warnings))?;
    for warning in warnings.iter().filter_map(|text| warning(text)) {
        answer.headers_mut().append(header::WARNING, warning);
    }
    Ok(answer)
}
