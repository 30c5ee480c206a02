//! What clients read about APIs from the app cluster as a whole (wire rules 3.7 to 3.13, 4.3, 4.4, 4.9 to 4.13).

use crate::case::{CLAIM, Case, WIDGET, XR, case};
use crate::exchange::Request;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(crate) fn cases() -> Vec<Case> {
    let get = |path: &str| Request::new("GET", path);
    let mut cases = vec![case(
        "all: descriptions of every API",
        [
            get("/apis").accept(AGGREGATED),
            get("/apis").accept(&format!("{AGGREGATED},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json")),
            get("/apis").accept(&format!("{AGGREGATED};profile=nopeer,application/json")),
            get("/apis").accept(AGGREGATED).by_jane(),
        ],
    )];
    for of in [CLAIM, XR, WIDGET] {
        let document = format!("/openapi/v3/apis/{}/{}", of.group, of.version);
        cases.push(case(
            format!("{}: descriptions in OpenAPI", of.label),
            [
                get(&document),
                get(&document).by_jane(),
                get(&document).accept("application/json;q=0.5,*/*"),
                get(&document).accept("*/*"),
                get(&document).accept(""),
                get(&document).accept("text/html"),
                get(&document).header("if-none-match", "\"nonsense\""),
                Request::new("HEAD", &document),
                get(&format!("/openapi/v3/apis/{}/v9", of.group)),
                get(&format!("/openapi/v3/apis/{}", of.group)),
                get(&format!("{document}/")),
                get(&format!("{document}?hash=0123456789")),
                get(&document).accept("application/com.github.proto-openapi.spec.v3.v1.0+protobuf"),
            ],
        ));
    }
    cases
}
