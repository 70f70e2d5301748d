#!/usr/bin/env python3
"""Prints what the program is made of for a target, as CycloneDX 1.6 (JSON): each crate of `cargo metadata` that is linked in.

    bill.py TARGET
"""
import datetime, json, os, subprocess, sys

target = sys.argv[1]
command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}


def reference(id):
    package = packages[id]
    return f"pkg:cargo/{package['name']}@{package['version']}"


def below(id):
    """Dependencies that are part of the program: not those of builds and of tests."""
    return [dep["pkg"] for dep in nodes[id]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]


linked, waiting = set(), [metadata["resolve"]["root"]]
while waiting:
    id = waiting.pop()
    if id not in linked:
        linked.add(id)
        waiting += below(id)


def component(id):
    package = packages[id]
    one = {"type": "library", "bom-ref": reference(id), "name": package["name"], "version": package["version"]}
    one["purl"] = reference(id)
    if package["license"]:
        # Old ones write `A/B` for `A OR B`.
        one["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return one


root = metadata["resolve"]["root"]
now = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
print(json.dumps({
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "version": 1,
    "metadata": {
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "component": component(root) | {"type": "application"},
    },
    "components": [component(id) for id in sorted(linked - {root}, key=reference)],
    "dependencies": [
        {"ref": reference(id), "dependsOn": sorted({reference(dep) for dep in below(id)})}
        for id in sorted(linked, key=reference)
    ],
}, indent=1))
