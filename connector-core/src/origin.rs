//! The stored-data contract: whose an object in the control plane is, and what it is called there.
//!
//! Every object of one app cluster lies in one namespace of the control plane, the *claim namespace*, under a name that is a
//! hash of its [`Origin`]. Three labels carry the origin itself. The hash is not injective (`a-x-b` in `c` and `a` in `b-x-c`
//! have the same) and cannot be undone, so **the labels decide whose an object is, never the name alone** (wire rule 8.7).
//!
//! The format is that of Upbound's Control Plane Connector, so that stored objects move over unchanged.

mod secrets;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

pub(crate) use self::secrets::annotated_secret;
pub use self::secrets::{InputSecret, secret_annotation};

/// Prefix of every label and annotation that belongs to the connector. A user's object never shows a key under it, and a
/// user's request that writes one is refused (wire rule 11.17).
pub const RESERVED_PREFIX: &str = "mcp-connector.upbound.io/";

/// Label: the [`ClusterId`] of the app cluster that an object belongs to.
pub const LABEL_CLUSTER: &str = "mcp-connector.upbound.io/app-cluster";
/// Label: the namespace of the app cluster in which the user sees the object.
pub const LABEL_NAMESPACE: &str = "mcp-connector.upbound.io/app-namespace";
/// Label: the name under which the user sees the object, or [`name_label`] of it where it is too long for a label.
pub const LABEL_NAME: &str = "mcp-connector.upbound.io/app-resource-name";

/// Annotation: the full local name of an object whose name does not fit a label (64 to 253 characters; wire rule 8.6).
pub const ANNOTATION_NAME: &str = "mcp-connector.upbound.io/app-resource-name";
/// Annotation: the user's `metadata.ownerReferences` as JSON text. References to local owners must never reach the control
/// plane, whose garbage collector would delete the object (wire rules 6.8, 6.9).
pub const ANNOTATION_OWNERS: &str = "mcp-connector.upbound.io/owner-references";
/// Annotation: the connection secret's name as the user wrote it in `spec.writeConnectionSecretToRef.name`. It is shown
/// instead of the stored name only while the stored name is the hash of it, so imported objects keep the name they have.
pub const ANNOTATION_CONNECTION_SECRET: &str = "mcp-connector.upbound.io/connection-secret-name";

/// The most characters that Kubernetes allows in a label value.
const LABEL_VALUE_MAX: usize = 63;

/// Names one app cluster among all that share a control plane.
///
/// By default the UID of the cluster's `kube-system` namespace. It is written into a label, so it holds 1 to 63
/// alphanumeric characters, `-`, `_` or `.`, and begins and ends alphanumeric. Two clusters with the same id see and erase
/// each other's claims (wire rule 11.18).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterId(String);

/// A cluster id cannot be written into a label. The configuration is at fault; choose another id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "cluster id {0:?} is not a label value: use 1 to 63 alphanumeric characters, `-`, `_` or `.`, alphanumeric at both ends"
)]
pub struct InvalidClusterId(String);

impl ClusterId {
    /// The id as it is written into [`LABEL_CLUSTER`].
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterId {
    type Err = InvalidClusterId;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let end = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = id.as_bytes();
        if bytes.len() <= LABEL_VALUE_MAX && bytes.iter().copied().all(inner) && end(bytes.first()) && end(bytes.last())
        {
            Ok(Self(id.to_owned()))
        } else {
            Err(InvalidClusterId(id.to_owned()))
        }
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The two forms of API that are offered; they differ in the prefix of the remote name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A Crossplane claim: its remote name begins with `claim-`.
    Claim,
    /// A namespaced composite resource (Crossplane v2): its remote name begins with `nxr-`.
    NamespacedComposite,
}

impl Form {
    /// What remote names of this form begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Claim => "claim-",
            Self::NamespacedComposite => "nxr-",
        }
    }
}

/// The name scheme in force: every object of the app cluster lies in one namespace of the control plane, under a hashed name.
///
/// This is the one seam of the scheme. Whatever needs a remote name, a remote namespace or the labels that go with them asks
/// here and assumes nothing else about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The app cluster whose objects these are.
    pub cluster: ClusterId,
    /// The namespace of the control plane that holds all of them.
    pub claim_namespace: String,
}

impl Hashed {
    /// The namespace of the control plane that holds the objects of `namespace`.
    pub fn remote_namespace(&self, _namespace: &str) -> &str {
        &self.claim_namespace
    }

    /// The name in the control plane of an object, or of a connection secret, that is `name` in `namespace` locally.
    pub fn remote_name(&self, form: Form, namespace: &str, name: &str) -> String {
        self.remote_name_in_place(form, namespace, name).to_string()
    }

