use proptest::prelude::*;

use super::*;
use crate::origin::{Form, Hashed};

fn scheme() -> Hashed {
    Hashed { cluster: "c1".parse().unwrap(), claim_namespace: "claims".into() }
}

fn parse(method: &str, url: &str) -> Result<Address, AddressError> {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    Address::parse(method, path, query)
}

fn request(method: &str, url: &str) -> LocalRequest {
    match parse(method, url) {
        Ok(Address::Resource(request)) => request,
        other => panic!("{method} {url}: {other:?}"),
    }
}

fn remote(method: &str, url: &str) -> String {
    let remote = request(method, url).remote(&scheme(), Form::Claim).unwrap();
    percent_encoding::percent_decode_str(&remote.path_and_query.replace('+', " ")).decode_utf8().unwrap().into_owned()
}

/// The table of `requestinfo_test.go`, as far as namespaced resources go: method, URL, verb, group, version, namespace,
/// resource, subresource, name.
#[test]
fn reads_urls_as_request_info_does() {
    let table = [
        ("GET", "/api/v1/namespaces", "list", "", "v1", "", "namespaces", "", ""),
        ("GET", "/api/v1/namespaces/other", "get", "", "v1", "other", "namespaces", "", "other"),
        ("GET", "/api/v1/namespaces/other/pods", "list", "", "v1", "other", "pods", "", ""),
        ("GET", "/api/v1/namespaces/other/pods/foo", "get", "", "v1", "other", "pods", "", "foo"),
        ("HEAD", "/api/v1/namespaces/other/pods/foo", "get", "", "v1", "other", "pods", "", "foo"),
        ("GET", "/api/v1/pods", "list", "", "v1", "", "pods", "", ""),
        ("HEAD", "/api/v1/pods", "list", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/watch/pods", "watch", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/pods?watch=true", "watch", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/pods?watch=false", "list", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/pods?watch=FALSE", "list", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/pods?watch", "watch", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/watch/namespaces/other/pods", "watch", "", "v1", "other", "pods", "", ""),
        ("POST", "/api/v1/watch/namespaces/other/pods", "watch", "", "v1", "other", "pods", "", ""),
        ("GET", "/api/v1/watch/namespaces/other/pods/foo", "watch", "", "v1", "other", "pods", "", "foo"),
        ("GET", "/api/v1/namespaces/other/pods?watch=1", "watch", "", "v1", "other", "pods", "", ""),
        ("GET", "/api/v1/namespaces/other/pods?watch=0", "list", "", "v1", "other", "pods", "", ""),
        ("GET", "/api/v1/namespaces/other/pods/foo?watch=1", "get", "", "v1", "other", "pods", "", "foo"),
        ("GET", "/api/v1/namespaces/other/pods/foo/status", "get", "", "v1", "other", "pods", "status", "foo"),
        ("GET", "/api/v1/namespaces/other/pods/foo/proxy/subpath", "get", "", "v1", "other", "pods", "proxy", "foo"),
        ("PUT", "/api/v1/namespaces/other/finalize", "update", "", "v1", "other", "namespaces", "finalize", "other"),
        ("PUT", "/api/v1/namespaces/other/status", "update", "", "v1", "other", "namespaces", "status", "other"),
        ("PATCH", "/api/v1/namespaces/other/pods/foo", "patch", "", "v1", "other", "pods", "", "foo"),
        ("DELETE", "/api/v1/namespaces/other/pods/foo", "delete", "", "v1", "other", "pods", "", "foo"),
        ("POST", "/api/v1/namespaces/other/pods", "create", "", "v1", "other", "pods", "", ""),
        ("DELETE", "/api/v1/namespaces/other/pods", "deletecollection", "", "v1", "other", "pods", "", ""),
        ("DELETE", "/apis/ext/v1/namespaces/other/pods/", "deletecollection", "ext", "v1", "other", "pods", "", ""),
        ("POST", "/apis/ext/v1beta3/namespaces/other/pods", "create", "ext", "v1beta3", "other", "pods", "", ""),
        ("GET", "/apis/ext/v1/namespaces/o%74her/p%20ds/f+o", "get", "ext", "v1", "other", "p ds", "", "f+o"),
    ];
    for (method, url, verb, group, version, namespace, resource, subresource, name) in table {
        let request = request(method, url);
        let read = (request.verb.as_str(), request.group.as_str(), request.version.as_str());
        assert_eq!(read, (verb, group, version), "{method} {url}");
        assert_eq!(request.namespace.as_deref().unwrap_or_default(), namespace, "{method} {url}");
        assert_eq!(request.resource, resource, "{method} {url}");
        assert_eq!(request.subresource.as_deref().unwrap_or_default(), subresource, "{method} {url}");
        assert_eq!(request.name.as_deref().unwrap_or_default(), name, "{method} {url}");
    }
}

