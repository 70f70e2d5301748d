"""A node of Kubernetes 1.37 and its control plane, started in the namespaces that this process is the first of. Everything it
writes is in memory and goes with it, but for the logs."""
import json, os, pathlib, shutil, subprocess, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = ROOT / "target/node"
LOGS = BUILT / "log"
STATE = pathlib.Path("/run/node")

NODE, NODE_IP = "node1", "10.77.0.2"
PODS, SERVICES = "10.244.0.0/24", "10.96.0.0/16"
API_IP, DNS_IP = "10.96.0.1", "10.96.0.10"
DOMAIN = "cluster.local"
PAUSE = "headless-dns.test/pause:1"
ETCD = "http://127.0.0.1:2379"

# What the kubelet wants to set, and is the whole machine's: it gets files of its own instead.
SYSCTLS = {
    "vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000, "kernel/keys/root_maxbytes": 25000000,
}


def run(*command, **options):
    """The standard output of a command that succeeds."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Failed(Exception):
    pass


def until(what, holds, seconds=60):
    """Waits until `holds` gives something, and gives that; an answer that failed is asked again."""
    end, last = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            if (found := holds()):
                return found
            last = repr(found)
        except Failed as failed:
            last = str(failed)
        time.sleep(0.1)
    raise Failed(f"not within {seconds} s: {what}; the last was {last}")


class Node:
    def __init__(self, group):
        self.group = group
        self.processes = {}

    def start(self):
        """Everything up to a node that is Ready."""
        self._mounts()
        self._network()
        self._cgroups()
        self._certificates()
        self._configure()
        peer = "http://127.0.0.1:2380"
        self._kubernetes(
            "etcd", data_dir=STATE / "etcd", unsafe_no_fsync=True, listen_client_urls=ETCD, advertise_client_urls=ETCD,
            listen_peer_urls=peer, initial_advertise_peer_urls=peer, initial_cluster=f"default={peer}", log_level="warn",
        )
        self._start("containerd", [BUILT / "containerd", "--config", STATE / "containerd.toml"])
        self.api_server()
        self.controllers("*")
        self._kubernetes("kube-scheduler", **self._user("scheduler"), leader_elect=False)
        self._kubernetes("kube-proxy", config=STATE / "proxy.json")
        until("containerd answers", lambda: self.ctr("version"))
        self._kubernetes(
            "kubelet", config=STATE / "kubelet.json", kubeconfig=STATE / "pki/kubelet.kubeconfig", hostname_override=NODE,
            node_ip=NODE_IP,
        )
        ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        until("the node is Ready", lambda: self.kubectl("get", "node", NODE, "-o", ready) == "True")

    def api_server(self):
        """Starts the API server, and waits until it is ready."""
        pki = STATE / "pki"
        self._kubernetes(
            "kube-apiserver", etcd_servers=ETCD, bind_address="0.0.0.0", advertise_address=NODE_IP, secure_port=6443,
            tls_cert_file=pki / "apiserver.crt", tls_private_key_file=pki / "apiserver.key", client_ca_file=pki / "ca.crt",
            kubelet_client_certificate=pki / "admin.crt", kubelet_client_key=pki / "admin.key",
            kubelet_certificate_authority=pki / "ca.crt", kubelet_preferred_address_types="InternalIP",
            service_account_issuer=f"https://kubernetes.default.svc.{DOMAIN}", service_account_key_file=pki / "sa.pub",
            service_account_signing_key_file=pki / "sa.key", service_cluster_ip_range=SERVICES,
            authorization_mode="Node,RBAC", enable_admission_plugins="NodeRestriction", allow_privileged=True,
        )
        until("the API server is ready", lambda: self.kubectl("get", "--raw", "/readyz") == "ok")

    def controllers(self, which):
        """Starts the controllers, or others than before: as kube-controller-manager's `--controllers` says."""
        self.stop("kube-controller-manager")
        pki = STATE / "pki"
        self._kubernetes(
            "kube-controller-manager", **self._user("controllers"), root_ca_file=pki / "ca.crt", leader_elect=False,
            service_account_private_key_file=pki / "sa.key", use_service_account_credentials=True,
            cluster_signing_cert_file=pki / "ca.crt", cluster_signing_key_file=pki / "ca.key", controllers=which,
        )

    def stop(self, name):
        if process := self.processes.pop(name, None):
            process.kill()
            process.wait()

    def kubectl(self, *arguments, text=None):
        return run(ROOT / "target/control-plane", "kubectl", *arguments, input=text, env=self.environment())

    def environment(self):
        return {**os.environ, "KUBECONFIG": str(STATE / "pki/admin.kubeconfig")}

    def ctr(self, *arguments):
        return run(BUILT / "ctr", "--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io", *arguments)

    def load(self, archive):
        self.ctr("images", "import", "--all-platforms", archive)

    def names_outside(self, corefile):
        """Starts a server of the names outside the cluster, on the node's address."""
        (STATE / "Corefile").write_text(corefile)
        self._start("outside", [ROOT / "target/debug/headless-dns", "-conf", STATE / "Corefile"])

    def _start(self, name, command):
        with open(LOGS / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _kubernetes(self, name, **flags):
        text = lambda value: str(value).lower() if isinstance(value, bool) else value
        flags = [f"--{flag.replace('_', '-')}={text(value)}" for flag, value in flags.items()]
        self._start(name, [ROOT / "target/control-plane", name, *flags])

    def _mounts(self):
        shutil.rmtree(LOGS, ignore_errors=True)
        LOGS.mkdir(parents=True)
        run("mount", "--make-rshared", "/")
        for folder in ("/run", "/var/lib", "/var/log"):
            run("mount", "-t", "tmpfs", "tmpfs", folder)
        for folder in (STATE / "pki", "/run/lock", "/run/netns", "/var/lib/kubelet"):
            os.makedirs(folder)
        run("hostname", NODE)
        for place, text in [("/etc/hosts", f"127.0.0.1 localhost\n{NODE_IP} {NODE}\n"), ("/etc/resolv.conf", f"nameserver {NODE_IP}\n")]:
            self._instead(os.path.realpath(place), text)
        for name, value in SYSCTLS.items():
            self._instead(f"/proc/sys/{name}", f"{value}\n")

    def _instead(self, place, text):
        """Puts a file of our own over one of the machine's."""
        file = STATE / place.strip("/").replace("/", "-")
        file.write_text(text)
        run("mount", "--bind", file, place)

    def _network(self):
        # Both ends of the pair are here: nothing leaves the node.
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        run("ip", "address", "add", f"{NODE_IP}/30", "dev", "eth0")
        for device in ("eth0", "eth1"):
            run("ip", "link", "set", device, "up")
        run("ip", "route", "add", "default", "dev", "eth0")
        run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    def _cgroups(self):
        root = pathlib.Path("/sys/fs/cgroup")
        for hierarchy in [root, *root.iterdir()]:
            if (hierarchy / "cgroup.procs").exists() and not hierarchy.is_symlink():
                (hierarchy / self.group).mkdir(exist_ok=True)
                for file in ("cpuset.cpus", "cpuset.mems"):
                    if (own := hierarchy / self.group / file).exists() and not own.read_text().strip():
                        own.write_text((hierarchy / file).read_text())
                if hierarchy == root:
                    break

    def _certificates(self):
        pki = STATE / "pki"
        openssl = lambda *arguments: run("openssl", *arguments, cwd=pki)

        def key(name):
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")

        def certificate(name, subject, extensions):
            key(name)
            openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
            (pki / f"{name}.extensions").write_text(extensions)
            openssl(
                "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                "-out", f"{name}.crt", "-extfile", f"{name}.extensions",
            )

        key("ca")
        openssl(
            "req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=node-test", "-days", "30", "-out", "ca.crt",
            "-addext", "keyUsage=critical,keyCertSign,digitalSignature",
        )
        openssl("genrsa", "-out", "sa.key", "2048")
        openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
        names = [f"IP:{ip}" for ip in (NODE_IP, API_IP, "127.0.0.1")]
        names += [f"DNS:{name}" for name in ("localhost", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}")]
        server = "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName="
        certificate("apiserver", "/CN=kube-apiserver", server + ",".join(names))
        certificate("kubelet-server", f"/CN={NODE}", f"{server}IP:{NODE_IP},DNS:{NODE}")
        for user, subject in [
            ("admin", "/O=system:masters/CN=admin"), ("controllers", "/CN=system:kube-controller-manager"),
            ("scheduler", "/CN=system:kube-scheduler"), ("proxy", "/CN=system:kube-proxy"),
            ("kubelet", f"/O=system:nodes/CN=system:node:{NODE}"),
        ]:
            certificate(user, subject, "extendedKeyUsage=clientAuth")
            self._write(f"pki/{user}.kubeconfig", {
                "apiVersion": "v1", "kind": "Config", "current-context": "node",
                "clusters": [{"name": "node", "cluster": {
                    "server": f"https://{NODE_IP}:6443", "certificate-authority": str(pki / "ca.crt"),
                }}],
                "users": [{"name": "node", "user": {
                    "client-certificate": str(pki / f"{user}.crt"), "client-key": str(pki / f"{user}.key"),
                }}],
                "contexts": [{"name": "node", "context": {"cluster": "node", "user": "node"}}],
            })

    def _user(self, name):
        kubeconfig = STATE / f"pki/{name}.kubeconfig"
        return {f"{flag}kubeconfig": kubeconfig for flag in ("", "authentication_", "authorization_")}

    def _write(self, name, value):
        (STATE / name).write_text(json.dumps(value, indent=1))

    def _configure(self):
        pki = str(STATE / "pki")
        self._write("kubelet.json", {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            # Kernels whose controllers are in cgroup v1 are refused by default since 1.35.
            "failCgroupV1": False, "failSwapOn": False, "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{self.group}",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "clusterDNS": [DNS_IP], "clusterDomain": DOMAIN, "resolvConf": os.path.realpath("/etc/resolv.conf"),
            "tlsCertFile": f"{pki}/kubelet-server.crt", "tlsPrivateKeyFile": f"{pki}/kubelet-server.key",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": f"{pki}/ca.crt"}},
            "authorization": {"mode": "Webhook"},
            # No image can be pulled again, and no Pod is to go because the machine is full.
            "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
            "serializeImagePulls": False, "registryPullQPS": 0, "eventRecordQPS": 0,
        })
        self._write("proxy.json", {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
            "clusterCIDR": PODS, "hostnameOverride": NODE, "clientConnection": {"kubeconfig": f"{pki}/proxy.kubeconfig"},
            # These are settings of the machine's first network namespace.
            "conntrack": {"maxPerCore": 0, "min": 0},
        })
        (STATE / "cni").mkdir()
        self._write("cni/10-ptp.conflist", {"cniVersion": "1.0.0", "name": "node", "plugins": [{
            "type": "ptp", "ipMasq": False, "mtu": 1500,
            "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]},
        }]})
        (STATE / "containerd.toml").write_text(f"""
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "/run/containerd/containerd.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{PAUSE}"
[plugins.'io.containerd.cri.v1.runtime']
disable_apparmor = true
# Root may lack CAP_SYS_RESOURCE.
restrict_oom_score_adj = true
# As before containerd 2 and as with CRI-O: who listens on a low port needs the right to.
enable_unprivileged_ports = false
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "{STATE}/cni"
""")
