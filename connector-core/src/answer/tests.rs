//! Tests of answers: exact bytes for documents as Kubernetes writes them, a naive twin for generated ones, recorded events.

mod documents;
mod generated;
mod lists;
mod naive;
mod recorded;
mod references;
mod statuses;
mod tables;
mod watches;

use std::sync::Arc;

use bytes::Bytes;

use super::{AnswerError, Asked, Rewriter, Shape};
use crate::origin::{Form, Hashed};

/// The scheme of all tests: `my-bucket` in `test` is the published vector, `claim-c603e518969b413e`.
fn scheme() -> Arc<Hashed> {
    let cluster = "00000000-0000-0000-0000-000000000000".parse().unwrap();
    Arc::new(Hashed { cluster, claim_namespace: "claims".into() })
}

fn asked(namespace: Option<&str>, name: Option<&str>) -> Asked {
    Asked {
        scheme: scheme(),
        form: Form::Claim,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        references: None,
    }
}

/// Rewrites a document that comes in chunks of these sizes, the last one repeated.
fn rewrite(asked: &Asked, shape: Shape, document: &[u8], sizes: &[usize]) -> Result<Vec<u8>, AnswerError> {
    let mut rewriter = Rewriter::new(asked.clone(), shape);
    let mut out = Vec::new();
    let mut sizes = sizes.iter().copied();
    let mut size = usize::MAX;
    let mut rest = document;
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size);
        let (chunk, behind) = rest.split_at(size.clamp(1, rest.len()));
        rewriter.push(Bytes::copy_from_slice(chunk), &mut out)?;
        rest = behind;
    }
    rewriter.finish()?;
    Ok(out.concat())
}

/// Rewrites a document whole and in chunks of every size up to 40 bytes and some larger ones: the answer must be the same.
fn rewrite_any(asked: &Asked, shape: Shape, document: &str) -> Result<String, AnswerError> {
    let whole = rewrite(asked, shape, document.as_bytes(), &[]);
    for size in (1..40).chain([61, 127, 500]) {
        let chunked = rewrite(asked, shape, document.as_bytes(), &[size]);
        assert_eq!(chunked, whole, "in chunks of {size} bytes: {document}");
    }
    let whole = whole.map(|whole| String::from_utf8(whole).expect("what was text stays text"));
    if let Ok(whole) = &whole {
        // This is how a user's own data in tests has our prefix.
        assert!(
            !whole.replace("bystander/mcp-connector", "").contains("mcp-connector"),
            "a trace of ours is left: {whole}"
        );
    }
    whole
}

/// The origin labels of an object, as members.
fn labels(namespace: &str, name: &str) -> String {
    let labels = scheme();
    let labels = labels.labels(namespace, name);
    labels.map(|(key, value)| format!("{key:?}:{value:?}")).join(",")
}

/// The remote name of an object of `test`.
fn remote(name: &str) -> String {
    scheme().remote_name(Form::Claim, "test", name)
}
