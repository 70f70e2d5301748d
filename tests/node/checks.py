"""What is installed from `deploy/` on a node: each check is a sentence that holds."""
import os, pathlib, re, signal, time

import load
from node import BUILT, DNS_IP, DOMAIN, NODE_IP, ROOT, Failed, run, until

DEPLOY = ROOT / "deploy"
CLIENT = "client"  # the Pod that asks
OUTSIDE = "203.0.113.10"

# A set as in the tutorials, on volumes of the node, and a Pod that asks.
MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: busybox:1.36
        command: [httpd, -f, -h, /data]
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
        lifecycle: {postStart: {exec: {command: [touch, /data/index.html]}}}
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: by-hand, resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: client, image: "busybox:1.36", command: [sleep, infinity]}]
"""
KUBE_DNS = f"""
apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system, labels: {{k8s-app: kube-dns}}}}
spec:
  selector: {{k8s-app: kube-dns}}
  clusterIP: {DNS_IP}
  ports:
  - {{name: dns, port: 53, protocol: UDP}}
  - {{name: dns-tcp, port: 53, protocol: TCP}}
  - {{name: metrics, port: 9153, protocol: TCP}}
"""
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {{name: volume-{0}}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: by-hand
  capacity: {{storage: 1Mi}}
  hostPath: {{path: /var/lib/volumes/{0}, type: DirectoryOrCreate}}
---
"""
# What the application of `deploy/wait` waits for.
REDIS = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis}
spec:
  serviceName: redis
  replicas: 3
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: redis, image: "busybox:1.36", command: [sleep, infinity]}]
"""
NONE_LOST = {"new sockets": 0, "TCP": 0, "a lasting socket": 0}


def same(what, found, wanted):
    if found != wanted:
        raise Failed(f"{what}: {found!r}, {wanted!r} was expected")


class Cluster:
    def __init__(self, node):
        self.node = node
        self.kubectl = node.kubectl

    def get(self, kind, name, path, ns="default"):
        return self.kubectl("get", kind, name, "-n", ns, "-o", f"jsonpath={{{path}}}")

    def rolled_out(self, name, ns):
        self.kubectl("rollout", "status", name, "-n", ns, "--timeout=90s")

    def address(self, pod):
        return self.get("pod", pod, ".status.podIP")

    def ready_again(self, pod, seconds=60):
        """Waits for the Pod that follows one that was deleted."""
        until(f"{pod} is Ready again", lambda: self.get("pod", pod, ".status.conditions[?(@.type=='Ready')].status") == "True", seconds)

    def inside(self, *command):
        """What a command in the Pod that asks says."""
        return self.kubectl("exec", CLIENT, "--", *command).split()

    def dig(self, *arguments, server=DNS_IP):
        return sorted(run("dig", f"@{server}", "+short", "+tries=2", "+time=2", *arguments).split("\n")[:-1])

    def answers(self, server):
        """Waits until kube-proxy has heard of a Service's Pods, and they answer."""
        until(f"{server} answers", lambda: self.dig(f"kubernetes.default.svc.{DOMAIN}", server=server) == ["10.96.0.1"], seconds=10)


def in_the_place_of_coredns_it_answers_at_the_clusters_address(cluster):
    corefile = (DEPLOY / "beside/Corefile").read_text()
    kubectl = cluster.kubectl
    kubectl("create", "configmap", "coredns", "-n", "kube-system", f"--from-literal=Corefile={corefile}")
    kubectl("apply", "-f", "-", text=KUBE_DNS)
    kubectl("apply", "-k", DEPLOY / "replace")
    cluster.rolled_out("deployment/coredns", "kube-system")
    cluster.answers(DNS_IP)
    same("the Service's address", cluster.get("service", "kube-dns", ".spec.clusterIP", "kube-system"), DNS_IP)


def every_client_finds_every_pod_of_a_set_by_its_name(cluster):
    cluster.kubectl("apply", "-f", "-", text="".join(VOLUME.format(i) for i in range(4)) + MANIFEST)
    cluster.rolled_out("statefulset/web", "default")
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{CLIENT}", "--timeout=60s")
    pods = [f"web-{i}" for i in range(3)]
    addresses = [cluster.address(pod) for pod in pods]
    zone = f"web.default.svc.{DOMAIN}"
    # The EndpointSlice follows the last Pod's readiness.
    until("the set has its names", lambda: cluster.dig(zone) == sorted(addresses), seconds=2)
    for library in ("resolve-gnu", "resolve-musl"):
        names = [f"{pod}.web" for pod in pods] + ["kubernetes.default", "www.example.com", "web-9.web"]
        same(library, cluster.inside(library, *names), [*addresses, "10.96.0.1", OUTSIDE, "none"])
    same("over TCP", cluster.dig("+tcp", f"web-0.{zone}"), addresses[:1])
    targets = [answer.split()[3] for answer in cluster.dig("SRV", f"_http._tcp.{zone}")]
    same("SRV", targets, [f"{pod}.{zone}." for pod in pods])
    same("PTR", cluster.dig("-x", addresses[0]), [f"web-0.{zone}."])


