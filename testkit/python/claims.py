"""Everything that the official client of Kubernetes does with one kind of claim, as a transcript.

    KUBECONFIG=... claims.py API_VERSION PLURAL KIND NAMESPACE OBJECT SCRATCH

OBJECT is an object of the kind as JSON, without a name; `spec.parameters.nodes.count` is what is changed in it. SCRATCH is a
folder for files. Each line on stdout is one step as JSON: its name, and what came of it; `unexpected` where that is no success
though it should be, or not the refusal that it should be.
"""

import copy
import json
import sys

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import DynamicApiError

API_VERSION, PLURAL, KIND, NAMESPACE, OBJECT, SCRATCH = sys.argv[1:]
GROUP, VERSION = API_VERSION.split("/")
HERE = (GROUP, VERSION, NAMESPACE, PLURAL)
# For what must come; a step that ends on its own has a shorter one.
PATIENCE = 60


def claim(name, **metadata):
    of = copy.deepcopy(json.loads(OBJECT))
    of["metadata"] = {"name": name, "namespace": NAMESPACE, **metadata}
    return of


def with_count(of, count):
    of = copy.deepcopy(of)
    of["spec"]["parameters"]["nodes"]["count"] = count
    return of


def plain(value):
    """What the transcript shows of an answer."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, dict):
        value = dict(value)
        # The order of a list is not promised.
        if isinstance(value.get("items"), list):
            value["items"] = sorted((plain(of) for of in value["items"]), key=lambda of: json.dumps(name_of(of)))
    return value


def name_of(of):
    return of.get("metadata", {}).get("name")


def tell(step, **outcome):
    print(json.dumps({"step": step, **outcome}, sort_keys=True), flush=True)


def error_of(error):
    """The status and the body of a refusal; its causes come in no order."""
    body = error.body
    try:
        body = json.loads(body)
        causes = (body.get("details") or {}).get("causes")
        if causes:
            causes.sort(key=json.dumps)
    except (TypeError, ValueError):
        pass
    warnings = error.headers.get("Warning") if error.headers else None
    return {"type": type(error).__name__, "status": error.status, "reason": error.reason, "body": body, "warnings": warnings}


def step(name, call, /, *args, **kwargs):
    """A step that succeeds; answers what it came to."""
    try:
        value = call(*args, **kwargs)
    except (ApiException, DynamicApiError) as error:
        tell(name, error=error_of(error), unexpected=True)
        return None
    tell(name, value=plain(value))
    return value


def refused(status, name, call, /, *args, **kwargs):
    """A step that is refused with this status."""
    try:
        value = call(*args, **kwargs)
    except (ApiException, DynamicApiError) as error:
        as_expected = {} if error.status == status else {"unexpected": True}
        tell(name, error=error_of(error), **as_expected)
        return
    tell(name, value=plain(value), unexpected=True)


def events(name, until, watching):
    """The events of a watch up to the first that `until` likes, or to its end."""
    seen = []
    try:
        for event in watching:
            of = event["raw_object"] if "raw_object" in event else event["object"]
            seen.append([event["type"], plain(of)])
            if until(event["type"], of):
                break
    except (ApiException, DynamicApiError) as error:
        tell(name, events=seen, error=error_of(error))
        return
    # What was there at first comes in no order.
    tell(name, events=sorted(seen, key=lambda event: (event[0], name_of(event[1]) or "", json.dumps(event[1]))))


def custom_objects(api):
    """CustomObjectsApi: plain dictionaries by URL."""
    objects = client.CustomObjectsApi(api)
    create = objects.create_namespaced_custom_object
    get = objects.get_namespaced_custom_object
    lists = objects.list_namespaced_custom_object
    patch = objects.patch_namespaced_custom_object
    replace = objects.replace_namespaced_custom_object
    delete = objects.delete_namespaced_custom_object

    step("resources", objects.get_api_resources, GROUP, VERSION)
    step("create, dry run", create, *HERE, claim("dry"), dry_run="All")
    refused(404, "get of what is not there", get, *HERE, "dry")
    created = step("create", create, *HERE, claim("one", labels={"team": "blue"}), field_manager="python")
    refused(409, "create, twice", create, *HERE, claim("one"))
    refused(400, "create, another namespace", create, GROUP, VERSION, "elsewhere", PLURAL, claim("one"))
    unknown = claim("unknown")
    unknown["spec"]["colour"] = "red"
    refused(400, "create, an unknown field", create, *HERE, unknown, field_validation="Strict")
    invalid = claim("invalid")
    # One fault: several come in no order.
    invalid["spec"]["parameters"]["nodes"]["count"] = "many"
    refused(422, "create, invalid", create, *HERE, invalid)
    refused(422, "create, an invalid name", create, *HERE, claim("Not_A_Name"))
    step("create two", create, *HERE, claim("two", labels={"team": "red"}, annotations={"note": "ü"}))
    step("create three", create, *HERE, claim("three"))
    step("get", get, *HERE, "one")

    step("list", lists, *HERE)
    step("list by label", lists, *HERE, label_selector="team in (blue, green)")
    step("list by absence of a label", lists, *HERE, label_selector="!team")
    step("list by name", lists, *HERE, field_selector="metadata.name=two")
    step("list of no name", lists, *HERE, field_selector="metadata.name!=one,metadata.name!=two,metadata.name!=three")
    refused(400, "list by an unknown field", lists, *HERE, field_selector="spec.id=one")
    refused(400, "list by a broken selector", lists, *HERE, label_selector="a in b")
    step("list everywhere", objects.list_cluster_custom_object, GROUP, VERSION, PLURAL)
    step(
        "list everywhere, one namespace",
        objects.list_custom_object_for_all_namespaces,
        GROUP,
        VERSION,
        PLURAL,
        field_selector=f"metadata.namespace={NAMESPACE},metadata.name=one",
    )
    names, token, pages = [], None, 0
    while token != "":
        page = lists(*HERE, limit=1, _continue=token) if token else lists(*HERE, limit=1)
        names += [name_of(of) for of in page["items"]]
        token = page["metadata"].get("continue", "")
        pages += 1
    tell("list in pages", names=sorted(names), pages=pages)
    refused(400, "list with a broken token", lists, *HERE, limit=1, _continue="none")

    count = {"spec": {"parameters": {"nodes": {"count": 4}}}}
    step("merge patch", patch, *HERE, "one", count, _content_type="application/merge-patch+json")
    step("merge patch as the client chooses", patch, *HERE, "one", {"metadata": {"labels": {"team": None, "more": "yes"}}})
    operations = [
        {"op": "test", "path": "/metadata/name", "value": "one"},
        {"op": "replace", "path": "/spec/parameters/nodes/count", "value": 5},
    ]
    step("JSON patch", patch, *HERE, "one", operations, _content_type="application/json-patch+json")
    operations[0]["value"] = "two"
    refused(422, "JSON patch with a failing test", patch, *HERE, "one", operations, _content_type="application/json-patch+json")
    refused(415, "strategic patch", patch, *HERE, "one", count, _content_type="application/strategic-merge-patch+json")
    refused(404, "patch of what is not there", patch, *HERE, "none", count, _content_type="application/merge-patch+json")
    apply = {"_content_type": "application/apply-patch+yaml"}
    step("apply", patch, *HERE, "applied", claim("applied"), field_manager="python", **apply)
    refused(422, "apply, no manager", patch, *HERE, "applied", claim("applied"), **apply)
    changed = with_count(claim("applied"), 6)
    refused(409, "apply, conflict", patch, *HERE, "applied", changed, field_manager="snake", **apply)
    step("apply, forced", patch, *HERE, "applied", changed, field_manager="snake", force=True, **apply)

    current = get(*HERE, "one")
    step("replace", replace, *HERE, "one", with_count(current, 7))
    refused(409, "replace, conflict", replace, *HERE, "one", with_count(current, 8))
    refused(409, "replace, the first uid", replace, *HERE, "one", {**with_count(current, 8), "metadata": created["metadata"]})
    other = {**current, "metadata": {**current["metadata"], "name": "two"}}
    refused(400, "replace, another name", replace, *HERE, "one", other)
    refused(404, "replace of what is not there", replace, *HERE, "none", claim("none"))

    ready = {"type": "Ready", "status": "True", "reason": "Available", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {"status": {"conditions": [ready]}, "spec": {"parameters": {"nodes": {"count": 9}}}}
    step("get status", objects.get_namespaced_custom_object_status, *HERE, "one")
    step(
        "patch status",
        objects.patch_namespaced_custom_object_status,
        *HERE,
        "one",
        status,
        _content_type="application/merge-patch+json",
    )
    current = get(*HERE, "one")
    current["status"] = {"conditions": [{**ready, "status": "False"}]}
    step("replace status", objects.replace_namespaced_custom_object_status, *HERE, "one", current)
    refused(404, "get scale", objects.get_namespaced_custom_object_scale, *HERE, "one")

    watches(lists, patch, objects.list_cluster_custom_object)

    wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="00000000-0000-0000-0000-000000000000"))
    refused(409, "delete, the wrong uid", delete, *HERE, "one", body=wrong)
    step("delete, dry run", delete, *HERE, "one", dry_run="All")
    step("delete", delete, *HERE, "one", body=client.V1DeleteOptions(propagation_policy="Background"))
    refused(404, "delete, twice", delete, *HERE, "one")
    step("delete a collection", objects.delete_collection_namespaced_custom_object, *HERE, label_selector="team=red")
    step("delete the rest", objects.delete_collection_namespaced_custom_object, *HERE)
    step("list of nothing", lists, *HERE)
    refused(404, "an unknown kind", objects.get_namespaced_custom_object, GROUP, VERSION, NAMESPACE, "nonesuch", "one")


def watches(lists, patch, everywhere):
    def labelled(value):
        return lambda _, of: of["metadata"].get("labels", {}).get("seen") == value

    def label(value):
        return patch(*HERE, "one", {"metadata": {"labels": {"seen": value}}})

    # From now: what is there, and when all of it was seen, what happens.
    left = len(lists(*HERE)["items"])

    def first_change(kind, of):
        nonlocal left
        left -= 1
        if left == 0:
            label("first")
        return labelled("first")(kind, of)

    events("watch", first_change, watch.Watch().stream(lists, *HERE, timeout_seconds=PATIENCE))
    # From a version: what happened since, once more, and nothing else.
    version = lists(*HERE)["metadata"]["resourceVersion"]
    label("second")
    label("third")
    since = {"resource_version": version, "timeout_seconds": PATIENCE}
    events("watch, resumed", labelled("third"), watch.Watch().stream(lists, *HERE, **since))
    selected = {"label_selector": "seen", **since}
    events("watch, selected", labelled("third"), watch.Watch().stream(lists, *HERE, **selected))
    label("fourth")
    stream = watch.Watch().stream(everywhere, GROUP, VERSION, PLURAL, **since)
    events("watch, everywhere", labelled("fourth"), stream)
    # It ends on its own, and the client gives its last version.
    watching = watch.Watch()
    once = {"resource_version": version, "timeout_seconds": 2, "field_selector": "metadata.name=one"}
    events("watch, timed out", lambda *_: False, watching.stream(lists, *HERE, **once))
    last = lists(*HERE, field_selector="metadata.name=one")["items"][0]["metadata"]["resourceVersion"]
    tell("watch, its last version", same=watching.resource_version == last)
    stale = {"resource_version": "1", "timeout_seconds": 1, "resource_version_match": "Exact"}
    events("watch with an invalid match", lambda *_: True, watch.Watch().stream(lists, *HERE, **stale))
    events("watch of no version", lambda *_: True, watch.Watch().stream(lists, *HERE, resource_version="x", timeout_seconds=1))


def dynamic_client(api):
    """DynamicClient: what it knows, it has from discovery."""
    discovering = dynamic.DynamicClient(api, cache_file=f"{SCRATCH}/discovery.json")
    found = discovering.resources.get(api_version=API_VERSION, kind=KIND)
    tell(
        "discovery",
        resource={
            "kind": found.kind,
            "name": found.name,
            "singular": found.singular_name,
            "namespaced": found.namespaced,
            "verbs": found.verbs,
            "categories": found.categories,
            "short names": found.short_names,
            "subresources": sorted(found.subresources),
            "prefix": found.prefix,
        },
    )
    search = discovering.resources.search(group=GROUP)
    tell("discovery of a group", kinds=sorted(f"{of.group_version} {of.kind}" for of in search))
    try:
        discovering.resources.get(api_version=API_VERSION, kind="Nonesuch")
    except dynamic.exceptions.ResourceNotFoundError as error:
        tell("discovery of what is not there", error=str(error))
    # A second client, from the first one's file.
    found = dynamic.DynamicClient(api, cache_file=f"{SCRATCH}/discovery.json").resources.get(kind=KIND, group=GROUP)

    step("dynamic create", found.create, namespace=NAMESPACE, body=claim("dynamic", labels={"team": "blue"}))
    refused(409, "dynamic create, twice", found.create, namespace=NAMESPACE, body=claim("dynamic"))
    step("dynamic get", found.get, namespace=NAMESPACE, name="dynamic")
    refused(404, "dynamic get of what is not there", found.get, namespace=NAMESPACE, name="none")
    step("dynamic list", found.get, namespace=NAMESPACE)
    step("dynamic list by label", found.get, label_selector="team=blue")
    count = {"spec": {"parameters": {"nodes": {"count": 4}}}}
    merge = "application/merge-patch+json"
    step("dynamic merge patch", found.patch, namespace=NAMESPACE, name="dynamic", body=count, content_type=merge)
    refused(415, "dynamic patch as the client chooses", found.patch, namespace=NAMESPACE, name="dynamic", body=count)
    applied = claim("served")
    applying = {"namespace": NAMESPACE, "name": "served"}
    step("dynamic apply", found.server_side_apply, body=applied, field_manager="python", **applying)
    changed = with_count(applied, 6)
    refused(409, "dynamic apply, conflict", found.server_side_apply, body=changed, field_manager="snake", **applying)
    step(
        "dynamic apply, forced",
        found.server_side_apply,
        body=changed,
        field_manager="snake",
        force_conflicts=True,
        **applying,
    )
    current = found.get(namespace=NAMESPACE, name="dynamic").to_dict()
    step("dynamic replace", found.replace, namespace=NAMESPACE, body=with_count(current, 7))
    refused(409, "dynamic replace, conflict", found.replace, namespace=NAMESPACE, body=with_count(current, 8))
    step("dynamic status", found.status.get, namespace=NAMESPACE, name="dynamic")
    current = found.get(namespace=NAMESPACE, name="dynamic").to_dict()
    current["status"] = {"conditions": []}
    step("dynamic status, replaced", found.status.replace, namespace=NAMESPACE, name="dynamic", body=current)

    version = found.get(namespace=NAMESPACE).metadata.resourceVersion
    found.delete(namespace=NAMESPACE, name="served")
    watching = found.watch(namespace=NAMESPACE, resource_version=version, timeout=PATIENCE)
    events("dynamic watch", lambda kind, _: kind == "DELETED", watching)
    step("dynamic delete", found.delete, namespace=NAMESPACE, name="dynamic")
    refused(404, "dynamic delete, twice", found.delete, namespace=NAMESPACE, name="dynamic")
    step("dynamic delete of a collection", found.delete, namespace=NAMESPACE, label_selector="team")


def main():
    config.load_kube_config()
    with client.ApiClient() as api:
        custom_objects(api)
        dynamic_client(api)


main()
