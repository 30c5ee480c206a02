//! The Secrets that an object names: what they are called in the control plane, and the annotations that say what the user
//! calls them.
//!
//! *Connection secrets* are written by the control plane for the object; *input secrets* lie in the app cluster, and the object
//! consumes them. Each name has an annotation of its own, whose key holds the remote name and whose value is what the hash was
//! made of, so that patches change them one by one and a value is trusted only where it has the hash that its key says.

use serde::Deserialize;

use super::{ANNOTATION_CONNECTION_SECRET, Form, Hashed, Origin, RESERVED_PREFIX, RemoteName};

/// What the name of an input secret's copy begins with.
const INPUT_PREFIX: &str = "input-";

/// A Secret of the app cluster that an object consumes.
///
/// As JSON text it is the value of the annotation that says so: `{"namespace":"team","name":"db-password"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct InputSecret {
    /// Its namespace in the app cluster.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

impl InputSecret {
    /// The value of the annotation that says it.
    pub fn to_json(&self) -> String {
        let Self { namespace, name } = self;
        let quote = serde_json::Value::from;
        format!(r#"{{"namespace":{},"name":{}}}"#, quote(namespace.as_str()), quote(name.as_str()))
    }
}

/// The key of the annotation that says what the user calls the Secret that is `remote_name` in the control plane.
pub fn secret_annotation(remote_name: &str) -> String {
    format!("{RESERVED_PREFIX}{remote_name}")
}

/// What an annotation is about: the remote name of a Secret, if it can be one.
pub(crate) fn annotated_secret(key: &str) -> Option<&str> {
    let name = key.strip_prefix(RESERVED_PREFIX)?;
    let prefixes = [INPUT_PREFIX, Form::Claim.prefix(), Form::NamespacedComposite.prefix()];
    let is_hash = |digits: &str| digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    prefixes.into_iter().any(|prefix| name.strip_prefix(prefix).is_some_and(is_hash)).then_some(name)
}

impl Hashed {
    /// The name in the claim namespace of the copy of an input secret that is `name` in `namespace` of the app cluster.
    ///
    /// As with [`Self::remote_name`], two Secrets can share it: a copy must say whose it is, and one that is another's must not
    /// be written over.
    pub fn input_name(&self, namespace: &str, name: &str) -> String {
        self.input_name_in_place(namespace, name).to_string()
    }

    /// The input secrets that an object consumes, each with the name of its copy, out of the object's annotations. An annotation
    /// counts only while its key is the hash of its value; all others are passed over. After an apply by force they can tell of
    /// more than the object still consumes.
    ///
    /// The hash says that the connector can have written the annotation, not that it has: whoever writes to the claim namespace
    /// can, too. So whether objects of their namespace may consume Secrets of that one is for the caller to check again.
    pub fn inputs<'a>(
        &self,
        annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> impl Iterator<Item = (&'a str, InputSecret)> {
        annotations.into_iter().filter_map(|(key, value)| {
            let remote = annotated_secret(key)?;
            Some((remote, self.input(remote, value)?))
        })
    }

    /// The input secret that an annotation about `remote` says, if it can be trusted.
    pub(crate) fn input(&self, remote: &str, value: &str) -> Option<InputSecret> {
        let secret: InputSecret = remote.starts_with(INPUT_PREFIX).then(|| serde_json::from_str(value).ok())??;
        let InputSecret { namespace, name } = &secret;
        (self.input_name_in_place(namespace, name).as_bytes() == remote.as_bytes()).then_some(secret)
    }

    /// What the user calls the connection secret that is `remote` in the control plane, given the annotations of the object
    /// that it is written for, which is seen in `namespace` of the app cluster, as a look-up of one key.
    ///
    /// `None` where no annotation says it: the object does not name the Secret, or was imported with the name that it has.
    pub fn local_connection_secret<T: AsRef<str>>(
        &self,
        form: Form,
        namespace: &str,
        remote: &str,
        annotation: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        [ANNOTATION_CONNECTION_SECRET, &secret_annotation(remote)]
            .into_iter()
            .filter_map(annotation)
            .find(|local| self.is_remote_name(form, &Origin { namespace, name: local.as_ref() }, remote.as_bytes()))
    }

    fn input_name_in_place(&self, namespace: &str, name: &str) -> RemoteName {
        self.hashed(INPUT_PREFIX, namespace, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme() -> Hashed {
        let cluster = "00000000-0000-0000-0000-000000000000".parse().unwrap();
        Hashed { cluster, claim_namespace: "claims".into() }
    }

    fn secret(namespace: &str, name: &str) -> InputSecret {
        InputSecret { namespace: namespace.into(), name: name.into() }
    }

    /// The same hash as that of the published vector.
    #[test]
    fn a_copy_is_named_by_hash() {
        assert_eq!(scheme().input_name("test", "my-bucket"), "input-c603e518969b413e");
        let nested = scheme().input_name("test", "input-c603e518969b413e");
        assert_ne!(nested, "input-c603e518969b413e", "what looks like a copy's name is hashed like any other");
    }

    #[test]
    fn inputs_are_trusted_by_their_hash() {
        let remote = scheme().input_name("team", "db-password");
        let value = secret("team", "db-password").to_json();
        assert_eq!(value, r#"{"namespace":"team","name":"db-password"}"#);
        let (key, other) = (secret_annotation(&remote), secret("other", "db-password").to_json());
        let found = |pairs: &[(&str, &str)]| -> Vec<(String, InputSecret)> {
            scheme().inputs(pairs.iter().copied()).map(|(remote, secret)| (remote.to_owned(), secret)).collect()
        };
        assert_eq!(found(&[("note", "x"), (&key, &value)]), [(remote, secret("team", "db-password"))]);
        assert_eq!(found(&[(&key, &other), (&key, "db-password"), (&key, "{}")]), []);
        let claim = key.replace("input-", "claim-");
        assert_eq!(found(&[(&claim, &value), (ANNOTATION_CONNECTION_SECRET, &value)]), []);
    }

    #[test]
    fn names_of_inputs_may_need_escapes() {
        let strange = secret("team", "a\"\\b\u{1}é");
        assert_eq!(serde_json::from_str::<InputSecret>(&strange.to_json()).unwrap(), strange);
    }

    #[test]
    fn connection_secrets_are_trusted_by_their_hash() {
        let remote = |name: &str| scheme().remote_name(Form::Claim, "team", name);
        let annotations = [
            (ANNOTATION_CONNECTION_SECRET.to_owned(), "db-conn"),
            (secret_annotation(&remote("outputs")), "outputs"),
            (secret_annotation(&remote("lost")), "forged"),
        ];
        let local = |form, namespace: &str, remote: &str| {
            let annotation = |key: &str| annotations.iter().find(|(k, _)| k == key).map(|(_, value)| *value);
            scheme().local_connection_secret(form, namespace, remote, annotation)
        };
        assert_eq!(local(Form::Claim, "team", &remote("db-conn")), Some("db-conn"));
        assert_eq!(local(Form::Claim, "team", &remote("outputs")), Some("outputs"));
        assert_eq!(local(Form::Claim, "team", &remote("lost")), None, "the value has another hash");
        assert_eq!(local(Form::Claim, "team", "imported"), None);
        assert_eq!(local(Form::Claim, "other", &remote("outputs")), None);
        assert_eq!(local(Form::NamespacedComposite, "team", &remote("outputs")), None);
    }
}