#[test]
fn other_paths_are_no_resources() {
    for url in
        ["/", "/apis", "/apis/g", "/apis/g/v", "/apis/g/v/", "/api/v1", "/openapi/v3/apis/g/v", "/readyz", "/bad/v/r"]
    {
        assert!(matches!(parse("GET", url), Ok(Address::Other { .. })), "{url}");
    }
    let path = "/apis/g/v".to_owned();
    let other = Address::Other { verb: "get".into(), path, query: Query::default() };
    assert_eq!(parse("GET", "/apis/g/v/"), Ok(other));
}

/// Wire rules 7.24 and 7.25, and URLs that another reader could read otherwise.
#[test]
fn refuses_what_it_cannot_address() {
    let table = [
        ("GET", "/apis/g/v/namespaces/../foos", 400),
        ("GET", "/apis/g/v/namespaces/%2e%2E/foos", 400),
        ("GET", "/apis/g/v/./foos", 400),
        ("GET", "/apis/g/v/namespaces/a%2Fb/foos", 400),
        ("GET", "/apis/g/v/namespaces//foos", 400),
        ("GET", "//apis/g/v/foos", 400),
        ("GET", "/apis/g/v/foos//", 400),
        ("GET", "/apis/g/v/foos/%00", 400),
        ("GET", "/apis/g/v/foos/%ff", 400),
        ("GET", "/apis/g/v/foos/%zz", 400),
        ("GET", "/apis/g/v/foos?labelSelector=%ff", 400),
        ("GET", "apis/g/v/foos", 400),
        ("PUT", "/apis/g/v/namespaces/n/foos", 400),
        ("PATCH", "/apis/g/v/namespaces/n/foos", 400),
        ("GET", "/apis/g/v/watch", 404),
        ("POST", "/apis/g/v/foos", 404),
        ("DELETE", "/apis/g/v/foos", 404),
        ("GET", "/apis/g/v/foos/name", 404),
        ("OPTIONS", "/apis/g/v/namespaces/n/foos", 405),
        ("GET", "/apis/g/v/proxy/namespaces/n/foos/a", 405),
    ];
    for (method, url, code) in table {
        let error = parse(method, url).expect_err(url);
        assert_eq!(error.status().code, code, "{method} {url}: {error}");
    }
}

/// Wire rule 9.8: authorization sees the name that a list or watch selects.
#[test]
fn authorized_name() {
    let name = |url: &str| request("GET", url).authorized_name();
    assert_eq!(name("/apis/g/v/namespaces/n/foos/a").as_deref(), Some("a"));
    assert_eq!(name("/apis/g/v/namespaces/n/foos?fieldSelector=metadata.name%3Da").as_deref(), Some("a"));
    assert_eq!(name("/apis/g/v/foos?watch=1&fieldSelector=spec.x%3D1,metadata.name%3D%3Da").as_deref(), Some("a"));
    assert_eq!(name("/apis/g/v/foos?fieldSelector=metadata.name!%3Da"), None);
    assert_eq!(name("/apis/g/v/foos?fieldSelector=metadata.name%3D.."), None);
    assert_eq!(name("/apis/g/v/foos?limit=x&fieldSelector=metadata.name%3Da"), None);
    assert_eq!(name("/apis/g/v/foos?labelSelector=a%3D%3D%3D&fieldSelector=metadata.name%3Da"), None);
    assert_eq!(name("/apis/g/v/watch/foos?fieldSelector=metadata.name%3Da"), None);
}