    /// Whether `remote` is what [`Self::remote_name`] gives for an object.
    pub(crate) fn is_remote_name(&self, form: Form, origin: &Origin<impl AsRef<str>>, remote: &[u8]) -> bool {
        // A hash costs more than all else that is done for an object: most texts are seen not to be one.
        remote.len() == form.prefix().len() + 16
            && remote.starts_with(form.prefix().as_bytes())
            && remote == self.remote_name_in_place(form, origin.namespace.as_ref(), origin.name.as_ref()).as_bytes()
    }

    /// [`Self::remote_name`] without an allocation.
    fn remote_name_in_place(&self, form: Form, namespace: &str, name: &str) -> RemoteName {
        self.hashed(form.prefix(), namespace, name)
    }

    fn hashed(&self, prefix: &str, namespace: &str, name: &str) -> RemoteName {
        let mut hash = Sha256::new();
        for part in [name, "-x-", namespace, "-x-", self.cluster.as_str()] {
            hash.update(part.as_bytes());
        }
        let prefix = prefix.as_bytes();
        let len = prefix.len() + 16;
        let mut text = [0; RemoteName::MAX];
        text[..prefix.len()].copy_from_slice(prefix);
        for (digits, byte) in text[prefix.len()..len].chunks_exact_mut(2).zip(hash.finalize()) {
            digits.copy_from_slice(&hex(byte));
        }
        RemoteName { text, len: len as u8 }
    }

    /// What in a text looks like remote names of one form: whole words, each once, in order. A name is not undone by itself;
    /// the object of that name tells its origin.
    pub fn remote_names<'t>(&self, form: Form, text: &'t str) -> Vec<&'t str> {
        let prefix = form.prefix();
        let hash = |digits: &str| digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.')));
        let mut found = Vec::new();
        for word in words.map(|word| word.trim_matches('.')) {
            if word.strip_prefix(prefix).is_some_and(hash) && !found.contains(&word) {
                found.push(word);
            }
        }
        found
    }

    /// The three origin labels of an object that is `name` in `namespace` locally: key and value, sorted by key.
    pub fn labels<'a>(&'a self, namespace: &'a str, name: &'a str) -> [(&'static str, std::borrow::Cow<'a, str>); 3] {
        [
            (LABEL_CLUSTER, self.cluster.as_str().into()),
            (LABEL_NAMESPACE, namespace.into()),
            (LABEL_NAME, name_label(name)),
        ]
    }

    /// The label selector that every list, watch and deletecollection carries (wire rule 6.15): this cluster's objects, in
    /// `namespace` only where one is given.
    pub fn label_selector(&self, namespace: Option<&str>) -> String {
        let mut selector = format!("{LABEL_CLUSTER}={}", self.cluster);
        if let Some(namespace) = namespace {
            selector.push_str(&format!(",{LABEL_NAMESPACE}={namespace}"));
        }
        selector
    }

    /// Reads the origin out of a remote object's labels and annotations, given as look-ups of one key.
    ///
    /// `None` when the object is not of this cluster, or its labels do not tell a local name: then it does not exist for
    /// the app cluster.
    #[inline]
    pub fn origin<T: AsRef<str>>(
        &self,
        label: impl Fn(&str) -> Option<T>,
        annotation: impl Fn(&str) -> Option<T>,
    ) -> Option<Origin<T>> {
        if label(LABEL_CLUSTER)?.as_ref() != self.cluster.as_str() {
            return None;
        }
        let namespace = label(LABEL_NAMESPACE)?;
        let labelled = label(LABEL_NAME)?;
        // The annotation counts only while the label vouches for it: annotations do not take part in selection.
        let name = match annotation(ANNOTATION_NAME) {
            Some(full) if name_label(full.as_ref()) == labelled.as_ref() => full,
            _ => labelled,
        };
        if namespace.as_ref().is_empty() || name.as_ref().is_empty() {
            return None;
        }
        Some(Origin { namespace, name })
    }
}

/// Where the user sees an object: its namespace and name in the app cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin<T = String> {
    /// The namespace in the app cluster.
    pub namespace: T,
    /// The name in the app cluster.
    pub name: T,
}

impl From<Origin<&str>> for Origin {
    fn from(origin: Origin<&str>) -> Self {
        Self { namespace: origin.namespace.to_owned(), name: origin.name.to_owned() }
    }
}

/// A name in the control plane: a prefix and 16 hex digits, in place.
struct RemoteName {
    text: [u8; Self::MAX],
    len: u8,
}

impl RemoteName {
    const MAX: usize = "claim-".len() + 16;

    fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// The value of [`LABEL_NAME`] for a local name: the name itself up to 63 characters, else a hash of it that fits.
///
/// The hash is deterministic, so a name can be selected by it; [`ANNOTATION_NAME`] holds the full name then.
pub fn name_label(name: &str) -> std::borrow::Cow<'_, str> {
    if name.len() <= LABEL_VALUE_MAX {
        return name.into();
    }
    let mut out = String::from("sha256-");
    out.extend(Sha256::digest(name.as_bytes())[..20].iter().flat_map(|byte| hex(*byte)).map(char::from));
    out.into()
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_names_are_found_in_texts() {
        let scheme = Hashed { cluster: "c".parse().unwrap(), claim_namespace: "claims".into() };
        let text = "keep claim-0123456789abcdef. \"claim-0123456789abcdef\" (nxr-0123456789abcdef) claim-0123456789abcdeg \
                    xclaim-0123456789abcdef claim-0123456789abcdef-x claim-fedcba9876543210/y";
        assert_eq!(scheme.remote_names(Form::Claim, text), ["claim-0123456789abcdef", "claim-fedcba9876543210"]);
        assert_eq!(scheme.remote_names(Form::NamespacedComposite, text), ["nxr-0123456789abcdef"]);
    }

    fn scheme(cluster: &str) -> Hashed {
        Hashed { cluster: cluster.parse().unwrap(), claim_namespace: "claims".into() }
    }

    /// The published vector of the stored-data contract.
    #[test]
    fn published_vector() {
        let scheme = scheme("00000000-0000-0000-0000-000000000000");
        assert_eq!(scheme.remote_name(Form::Claim, "test", "my-bucket"), "claim-c603e518969b413e");
        assert_eq!(scheme.remote_name(Form::NamespacedComposite, "test", "my-bucket"), "nxr-c603e518969b413e");
    }

    /// Wire rule 8.7: two origins can share a remote name, so only labels tell them apart.
    #[test]
    fn colliding_pair_differs_in_labels_only() {
        let scheme = scheme("id");
        let (one, other) =
            (scheme.remote_name(Form::Claim, "c", "a-x-b"), scheme.remote_name(Form::Claim, "b-x-c", "a"));
        assert_eq!(one, other);
        assert_eq!(one, "claim-ba1db8d960cd4840");
        assert_ne!(scheme.labels("c", "a-x-b"), scheme.labels("b-x-c", "a"));
    }

    fn origin_of(scheme: &Hashed, labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Option<Origin> {
        let find =
            |pairs: &[(&str, &str)], key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| v.to_string());
        let (labels, annotations) = (labels.to_vec(), annotations.to_vec());
        let label = |key: &str| find(&labels, key).map(|v| &*v.leak());
        let annotation = |key: &str| find(&annotations, key).map(|v| &*v.leak());
        scheme.origin(label, annotation).map(Origin::from)
    }

    #[test]
    fn origin_is_read_from_labels() {
        let scheme = scheme("c1");
        let labels = scheme.labels("team", "db");
        let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (*k, v.as_ref())).collect();
        let origin = Origin { namespace: "team".into(), name: "db".into() };
        assert_eq!(origin_of(&scheme, &labels, &[]), Some(origin));
        assert_eq!(origin_of(&self::scheme("c2"), &labels, &[]), None, "another cluster's object");
        assert_eq!(origin_of(&scheme, &labels[..2], &[]), None, "a label is missing");
    }

    /// Wire rule 8.6: names of 64 to 253 characters do not fit a label.
    #[test]
    fn long_names_go_into_the_annotation() {
        let (fits, long) = ("n".repeat(63), "n".repeat(64));
        assert_eq!(name_label(&fits), fits);
        let label = name_label(&long);
        assert!(label.len() <= 63 && label.parse::<ClusterId>().is_ok(), "{label} is a label value");
        let scheme = scheme("c1");
        let labels = [(LABEL_CLUSTER, "c1"), (LABEL_NAMESPACE, "team"), (LABEL_NAME, label.as_ref())];
        assert_eq!(origin_of(&scheme, &labels, &[(ANNOTATION_NAME, &long)]).unwrap().name, long);
        let forged = [(ANNOTATION_NAME, "somebody-else")];
        assert_eq!(origin_of(&scheme, &labels, &forged).unwrap().name, label, "an annotation alone proves nothing");
    }

    #[test]
    fn cluster_id_is_a_label_value() {
        for good in ["a", "cluster-dev", "00000000-0000-0000-0000-000000000000", "a.b_c", &"x".repeat(63)] {
            assert_eq!(good.parse::<ClusterId>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "a/b", "a b", "é", &"x".repeat(64)] {
            assert_eq!(bad.parse::<ClusterId>(), Err(InvalidClusterId(bad.to_owned())));
        }
    }
}
