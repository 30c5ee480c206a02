//! Refusals, and warnings, of what the control plane cannot see: it is asked for a try what it has to say of the rest.

use connector_core::address::PatchType;
use connector_core::answer;
use connector_core::body::{BodyError, Findings, Live, Translated};
use connector_core::status::Status;
use http::{Response, StatusCode, header};

use super::answer::{MAX_OBJECT, Sent};
use super::{AnswerBody, Corridor, Passage};
use crate::failure::{Failure, warning};

impl Corridor {
    /// Refuses what cannot be translated. Of what cannot be read the control plane says why, asked for a try in case that it can
    /// read it.
    pub(super) async fn refused(&self, passage: &Passage<'_>, raw: &[u8], error: &BodyError) -> Failure {
        let refused = Failure::client(error.status(&self.target(passage)));
        let sent = match error {
            BodyError::Unrecognized { .. } => passage.body_type().map(|body_type| body_type.content_type()),
            BodyError::Apply(_) => Ok(PatchType::Apply.content_type()),
            _ => return refused,
        };
        let Ok(content_type) = sent else { return refused };
        let mut request = passage.request.clone();
        request.query.set("dryRun", "All");
        let attempt = Passage { request: &request, ..*passage };
        let Ok(remote) = self.remote(&attempt) else { return refused };
        let sent = Sent { body: raw.to_vec(), content_type };
        match self.send(&attempt, &remote, "application/json", Some(sent)).await {
            Ok(answer) if answer.status() == StatusCode::BAD_REQUEST => {
                self.failed(&attempt, Some(&remote), answer).await
            }
            _ => refused,
        }
    }

    /// Refuses what is invalid in a way that the control plane cannot see. It is asked, for a try, what else is wrong.
    pub(super) async fn invalid(&self, passage: &Passage<'_>, live: Option<&Live>, translated: Translated) -> Failure {
        let Findings { mut faults, warnings } = translated.findings.clone();
        let name = translated.name.clone();
        let mut request = passage.request.clone();
        request.query.set("dryRun", "All");
        let tried = async {
            let attempt = Passage { request: &request, ..*passage };
            let remote = self.remote(&attempt)?;
            let answer = self.send(&attempt, &remote, "application/json", Some(translated.into())).await?;
            let (parts, raw) = self.collect(answer, MAX_OBJECT).await?;
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
            200..300 => {}
            // The reference server validates before it asks validating admission, and before it creates.
            403 => {}
            409 if live.is_none() => {}
            422 if told.kind == passage.offered.kind => faults.extend(told.causes),
            // What is told before anything is validated.
            _ => {
                let answer = Response::from_parts(parts, raw.to_vec().into());
                return self.failed(&passage, Some(&remote), answer).await.warning(&warnings);
            }
        }
        let status = Status::invalid(&request.group, &passage.offered.kind, &name, faults);
        Failure::client(status).with_warnings(&parts.headers).warning(&warnings)
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
