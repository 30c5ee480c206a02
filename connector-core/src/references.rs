//! Which fields of a kind name Secrets, beside the conventional `spec.writeConnectionSecretToRef.name`: configured, since only
//! the author of a kind knows.
//!
//! ```
//! use connector_core::references::References;
//!
//! let references = References::new(["spec.outputs.secretName"], ["spec.parameters.passwordSecretRef"])?;
//! assert!(!references.is_empty());
//! let wrong = References::new([], ["status.secretRef"]).unwrap_err();
//! assert!(wrong.to_string().contains("spec.parameters.passwordSecretRef"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod path;

use std::fmt;

use thiserror::Error;

use self::path::Segment;

/// The fields of one kind that name Secrets.
///
/// A field is written as a path below `spec`: `spec.parameters.passwordSecretRef`; with `[*]` for every element of an array,
/// `spec.users[*].passwordSecretRef`; a key that is not made of letters, digits, `-` and `_` in quotes, `spec['a.b'].secretRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The members of `spec` that have to do with it.
    spec: Vec<(String, Node)>,
    leaves: usize,
}

/// What there is at a place of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// An object of which these members matter.
    Members(Vec<(String, Self)>),
    /// An array of which all elements matter.
    Each(Box<Self>),
    Leaf(Leaf),
}

/// A field that names a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) sort: Sort,
    /// Tells the fields of a kind from each other.
    pub(crate) number: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A string: the name of a connection secret.
    ConnectionSecret,
    /// An object with `name`, `key` and perhaps `namespace`: a reference to an input secret.
    InputSecret,
}

/// A path cannot be used. The configuration is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{path:?} cannot be used as a path to a Secret's name: {fault}; \
     write one like spec.parameters.passwordSecretRef, spec.users[*].passwordSecretRef or spec['a.b'].secretRef"
)]
pub struct InvalidPath {
    /// The path as it was given.
    pub path: String,
    /// What is wrong with it.
    pub fault: PathFault,
}

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathFault {
    /// It does not begin with `spec`: the control plane reads names of Secrets from there only.
    #[error("it does not begin with \"spec.\"")]
    NotBelowSpec,
    /// It is `spec` itself, or an element of it as if it were an array.
    #[error("it names no member of spec")]
    Whole,
    /// Something else than a key, `[*]` or a quoted key comes.
    #[error("{rest:?} is neither a key behind a dot, nor [*], nor a key in brackets and single quotes")]
    Syntax {
        /// The path from there on.
        rest: String,
    },
    /// It leads into `spec.writeConnectionSecretToRef`, which is translated for every kind.
    #[error("spec.writeConnectionSecretToRef is always translated, and must not be configured")]
    Conventional,
    /// Another path leads to the same field, or into or out of it, or takes an array for an object.
    #[error("it overlaps with another path of this kind")]
    Overlap,
}

impl References {
    /// The fields at these paths: `connection_secret_names` lead to strings, each the name of a Secret that the control plane
    /// writes for the object; `input_secrets` lead to objects with `name`, `key` and perhaps `namespace`, which refer to a
    /// Secret of the app cluster that the object consumes.
    ///
    /// # Errors
    /// [`InvalidPath`] for the first path that cannot be used.
    pub fn new<'p>(
        connection_secret_names: impl IntoIterator<Item = &'p str>,
        input_secrets: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, InvalidPath> {
        let mut references = Self::default();
        let connection = connection_secret_names.into_iter().map(|path| (path, Sort::ConnectionSecret));
        let inputs = input_secrets.into_iter().map(|path| (path, Sort::InputSecret));
        for (path, sort) in connection.chain(inputs) {
            references.add(path, sort).map_err(|fault| InvalidPath { path: path.to_owned(), fault })?;
        }
        Ok(references)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spec.is_empty()
    }

    /// Whether there are fields that refer to input secrets.
    pub fn refer_to_inputs(&self) -> bool {
        self.spec.iter().any(|(_, node)| node.has(Sort::InputSecret))
    }

    /// The members of `spec` that lead to one.
    pub(crate) fn in_spec(&self) -> &[(String, Node)] {
        &self.spec
    }

    /// Whether a place of an object, given by the segments of a JSON pointer, is one of the fields, or around or within one.
    pub(crate) fn touched_by(&self, pointer: &[&str]) -> bool {
        match pointer {
            [] | ["spec"] => !self.is_empty(),
            ["spec", rest @ ..] => touched(&self.spec, rest),
            _ => false,
        }
    }

    fn add(&mut self, path: &str, sort: Sort) -> Result<(), PathFault> {
        let segments = path::parse(path)?;
        if segments.first().is_some_and(|first| matches!(first, Segment::Key(key) if key == CONVENTIONAL)) {
            return Err(PathFault::Conventional);
        }
        let leaf = Node::Leaf(Leaf { sort, number: self.leaves });
        let mut spec = Node::Members(std::mem::take(&mut self.spec));
        let added = spec.add(&segments, leaf);
        if let Node::Members(members) = spec {
            self.spec = members;
        }
        self.leaves += 1;
        added
    }
}

const CONVENTIONAL: &str = "writeConnectionSecretToRef";

impl Node {
    fn has(&self, sort: Sort) -> bool {
        match self {
            Self::Members(members) => members.iter().any(|(_, node)| node.has(sort)),
            Self::Each(node) => node.has(sort),
            Self::Leaf(leaf) => leaf.sort == sort,
        }
    }

    fn touched_by(&self, pointer: &[&str]) -> bool {
        match (self, pointer) {
            (_, []) | (Self::Leaf(_), _) => true,
            (Self::Each(node), [_, rest @ ..]) => node.touched_by(rest),
            (Self::Members(members), _) => touched(members, pointer),
        }
    }

    fn add(&mut self, segments: &[Segment], leaf: Self) -> Result<(), PathFault> {
        match (self, segments) {
            (Self::Members(members), [Segment::Key(first), rest @ ..]) => {
                match members.iter_mut().find(|(key, _)| key == first) {
                    Some((_, node)) => node.add(rest, leaf),
                    None => {
                        members.push((first.clone(), Self::path(rest, leaf)));
                        Ok(())
                    }
                }
            }
            (Self::Each(node), [Segment::Each, rest @ ..]) => node.add(rest, leaf),
            _ => Err(PathFault::Overlap),
        }
    }

    /// What leads to a leaf and nowhere else.
    fn path(segments: &[Segment], leaf: Self) -> Self {
        segments.iter().rev().fold(leaf, |node, segment| match segment {
            Segment::Key(key) => Self::Members(vec![(key.clone(), node)]),
            Segment::Each => Self::Each(Box::new(node)),
        })
    }
}

fn touched(members: &[(String, Node)], pointer: &[&str]) -> bool {
    let [first, rest @ ..] = pointer else { return true };
    members.iter().find(|(key, _)| key == first).is_some_and(|(_, node)| node.touched_by(rest))
}

/// A field of an object, as messages name it: with the number of each element.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Where the holder is; `None` for `spec`.
    pub(crate) holder: Option<&'a Self>,
    pub(crate) step: Step<'a>,
}

/// What leads from a holder to what it holds.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Element(usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.holder {
            Some(holder) => holder.fmt(f)?,
            None => f.write_str("spec")?,
        }
        match self.step {
            Step::Key(key) if path::is_plain(key) => write!(f, ".{key}"),
            Step::Key(key) => write!(f, "['{key}']"),
            Step::Element(at) => write!(f, "[{at}]"),
        }
    }
}

#[cfg(test)]
mod tests;