/// Wire rule 9.8: authorization sees the user's selectors as far as they can be read, and none on the legacy paths.
#[test]
fn authorized_selectors() {
    let told = |method: &str, url: &str| {
        let (fields, labels) = request(method, url).authorized_selectors();
        (fields.to_string(), labels.to_string())
    };
    let both = "fieldSelector=metadata.name%3Da&labelSelector=l%3D1";
    let all = ("metadata.name=a".to_owned(), "l=1".to_owned());
    let none = (String::new(), String::new());
    for (method, url) in [
        ("GET", format!("/apis/g/v/foos?{both}")),
        ("GET", format!("/apis/g/v/namespaces/n/foos?watch=1&limit=x&{both}")),
        ("DELETE", format!("/apis/g/v/namespaces/n/foos?{both}")),
    ] {
        assert_eq!(told(method, &url), all, "{method} {url}");
    }
    for (method, url) in [
        ("GET", format!("/apis/g/v/watch/foos?{both}")),
        ("GET", format!("/apis/g/v/namespaces/n/foos/a?{both}")),
        ("DELETE", format!("/apis/g/v/namespaces/n/foos/a?{both}")),
        ("PATCH", format!("/apis/g/v/namespaces/n/foos/a?{both}")),
    ] {
        assert_eq!(told(method, &url), none, "{method} {url}");
    }
    let broken = "/apis/g/v/foos?labelSelector=l%3D%3D%3D1&fieldSelector=metadata.name%3Da";
    assert_eq!(told("GET", broken), ("metadata.name=a".to_owned(), String::new()));
}

