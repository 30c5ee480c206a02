//! A document that is served from memory.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A finished JSON document and its validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    bytes: Bytes,
    etag: String,
}

impl Document {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let hash = Sha256::digest(&bytes);
        let hash: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
        let etag = format!("\"{hash}\"");
        Self { bytes: bytes.into(), etag }
    }

    /// The document; a clone shares the memory.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The strong validator for the header `ETag`, quotes included (wire rule 3.3): a hash of the bytes.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Whether a header `If-None-Match` names this document, so that 304 is the answer (wire rules 3.3, 4.2).
    pub fn is_known(&self, if_none_match: &str) -> bool {
        let tags = if_none_match.split(',').map(str::trim);
        tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).any(|tag| tag == "*" || tag == self.etag)
    }

    /// The hash without quotes, upper case hexadecimal, as OpenAPI v3 puts it into URLs (wire rule 4.9).
    pub fn hash(&self) -> &str {
        &self.etag[1..self.etag.len() - 1]
    }
}
