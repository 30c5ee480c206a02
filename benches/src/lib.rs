//! What the benchmarks of the connector run on; README.md in this folder says what each number means.
//!
//! The documents are what a control plane answers: Crossplane claims of about 3 KB, as kube-apiserver writes them (sorted
//! members, compact, `<`, `>` and `&` escaped). They are the same in every run, and every object in them belongs to the app
//! cluster of [`scheme`], so that nothing is cheap because it is withheld.

mod claim;
mod documents;
pub mod process;
pub mod raw;
#[cfg(test)]
mod tests;
pub mod value;

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use connector_core::answer::{AnswerError, Asked, Rewriter, Shape};
use connector_core::origin::{ClusterId, Form, Hashed};

pub use documents::{list, long_list, object, partial_list, table, watch};

/// The size of the chunks in which an answer comes: that of a TLS record, and of an HTTP/2 frame by default.
pub const CHUNK: usize = 16 << 10;

/// The scheme by which all generated objects are named.
pub fn scheme() -> Arc<Hashed> {
    let cluster: ClusterId = "3f0a7c52-8f0e-4d4c-9a55-0c1d6f6f2b11".parse().expect("a UID is a label value");
    Arc::new(Hashed { cluster, claim_namespace: "app-cluster-claims".into() })
}

/// A request for the claims of all namespaces.
pub fn asked() -> Asked {
    Asked { scheme: scheme(), form: Form::Claim, namespace: None, name: None, references: None }
}

/// A request for the one claim `index`, the answer to which is [`object`].
pub fn asked_one(index: usize) -> Asked {
    Asked { namespace: Some(local_namespace(index)), name: Some(local_name(index)), ..asked() }
}

/// The name under which the user sees claim `index`.
pub fn local_name(index: usize) -> String {
    format!("orders-database-{index:05}")
}

/// The namespace in which the user sees claim `index`: one of fifty.
pub fn local_namespace(index: usize) -> String {
    format!("team-{:02}", index % 50)
}

/// Cuts a document into pieces of [`CHUNK`] bytes, the last one shorter.
pub fn chunks(document: &Bytes) -> Vec<Bytes> {
    (0..document.len()).step_by(CHUNK).map(|start| document.slice(start..document.len().min(start + CHUNK))).collect()
}

/// Rewrites an answer; all that comes out is copied behind `out`.
///
/// # Errors
/// Those of [`Rewriter`]; a generated document has none.
pub fn rewrite(asked: &Asked, shape: Shape, chunks: &[Bytes], out: &mut Vec<u8>) -> Result<(), AnswerError> {
    let mut rewriter = Rewriter::new(asked.clone(), shape);
    for chunk in chunks {
        rewriter.push_copied(chunk, out)?;
    }
    rewriter.finish()
}

/// The same where the parts of 4 KiB and more that did not change are slices of the chunks, as a connection takes them.
///
/// `parts` is scratch: it is empty before and after, and passed in so that its memory is used again.
///
/// # Errors
/// Those of [`Rewriter`]; a generated document has none.
pub fn rewrite_into_parts(
    asked: &Asked,
    shape: Shape,
    chunks: &[Bytes],
    parts: &mut Vec<Bytes>,
) -> Result<(), AnswerError> {
    let mut rewriter = Rewriter::new(asked.clone(), shape);
    for chunk in chunks {
        rewriter.push(chunk.clone(), parts)?;
        black_box(&parts);
        parts.clear();
    }
    rewriter.finish()
}
