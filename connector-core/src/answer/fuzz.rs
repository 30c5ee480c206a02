//! What fuzzing does with answers; not part of the API.

use std::sync::Arc;

use bytes::Bytes;

use super::{AnswerError, Asked, Rewriter, RowObject, Shape, Yaml};
use crate::origin::{Form, Hashed};
use crate::references::References;

/// Takes the first byte for the shape and the second for the size of the chunks, and rewrites the rest.
///
/// # Panics
/// When chunks change the answer, or something that was JSON is none any more.
pub fn fuzz_answer(data: &[u8]) {
    let [shape, size, document @ ..] = data else { return };
    let shape = match shape % 6 {
        0 => Shape::Object,
        1 => Shape::List,
        2 => Shape::ObjectTable(RowObject::Show),
        3 => Shape::Table(RowObject::Null),
        4 => Shape::Watch,
        _ => Shape::TableWatch(RowObject::Show),
    };
    for references in [None, Some(configured())] {
        check(shape, references, document, usize::from(*size).max(1));
    }
}

/// A kind whose fields name Secrets.
fn configured() -> Arc<References> {
    let references = References::new(["spec.a", "spec.n[*]"], ["spec.r", "spec.u[*].r"]);
    Arc::new(references.expect("they are paths"))
}

fn check(shape: Shape, references: Option<Arc<References>>, document: &[u8], size: usize) {
    let whole = rewrite(shape, references.clone(), document, document.len().max(1));
    let chunked = rewrite(shape, references, document, size);
    assert_eq!(whole, chunked, "chunks of {size} bytes change the answer");
    if let Ok(answer) = whole
        && are_json(document)
    {
        assert!(are_json(&answer), "{} became {}", document.escape_ascii(), answer.escape_ascii());
    }
}

/// Takes the first byte for the size of the chunks, and writes the rest as YAML.
///
/// # Panics
/// When chunks change the YAML, or an object cannot be written as YAML or not as text.
pub fn fuzz_yaml(data: &[u8]) {
    let [size, document @ ..] = data else { return };
    let whole = write_yaml(document, document.len().max(1));
    assert_eq!(whole, write_yaml(document, usize::from(*size).max(1)), "chunks of {size} bytes change the YAML");
    let is_object = serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(document).is_ok();
    assert!(!is_object || whole.is_some_and(|yaml| String::from_utf8(yaml).is_ok_and(|yaml| yaml.ends_with('\n'))));
}

fn write_yaml(document: &[u8], size: usize) -> Option<Vec<u8>> {
    let (mut yaml, mut out) = (Yaml::new(), Vec::new());
    for chunk in document.chunks(size) {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(piece) = yaml.next(&mut chunk).ok()? {
            out.extend_from_slice(&piece);
        }
    }
    yaml.finish().ok().map(|()| out)
}

fn are_json(bytes: &[u8]) -> bool {
    serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Value>().all(|value| value.is_ok())
}

fn rewrite(
    shape: Shape,
    references: Option<Arc<References>>,
    document: &[u8],
    size: usize,
) -> Result<Vec<u8>, AnswerError> {
    let scheme = Hashed { cluster: "c".parse().expect("it is a label value"), claim_namespace: "claims".into() };
    let asked = Asked { scheme: Arc::new(scheme), form: Form::Claim, namespace: None, name: None, references };
    let mut rewriter = Rewriter::new(asked, shape);
    let mut out = Vec::new();
    for chunk in document.chunks(size) {
        rewriter.push(Bytes::copy_from_slice(chunk), &mut out)?;
    }
    rewriter.finish()?;
    Ok(out.concat())
}
