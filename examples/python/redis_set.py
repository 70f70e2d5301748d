"""Runs a redis set in a sandbox, and asks it by name.

    apt-get install redis-server
    python3 examples/python/redis_set.py [PROGRAM]

Nothing but this file and the program `headless-dns` is needed.
"""

import json
import os
import socket
import subprocess
import sys
import time

IMAGE = "redis:6.2=redis-server --dir /data --protected-mode no"


def start(program):
    """The sandbox, and what it says of itself once it is ready."""
    read, write = os.pipe()
    arguments = ["sandbox", "--run", "--image", IMAGE, "--dns", "127.0.0.1:0"]
    arguments += ["--socks", "127.0.0.1:0", "--ready-fd", str(write)]
    sandbox = subprocess.Popen([program, *arguments], pass_fds=[write], stdout=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as ready:
        line = ready.readline()
    if not line:
        raise SystemExit("the sandbox has ended before it was ready")
    return sandbox, json.loads(line)


def connect(socks, name, port):
    """A connection to a name of the cluster (RFC 1928)."""
    host, _, at = socks.rpartition(":")
    stream = socket.create_connection((host, int(at)))
    stream.sendall(b"\x05\x01\x00")
    assert stream.recv(2) == b"\x05\x00"
    request = b"\x05\x01\x00\x03" + bytes([len(name)]) + name.encode() + port.to_bytes(2, "big")
    stream.sendall(request)
    reply = stream.recv(10)
    if reply[1] == 5:
        stream.close()
        raise ConnectionRefusedError(f"{name}:{port} refuses")
    if reply[1] != 0:
        raise ConnectionError(f"{name}:{port} cannot be reached: {reply[1]}")
    return stream


def ask(socks, name, command):
    """What the redis of that name answers; a Pod without a readiness probe is ready before its program listens."""
    for _ in range(200):
        try:
            stream = connect(socks, name, 6379)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    else:
        raise TimeoutError(f"{name} does not listen")
    with stream:
        stream.sendall(command.encode() + b"\r\nQUIT\r\n")
        answer = b""
        while piece := stream.recv(4096):
            answer += piece
    return answer.decode().removesuffix("+OK\r\n")


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "headless-dns"
    sandbox, ready = start(program)
    try:
        for name in ready["names"]:
            ask(ready["socks"], name, f"SET name {name}")
        for name in ready["names"]:
            answer = ask(ready["socks"], name, "GET name").split("\r\n")[1]
            assert answer == name, answer
            print(f"{name} answers")
    finally:
        sandbox.terminate()
        sandbox.wait()


if __name__ == "__main__":
    main()
