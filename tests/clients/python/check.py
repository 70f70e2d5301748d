"""What the Python client does with a cluster: each line says a thing that it did, or what went wrong. The argument is a kubeconfig."""

import sys
import time

from kubernetes import client, config, dynamic, watch

config.load_kube_config(sys.argv[1])
core, apps, custom = client.CoreV1Api(), client.AppsV1Api(), client.CustomObjectsApi()
failed = 0


def version():
    assert client.VersionApi().get_code().git_version.startswith("v1.")
    assert "default" in [one.metadata.name for one in core.list_namespace().items]


def typed():
    made = core.create_namespaced_config_map("default", {"metadata": {"name": "py"}, "data": {"a": "b"}})
    made.data["c"] = "d"
    assert core.replace_namespaced_config_map("py", "default", made).data == {"a": "b", "c": "d"}
    patched = core.patch_namespaced_config_map("py", "default", {"data": {"a": None}})
    assert patched.data == {"c": "d"}
    try:
        made.metadata.resource_version = "1"
        core.replace_namespaced_config_map("py", "default", made)
        raise AssertionError("an old revision was taken")
    except client.ApiException as error:
        assert error.status == 409, error
    core.delete_namespaced_config_map("py", "default")


def pages():
    for i in range(5):
        core.create_namespaced_config_map("default", {"metadata": {"name": f"page-{i}", "labels": {"page": "py"}}})
    names, token = [], None
    while token != "":
        page = core.list_namespaced_config_map("default", label_selector="page=py", limit=2, _continue=token)
        names += [one.metadata.name for one in page.items]
        token = page.metadata._continue or ""
    assert names == [f"page-{i}" for i in range(5)], names
    core.delete_collection_namespaced_config_map("default", label_selector="page=py")


def watched():
    begin = core.list_namespaced_secret("default").metadata.resource_version
    core.create_namespaced_secret("default", {"metadata": {"name": "py"}, "stringData": {"a": "b"}})
    core.delete_namespaced_secret("py", "default")
    seen = []
    for event in watch.Watch().stream(core.list_namespaced_secret, "default", resource_version=begin, timeout_seconds=20):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 2:
            break
    assert seen == [("ADDED", "py"), ("DELETED", "py")], seen


def applied():
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "py-applied"}, "data": {"a": "b"}}
    dyn = dynamic.DynamicClient(client.ApiClient())
    maps = dyn.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.server_side_apply(body=body, name="py-applied", namespace="default", field_manager="py")
    assert made.metadata.managedFields[0].manager == "py"
    maps.delete(name="py-applied", namespace="default")


def scaled():
    apps.patch_namespaced_stateful_set_scale("redis", "default", {"spec": {"replicas": 2}})
    end = time.monotonic() + 20
    while apps.read_namespaced_stateful_set("redis", "default").status.ready_replicas != 2:
        assert time.monotonic() < end, "the set does not become two"
        time.sleep(0.1)


for check in [version, typed, pages, watched, applied, scaled]:
    try:
        check()
        print(f"ok     {check.__name__}")
    except Exception as error:
        failed = 1
        print(f"FAILED {check.__name__}: {type(error).__name__}: {error}")
sys.exit(failed)
