"""main.py GROUP [shell]: starts the node, and runs the checks or a shell; GROUP: the parent of its Pods' cgroups."""
import os, subprocess, sys, time

import checks, images
from node import BUILT, ROOT, STATE, Failed, Node


def main(group, *arguments):
    began = time.monotonic()
    node = Node(group)
    node.start()
    for archive in [*images.write(STATE), *(ROOT / "target/images").glob("headless-dns-*-amd64.tar")]:
        node.load(archive)
    print(f"the node is Ready after {time.monotonic() - began:.0f} s", flush=True)
    if arguments == ("shell",):
        environment = {**node.environment(), "PATH": f"{BUILT}:{os.environ['PATH']}"}
        return subprocess.call([os.environ.get("SHELL", "bash")], env=environment)
    try:
        checks.run_all(node)
    except Failed as failed:
        print(f"failed: {failed}\nThe logs of the node: {BUILT / 'log'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