/// Wire rules 6.15, 8.15, 5.1.
#[test]
fn collections_carry_the_origin_and_translated_selectors() {
    const OWN: &str = "mcp-connector.upbound.io/app-cluster=c1,mcp-connector.upbound.io/app-namespace=n";
    const CLUSTER: &str = "mcp-connector.upbound.io/app-cluster=c1";
    const NOTHING: &str = "mcp-connector.upbound.io/app-namespace,!mcp-connector.upbound.io/app-namespace";
    const NAME: &str = "mcp-connector.upbound.io/app-resource-name";
    let at = "/apis/g/v/namespaces/claims/foos";
    let a = scheme().remote_name(Form::Claim, "n", "a");
    let long = "x".repeat(64);
    let long_label = crate::origin::name_label(&long).into_owned();
    let table = [
        ("GET", "/apis/g/v/namespaces/n/foos".to_owned(), format!("{at}?labelSelector={OWN}")),
        ("GET", "/apis/g/v/foos".to_owned(), format!("{at}?labelSelector={CLUSTER}")),
        ("DELETE", "/apis/g/v/namespaces/n/foos".to_owned(), format!("{at}?labelSelector={OWN}")),
        (
            "GET",
            "/apis/g/v/namespaces/n/foos?watch=1&labelSelector=b,a+in+(y,x)&pretty=true".to_owned(),
            format!("{at}?watch=true&labelSelector={OWN},a in (x,y),b"),
        ),
        ("GET", "/apis/g/v/watch/foos?watch=false".to_owned(), format!("{at}?watch=true&labelSelector={CLUSTER}")),
        (
            "GET",
            "/apis/g/v/watch/namespaces/n/foos/a".to_owned(),
            format!("{at}?labelSelector={OWN}&fieldSelector=metadata.name={a}&watch=true"),
        ),
        (
            "GET",
            "/apis/g/v/namespaces/n/foos?fieldSelector=metadata.name%3Da,spec.k!%3Dv%5C,w,metadata.namespace%3Dn"
                .to_owned(),
            format!("{at}?labelSelector={OWN}&fieldSelector=metadata.name={a},spec.k!=v\\,w"),
        ),
        (
            "GET",
            "/apis/g/v/namespaces/n/foos?fieldSelector=metadata.name!%3Da,metadata.namespace!%3Dm".to_owned(),
            format!("{at}?labelSelector={OWN}&fieldSelector=metadata.name!={a}"),
        ),
        (
            "GET",
            "/apis/g/v/namespaces/n/foos?fieldSelector=metadata.namespace%3Dm".to_owned(),
            format!("{at}?labelSelector={OWN},{NOTHING}"),
        ),
        (
            "GET",
            "/apis/g/v/namespaces/n/foos?fieldSelector=metadata.namespace!%3Dn".to_owned(),
            format!("{at}?labelSelector={OWN},{NOTHING}"),
        ),
        (
            "GET",
            "/apis/g/v/foos?fieldSelector=metadata.namespace%3Dm,metadata.name%3Da".to_owned(),
            format!("{at}?labelSelector={CLUSTER},{NAME}=a,mcp-connector.upbound.io/app-namespace=m"),
        ),
        (
            "GET",
            format!("/apis/g/v/foos?fieldSelector=metadata.name!%3D{long}"),
            format!("{at}?labelSelector={CLUSTER},{NAME}!={long_label}"),
        ),
        // Nothing that a user writes becomes part of the selector's grammar.
        (
            "GET",
            "/apis/g/v/foos?fieldSelector=metadata.name%3Da%5C,b".to_owned(),
            format!("{at}?labelSelector={CLUSTER},{NOTHING}"),
        ),
        (
            "GET",
            "/apis/g/v/foos?fieldSelector=metadata.name!%3Da%5C,b".to_owned(),
            format!("{at}?labelSelector={CLUSTER}"),
        ),
        ("GET", "/apis/g/v/namespaces/n,x/foos".to_owned(), format!("{at}?labelSelector={CLUSTER},{NOTHING}")),
        // Wire rule 11.17: to the user, no object has a label of ours.
        (
            "GET",
            "/apis/g/v/namespaces/n/foos?labelSelector=mcp-connector.upbound.io/app-namespace%3Dm".to_owned(),
            format!("{at}?labelSelector={OWN},{NOTHING}"),
        ),
        (
            "GET",
            "/apis/g/v/namespaces/n/foos?labelSelector=mcp-connector.upbound.io/app-cluster!%3Dm".to_owned(),
            format!("{at}?labelSelector={OWN}"),
        ),
        // Wire rules 8.16 and 11.12.
        (
            "GET",
            "/apis/g/v/namespaces/n/foos?limit=500&continue=abc&sendInitialEvents=true&unknown=%26".to_owned(),
            format!("{at}?limit=500&continue=abc&sendInitialEvents=true&unknown=&&labelSelector={OWN}"),
        ),
    ];
    for (method, url, expected) in table {
        assert_eq!(remote(method, &url), expected, "{method} {url}");
    }
}

#[test]
fn single_objects_are_addressed_by_remote_name() {
    let a = scheme().remote_name(Form::Claim, "n", "a");
    let at = format!("/apis/g/v/namespaces/claims/foos/{a}");
    assert_eq!(remote("GET", "/apis/g/v/namespaces/n/foos/a"), at);
    assert_eq!(remote("PATCH", "/apis/g/v/namespaces/n/foos/a/status?dryRun=All"), format!("{at}/status?dryRun=All"));
    assert_eq!(remote("DELETE", "/apis/g/v/namespaces/n/foos/a/what"), format!("{at}/what"));
    assert_eq!(remote("POST", "/apis/g/v/namespaces/n/foos?force=1"), "/apis/g/v/namespaces/claims/foos?force=1");
    assert_eq!(remote("POST", "/apis/g/v/namespaces/n/foos/a"), "/apis/g/v/namespaces/claims/foos");
}

