//! The Secrets that an object names in its `spec`, as the user calls them.
//!
//! Only a name that was made from the user's is changed, which an annotation says that has its hash: an object that was imported
//! keeps the names it had.

use super::Asked;
use crate::json::{Cursor, Error, Kind, Plan, Text};
use crate::origin::{Origin, annotated_secret};
use crate::references::{Leaf, Node, Sort};

/// What the user calls the Secrets of an object. `S` is how the texts are kept.
#[derive(Debug)]
pub(super) struct Secrets<'n, S> {
    /// That of `spec.writeConnectionSecretToRef`.
    pub(super) conventional: Option<&'n Origin<S>>,
    /// Those of the configured fields.
    pub(super) configured: &'n [Named],
}

/// A Secret at a configured field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) remote: String,
    pub(super) local: String,
    /// The namespace that the user means; of an input secret only.
    namespace: Option<String>,
}

impl Named {
    /// What an annotation says of a Secret of an object that is seen in `namespace`; `None` where it says nothing, or what is not
    /// so.
    pub(super) fn read(asked: &Asked, namespace: &str, key: Text<'_>, value: Text<'_>) -> Option<Self> {
        let (key, value) = (key.decode()?, value.decode()?);
        let remote = annotated_secret(&key)?;
        if let Some(secret) = asked.scheme.input(remote, &value) {
            return Some(Self { remote: remote.to_owned(), local: secret.name, namespace: Some(secret.namespace) });
        }
        let local = Origin { namespace, name: &*value };
        let is_so = asked.scheme.is_remote_name(asked.form, &local, remote.as_bytes());
        is_so.then(|| Self { remote: remote.to_owned(), local: value.into_owned(), namespace: None })
    }

    fn sort(&self) -> Sort {
        if self.namespace.is_some() { Sort::InputSecret } else { Sort::ConnectionSecret }
    }
}

/// Whether a text is the remote name of what the user calls `local`.
pub(super) fn is_remote(asked: &Asked, local: &Origin<impl AsRef<str>>, text: Text<'_>) -> bool {
    text.bytes().is_some_and(|text| asked.scheme.is_remote_name(asked.form, local, &text))
}

impl<S: AsRef<str>> Secrets<'_, S> {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.conventional.is_none() && self.configured.is_empty()
    }

    /// Reads the `spec` before which the cursor stands and plans that it names the Secrets as the user did.
    pub(super) fn rename(&self, asked: &Asked, cursor: &mut Cursor<'_>, plan: &mut Plan) -> Result<(), Error> {
        if cursor.kind()? != Kind::Object {
            return cursor.skip().map(drop);
        }
        let references = asked.references.as_deref().filter(|_| !self.configured.is_empty());
        let nodes = references.map_or(&[][..], |references| references.in_spec());
        let mut spec = cursor.object()?;
        while let Some(member) = cursor.member(&mut spec)? {
            if member.key.is("writeConnectionSecretToRef")
                && let Some(secret) = self.conventional
                && cursor.kind()? == Kind::Object
            {
                rename_conventional(asked, secret, cursor, plan)?;
            } else if let Some((_, node)) = nodes.iter().find(|(key, _)| member.key.is(key)) {
                self.rename_at(asked, node, cursor, plan)?;
            } else {
                cursor.skip()?;
            }
        }
        Ok(())
    }

    fn rename_at(&self, asked: &Asked, node: &Node, cursor: &mut Cursor<'_>, plan: &mut Plan) -> Result<(), Error> {
        match (node, cursor.kind()?) {
            (Node::Members(nodes), Kind::Object) => {
                let mut walk = cursor.object()?;
                while let Some(member) = cursor.member(&mut walk)? {
                    if let Some((_, node)) = nodes.iter().find(|(key, _)| member.key.is(key)) {
                        self.rename_at(asked, node, cursor, plan)?;
                    } else {
                        cursor.skip()?;
                    }
                }
            }
            (Node::Each(node), Kind::Array) => {
                let mut walk = cursor.array()?;
                while cursor.element(&mut walk)?.is_some() {
                    self.rename_at(asked, node, cursor, plan)?;
                }
            }
            (Node::Leaf(Leaf { sort: Sort::ConnectionSecret, .. }), Kind::String) => {
                let (value, text) = cursor.string()?;
                if let Some(named) = self.named(text, Sort::ConnectionSecret) {
                    plan.replace_string(value, &named.local);
                }
            }
            (Node::Leaf(Leaf { sort: Sort::InputSecret, .. }), Kind::Object) => {
                self.rename_input(asked, cursor, plan)?;
            }
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    }

    /// A reference to an input secret, whose members may come in any order.
    fn rename_input(&self, asked: &Asked, cursor: &mut Cursor<'_>, plan: &mut Plan) -> Result<(), Error> {
        let (mut name, mut namespace) = (None, None);
        let mut walk = cursor.object()?;
        while let Some(member) = cursor.member(&mut walk)? {
            let part = match () {
                () if member.key.is("name") => &mut name,
                () if member.key.is("namespace") => &mut namespace,
                () => {
                    cursor.skip()?;
                    continue;
                }
            };
            if cursor.kind()? == Kind::String {
                *part = Some(cursor.string()?);
            } else {
                cursor.skip()?;
            }
        }
        let Some((name, text)) = name else { return Ok(()) };
        let Some(named) = self.named(text, Sort::InputSecret) else { return Ok(()) };
        plan.replace_string(name, &named.local);
        if let (Some((value, text)), Some(local)) = (namespace, &named.namespace)
            && text.is(asked.scheme.remote_namespace(local))
        {
            plan.replace_string(value, local);
        }
        Ok(())
    }

    fn named(&self, text: Text<'_>, sort: Sort) -> Option<&Named> {
        self.configured.iter().find(|named| named.sort() == sort && text.is(&named.remote))
    }
}

fn rename_conventional(
    asked: &Asked,
    secret: &Origin<impl AsRef<str>>,
    cursor: &mut Cursor<'_>,
    plan: &mut Plan,
) -> Result<(), Error> {
    let mut reference = cursor.object()?;
    while let Some(member) = cursor.member(&mut reference)? {
        if member.key.is("name") && cursor.kind()? == Kind::String {
            let (value, text) = cursor.string()?;
            if is_remote(asked, secret, text) {
                plan.replace_string(value, secret.name.as_ref());
            }
        } else {
            cursor.skip()?;
        }
    }
    Ok(())
}
