//! Create, and generated names (wire rule 8.5).

use connector_core::body::{self, BodyError};
use connector_core::status::Status;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use rustls::crypto::SecureRandom;

use super::read::ShapeOf;
use super::refused::warned;
use super::write::read;
use super::{AnswerBody, Corridor, Passage};
use crate::failure::Failure;

/// How often a generated name is tried (wire rule 8.5).
const GENERATE_TRIES: usize = 8;
/// What kube-apiserver makes generated names of: no vowels and nothing that looks like another character
/// (`apimachinery/pkg/util/rand`).
const SUFFIX_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;

impl Corridor {
    pub(super) async fn create(&self, passage: &Passage<'_>, body: Incoming) -> Result<Response<AnswerBody>, Failure> {
        let negotiated = passage.negotiated()?;
        if passage.request.subresource.is_some() {
            // Nothing is created at one; the control plane says so in its own words, whatever the body is.
            let remote = self.remote(passage)?;
            let answer = self.send(passage, &remote, &negotiated.upstream_accept(), None).await?;
            return self.single(passage, &remote, answer, negotiated.shape(&remote, false)).await;
        }
        let body_type = passage.body_type()?;
        let raw = read(body).await?;
        let target = self.target(passage);
        let mut tries = 0;
        loop {
            let suffix = suffix()?;
            let translated = body::create(&target, &raw, body_type, &suffix);
            // The reference server admits what it can read before it looks at its content.
            let name = match &translated {
                Ok(translated) => Some(&translated.name),
                Err(BodyError::Reserved { name, .. }) => Some(name),
                Err(_) => None,
            };
            if let Some(name) = name {
                // A name that is yet to be generated is told by what it begins with.
                let named = passage.named(name.strip_suffix(&*suffix).unwrap_or(name));
                self.admit(passage, target.namespace, Some(named)).await?;
            }
            let translated = match translated {
                Ok(translated) => translated,
                Err(error) => return Err(self.refused(passage, &raw, &error).await),
            };
            let told = translated.name.strip_suffix(&*suffix).unwrap_or(&translated.name);
            self.check_inputs(passage, told, &translated.inputs).await?;
            let remote = self.remote(passage)?;
            if translated.findings.forbid() {
                return Err(self.invalid(passage, translated).await);
            }
            let warnings = translated.findings.warnings.clone();
            let name = translated.name.clone();
            // Nobody else knows the suffix.
            let generated = name.ends_with(&suffix);
            let secrets = translated.secrets.clone();
            let answer = self.send(passage, &remote, &negotiated.upstream_accept(), Some(translated.into())).await?;
            let answer = self.naming_secrets(passage, answer, &secrets).await?;
            tries += 1;
            let generated = generated && answer.status() == StatusCode::CONFLICT;
            if generated && tries < GENERATE_TRIES {
                continue;
            }
            // The object's name is known now; its answer is about that one.
            let mut request = passage.request.clone();
            request.name = Some(name);
            let created = Passage { request: &request, ..*passage };
            let mut named = remote.clone();
            named.name = request
                .name
                .as_deref()
                .map(|name| self.scheme.remote_name(passage.offered.form, target.namespace, name));
            if generated {
                return Err(created.could_not_generate());
            }
            self.note_created(&created, &named, answer.status());
            let answer = self.single(&created, &named, answer, negotiated.shape(&remote, false)).await;
            return warned(answer, &warnings);
        }
    }
}

impl Passage<'_> {
    fn could_not_generate(&self) -> Failure {
        let name = self.request.name.as_deref().unwrap_or_default();
        let mut status = Status::already_exists(&self.request.group, &self.request.resource, name);
        status.message.push_str(", the server was not able to generate a unique name for the object");
        status.details.get_or_insert_default().retry_after_seconds = 1;
        Failure::client(status)
    }
}

/// A random suffix for a generated name.
fn suffix() -> Result<String, Failure> {
    let random: &dyn SecureRandom = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    let mut suffix = String::with_capacity(SUFFIX_LENGTH);
    let mut bytes = [0; 16];
    while suffix.len() < SUFFIX_LENGTH {
        random.fill(&mut bytes).map_err(|_| Failure::connector(Status::internal("no randomness to be had")))?;
        // Only bytes that spread evenly over the alphabet.
        let even =
            bytes.iter().filter(|byte| usize::from(**byte) < 256 / SUFFIX_ALPHABET.len() * SUFFIX_ALPHABET.len());
        suffix.extend(
            even.map(|byte| char::from(SUFFIX_ALPHABET[usize::from(*byte) % SUFFIX_ALPHABET.len()]))
                .take(SUFFIX_LENGTH - suffix.len()),
        );
    }
    Ok(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_of_the_alphabet_and_differ() {
        let suffixes: std::collections::BTreeSet<String> = (0..100).map(|_| suffix().unwrap()).collect();
        assert!(suffixes.len() > 90, "27^5 suffixes, so a hundred hardly ever meet");
        assert!(
            suffixes.iter().all(|suffix| suffix.len() == 5 && suffix.bytes().all(|b| SUFFIX_ALPHABET.contains(&b)))
        );
    }
}