def a_pod_that_is_made_again_is_found_at_its_new_address_at_once(cluster):
    old, names = cluster.address("web-1"), f"web-1.web.default.svc.{DOMAIN}"
    cluster.kubectl("exec", "web-1", "--", "touch", "/data/kept")
    cluster.kubectl("delete", "pod", "web-1")
    cluster.ready_again("web-1")
    new = cluster.address("web-1")
    if new == old:
        raise Failed(f"web-1 has the address {old} again")
    until("its name has the new address", lambda: cluster.dig(names) == [new], seconds=2)
    same("its volume", cluster.kubectl("exec", "web-1", "--", "ls", "/data").split(), ["index.html", "kept"])


def check_finds_no_difference_between_what_is_served_and_what_should_be(cluster):
    (BUILT / "Corefile").write_text((DEPLOY / "beside/Corefile").read_text())
    said = run(
        ROOT / "target/debug/headless-dns", "check", "-conf", BUILT / "Corefile", "--against", DNS_IP,
        env=cluster.node.environment(),
    )
    if not re.search(r"^(\d{2,}) of \1 questions are answered alike$", said, re.MULTILINE):
        raise Failed(f"check says: {said}")


def a_roll_out_loses_no_question(cluster):
    asking = load.Load(DNS_IP, f"web-0.web.default.svc.{DOMAIN}")
    cluster.kubectl("rollout", "restart", "deployment/coredns", "-n", "kube-system")
    cluster.rolled_out("deployment/coredns", "kube-system")
    pods = lambda: cluster.kubectl("get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns", "-o", "name").split()
    until("the old Pods are gone", lambda: len(pods()) == 2)
    asking.stop()
    lost = asking.lost()
    # As kube-proxy forgets where a lasting socket's datagrams went, a reply under way to it is no longer from the Service:
    # two for each of the two Pods, on a machine that does much else.
    lasting = max(0, lost["a lasting socket"] - 4)
    same("lost", {**lost, "a lasting socket": lasting}, NONE_LOST)


def a_sidecar_with_a_role_answers_names_of_its_namespace_and_of_others(cluster):
    cluster.kubectl("create", "namespace", "tenant")
    cluster.kubectl("create", "service", "clusterip", "own", "-n", "tenant", "--tcp=80", "--clusterip=10.96.7.8")
    cluster.kubectl("apply", "-n", "tenant", "-k", DEPLOY / "sidecar")
    cluster.rolled_out("deployment/with-sidecar", "tenant")
    names = ["own.tenant", "web-0.web.default", "www.example.com"]
    found = cluster.kubectl("exec", "-n", "tenant", "deployment/with-sidecar", "-c", "application", "--", "resolve-gnu", *names)
    same("found", found.split(), ["10.96.7.8", cluster.address("web-0"), OUTSIDE])


def an_init_container_waits_until_a_set_has_its_names_and_says_what_is_missing(cluster):
    kubectl = lambda command, *arguments, **text: cluster.kubectl(command, *arguments, "-n", "waiting", **text)
    waits = "deployment/waits-for-redis"
    log = lambda: kubectl("logs", waits, "-c", "names")
    cluster.kubectl("create", "namespace", "waiting")
    kubectl("apply", "-k", DEPLOY / "wait")
    names = [f"redis-{i}.redis" for i in range(3)]
    until("it says of each name that it is not there", lambda: all(f"{name}  " in log() for name in names))
    same("the application", kubectl("get", waits, "-o", "jsonpath={.status.readyReplicas}"), "")
    kubectl("create", "service", "clusterip", "redis", "--clusterip=None", "--tcp=6379")
    kubectl("apply", "-f", "-", text=REDIS)
    cluster.rolled_out("statefulset/redis", "waiting")
    cluster.rolled_out(waits, "waiting")
    addresses = [kubectl("get", "pod", f"redis-{i}", "-o", "jsonpath={.status.podIP}") for i in range(3)]
    last = dict(line.split("  ", 1) for line in log().splitlines())
    same("what it has found", [last[name] for name in names], addresses)


def a_server_on_each_node_answers_at_its_link_local_address(cluster):
    cluster.kubectl("apply", "-k", DEPLOY / "node-local")
    cluster.rolled_out("daemonset/headless-dns-node", "kube-system")
    for name, address in [(f"kubernetes.default.svc.{DOMAIN}", "10.96.0.1"), ("www.example.com", OUTSIDE)]:
        same(name, cluster.dig(name, server="169.254.20.10"), [address])


