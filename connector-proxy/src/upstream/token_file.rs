//! A token in a file of its own, which somebody else keeps fresh.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use thiserror::Error;

/// The token of a kubeconfig's `tokenFile`, as the header that carries it.
///
/// The library's own keeps a token for a minute, and takes none that ends in a line break, as files do; kubectl takes it.
#[derive(Clone)]
pub(super) struct TokenFile {
    path: PathBuf,
    header: Arc<ArcSwap<HeaderValue>>,
}

/// A token file cannot be used. What it holds is not told.
#[derive(Debug, Error)]
pub(crate) enum TokenFileError {
    #[error("cannot read tokenFile {0}")]
    Read(String, #[source] std::io::Error),
    #[error("tokenFile {0} holds no token")]
    NoToken(String),
}

impl TokenFile {
    pub(super) fn open(path: &Path) -> Result<Self, TokenFileError> {
        Ok(Self { path: path.to_owned(), header: Arc::new(ArcSwap::from_pointee(read(path)?)) })
    }

    /// What requests carry now.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.load().as_ref().clone()
    }

    /// Takes what the file holds now. Where that is no token the former stays in force: it may be good still.
    pub(super) fn refresh(&self) -> Result<(), TokenFileError> {
        self.header.store(Arc::new(read(&self.path)?));
        Ok(())
    }
}

fn read(path: &Path) -> Result<HeaderValue, TokenFileError> {
    let called = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| TokenFileError::Read(called(), error))?;
    let token = text.trim();
    let header = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| !token.is_empty());
    let mut header = header.ok_or_else(|| TokenFileError::NoToken(called()))?;
    header.set_sensitive(true);
    Ok(header)
}
