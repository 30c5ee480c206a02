//! The differences that are accepted. Each is told, with its reason, in `docs/differences.md` under the same title.

/// What differs, and where it shows.
pub(crate) struct Known {
    /// The title in `docs/differences.md`.
    pub(crate) title: &'static str,
    /// The places, each as in a report, of any kind; a `*` at the end stands for anything.
    pub(crate) places: &'static [&'static str],
}

pub(crate) const KNOWN: &[Known] = &[
    Known { title: "The order of lists", places: &["pages with tokens 6"] },
    Known {
        title: "Names of more than 63 characters",
        places: &[
            "create with a name of 64 *",
            "create with a name of 253 *",
            "create with an invalid name 5",
            "create with an invalid spec 6",
        ],
    },
    Known {
        title: "Words about bodies that are no objects",
        places: &[
            "create from YAML 2",
            "limit of what YAML says 1",
            "limit of what YAML says 10",
            "limit of what YAML says 11",
            "limit of what YAML says 12",
            "limit of what YAML says 15",
            "scale is updated 16",
            "scale is updated 17",
            "scale is patched 19",
        ],
    },
    Known {
        title: "Who owns a map",
        places: &[
            "apply labels of several managers 8",
            "apply labels of several managers 9",
            "apply labels of several managers 10",
            "apply the managers of another 3",
            "apply the managers of another 4",
        ],
    },
    Known {
        title: "Answers in protobuf",
        places: &[
            "form that cannot be had 4",
            "form that cannot be had 5",
            "documents as others take them 4",
            "documents as others take them 5",
            "descriptions in OpenAPI 12",
            "scale is read 6",
        ],
    },
    Known { title: "Characters that YAML lacks", places: &["yaml content that YAML lacks *"] },
    Known { title: "A stale hash", places: &["descriptions in OpenAPI 11"] },
    Known { title: "Lists in shards", places: &["pages at versions that match or do not 26"] },
];

/// The minor version of Kubernetes whose words the connector says.
const WORDS_OF: u16 = 36;

/// What differs besides where the native cluster is of another version.
const OTHER_WORDS: Known = Known {
    title: "The words of other versions",
    places: &[
        "create with owners 4",
        "update of owners and finalizers 11",
        "update of owners and finalizers 12",
        "update of owners and finalizers 13",
        "patch the whole object 10",
        "patch the whole object 11",
        "patch with a broken body *",
        "apply with a broken body *",
        "delete with bad options *",
        "delete all with options 5",
        "list by bad labels *",
        "scale is patched 9",
    ],
};

/// The known difference that a place shows, beside a native cluster of this minor version.
pub(crate) fn find(place: &str, minor: u16) -> Option<&'static Known> {
    let (_, place) = place.split_once(": ")?;
    let others = (minor != WORDS_OF).then_some(&OTHER_WORDS);
    KNOWN.iter().chain(others).find(|known| known.places.iter().any(|known| covers(known, place)))
}

fn covers(known: &str, place: &str) -> bool {
    match known.strip_suffix('*') {
        Some(prefix) => place.starts_with(prefix),
        None => known == place,
    }
}

#[test]
fn every_known_difference_is_documented() {
    let documented = include_str!("../../../docs/differences.md");
    for known in KNOWN.iter().chain([&OTHER_WORDS]) {
        assert!(documented.contains(&format!("## {}\n", known.title)), "{} is not in docs/differences.md", known.title);
    }
}