def beside_coredns_it_has_a_service_of_its_own(cluster):
    cluster.kubectl("apply", "-k", DEPLOY / "beside")
    cluster.rolled_out("deployment/headless-dns", "kube-system")
    address = cluster.get("service", "headless-dns", ".spec.clusterIP", "kube-system")
    cluster.answers(address)


def the_chart_refuses_a_value_that_it_does_not_know(cluster):
    for value in ("replicaCont=3", "replicaCount=two", "rollingUpdate.maxSurge=many", "servers=null", "serviceType=None"):
        try:
            said = run(BUILT / "helm", "template", "names", DEPLOY / "chart", "--set", value)
        except Failed as refused:
            said = str(refused)
        if re.split("[.=]", value)[0] not in said or "values don't meet the specifications of the schema" not in said:
            raise Failed(f"of {value} helm says: {said}")


def the_chart_is_taken_by_helm_and_by_the_api_server(cluster):
    helm = lambda *arguments: run(BUILT / "helm", *arguments, env=cluster.node.environment())
    chart = DEPLOY / "chart"
    helm("lint", chart)
    release = ["names", chart, "-n", "kube-system"]
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", text=helm("template", *release, "--kube-version", "1.37.2"))
    helm("install", *release, "--wait", "--timeout", "90s")
    address = cluster.get("service", "names-headless-dns", ".spec.clusterIP", "kube-system")
    cluster.answers(address)


def the_reconciler_keeps_sets_also_when_its_leader_is_killed(cluster):
    cluster.node.controllers("*,-statefulset-controller")
    cluster.kubectl("apply", "-k", DEPLOY / "reconciler")
    cluster.rolled_out("deployment/headless-dns-reconciler", "kube-system")
    cluster.kubectl("scale", "statefulset", "web", "--replicas=4")
    until("web-3 is Ready", lambda: cluster.get("statefulset", "web", ".status.readyReplicas") == "4")
    leader = cluster.get("lease", "headless-dns-reconciler", ".spec.holderIdentity", "kube-system")
    os.kill(process_with(f"POD_NAME={leader}"), signal.SIGKILL)
    cluster.kubectl("delete", "pod", "web-2")
    # Less than the lease of the one that was killed, which is 15 s.
    cluster.ready_again("web-2", seconds=13)


def process_with(variable):
    """The process that has this in its environment."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (process / "environ").read_bytes().split(b"\0"):
                return int(process.name)
        except OSError:
            continue
    raise Failed(f"no process has {variable}")


def an_outage_of_the_api_server_costs_nothing(cluster):
    web_0 = f"web-0.web.default.svc.{DOMAIN}"
    address = cluster.dig(web_0)
    cluster.node.stop("kube-apiserver")
    asking = load.Load(DNS_IP, web_0)
    time.sleep(5)  # the outage
    asking.stop()
    same("lost while it was away", asking.lost(), NONE_LOST)
    same("web-0", cluster.dig(web_0), address)
    cluster.node.api_server()
    cluster.kubectl("create", "service", "clusterip", "fresh", "--tcp=80", "--clusterip=10.96.7.7")
    until("a new Service has its name", lambda: cluster.dig(f"fresh.default.svc.{DOMAIN}") == ["10.96.7.7"], seconds=3)


CHECKS = [
    in_the_place_of_coredns_it_answers_at_the_clusters_address,
    every_client_finds_every_pod_of_a_set_by_its_name,
    a_pod_that_is_made_again_is_found_at_its_new_address_at_once,
    check_finds_no_difference_between_what_is_served_and_what_should_be,
    a_roll_out_loses_no_question,
    a_sidecar_with_a_role_answers_names_of_its_namespace_and_of_others,
    an_init_container_waits_until_a_set_has_its_names_and_says_what_is_missing,
    a_server_on_each_node_answers_at_its_link_local_address,
    beside_coredns_it_has_a_service_of_its_own,
    the_chart_refuses_a_value_that_it_does_not_know,
    the_chart_is_taken_by_helm_and_by_the_api_server,
    the_reconciler_keeps_sets_also_when_its_leader_is_killed,
    an_outage_of_the_api_server_costs_nothing,
]


def run_all(node):
    node.names_outside(f".:53 {{\n bind {NODE_IP}\n hosts {{\n  {OUTSIDE} www.example.com\n }}\n}}\n")
    cluster = Cluster(node)
    for check in CHECKS:
        began = time.monotonic()
        check(cluster)
        print(f"ok {check.__name__}, {time.monotonic() - began:.1f} s", flush=True)
