"""What people type with a kubectl: each line says a thing that was typed, or what went wrong. The arguments are the kubectl and a kubeconfig."""

import os
import subprocess
import sys

OBJECTS = """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80, name: http}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, labels: {app: web}}
spec:
  serviceName: web
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "x:1"}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, labels: {app: front}}
spec:
  replicas: 2
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: c, image: "x:1"}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: init, labels: {app: init}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "x:1"}]}}}
"""

kubectl, kubeconfig = sys.argv[1:]
namespace = "typed"
environment = {**os.environ, "KUBECONFIG": kubeconfig}


def typed(words, *, given="", code=0):
    """What it says, after it ended with this code: on standard output, and where it failed on the other too."""
    command = [kubectl, "-n", namespace, *words.split()]
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=environment, timeout=90)
    assert done.returncode == code, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout if code == 0 else done.stdout + done.stderr


def has(said, *wanted):
    for one in wanted:
        assert one in said, f"no {one!r} in {said!r}"


def applied():
    first = typed("apply -f -", given=OBJECTS)
    has(first, "service/web created", "statefulset.apps/web created", "deployment.apps/front created", "job.batch/init created")
    again = typed("apply -f -", given=OBJECTS)
    assert again.count(" unchanged\n") == 4, again
    side = typed("apply --server-side --force-conflicts -f -", given=OBJECTS)
    assert side.count(" serverside-applied\n") == 4, side


def changed():
    more = OBJECTS.replace("replicas: 2", "replicas: 3")
    has(typed("diff -f -", given=more, code=1), "-  replicas: 2", "+  replicas: 3")


def waited():
    has(typed("rollout status sts/web"), "roll")
    has(typed("rollout status deploy/front"), "successfully rolled out")
    has(typed("wait --for=condition=complete job/init --timeout=60s"), "job.batch/init condition met")
    has(typed("wait --for=condition=Ready pod/web-0 --timeout=60s"), "pod/web-0 condition met")


def listed():
    has(typed("get pods -l app=web"), "NAME    READY   STATUS    RESTARTS   AGE\n", "web-0   1/1     Running", "web-1   1/1     Running")
    has(typed("get all"), "pod/web-0", "service/web", "deployment.apps/front", "replicaset.apps/front-", "statefulset.apps/web", "job.batch/init")
    has(typed("api-resources --namespaced=true -o name"), "statefulsets.apps\n", "endpointslices.discovery.k8s.io\n")
    has(typed("get events"), "SuccessfulCreate", "ScalingReplicaSet")
    has(typed("describe sts web"), "Replicas:", "2 desired | 2 total", "reate Pod web-0 in StatefulSet web successful")


def rolled():
    has(typed("set image sts/web c=x:2"), "statefulset.apps/web image updated")
    typed("rollout status sts/web")
    has(typed("get pod web-0 -o jsonpath={.spec.containers[0].image}"), "x:2")
    has(typed("rollout history sts/web"), "REVISION", "\n1 ", "\n2 ")
    has(typed("rollout undo sts/web"), "statefulset.apps/web rolled back")
    typed("rollout status sts/web")
    has(typed("get pod web-0 -o jsonpath={.spec.containers[0].image}"), "x:1")
    has(typed("rollout history sts/web"), "\n2 ", "\n3 ")
    has(typed("rollout restart deploy/front"), "deployment.apps/front restarted")
    has(typed("rollout status deploy/front"), "successfully rolled out")
    has(typed("rollout pause deploy/front"), "paused")
    has(typed("rollout resume deploy/front"), "resumed")


def written():
    has(typed("scale sts/web --replicas=3"), "statefulset.apps/web scaled")
    typed("rollout status sts/web")
    has(typed("get pod web-2 -o name"), "pod/web-2\n")
    has(typed("label pod web-2 seen=yes"), "pod/web-2 labeled")
    has(typed("annotate pod web-2 seen=yes"), "pod/web-2 annotated")
    has(typed("get pods -l seen=yes -o name"), "pod/web-2\n")
    has(typed("patch sts web -p {\"spec\":{\"replicas\":2}}"), "statefulset.apps/web patched")
    typed("wait --for=delete pod/web-2 --timeout=60s")
    has(typed("autoscale deploy/front --min=1 --max=3 --cpu-percent=80"), "horizontalpodautoscaler.autoscaling/front autoscaled")
    has(typed("expose deploy/front --port=80"), "service/front exposed")
    has(typed("create deployment back --image=x:1"), "deployment.apps/back created")
    has(typed("create job once --image=x:1"), "job.batch/once created")
    has(typed("run alone --image=x:1 --restart=Never"), "pod/alone created")
    assert typed("create token default").count(".") == 2


def told():
    has(typed("explain deployment.spec.strategy"), "GROUP:", "FIELD", "rollingUpdate")
    has(typed("auth can-i delete pods"), "yes")
    has(typed("auth whoami"), "system:masters")
    has(typed("logs web-0"), "web-0")
    has(typed("top pod", code=1), "Metrics API not available")
    has(typed("exec web-0 -- true", code=1), "--run")


def refused():
    bad = OBJECTS.replace("replicas: 2", "replicas: two")
    has(typed("apply -f -", given=bad, code=1), "unmarshal string into Go struct field StatefulSetSpec.spec.replicas")
    unknown = OBJECTS.replace("serviceName: web", "servicename: web")
    has(typed("create --dry-run=server -f -", given=unknown, code=1), 'unknown field "spec.servicename"')
    has(typed("get pod nobody", code=1), 'pods "nobody" not found')


def drained():
    node = typed("get nodes -o jsonpath={.items[0].metadata.name}")
    has(typed(f"drain {node} --ignore-daemonsets --force --delete-emptydir-data"), f"node/{node} drained")
    has(typed(f"uncordon {node}"), f"node/{node} uncordoned")
    typed("rollout status sts/web")


def deleted():
    has(typed("delete -f -", given=OBJECTS), 'service "web"', 'statefulset.apps "web"')
    assert typed("get sts,deploy,job -l app=web -o name") == ""


subprocess.run([kubectl, "create", "namespace", namespace], env=environment, capture_output=True, check=True)
failed = 0
for step in [applied, changed, waited, listed, rolled, written, told, refused, drained, deleted]:
    try:
        step()
        print(f"ok     kubectl: {step.__name__}")
    except (AssertionError, subprocess.SubprocessError) as error:
        failed = 1
        print(f"FAILED kubectl: {step.__name__}: {error}")
subprocess.run([kubectl, "delete", "namespace", namespace], env=environment, capture_output=True, check=True)
sys.exit(failed)
