"""What the package is for, as tests of pytest; only the standard library is asked for beside it."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

import headless_dns

SET = """{"kind": "List", "apiVersion": "v1", "items": [
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": {"clusterIP": "None", "selector": {"app": "db"}}},
  {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"serviceName": "db", "replicas": 2,
    "selector": {"matchLabels": {"app": "db"}}, "template": {"metadata": {"labels": {"app": "db"}},
      "spec": {"containers": [{"name": "db", "image": "db"}]}}}}]}"""


def ask(dns, name):
    """The response code, and the number of answers, to a question for the addresses of a name (RFC 1035)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(b"\0\7\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1", dns)
        reply = sock.recv(512)
    return reply[3] & 15, int.from_bytes(reply[6:8], "big")


def test_pods_of_a_set_have_their_names(headless_dns_start, tmp_path):
    manifest = tmp_path / "db.yaml"
    manifest.write_text(SET)
    cluster = headless_dns_start(manifest)
    assert len(cluster.names) == 2
    for name in ["db-0.db.default.svc.cluster.local", "db-1.db.default.svc.cluster.local"]:
        assert ask(cluster.dns, name) == (0, 1)
    assert ask(cluster.dns, "db-2.db.default.svc.cluster.local") == (3, 0)
    cluster.stop()
    assert not os.path.exists(cluster.kubeconfig)


def test_the_api_of_the_fixture_answers(headless_dns_cluster):
    host, _, port = headless_dns_cluster.api.removeprefix("https://").rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port))) as stream, context.wrap_socket(stream) as tls:
        tls.sendall(b"GET /version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert tls.recv(15) == b"HTTP/1.1 200 OK"
    assert headless_dns_cluster.names == []


def test_a_cluster_ends_with_a_process_that_is_killed():
    code = "import headless_dns, time; print(headless_dns.Cluster().api, flush=True); time.sleep(600)"
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    host, _, port = killed.stdout.readline().strip().removeprefix("https://").rpartition(":")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection((host, int(port))).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    pytest.fail("the cluster has stayed")


def test_what_is_not_there_is_named(monkeypatch):
    with pytest.raises(RuntimeError, match="ended before it was ready"):
        headless_dns.Cluster("/nowhere/db.yaml")
    monkeypatch.setenv("HEADLESS_DNS", "/nowhere/headless-dns")
    with pytest.raises(FileNotFoundError, match="/nowhere/headless-dns"):
        headless_dns.Cluster()
