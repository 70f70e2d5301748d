"""What k9s shows and does, in a terminal of tmux: each line says a thing that was seen, or what went wrong. The arguments are k9s, a kubectl
and a kubeconfig."""

import os
import subprocess
import sys
import tempfile
import time

OBJECTS = """
apiVersion: v1
kind: Service
metadata: {name: seen}
spec: {clusterIP: None, selector: {app: seen}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: seen}
spec:
  serviceName: seen
  replicas: 2
  selector: {matchLabels: {app: seen}}
  template:
    metadata: {labels: {app: seen}}
    spec: {containers: [{name: c, image: "x:1"}]}
"""

k9s, kubectl, kubeconfig = sys.argv[1:]
namespace = "k9s"
folder = tempfile.TemporaryDirectory()
tmux = ["tmux", "-S", f"{folder.name}/socket"]
environment = {**os.environ, "KUBECONFIG": kubeconfig, "K9S_CONFIG_DIR": folder.name, "TERM": "xterm-256color"}


def run(*command, given=""):
    return subprocess.run(command, input=given, capture_output=True, text=True, env=environment, check=True, timeout=60).stdout


def typed(*keys):
    run(*tmux, "send-keys", "-t", "k9s", *keys)


def shows(*wanted):
    """Waits until the screen has all of these."""
    until = time.monotonic() + 30
    while True:
        screen = run(*tmux, "capture-pane", "-p", "-t", "k9s")
        missing = [one for one in wanted if one not in screen]
        if not missing:
            return
        assert time.monotonic() < until, f"no {missing} in\n{screen}"
        time.sleep(0.1)


def view(name, *wanted):
    """Opens k9s at a view, in place of the one that is open."""
    subprocess.run([*tmux, "kill-session", "-t", "k9s"], capture_output=True, env=environment, check=False)
    command = f"{k9s} -n {namespace} -c {name} --logoless --splashless"
    run(*tmux, "new-session", "-d", "-s", "k9s", "-x", "180", "-y", "50", command)
    shows(*wanted)


def pods():
    view("pods", "seen-0", "seen-1", "Running", "READY")


def sets():
    view("statefulsets", "seen", "2/2")


def described():
    typed("d")
    shows("Describe", "Replicas:", "Create Pod seen-0")


def yaml():
    view("pods", "seen-0")
    typed("y")
    shows("YAML", "apiVersion: v1")


def logs():
    view("pods", "seen-0")
    typed("l")
    shows("Logs")


def deleted():
    before = run(kubectl, "-n", namespace, "get", "pod", "seen-0", "-o", "jsonpath={.metadata.uid}")
    view("pods", "seen-0")
    typed("C-d")
    shows("Delete")
    typed("Tab")
    typed("Enter")
    until = time.monotonic() + 30
    while run(kubectl, "-n", namespace, "get", "pods", "-o", "jsonpath={.items[?(@.metadata.name=='seen-0')].metadata.uid}") in ("", before):
        assert time.monotonic() < until, "the Pod was not deleted, or has no successor"
        time.sleep(0.1)


run(kubectl, "create", "namespace", namespace)
run(kubectl, "-n", namespace, "apply", "-f", "-", given=OBJECTS)
run(kubectl, "-n", namespace, "rollout", "status", "statefulset/seen")
failed = 0
for step in [pods, sets, described, yaml, logs, deleted]:
    try:
        step()
        print(f"ok     k9s: {step.__name__}")
    except (AssertionError, subprocess.SubprocessError) as error:
        failed = 1
        print(f"FAILED k9s: {step.__name__}: {error}")
subprocess.run([*tmux, "kill-server"], check=False)
run(kubectl, "delete", "namespace", namespace)
sys.exit(failed)