/// Wire rule 7.13.
#[test]
fn rows_without_objects_are_asked_for_with_metadata() {
    let request = request("GET", "/apis/g/v/namespaces/n/foos/a?includeObject=None");
    let remote = request.remote(&scheme(), Form::Claim).unwrap();
    assert!(remote.strip_object && remote.path_and_query.ends_with("?includeObject=Metadata"), "{remote:?}");
    let error = Query::parse("includeObject=x").unwrap().include_object().unwrap_err();
    assert_eq!(
        error.status().message,
        "Unable to convert to Table as requested: includeObject: Invalid value: \"x\": \
         must be 'Metadata', 'Object', 'None', or empty"
    );
}

#[test]
fn bad_selectors_are_told_in_the_words_of_the_reference() {
    let table = [
        ("labelSelector=a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("labelSelector=a%3Db%3Dc", "found '=', expected: ',' or 'end of string'"),
        ("labelSelector=a,", "found '', expected: identifier after ','"),
        ("labelSelector=)", "found ')', expected: !, identifier, or 'end of string'"),
        ("labelSelector=!", "unable to parse requirement: found '', expected: identifier"),
        ("labelSelector=a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        (
            "labelSelector=a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an \
             integer",
        ),
        ("fieldSelector=foo", "invalid selector: 'foo'; can't understand 'foo'"),
        ("fieldSelector=a%3Db%5Cc", "invalid field selector: invalid escape sequence: \\c"),
        ("fieldSelector=a%3Db%3Dc", "invalid field selector: unescaped character in value: 61"),
        ("fieldSelector=foo&labelSelector=!", "unable to parse requirement: found '', expected: identifier"),
        ("shardSelector=x", "shardSelector is not supported for this resource"),
    ];
    for (query, message) in table {
        let query = query.replace(' ', "+");
        let error = request("GET", &format!("/apis/g/v/foos?{query}")).remote(&scheme(), Form::Claim).unwrap_err();
        assert_eq!((error.status().code, error.status().message.as_str()), (400, message), "{query}");
    }
    let error = request("GET", "/apis/g/v/watch/namespaces/n/foos/a?fieldSelector=metadata.name%3Db");
    assert_eq!(error.remote(&scheme(), Form::Claim), Err(AddressError::NameMismatch));
}

#[test]
fn label_selectors_parse_as_in_the_reference() {
    let table = [
        ("", ""),
        ("x=a,y=b,z=c", "x=a,y=b,z=c"),
        ("z,!y,x", "x,!y,z"),
        ("x!=a,y==b", "x!=a,y==b"),
        ("x=", "x="),
        ("x=,z= ", "x=,z="),
        ("x in (c,a,,b)", "x in (,a,b,c)"),
        ("x notin ()", "x notin ()"),
        ("x in (,)", "x in ()"),
        ("in in (in),notin notin (notin)", "in in (in),notin notin (notin)"),
        ("x>1,z<-5", ""),
        ("x>1,z <5", "x>1,z<5"),
        ("example.com/a = b", "example.com/a=b"),
    ];
    for (text, rendered) in table {
        match text.parse::<LabelSelector>() {
            Ok(selector) => assert_eq!(selector.to_string(), rendered, "{text}"),
            Err(error) => assert!(rendered.is_empty(), "{text}: {error}"),
        }
    }
}

/// Go drops what it cannot read of a query (wire rule 1.4).
#[test]
fn queries_are_read_as_go_reads_them() {
    let query = Query::parse("a=1&a=2&b;c=3&%zz=4&e=a%20b+c&&=6&f").unwrap();
    assert_eq!(query.get_all("a").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(
        (query.get("a"), query.get("e"), query.get(""), query.get("f")),
        (Some("1"), Some("a b c"), Some("6"), Some(""))
    );
    assert_eq!(query.render(), "a=1&a=2&e=a+b+c&=6&f=");
    let mut query = query;
    query.set("a", "9");
    query.remove("e");
    assert_eq!(query.render(), "a=9&=6&f=");
}

/// Wire rule 8.13.
#[test]
fn field_manager_is_derived_from_the_user_agent() {
    let none = Query::default();
    assert_eq!(field_manager(&none, "kubectl/v1.36 (linux)"), "kubectl");
    assert_eq!(field_manager(&Query::parse("fieldManager=me").unwrap(), "kubectl/v1.36"), "me");
    assert_eq!(field_manager(&none, &"x".repeat(200)).len(), 128);
}

/// Wire rules 5, 6.1, 6.2, 7.20, 7.23.
#[test]
fn accept_is_negotiated_as_the_reference_does() {
    let table = |version: &str| Kind::Table { version: version.into() };
    let partial = |list, version: &str| Kind::PartialObjectMetadata { list, version: version.into() };
    let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
                   application/json";
    let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
                    application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let json = |kind: Kind| Some((kind, Format::Json { pretty: false }));
    let yaml = |kind: Kind| Some((kind, Format::Yaml));
    let cases = [
        (None, json(Kind::Object)),
        (Some(""), json(Kind::Object)),
        (Some("*/*"), json(Kind::Object)),
        (Some("*"), json(Kind::Object)),
        (Some("application/*"), json(Kind::Object)),
        (Some(kubectl), json(table("v1"))),
        (Some(metadata), json(partial(true, "v1"))),
        (Some("application/vnd.kubernetes.protobuf,application/json"), json(Kind::Object)),
        (
            Some("application/json;q=0.1,application/json;as=Table;v=v1beta1;g=meta.k8s.io;q=0.2"),
            json(table("v1beta1")),
        ),
        (
            Some("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1;charset=utf-8"),
            json(partial(false, "v1")),
        ),
        (Some("application/yaml,application/json;q=0.5"), yaml(Kind::Object)),
        (Some("application/json,application/yaml"), json(Kind::Object)),
        (Some("application/yaml;q=0.5,*/*;q=0.9"), json(Kind::Object)),
        (Some("*/*;q=0.9,application/yaml;q=0.5"), yaml(Kind::Object)),
        (Some("application/yaml;as=Table;v=v1;g=meta.k8s.io"), yaml(table("v1"))),
        (Some("application/yaml;stream=watch,application/*"), json(Kind::Object)),
        (Some("application/json;as=Table;v=v2;g=meta.k8s.io, text/html, */*;q=0.1"), json(Kind::Object)),
        (Some("application/json;stream=watch"), json(Kind::Object)),
        (Some("application/json;stream=other"), None),
        (Some("application/json;sv=1"), None),
        (Some("application/json;sv=v1"), json(Kind::Object)),
        (Some("application/json;pretty=1"), Some((Kind::Object, Format::Json { pretty: true }))),
        (Some("application/yaml"), yaml(Kind::Object)),
        (Some("application/vnd.kubernetes.protobuf"), None),
        (Some("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io"), None),
        (Some("text/html"), None),
        (Some("application/json/x, ;, ,"), None),
    ];
    for (accept, expected) in cases {
        let got = Negotiated::parse(accept).map(|got| (got.kind, got.format));
        assert_eq!(got, expected.ok_or(MediaError::NotAcceptable), "{accept:?}");
    }
    let upstream = Negotiated::parse(Some(metadata)).unwrap().upstream_accept();
    assert_eq!(upstream, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    let status = MediaError::NotAcceptable.status();
    assert_eq!(
        (status.code, status.message.as_str()),
        (
            406,
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
        )
    );
}

/// Wire rules 7.21, 7.23: failures and documents of discovery have no other form.
#[test]
fn accept_of_documents() {
    let cases = [
        ("", Some(Format::Json { pretty: false })),
        ("text/html, application/json;as=Table;q=0.5, */*", Some(Format::Json { pretty: false })),
        ("application/vnd.kubernetes.protobuf,application/yaml", Some(Format::Json { pretty: false })),
        ("application/json;as=Table;g=meta.k8s.io;v=v1,application/yaml;q=0.1", Some(Format::Yaml)),
        ("application/json;as=Table;g=meta.k8s.io;v=v1, text/html", None),
    ];
    for (accept, expected) in cases {
        let got = Negotiated::parse_for_document(Some(accept)).map(|got| got.format);
        assert_eq!(got, expected.ok_or(MediaError::NotAcceptable), "{accept}");
    }
}

/// Wire rule 7.5.
#[test]
fn yaml_is_not_streamed() {
    let watch = |accept| Negotiated::parse(Some(accept)).and_then(|watch| watch.check_streamed());
    assert_eq!(watch("application/json,application/yaml"), Ok(()));
    assert_eq!(watch("application/yaml,application/json"), Err(MediaError::NotStreamable));
    assert_eq!(watch("application/yaml;stream=watch,application/json"), Ok(()));
    let message = MediaError::NotStreamable.status().message;
    assert!(message.ends_with(": application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"));
}

/// Wire rule 7.3.
#[test]
fn pretty_is_detected() {
    let pretty = |query: &str, agent: &str| is_pretty(&Query::parse(query).unwrap(), agent);
    assert!(pretty("", "curl/8") && pretty("pretty=true", "kubectl") && pretty("pretty=", "Wget/1"));
    assert!(!pretty("pretty=false", "curl/8") && !pretty("", "kubectl/v1") && !pretty("pretty=yes", "curl/8"));
}

/// Wire rules 6.7 and 8.12.
#[test]
fn body_types() {
    assert_eq!(BodyType::parse(None), Ok(BodyType::Json));
    assert_eq!(BodyType::parse(Some("Application/JSON; charset=utf-8")), Ok(BodyType::Json));
    assert_eq!(BodyType::parse(Some("application/yaml")), Ok(BodyType::Yaml));
    assert_eq!(BodyType::parse(Some("application/vnd.kubernetes.protobuf")).unwrap_err().status().code, 415);
    assert_eq!(PatchType::parse(Some("application/merge-patch+json;charset=utf-8")), Ok(PatchType::Merge));
    assert_eq!(PatchType::parse(Some("application/apply-patch+yaml")), Ok(PatchType::Apply));
    let status = PatchType::parse(Some("application/strategic-merge-patch+json")).unwrap_err().status();
    assert_eq!(
        (status.code, status.reason.as_str(), status.message.as_str()),
        (
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        )
    );
}

proptest! {
    #[test]
    fn label_selectors_survive_a_round_trip(text in "[a-z!=<>(), ]{0,24}") {
        if let Ok(selector) = text.parse::<LabelSelector>() {
            let rendered = selector.to_string();
            prop_assert_eq!(rendered.parse::<LabelSelector>().map(|again| again.to_string()), Ok(rendered));
        }
    }

    #[test]
    fn field_selectors_survive_a_round_trip(field in "[a-z.]{1,8}", equal: bool, value in ".{0,12}") {
        let selector = FieldSelector { requirements: vec![FieldRequirement { field, equal, value }] };
        prop_assert_eq!(selector.to_string().parse(), Ok(selector));
    }

    #[test]
    fn queries_survive_a_round_trip(pairs in proptest::collection::vec(("[a-z&=;+% é]{1,4}", "[a-z&=;+% é]{0,4}"), 0..4)) {
        let mut query = Query::default();
        for (key, value) in &pairs {
            query.set(key, value.clone());
        }
        prop_assert_eq!(Query::parse(&query.render()), Ok(query));
    }

    #[test]
    fn remote_requests_stay_in_bounds(
        method in "(GET|POST|DELETE|PUT)",
        path in "/apis/g/v(/watch)?(/namespaces/[a-c,!=.%20]{1,5})?/foos(/[a-c.%]{1,4})?(/status)?",
        query in "(labelSelector|fieldSelector|watch)=[a-c!=,()% .]{0,12}(&fieldSelector=metadata.name(!|)=[a-c,]{1,4})?",
    ) {
        fuzz_request(format!("{method}\n{path}\n{query}").as_bytes());
    }
}
