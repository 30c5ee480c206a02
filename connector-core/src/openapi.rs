//! The OpenAPI documents of what is offered, selected out of the control plane's.
//!
//! The control plane publishes one v3 document for each group and version. [`select_v3`] keeps the paths of offered APIs and
//! the schemas that they refer to; [`root_v3`] lists the selected documents; [`v2_from_v3`] derives the one v2 document,
//! as the control plane's own is its whole cluster (wire rule 4.13).
//!
//! Text that is kept in v3 is kept byte for byte, numbers included, and in the order of the reference encoder.

mod schema;
mod structural;
#[cfg(test)]
mod tests;
mod v2;
mod v3;

use std::collections::BTreeMap;

use serde::Serialize;

pub use v2::v2_from_v3;
pub use v3::{SelectError, select_v3};

use crate::discovery::{self, Document};
use crate::offer::{self, GroupVersion, Offers};

const V3: &str = "OpenAPI v3 document";
const REFERENCE_V3: &str = "#/components/schemas/";
const REFERENCE_V2: &str = "#/definitions/";
const GROUP_VERSION_KIND: &str = "x-kubernetes-group-version-kind";

/// The document at `/openapi/v3`: where the given documents are, and their hashes.
///
/// List only groups and versions that are registered: the front does not filter these keys, and one of another API competes
/// with its owner's (wire rule 4.8).
pub fn root_v3<'a>(documents: impl IntoIterator<Item = (&'a GroupVersion, &'a Document)>) -> Document {
    #[derive(Serialize)]
    struct Root {
        paths: BTreeMap<String, Entry>,
    }
    #[derive(Serialize)]
    struct Entry {
        #[serde(rename = "serverRelativeURL")]
        url: String,
    }
    let entry = |(group_version, document): (&GroupVersion, &Document)| {
        let url = format!("/openapi/v3/apis/{group_version}?hash={}", document.hash());
        (format!("apis/{group_version}"), Entry { url })
    };
    let root = Root { paths: documents.into_iter().map(entry).collect() };
    Document::new(serde_json::to_vec(&root).expect("text can be written as JSON"))
}

/// Reads anything as a definition, as discovery and as OpenAPI, as a fuzz target: nothing may panic, and what is selected
/// must hold together.
#[doc(hidden)]
pub fn fuzz_documents(data: &[u8]) {
    let definition = serde_json::from_slice(data).unwrap_or_default();
    let read: Offers = offer::from_xrd(&definition).into_iter().flatten().chain(offer::from_crd(&definition)).collect();
    let sample = offer::Offered {
        group: "example.org".into(),
        plural: "buckets".into(),
        singular: "bucket".into(),
        kind: "Bucket".into(),
        list_kind: "BucketList".into(),
        form: crate::origin::Form::Claim,
        versions: vec!["v1".into()],
    };
    let offers: Offers = read.iter().cloned().chain([sample]).collect();
    for group_version in offers.group_versions() {
        let aggregated = discovery::Aggregated::parse(data).ok();
        let selected = [
            discovery::select(&group_version, &offers, aggregated.as_ref(), None),
            discovery::select(&group_version, &offers, None, Some(data)),
        ];
        for selected in selected.into_iter().flatten() {
            // What is written can be read back, and then nothing is lost.
            let documents = discovery::Documents::new([&selected]);
            let legacy = documents.version(&group_version.group, &group_version.version).expect("it was given");
            let root = documents.root(discovery::RootForm::AggregatedV2);
            let again = discovery::Aggregated::parse(root.bytes()).expect("our own document");
            let again = discovery::select(&group_version, &offers, Some(&again), Some(legacy.bytes()));
            assert_eq!(again.as_ref(), Ok(&selected));
        }
        if let Ok(document) = select_v3(data, &group_version, &offers) {
            let again = select_v3(document.bytes(), &group_version, &offers);
            assert_eq!(again.as_ref(), Ok(&document), "a selection is closed");
            let _ = v2_from_v3([(&group_version, &document)]);
        }
    }
    let _ = discovery::negotiate(&String::from_utf8_lossy(data));
}
