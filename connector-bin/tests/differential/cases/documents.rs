//! Discovery and OpenAPI.

use crate::case::{APP, CLAIM, Case, WIDGET, XR, case};
use crate::exchange::Request;

pub(crate) fn cases() -> Vec<Case> {
    let get = |path: String| Request::new("GET", path);
    let mut cases = Vec::new();
    for kind in [CLAIM, XR, WIDGET, APP] {
        let (group, version) = (kind.group, kind.version);
        cases.push(case(
            format!("{}: documents of discovery", kind.label),
            [
                get(format!("/apis/{group}")),
                get(format!("/apis/{group}/{version}")),
                get(format!("/apis/{group}/{version}/")),
                get(format!("/apis/{group}/{version}?pretty=true")),
                get(format!("/apis/{group}/{version}")).accept(""),
                get(format!("/apis/{group}/{version}")).accept("*/*"),
                get(format!("/apis/{group}/{version}")).header("user-agent", "curl/8"),
                get(format!("/apis/{group}/v9")),
                Request::new("HEAD", format!("/apis/{group}/{version}")),
                get(format!("/apis/{group}/{version}")).by_jane(),
            ],
        ));
        cases.push(case(
            format!("{}: documents of OpenAPI", kind.label),
            [get(format!("/openapi/v3/apis/{group}/{version}"))],
        ));
        cases.push(case(
            format!("{}: documents as others take them", kind.label),
            [
                get(format!("/apis/{group}/{version}")).accept("application/yaml"),
                get(format!("/apis/{group}/{version}")).accept("application/yaml;q=0.5,text/html"),
                get(format!("/apis/{group}/{version}"))
                    .accept("application/json;as=Table;v=v1;g=meta.k8s.io,application/yaml"),
                get(format!("/apis/{group}/{version}")).accept("text/html"),
                get(format!("/apis/{group}/{version}")).accept("application/vnd.kubernetes.protobuf"),
                get(format!("/apis/{group}/{version}")).accept("application/vnd.kubernetes.protobuf,application/json"),
                Request::new("POST", format!("/apis/{group}/{version}")),
                Request::new("DELETE", format!("/apis/{group}/{version}")),
            ],
        ));
    }
    cases
}
