"""A sandbox with its page and the API of its cluster, and a server with its page beside it."""
import atexit, base64, http.client, json, os, re, socket, ssl, subprocess, tempfile, time
from pathlib import Path


class Sandbox:
    def __init__(self, program, manifest=None):
        self.folder = tempfile.TemporaryDirectory()
        kubeconfig = Path(self.folder.name) / "kubeconfig"
        arguments = [program, "--log", "off", "sandbox", "--dns", "127.0.0.1:0", "--admin=127.0.0.1:0", "--kubeconfig", kubeconfig]
        self.process = subprocess.Popen([*arguments, *([manifest] if manifest else [])], stdout=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        for line in self.process.stdout:
            if line.startswith("page  "):
                self.page = line.split()[1]
            if line.startswith("ready in"):
                break
        self.kubeconfig = kubeconfig.read_text()
        self.connection = connection(self.kubeconfig)

    def call(self, method, path, body=None):
        headers = {"Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"}
        self.connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self.connection.getresponse()
        said = json.load(answer)
        assert answer.status < 300, said
        return said

    def cpu(self):
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


class Server:
    """One that answers for the cluster of a kubeconfig."""

    def __init__(self, program, kubeconfig):
        self.folder = tempfile.TemporaryDirectory()
        file, corefile = Path(self.folder.name) / "kubeconfig", Path(self.folder.name) / "Corefile"
        file.write_text(kubeconfig)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.page = f"http://127.0.0.1:{port}"
        corefile.write_text(f".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local\n admin 127.0.0.1:{port}\n}}\n")
        arguments = [program, "--log", "off", "serve", "-conf", corefile, "--kubeconfig", file]
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                assert self.process.poll() is None, "the server has ended"
                time.sleep(0.01)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def connection(kubeconfig):
    """To the server of a kubeconfig, as its user."""
    def data(key):
        found = re.search(rf"{key}:\s*(?:>-\s*)?([A-Za-z0-9+/=]+)", kubeconfig)
        return base64.b64decode(found[1]).decode()
    host, port = re.search(r"https://([\d.]+):(\d+)", kubeconfig).groups()
    context = ssl.create_default_context(cadata=data("certificate-authority-data"))
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(data("client-certificate-data") + data("client-key-data"))
        file.flush()
        context.load_cert_chain(file.name)
    return http.client.HTTPSConnection(host, int(port), context=context)


def service(name, address="None"):
    """A Service with this address; without one a headless one."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"clusterIP": address, "ports": [{"port": 80}]}}


def pod(name):
    """A Pod of one container."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [{"name": "main", "image": "main"}]}}
