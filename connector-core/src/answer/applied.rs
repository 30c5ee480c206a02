//! The annotation in which `kubectl apply` keeps what it applied.
//!
//! It is the user's own text, except after a server-side apply: then kube-apiserver writes it anew from the body that it got
//! (`managedfields: lastAppliedUpdater`), and that body was in remote terms.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::object::Parts;
use super::{Asked, metadata};
use crate::json::{Cursor, Error, Plan, Text};
use crate::origin::RESERVED_PREFIX;

/// The annotation's key.
pub(crate) const KEY: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether a value, as it stands in the answer, can be in remote terms: origin labels are in every applied body.
pub(super) fn is_remote(raw: &[u8]) -> bool {
    static OURS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(RESERVED_PREFIX));
    OURS.find(raw).is_some()
}

/// The applied configuration in local terms; `None` where it is not about this object, or no configuration at all: then it
/// is the user's text.
pub(super) fn local(asked: &Asked, text: Text<'_>) -> Option<String> {
    let text = text.decode()?;
    let source = text.as_bytes();
    let mut plan = Plan::default();
    let parts = Parts::read(source, 0).ok()?;
    parts.rewrite(asked, source, 0, &mut plan).ok()?.0?;
    remove_uid(source, parts.metadata?, &mut plan).ok()?;
    let mut out = Vec::with_capacity(source.len());
    plan.apply(source, &mut out);
    String::from_utf8(out).ok()
}

/// Every apply to an object that exists is tied to its UID; users write none.
fn remove_uid(source: &[u8], at: usize, plan: &mut Plan) -> Result<(), Error> {
    let mut cursor = Cursor::new(source, at);
    let mut walk = cursor.object()?;
    while let Some(member) = cursor.member(&mut walk)? {
        let value = cursor.skip()?;
        if member.key.is("uid") {
            metadata::remove_behind_name(member.entry, value.end, plan);
        }
    }
    Ok(())
}
