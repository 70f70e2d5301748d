"""Starts a small Kubernetes cluster with its DNS for a test: the program `headless-dns`, on free ports, which ends with the test, and with
this process however that ends.

    with headless_dns.Cluster("redis.yaml") as cluster:
        kubernetes.config.load_kube_config(cluster.kubeconfig)
        cluster.dns  # ("127.0.0.1", 40123), over UDP and TCP

With pytest there is the fixture `headless_dns_cluster`, an empty cluster for the module; see `headless_dns.pytest_plugin`.
"""

import json
import os
import shutil
import subprocess
import sysconfig

__all__ = ["Cluster", "program"]

# How long a cluster may take to end before it is killed, in seconds.
ENDED = 10


def program():
    """The path of the program: what $HEADLESS_DNS names, this package's own, or the one of $PATH.

    Raises FileNotFoundError where there is none.
    """
    named = os.environ.get("HEADLESS_DNS")
    own = os.path.join(sysconfig.get_path("scripts"), "headless-dns")
    found = shutil.which(named) if named else shutil.which(own) or shutil.which("headless-dns")
    if found is None:
        what = named or "headless-dns"
        raise FileNotFoundError(f"{what} is not there: install headless-dns, or set HEADLESS_DNS to its path")
    return found


class Cluster:
    """A cluster that runs, and is ready.

    `manifests`: files, or folders of them, to apply before it is ready; without any it is empty. `arguments`: further ones of
    `headless-dns sandbox`, such as `["--start-delay=1s"]`, or `["--run"]`. `output`: a file for what it says of itself.

    kubeconfig  the path of a kubeconfig of one who may do everything
    api         the URL of its API server
    dns         the host and the port where its names are answered, over UDP and TCP
    names       those that its StatefulSets have
    socks       where every name and address is reached, with `--socks`; else None

    Raises FileNotFoundError where the program is not there, RuntimeError where the cluster ends before it is ready.
    """

    def __init__(self, *manifests, arguments=(), output=subprocess.DEVNULL):
        command = [program(), "sandbox", "--dns=127.0.0.1:0", "--api=127.0.0.1:0", "--end-fd=0", *arguments]
        files = [*map(os.fspath, manifests or [os.devnull])]
        read, write = os.pipe()
        command += [f"--ready-fd={write}", *files]
        try:
            # The cluster ends when the other end of its standard input is closed: by stop, or by the end of this process.
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, pass_fds=[write])
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        with os.fdopen(read) as told:
            line = told.readline()
        if not line:
            self.stop()
            raise RuntimeError("the cluster has ended before it was ready")
        ready = json.loads(line)
        host, _, port = ready["dns"].rpartition(":")
        self.dns = (host.strip("[]"), int(port))
        self.kubeconfig, self.api = ready["kubeconfig"], ready["api"]
        self.names, self.socks = ready["names"], ready["socks"]

    def stop(self):
        """Ends the cluster, and waits until it has. It may be called again."""
        if self._process.stdin:
            self._process.stdin.close()
        # A process that was forked from this one may hold the other end too.
        self._process.terminate()
        try:
            self._process.wait(ENDED)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
